/** What single values of chip data mean, and what they are made of. */
import { bytesToLatin1, toHex } from '@tapnpay/protocol/bytes';
import {
  type CryptogramType,
  cryptogramTypeOf,
  DATA_ELEMENTS,
  decodeAfl,
  decodeCvmList,
  decodeCvmResults,
  decodeIad,
} from '@tapnpay/protocol/emv/data';
import { decodeDol } from '@tapnpay/protocol/iso7816';
import type { TraceField, TwoLanguages } from '@tapnpay/protocol/wire';
import { bitMeanings, cvrMeanings } from './bits.ts';
import { cvmCondition, cvmMethod, cvmResult } from './cvm.ts';
import { field, two } from './field.ts';
import { amountMeaning, countryName, currencyName } from './names.ts';

type Meanings = readonly TwoLanguages[];
type Reader = (bytes: Uint8Array, context: { readonly currency: string }) => Meanings;

const one = (meaning: TwoLanguages | null): Meanings => (meaning ? [meaning] : []);
const same = (text: string): TwoLanguages => two(text, text);
const text: Reader = (bytes) => [same(`“${printable(bytes)}”`)];
const number: Reader = (bytes) => [same(String(BigInt(`0x${toHex(bytes) || '0'}`)))];
const amount: Reader = (bytes, { currency }) => one(amountMeaning(toHex(bytes), currency));
const currency: Reader = (bytes) => one(currencyName(toHex(bytes)));
const country: Reader = (bytes) => one(countryName(toHex(bytes)));
const date: Reader = (bytes) => {
  const [year = '', month = '', day = ''] = pairs(toHex(bytes));
  return [same(`20${year}-${month}-${day}`)];
};

const CRYPTOGRAMS: Readonly<Record<CryptogramType, TwoLanguages>> = {
  AAC: two('AAC: declined offline', 'AAC：脱机拒绝'),
  TC: two('TC: approved', 'TC：批准'),
  ARQC: two('ARQC: online authorisation requested', 'ARQC：请求联机授权'),
  RFU: two('reserved', '保留'),
};
const AIDS: Readonly<Record<string, TwoLanguages>> = {
  A000000333010101: two('UnionPay debit', '银联借记'),
  A000000333010102: two('UnionPay credit', '银联贷记'),
  A000000333010103: two('UnionPay quasi-credit', '银联准贷记'),
  A000000333010106: two('UnionPay electronic cash', '银联电子现金'),
};
const aid: Reader = (bytes) => {
  const known = AIDS[toHex(bytes)];
  if (known) return [known];
  return /^[\x20-\x7e]+$/.test(bytesToLatin1(bytes)) ? text(bytes, { currency: '' }) : [];
};

/** Readers by tag; tags with bits have their own tables. */
const READERS: Readonly<Record<string, Reader>> = {
  ...Object.fromEntries(['9F02', '9F03', '9F5D', '9F6B', '9F6D'].map((tag) => [tag, amount])),
  ...Object.fromEntries(['9F77', '9F78', '9F79', '9F54'].map((tag) => [tag, amount])),
  ...Object.fromEntries(['5F2A', '9F42', '9F51', '9F3C'].map((tag) => [tag, currency])),
  ...Object.fromEntries(['9F1A', '5F28', '9F57'].map((tag) => [tag, country])),
  ...Object.fromEntries(['9A', '5F24', '5F25'].map((tag) => [tag, date])),
  ...Object.fromEntries(['9F36', '9F13', '9F17', '87', '88', '9F14'].map((tag) => [tag, number])),
  ...Object.fromEntries(['4F', '84', '9F06'].map((tag) => [tag, aid])),
  '9F21': (bytes) => [same(pairs(toHex(bytes)).join(':'))],
  '9C': ([type]) => [type === 0 ? two('Purchase', '消费') : two('Other type', '其他类型')],
  '9F27': ([cid = 0]) => [CRYPTOGRAMS[cryptogramTypeOf(cid)]],
  '9F34': cvmResults,
  '8A': text,
  '8E': cvmList,
  '9F35': ([type = 0]) => one(TERMINAL_TYPES[type.toString(16).padStart(2, '0')] ?? null),
};

/** @see EMV 4.3 B4 §A1 */
const TERMINAL_TYPES: Readonly<Record<string, TwoLanguages>> = {
  '21': two('Attended, online only, merchant', '有人值守，仅联机，商户'),
  '22': two('Attended, offline with online, merchant', '有人值守，可脱机可联机，商户'),
  '24': two('Unattended, online only, merchant', '无人值守，仅联机，商户'),
  '25': two('Unattended, offline with online, merchant', '无人值守，可脱机可联机，商户'),
  '34': two('Unattended, online only, cardholder', '无人值守，仅联机，持卡人'),
  '35': two('Unattended, offline with online, cardholder', '无人值守，可脱机可联机，持卡人'),
};

/** What a value means; a value that its own rules do not allow says so. */
export function valueMeanings(
  tag: string,
  bytes: Uint8Array,
  context: { readonly currency: string },
): Meanings {
  try {
    const bits = bitMeanings(tag, bytes);
    if (bits) return bits;
    const reader = READERS[tag];
    if (reader) return reader(bytes, context);
    const format = DATA_ELEMENTS[tag]?.format ?? 'b';
    return format.startsWith('a') ? text(bytes, context) : [];
  } catch {
    return [two('Malformed', '格式错误')];
  }
}

/** Parts of a value that has an inner order of its own. */
export function partsOf(tag: string, bytes: Uint8Array): readonly TraceField[] {
  try {
    return PARTS[tag]?.(bytes) ?? [];
  } catch {
    // Its meanings are empty too: the bytes are all there is to say.
    return [];
  }
}

const PARTS: Readonly<Record<string, (bytes: Uint8Array) => readonly TraceField[]>> = {
  '91': issuerAuthenticationParts,
  '94': aflParts,
  '9F10': iadParts,
  ...Object.fromEntries(
    ['9F38', '8C', '8D', '9F49', '97', '9F4F'].map((tag) => [tag, dolParts] as const),
  ),
};

/** ARPC and the response code it is made over. @see EMV 4.3 B2 §8.2 */
function issuerAuthenticationParts(bytes: Uint8Array): readonly TraceField[] {
  const arc = bytesToLatin1(bytes.subarray(8, 10));
  return [
    field('ARPC', two('Authorisation response cryptogram', '授权响应密文'), {
      value: toHex(bytes.subarray(0, 8)),
    }),
    field('ARC', two('Authorisation response code', '授权响应码'), {
      value: toHex(bytes.subarray(8)),
      meanings: [same(`“${arc}”`)],
    }),
  ];
}

function aflParts(bytes: Uint8Array): readonly TraceField[] {
  return decodeAfl(bytes).map(({ sfi, firstRecord, lastRecord, signedRecords }, index) => {
    const range = firstRecord === lastRecord ? `${firstRecord}` : `${firstRecord}-${lastRecord}`;
    const signed = two(`${signedRecords} of them signed`, `其中 ${signedRecords} 条参与脱机认证`);
    return field(`SFI ${sfi}`, two(`Records ${range}`, `记录 ${range}`), {
      value: toHex(bytes.subarray(4 * index, 4 * index + 4)),
      meanings: signedRecords > 0 ? [signed] : [],
    });
  });
}

/** PBOC issuer application data. @see PBOC3 P5 (9F10) */
function iadParts(bytes: Uint8Array): readonly TraceField[] {
  const iad = decodeIad(bytes);
  const byte = (value: number): string => toHex(Uint8Array.of(value));
  const algorithm =
    iad.algorithm === 4 ? same('SM4') : iad.algorithm === 1 ? same('3DES') : two('Other', '其他');
  return [
    field('DKI', two('Derivation key index', '分散密钥索引'), {
      value: byte(iad.derivationKeyIndex),
    }),
    field('CVN', two('Cryptogram version number', '密文版本号'), {
      value: byte(iad.cryptogramVersion),
      meanings: one(CRYPTOGRAM_VERSIONS[byte(iad.cryptogramVersion)] ?? null),
    }),
    field('CVR', two('Card verification results', '卡片验证结果'), {
      value: toHex(iad.cvr),
      meanings: cvrMeanings(iad.cvr),
    }),
    field('ALG', two('Algorithm of the cryptogram', '密文算法标识'), {
      value: byte(iad.algorithm),
      meanings: [algorithm],
    }),
    ...(iad.discretionary.length === 0
      ? []
      : [
          field('IDD', two('Issuer discretionary data', '发卡行自定义数据'), {
            value: toHex(iad.discretionary),
          }),
        ]),
  ];
}

const CRYPTOGRAM_VERSIONS: Readonly<Record<string, TwoLanguages>> = {
  '01': two('01: contact debit/credit', '01：接触式借记/贷记'),
  '17': two('17: qPBOC', '17:qPBOC'),
};

function dolParts(bytes: Uint8Array): readonly TraceField[] {
  return decodeDol(bytes).map(({ tag, lengthBytes }) => {
    const element = DATA_ELEMENTS[tag];
    const name = element ? two(element.nameEn, element.nameZh) : two('Unknown tag', '未知标签');
    const unit = lengthBytes === 1 ? 'byte' : 'bytes';
    const length = two(`${lengthBytes} ${unit}`, `${lengthBytes} 字节`);
    return field(tag, name, { meanings: [length] });
  });
}

function cvmResults(bytes: Uint8Array): Meanings {
  const { code, condition, result } = decodeCvmResults(bytes);
  return [cvmMethod(code), cvmCondition(condition), cvmResult(result)];
}

function cvmList(bytes: Uint8Array): Meanings {
  const { amountX, amountY, rules } = decodeCvmList(bytes);
  return [
    same(`X = ${amountX}, Y = ${amountY}`),
    ...rules.map(({ code, condition, applyNextOnFailure }, index) => {
      const method = cvmMethod(code);
      const when = cvmCondition(condition);
      return two(
        `${index + 1}. ${method.en}; ${when.en}; then ${applyNextOnFailure ? 'the next' : 'fail'}`,
        `${index + 1}. ${method.zh}；${when.zh}；不成功则${applyNextOnFailure ? '用下一条' : '失败'}`,
      );
    }),
  ];
}

function pairs(hex: string): readonly string[] {
  return hex.match(/../g) ?? [];
}

function printable(bytes: Uint8Array): string {
  return bytesToLatin1(bytes).replace(/[^\x20-\x7e]/g, '·');
}
