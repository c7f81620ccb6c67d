/**
 * Data groupings (DGI): how personalisation data is named and carried to a card. A grouping is a
 * 2-byte id, a length (one byte, or FF and two bytes) and a value; STORE DATA commands carry them.
 * @see EMV CPS 1.1 §4.2, GPCS 2.3.1 §11.11
 */
import {
  byteAt,
  bytesToUint,
  concatBytes,
  fromHex,
  toHex,
  uintToBytes,
} from '../../bytes/index.ts';
import { EmvDataError } from './errors.ts';

/** One data grouping; `id` is 4 hex digits in upper case. */
export type Dgi = { readonly id: string; readonly value: Uint8Array };

/** Longest value of a grouping in bytes; a certificate record needs 254. */
export const DGI_VALUE_BYTES_MAX = 1024;
/** Most groupings of one application. */
export const DGI_COUNT_MAX = 512;
/** Longest value whose length is one byte. @see EMV CPS 1.1 §4.2 */
const DGI_SHORT_VALUE_BYTES_MAX = 0xfe;
const DGI_LONG_LENGTH = 0xff;
const DGI_ID_BYTES = 2;

/** Ids of the groupings of our cards. Records are `SSRR`: file 01 to 1E but 0D, record 01 to FF. */
export const DGI_INTERNAL_DATA = '0D01';
export const DGI_CRYPTOGRAM_PARAMETERS = '0D02';
export const DGI_UDK_3DES = '8000';
export const DGI_UDK_SM4 = '8001';
export const DGI_PIN_REFERENCE = '8010';
export const DGI_ICC_PRIVATE_EXPONENT = '8101';
export const DGI_ICC_MODULUS = '8103';
export const DGI_ICC_PUBLIC_EXPONENT = '8105';
export const DGI_PIN_PRIVATE_EXPONENT = '8111';
export const DGI_PIN_MODULUS = '8113';
export const DGI_PIN_PUBLIC_EXPONENT = '8115';
export const DGI_ICC_SM2_PRIVATE_KEY = '8401';
export const DGI_UDK_3DES_KCV = '9000';
export const DGI_UDK_SM4_KCV = '9001';
export const DGI_PIN_TRIES = '9010';
export const DGI_CONTACT_FCI = '9102';
export const DGI_CONTACTLESS_FCI = '9103';
export const DGI_CONTACT_OPTIONS = '9104';
export const DGI_CONTACT_OPTIONS_EC = '9105';
export const DGI_CONTACT_OPTIONS_SM = '9106';
export const DGI_CONTACT_OPTIONS_EC_SM = '9107';
export const DGI_CONTACTLESS_OPTIONS = '9207';
export const DGI_CONTACTLESS_OPTIONS_EC = '9208';
export const DGI_CONTACTLESS_OPTIONS_SM = '9209';
export const DGI_CONTACTLESS_OPTIONS_EC_SM = '920A';

/** What is known of a grouping. */
export type DgiDefinition = {
  readonly id: string;
  readonly nameEn: string;
  readonly nameZh: string;
  /** Travels enciphered under the card's transport key. */
  readonly isSecret: boolean;
  /** The only length in bytes, or null when it depends on data. */
  readonly lengthBytes: number | null;
  /** `practice`: as EMV CPS numbers it or cards in the field do; `own`: our choice. */
  readonly origin: 'practice' | 'own';
};

/** Id, length or `-`, `!` when secret, origin | English | Chinese. */
const TABLE = `
0D01 - practice | Internal data objects as TLVs (limits, balances, log formats) | 内部数据对象
0D02 5 own | DKI, CVN contact, CVN contactless, algorithm, IDD id | 密文参数
8000 48! practice | 3DES card keys: AC, MAC, ENC | 3DES子密钥（应用密文、MAC、加密）
8001 48! own | SM4 card keys: AC, MAC, ENC | SM4子密钥（应用密文、MAC、加密）
8010 8! practice | Offline PIN reference: clear PIN block of format 2 | 脱机密码参考值
8101 -! practice | ICC RSA private exponent | IC卡RSA私钥指数
8103 - practice | ICC RSA modulus | IC卡RSA公钥模
8105 - own | ICC RSA public exponent | IC卡RSA公钥指数
8111 -! own | PIN encipherment RSA private exponent | 密码加密RSA私钥指数
8113 - own | PIN encipherment RSA modulus | 密码加密RSA公钥模
8115 - own | PIN encipherment RSA public exponent | 密码加密RSA公钥指数
8401 32! own | ICC SM2 private key | IC卡SM2私钥
9000 9 practice | Check values of the 3DES card keys | 3DES子密钥校验值
9001 9 own | Check values of the SM4 card keys | SM4子密钥校验值
9010 2 practice | PIN try counter and PIN try limit | 密码尝试计数器和上限
9102 - practice | FCI proprietary template (A5), contact | 接触式FCI专用模板
9103 - practice | FCI proprietary template (A5), contactless | 非接触式FCI专用模板
9104 - practice | GET PROCESSING OPTIONS answer: AIP and AFL, contact | 接触式GPO响应：AIP和AFL
9105 - own | GET PROCESSING OPTIONS answer when e-cash pays, contact | 电子现金接触式GPO响应
9106 - own | GET PROCESSING OPTIONS answer when SM is chosen, contact | 国密算法接触式GPO响应
9107 - own | GET PROCESSING OPTIONS answer of e-cash under SM, contact | 国密算法电子现金接触式GPO响应
9207 - practice | GET PROCESSING OPTIONS answer: AIP and AFL, contactless | 非接触式GPO响应：AIP和AFL
9208 - own | GET PROCESSING OPTIONS answer when e-cash pays, contactless | 电子现金非接触式GPO响应
9209 - own | GET PROCESSING OPTIONS answer when SM is chosen, contactless | 国密算法非接触式GPO响应
920A - own | GET PROCESSING OPTIONS answer of e-cash under SM, contactless | 国密电子现金非接触式GPO响应
`;

/** Every known grouping but the records, by id. */
export const DGI_TABLE: ReadonlyMap<string, DgiDefinition> = new Map(
  TABLE.trim()
    .split('\n')
    .map((line) => {
      const [head = '', nameEn = '', nameZh = ''] = line.split(' | ');
      const [id = '', length = '', origin = ''] = head.split(' ');
      const bytes = length.replace('!', '');
      return [
        id,
        {
          id,
          nameEn,
          nameZh,
          isSecret: length.endsWith('!'),
          lengthBytes: bytes === '-' ? null : Number(bytes),
          origin: origin === 'own' ? 'own' : 'practice',
        },
      ];
    }),
);

/** Whether an id names a record: file 01 to 1E, record 01 to FF; 0D holds internal data instead. */
export function isRecordDgi(id: string): boolean {
  return /^(0[1-9A-CEF]|1[0-9A-E])(?!00)[0-9A-F]{2}$/.test(id);
}

/** Id of a record. @throws EmvDataError `ERR_DGI_ID` for a file or record that has none. */
export function recordDgi(sfi: number, record: number): string {
  const id = toHex(Uint8Array.of(sfi & 0xff, record & 0xff));
  if (sfi === (sfi & 0xff) && record === (record & 0xff) && isRecordDgi(id)) return id;
  throw new EmvDataError('ERR_DGI_ID', `record ${record} of file ${sfi} has no grouping`);
}

/** Whether a grouping travels enciphered. */
export function isSecretDgi(id: string): boolean {
  return DGI_TABLE.get(id)?.isSecret ?? false;
}

/**
 * Wire form of a grouping.
 * @throws EmvDataError `ERR_DGI_ID`, `ERR_DGI_LENGTH`.
 */
export function encodeDgi({ id, value }: Dgi): Uint8Array {
  if (!/^[0-9A-F]{4}$/.test(id)) throw new EmvDataError('ERR_DGI_ID', 'an id has 4 hex digits');
  if (value.length > DGI_VALUE_BYTES_MAX) {
    throw new EmvDataError('ERR_DGI_LENGTH', `grouping ${id} has ${value.length} bytes`, { id });
  }
  const length =
    value.length <= DGI_SHORT_VALUE_BYTES_MAX
      ? Uint8Array.of(value.length)
      : concatBytes(Uint8Array.of(DGI_LONG_LENGTH), uintToBytes(value.length, 2));
  return concatBytes(fromHex(id), length, value);
}

/** What `readDgi` finds: a grouping, how many bytes it took; null while bytes are missing. */
type DgiRead = { readonly dgi: Dgi; readonly lengthBytes: number } | null;

/**
 * The grouping at `offsetBytes`; null when `bytes` end before it does.
 * @throws EmvDataError `ERR_DGI_LENGTH` with the offset of the length: the long form for a value
 * that the short one holds, or more than `DGI_VALUE_BYTES_MAX`.
 */
export function readDgi(bytes: Uint8Array, offsetBytes: number): DgiRead {
  const lengthAt = offsetBytes + DGI_ID_BYTES;
  const first = bytes[lengthAt];
  if (first === undefined) return null;
  const isLong = first === DGI_LONG_LENGTH;
  const start = lengthAt + (isLong ? 3 : 1);
  if (start > bytes.length) return null;
  const length = isLong
    ? bytesToUint(bytes.subarray(lengthAt + 1, start))
    : byteAt(bytes, lengthAt);
  if (isLong && length <= DGI_SHORT_VALUE_BYTES_MAX) {
    throw lengthError(lengthAt, `length ${length} needs one byte only`);
  }
  if (length > DGI_VALUE_BYTES_MAX) {
    throw lengthError(lengthAt, `length ${length} is over ${DGI_VALUE_BYTES_MAX}`);
  }
  if (start + length > bytes.length) return null;
  const id = toHex(bytes.subarray(offsetBytes, lengthAt));
  const value = bytes.slice(start, start + length);
  return { dgi: { id, value }, lengthBytes: start + length - offsetBytes };
}

/**
 * All groupings of `bytes`, which must end with the last one.
 * @throws EmvDataError `ERR_DGI_LENGTH`, `ERR_DGI_CUT`, `ERR_DGI_COUNT` with `offsetBytes`.
 */
export function decodeDgis(bytes: Uint8Array): readonly Dgi[] {
  const { dgis, rest } = decodeWholeDgis(bytes);
  if (rest.length === 0) return dgis;
  const offsetBytes = bytes.length - rest.length;
  throw new EmvDataError('ERR_DGI_CUT', `the grouping at byte ${offsetBytes} is cut off`, {
    offsetBytes,
  });
}

/**
 * The groupings that are whole and the bytes of one that goes on in the next block.
 * @throws EmvDataError `ERR_DGI_LENGTH`, `ERR_DGI_COUNT` with `offsetBytes`.
 */
export function decodeWholeDgis(bytes: Uint8Array): {
  readonly dgis: readonly Dgi[];
  readonly rest: Uint8Array;
} {
  const dgis: Dgi[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const found = readDgi(bytes, offset);
    if (found === null) break;
    if (dgis.length === DGI_COUNT_MAX) {
      throw new EmvDataError('ERR_DGI_COUNT', `more than ${DGI_COUNT_MAX} groupings`, {
        offsetBytes: offset,
      });
    }
    dgis.push(found.dgi);
    offset += found.lengthBytes;
  }
  return { dgis, rest: bytes.slice(offset) };
}

function lengthError(offsetBytes: number, why: string): EmvDataError {
  return new EmvDataError('ERR_DGI_LENGTH', `at byte ${offsetBytes}: ${why}`, { offsetBytes });
}
