/** Checks of certificates and signatures in words. @see EMV 4.3 B2 §5.3, §6.4, §6.5.2, §6.6.2 */
import type { RecoveryFault } from '../emv/data/index.ts';
import { both } from './build.ts';
import type { BothLanguages } from './types.ts';

const TEXTS: Readonly<Record<RecoveryFault, BothLanguages>> = {
  signerKey: both('signing key has a length that EMV allows', '签名公钥长度合法'),
  length: both('as long as the signing key', '与签名公钥等长'),
  rsa: both('can be opened with the key', '可用该公钥恢复'),
  trailer: both('trailer is BC', '数据尾为 BC'),
  header: both('header is 6A', '数据头为 6A'),
  format: both('format byte', '格式字节'),
  remainderMissing: both(
    'the key is complete: a remainder is there if needed',
    '公钥完整：需要时有余数',
  ),
  hashAlgorithm: both('hash algorithm is known', '哈希算法可识别'),
  hash: both('hash matches', '哈希值一致'),
  signature: both('SM2 signature stands', 'SM2 签名有效'),
  issuerIdentifier: both('issuer identifier begins the PAN', '发卡行标识与主账号一致'),
  pan: both('PAN is that of the card', '主账号一致'),
  expired: both('not expired', '未过期'),
  revoked: both('not revoked', '未被撤销'),
  keyAlgorithm: both('key algorithm is known', '公钥算法可识别'),
  curveParameter: both('curve parameter is known', '曲线参数可识别'),
  keyLength: both('key length is allowed', '公钥长度合法'),
  exponentLength: both('exponent length is 1 or 3', '指数长度为 1 或 3'),
  exponent: both('exponent is 3 or 65537', '指数为 3 或 65537'),
  remainder: both('remainder has the length that is missing', '余数长度正确'),
  publicKey: both('key is a point of the curve', '公钥在曲线上'),
  dynamicDataLength: both('ICC dynamic data fit', 'IC 卡动态数据长度合法'),
  dynamicNumber: both('ICC dynamic number is there', '含 IC 卡动态数'),
  cryptogramInformationData: both('CID is that of the answer', '密文信息数据一致'),
  transactionHash: both('transaction data hash matches', '交易数据哈希一致'),
};

/** The code of a finding about a failed check, as `CERTIFICATE_HASH_ALGORITHM`. */
export function faultCode(fault: RecoveryFault): string {
  return `CERTIFICATE_${fault.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** What a check looks at. */
export function faultText(fault: RecoveryFault): BothLanguages {
  return TEXTS[fault];
}
