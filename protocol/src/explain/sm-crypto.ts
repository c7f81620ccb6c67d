/** Kind `smCrypto`: SM3, SM4 and SM2 signatures. @see GM/T 0004, GM/T 0002, GM/T 0003 */
import { asciiToBytes, toHex } from '../bytes/index.ts';
import { isSm2PublicKey, SM2_DEFAULT_USER_ID, sm2Digest, sm2Verify } from '../crypto/index.ts';
import { both, comparison, givenBytes, givenText, isGiven, nodeOf, step } from './build.ts';
import { ExplainError } from './errors.ts';
import { requireKeyBytes } from './keys-given.ts';
import type {
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
} from './types.ts';

export const SM_CRYPTO_KIND: ExplainModule = { kind: 'smCrypto', detect, explain };

const BLOCK_BYTES = 16;
const TEXT_NAMES = ['ascii', 'text'] as const;
const DATA_NAMES = ['data', 'plain', 'plaintext', 'cipher', 'ciphertext'] as const;

function detect(input: ExplainInput): number {
  if (isGiven(input, 'sm4Key', 'sm2PublicKey')) return 0.96;
  if (isGiven(input, 'publicKey') && isGiven(input, 'signature')) return 0.9;
  if (isGiven(input, 'bdk', 'pvk', 'cvk', 'mak', 'tmk', 'imkAc', 'pin', 'hostChallenge')) return 0;
  if (isGiven(input, 'key') && isGiven(input, ...DATA_NAMES)) return 0.55;
  return isGiven(input, ...TEXT_NAMES) && !isGiven(input, 'key') ? 0.6 : 0;
}

function explain(context: ExplainContext): Explained {
  const { input } = context;
  if (isGiven(input, 'signature')) return explainSm2(context);
  const isSm4 = isGiven(input, 'sm4Key', 'key');
  return isSm4 ? explainSm4(context) : explainSm3(context);
}

/** Text that was named as text, else hex, else the pasted bytes. */
function messageOf(input: ExplainInput): Uint8Array {
  const text = givenText(input, ...TEXT_NAMES);
  if (text !== undefined) {
    if (/^[\x20-\x7e]*$/.test(text)) return asciiToBytes(text);
    return utf8(text);
  }
  const data = givenBytes(input, ...DATA_NAMES, 'message') ?? input.bytes;
  if (data !== null && data !== undefined) return data;
  throw new ExplainError('ERR_EXPLAIN_MISSING', 'data or ascii is needed', { name: 'data' });
}

function utf8(text: string): Uint8Array {
  const percent = encodeURIComponent(text);
  const bytes: number[] = [];
  for (let index = 0; index < percent.length; index++) {
    const isEscaped = percent.charAt(index) === '%';
    bytes.push(
      isEscaped
        ? Number.parseInt(percent.slice(index + 1, index + 3), 16)
        : percent.charCodeAt(index),
    );
    if (isEscaped) index += 2;
  }
  return Uint8Array.from(bytes);
}

function explainSm3({ ciphers, input }: ExplainContext): Explained {
  const message = messageOf(input);
  const digest = toHex(ciphers.sm3(message));
  const given = givenText(input, 'digest', 'hash', 'sm3');
  return {
    summaryEn: `SM3 digest ${digest}`,
    summaryZh: `SM3 摘要 ${digest}`,
    facts: { algorithm: 'SM3', digest, data: toHex(message), lengthBytes: message.length },
    tree: [
      nodeOf(both('Data', '数据'), { offsetBytes: 0, bytes: message }),
      nodeOf(both('SM3 digest', 'SM3 摘要'), null, { value: digest }),
    ],
    checks: against('sm3', given, digest),
    findings: [],
  };
}

function explainSm4({ ciphers, input }: ExplainContext): Explained {
  const given = givenBytes(input, 'sm4Key', 'key') ?? new Uint8Array();
  const key = requireKeyBytes(given, 'key', [BLOCK_BYTES]);
  const data = messageOf(input);
  if (data.length === 0 || data.length % BLOCK_BYTES !== 0) {
    const message = `data has ${data.length} bytes, SM4 needs whole blocks of ${BLOCK_BYTES}`;
    throw new ExplainError('ERR_EXPLAIN_VALUE', message, { name: 'data' });
  }
  const enciphered = toHex(ciphers.sm4EcbEncrypt(key, data));
  const deciphered = toHex(ciphers.sm4EcbDecrypt(key, data));
  const expected = givenText(input, 'expected', 'encrypted', 'result');
  return {
    summaryEn: `SM4-ECB: ${enciphered}`,
    summaryZh: `SM4-ECB 加密结果 ${enciphered}`,
    facts: {
      algorithm: 'SM4',
      enciphered,
      deciphered,
      data: toHex(data),
      blocks: data.length / 16,
    },
    tree: [
      nodeOf(both('Data', '数据'), { offsetBytes: 0, bytes: data }),
      nodeOf(both('enciphered', '加密'), null, { value: enciphered }),
      nodeOf(both('deciphered', '解密'), null, { value: deciphered }),
    ],
    checks: against('sm4', expected, enciphered),
    findings: [],
  };
}

function explainSm2({ ciphers, input }: ExplainContext): Explained {
  const publicKey = givenBytes(input, 'sm2PublicKey', 'publicKey')?.slice(-64);
  const signature = givenBytes(input, 'signature');
  if (publicKey === undefined || signature === undefined) {
    const name = signature === undefined ? 'signature' : 'publicKey';
    throw new ExplainError('ERR_EXPLAIN_MISSING', `${name} is needed and was not given`, { name });
  }
  const message = messageOf(input);
  const userId = givenText(input, 'userId', 'id') ?? SM2_DEFAULT_USER_ID;
  const isPoint = isSm2PublicKey(publicKey);
  const digest = isPoint ? toHex(sm2Digest(ciphers, { publicKey, message, userId })) : null;
  const isValid = sm2Verify(ciphers, { publicKey, message, signature, userId });
  const steps = [
    step(both('point is on the curve', '公钥点在曲线上'), String(isPoint)),
    step(both('SM3 of Z and message', 'Z 与消息的 SM3'), digest ?? ''),
  ];
  return {
    summaryEn: `SM2 signature is ${isValid ? 'valid' : 'wrong'}`,
    summaryZh: `SM2 签名${isValid ? '正确' : '不正确'}`,
    facts: {
      algorithm: 'SM2',
      publicKey: toHex(publicKey),
      publicKeyOnCurve: isPoint,
      signature: toHex(signature),
      data: toHex(message),
      userId,
      digest,
      valid: isValid,
    },
    tree: [nodeOf(both('Signature r and s', '签名 r、s'), null, { value: toHex(signature) })],
    checks: [{ name: 'sm2', result: isValid ? 'passed' : 'failed', steps }],
    findings: [],
  };
}

function against(name: string, expected: string | undefined, actual: string): ExplainCheck[] {
  if (expected === undefined) return [];
  return [comparison(name, { expected: expected.toUpperCase(), actual }, [])];
}
