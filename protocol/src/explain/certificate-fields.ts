/** Fields of opened certificates and signed data, whatever their checks say. */
import { byteAt, toHex } from '../bytes/index.ts';
import {
  cryptogramTypeOf,
  iccDynamicNumberOf,
  SM_SIGNED_DATA,
  smCertificateOffsets,
} from '../emv/data/index.ts';
import { both, byteHex, nodeOf } from './build.ts';
import type { CertificateFact, SignedDataFact } from './facts.ts';
import { lastDayOf } from './names.ts';
import type { BothLanguages, ExplainNode } from './types.ts';

/** Bytes of hash and trailer. */
const TAIL_BYTES = 21;

/** Facts of a certificate that could not be opened. */
export function emptyCertificate(
  type: CertificateFact['type'],
  algorithm: CertificateFact['algorithm'],
): CertificateFact {
  return {
    type,
    algorithm,
    header: null,
    format: null,
    subject: null,
    expiryMmyy: null,
    validThrough: null,
    expired: null,
    serial: null,
    hashAlgorithm: null,
    keyAlgorithm: null,
    keyLengthBytes: null,
    exponentLengthBytes: null,
    keyInCertificate: null,
    remainderNeededBytes: null,
    keyComplete: null,
    publicKey: null,
    exponent: null,
    hash: null,
    hashMatches: null,
    trailer: null,
    signatureAlgorithm: null,
    encryptionAlgorithm: null,
    curveParameter: null,
    signature: null,
    valid: null,
  };
}

/** Facts of signed data that could not be opened. */
export function emptySignedData(
  type: SignedDataFact['type'],
  algorithm: SignedDataFact['algorithm'],
): SignedDataFact {
  return {
    type,
    algorithm,
    header: null,
    format: null,
    hashAlgorithm: null,
    dataAuthenticationCode: null,
    dynamicDataLengthBytes: null,
    dynamicData: null,
    dynamicNumber: null,
    cid: null,
    cryptogramType: null,
    cryptogram: null,
    transactionDataHash: null,
    hash: null,
    hashMatches: null,
    signature: null,
    valid: null,
  };
}

/** What stands outside of a certificate. */
export type OutsideKey = {
  readonly remainder: Uint8Array | undefined;
  readonly exponent: Uint8Array | undefined;
};

/**
 * Fields of an opened certificate: `6A format subject MMYY serial hash key-alg key-len exp-len
 * key… hash BC`. @see EMV 4.3 B2 tables 6, 14 and 21
 */
export function certificateFields(
  recovered: Uint8Array,
  type: CertificateFact['type'],
  outside: OutsideKey,
): CertificateFact {
  const header = byteHex(byteAt(recovered, 0));
  const format = byteHex(byteAt(recovered, 1));
  const trailer = byteHex(byteAt(recovered, recovered.length - 1));
  const empty = { ...emptyCertificate(type, 'RSA'), header, format, trailer };
  const expiryAt = type === 'issuer' ? 6 : 12;
  const keyAt = expiryAt + 9;
  if (header !== '6A' || recovered.length < keyAt + TAIL_BYTES) return empty;
  const room = recovered.length - keyAt - TAIL_BYTES;
  const keyLengthBytes = byteAt(recovered, expiryAt + 7);
  const keyInCertificate = recovered.subarray(keyAt, keyAt + Math.min(room, keyLengthBytes));
  const remainderNeededBytes = Math.max(0, keyLengthBytes - room);
  const remainder = outside.remainder ?? new Uint8Array(0);
  const keyComplete = remainderNeededBytes === 0 || remainder.length === remainderNeededBytes;
  const expiryMmyy = toHex(recovered.subarray(expiryAt, expiryAt + 2));
  const key = toHex(keyInCertificate) + (remainderNeededBytes > 0 ? toHex(remainder) : '');
  return {
    ...empty,
    subject: toHex(recovered.subarray(2, expiryAt)),
    expiryMmyy,
    validThrough: lastDayOf(expiryMmyy),
    serial: toHex(recovered.subarray(expiryAt + 2, expiryAt + 5)),
    hashAlgorithm: algorithmName(byteAt(recovered, expiryAt + 5), 'SHA-1'),
    keyAlgorithm: algorithmName(byteAt(recovered, expiryAt + 6), 'RSA'),
    keyLengthBytes,
    exponentLengthBytes: byteAt(recovered, expiryAt + 8),
    keyInCertificate: toHex(keyInCertificate),
    remainderNeededBytes,
    keyComplete,
    publicKey: keyComplete ? key : null,
    exponent: outside.exponent ? toHex(outside.exponent) : null,
    hash: toHex(recovered.subarray(recovered.length - TAIL_BYTES, recovered.length - 1)),
  };
}

function algorithmName(value: number, first: string): string {
  return value === 0x01 ? first : `reserved ${byteHex(value)}`;
}

/** Lines for an opened certificate, offsets counted in the opened block. */
export function certificateNodes(
  recovered: Uint8Array,
  fact: CertificateFact,
): readonly ExplainNode[] {
  if (fact.subject === null || fact.keyInCertificate === null) {
    return [part(recovered, [0, recovered.length], both('Opened block', '恢复数据'))];
  }
  const isIssuer = fact.type === 'issuer';
  const at = isIssuer ? 6 : 12;
  const end = recovered.length;
  const subject = isIssuer ? both('Issuer identifier', '发卡行标识') : both('PAN', '主账号');
  const filled = at + 9 + fact.keyInCertificate.length / 2;
  return [
    part(recovered, [0, 1], both('Header', '数据头')),
    part(recovered, [1, 2], both('Format', '证书格式')),
    part(recovered, [2, at], subject),
    part(recovered, [at, at + 2], both('Expires (MMYY)', '失效日期（MMYY）'), fact.validThrough),
    part(recovered, [at + 2, at + 5], both('Serial number', '序列号')),
    part(recovered, [at + 5, at + 6], both('Hash algorithm', '哈希算法'), fact.hashAlgorithm),
    part(recovered, [at + 6, at + 7], both('Key algorithm', '公钥算法'), fact.keyAlgorithm),
    part(
      recovered,
      [at + 7, at + 8],
      both('Key length', '公钥长度'),
      `${fact.keyLengthBytes} bytes`,
    ),
    part(recovered, [at + 8, at + 9], both('Exponent length', '公钥指数长度')),
    part(recovered, [at + 9, filled], both('Key, leftmost part', '公钥左部')),
    ...(filled < end - TAIL_BYTES
      ? [part(recovered, [filled, end - TAIL_BYTES], both('Filler BB', '填充 BB'))]
      : []),
    part(recovered, [end - TAIL_BYTES, end - 1], both('Hash', '哈希值')),
    part(recovered, [end - 1, end], both('Trailer', '数据尾')),
  ];
}

function part(
  block: Uint8Array,
  range: readonly [start: number, end: number],
  name: BothLanguages,
  text: string | null = null,
): ExplainNode {
  const [start, end] = range;
  const place = { offsetBytes: start, bytes: block.subarray(start, end) };
  return nodeOf(name, place, { text: text === null ? null : both(text) });
}

/** Fields of opened static (93) or dynamic (9F4B) data. @see EMV 4.3 B2 tables 7, 15, 17 and 19 */
export function signedDataFields(
  recovered: Uint8Array,
  type: SignedDataFact['type'],
): SignedDataFact {
  const header = byteHex(byteAt(recovered, 0));
  const format = byteHex(byteAt(recovered, 1));
  const empty = { ...emptySignedData(type, 'RSA'), header, format };
  if (header !== '6A' || recovered.length < 4 + TAIL_BYTES) return empty;
  const base = {
    ...empty,
    hashAlgorithm: algorithmName(byteAt(recovered, 2), 'SHA-1'),
    hash: toHex(recovered.subarray(recovered.length - TAIL_BYTES, recovered.length - 1)),
  };
  if (type === 'static') {
    return { ...base, dataAuthenticationCode: toHex(recovered.subarray(3, 5)) };
  }
  const lengthBytes = byteAt(recovered, 3);
  const data = recovered.subarray(4, Math.min(4 + lengthBytes, recovered.length - TAIL_BYTES));
  return { ...base, dynamicDataLengthBytes: lengthBytes, ...dynamicDataFields(data, 20) };
}

/** ICC dynamic data: number, and in a combined answer CID, cryptogram, transaction data hash. */
function dynamicDataFields(data: Uint8Array, hashBytes: number): Partial<SignedDataFact> {
  const number = iccDynamicNumberOf(data);
  const after = number ? data.subarray(1 + number.length) : new Uint8Array(0);
  const isCombined = after.length >= 9 + hashBytes;
  return {
    dynamicData: toHex(data),
    dynamicNumber: number ? toHex(number) : null,
    cid: isCombined ? byteHex(byteAt(after, 0)) : null,
    cryptogramType: isCombined ? cryptogramTypeOf(byteAt(after, 0)) : null,
    cryptogram: isCombined ? toHex(after.subarray(1, 9)) : null,
    transactionDataHash: isCombined ? toHex(after.subarray(9, 9 + hashBytes)) : null,
  };
}

/** Lines for opened signed data. */
export function signedDataNodes(
  recovered: Uint8Array,
  fact: SignedDataFact,
): readonly ExplainNode[] {
  const end = recovered.length;
  if (fact.hash === null) return [part(recovered, [0, end], both('Opened block', '恢复数据'))];
  const length = fact.dynamicDataLengthBytes ?? 0;
  const inner =
    fact.type === 'static'
      ? [part(recovered, [3, 5], both('Data authentication code', '数据认证码'))]
      : [
          part(recovered, [3, 4], both('Length of ICC dynamic data', 'IC 卡动态数据长度')),
          part(
            recovered,
            [4, 4 + length],
            both('ICC dynamic data', 'IC 卡动态数据'),
            fact.dynamicNumber,
          ),
        ];
  return [
    part(recovered, [0, 1], both('Header', '数据头')),
    part(recovered, [1, 2], both('Format', '签名数据格式')),
    part(recovered, [2, 3], both('Hash algorithm', '哈希算法'), fact.hashAlgorithm),
    ...inner,
    part(recovered, [end - TAIL_BYTES, end - 1], both('Hash', '哈希值')),
    part(recovered, [end - 1, end], both('Trailer', '数据尾')),
  ];
}

/** Fields of an SM2 certificate, which is clear data and a signature. @see PBOC3 P17 */
export function smCertificateFields(
  certificate: Uint8Array,
  type: CertificateFact['type'],
): CertificateFact {
  const { issuerCertificate, iccCertificate } = SM_SIGNED_DATA;
  const at = smCertificateOffsets(type === 'issuer' ? issuerCertificate : iccCertificate);
  const slice = (from: number, to: number) => toHex(certificate.subarray(from, to));
  const byte = (offset: number) => certificate[offset];
  const expiryMmyy = slice(at.expiry, at.expiry + 2);
  const key = slice(at.publicKey, at.signature);
  const signatureAlgorithm = byte(at.signatureAlgorithm);
  const isSm2 = signatureAlgorithm === SM_SIGNED_DATA.signatureAlgorithm;
  return {
    ...emptyCertificate(type, 'SM2'),
    format: slice(0, 1),
    subject: slice(at.identifier, at.expiry),
    expiryMmyy,
    validThrough: lastDayOf(expiryMmyy),
    serial: slice(at.serialNumber, at.serialNumber + 3),
    hashAlgorithm: isSm2 ? 'SM3' : `reserved ${byteHex(signatureAlgorithm ?? 0)}`,
    keyAlgorithm: isSm2 ? 'SM2' : `reserved ${byteHex(signatureAlgorithm ?? 0)}`,
    signatureAlgorithm: slice(at.signatureAlgorithm, at.signatureAlgorithm + 1),
    encryptionAlgorithm: slice(at.encryptionAlgorithm, at.encryptionAlgorithm + 1),
    curveParameter: slice(at.curveParameter, at.curveParameter + 1),
    keyLengthBytes: byte(at.keyLength) ?? null,
    keyInCertificate: key,
    remainderNeededBytes: 0,
    keyComplete: key.length === 128,
    publicKey: key.length === 128 ? key : null,
    signature:
      certificate.length >= at.signature + 64 ? slice(at.signature, at.signature + 64) : null,
  };
}

/** Lines for an SM2 certificate. */
export function smCertificateNodes(
  certificate: Uint8Array,
  type: CertificateFact['type'],
): readonly ExplainNode[] {
  const { issuerCertificate, iccCertificate } = SM_SIGNED_DATA;
  const at = smCertificateOffsets(type === 'issuer' ? issuerCertificate : iccCertificate);
  const subject =
    type === 'issuer' ? both('Issuer identifier', '发卡行标识') : both('PAN', '主账号');
  const rows: readonly (readonly [readonly [number, number], BothLanguages])[] = [
    [[0, 1], both('Format', '证书格式')],
    [[at.identifier, at.expiry], subject],
    [[at.expiry, at.expiry + 2], both('Expires (MMYY)', '失效日期（MMYY）')],
    [[at.serialNumber, at.serialNumber + 3], both('Serial number', '序列号')],
    [[at.signatureAlgorithm, at.signatureAlgorithm + 1], both('Signature algorithm', '签名算法')],
    [
      [at.encryptionAlgorithm, at.encryptionAlgorithm + 1],
      both('Encryption algorithm', '加密算法'),
    ],
    [[at.curveParameter, at.curveParameter + 1], both('Curve parameter', '曲线参数')],
    [[at.keyLength, at.keyLength + 1], both('Key length', '公钥长度')],
    [[at.publicKey, at.signature], both('Public key x‖y', '公钥 x‖y')],
    [[at.signature, at.signature + 64], both('Signature r‖s', '签名 r‖s')],
  ];
  return rows
    .filter(([[start]]) => start < certificate.length)
    .map(([range, name]) => part(certificate, range, name));
}

/** Fields of SM2-signed static (13) or dynamic (15) data. */
export function smSignedDataFields(
  signed: Uint8Array,
  type: SignedDataFact['type'],
): SignedDataFact {
  const empty = {
    ...emptySignedData(type, 'SM2'),
    format: toHex(signed.subarray(0, 1)),
    hashAlgorithm: 'SM3',
  };
  if (type === 'static') {
    const signature = signed.length >= 67 ? toHex(signed.subarray(3, 67)) : null;
    return { ...empty, dataAuthenticationCode: toHex(signed.subarray(1, 3)), signature };
  }
  const lengthBytes = signed[1] ?? 0;
  const data = signed.subarray(2, 2 + lengthBytes);
  const signature =
    signed.length >= 66 + lengthBytes ? toHex(signed.subarray(2 + lengthBytes)) : null;
  return {
    ...empty,
    dynamicDataLengthBytes: lengthBytes,
    ...dynamicDataFields(data, 32),
    signature,
  };
}

/** The public exponent and modulus of a fact, for the next link of the chain. */
export function hasWholeKey(fact: CertificateFact | null): fact is CertificateFact & {
  readonly publicKey: string;
} {
  return fact !== null && fact.publicKey !== null;
}
