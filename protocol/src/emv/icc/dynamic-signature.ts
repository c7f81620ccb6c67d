/** The card's dynamic signatures: DDA, CDA and fDDA. @see EMV 4.3 B2 §6.5, §6.6; PBOC3 P17 */
import { concatBytes } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import { signSmDynamicData } from '../data/index.ts';
import type { CardRsaKey } from './runtime-profile.ts';
import { active, type IccPorts, type Snapshot } from './session.ts';

/** Bytes of our ICC dynamic number, 2 to 8 allowed. @see EMV 4.3 B2 table 17 */
const ICC_DYNAMIC_NUMBER_BYTES = 8;
const SIGNED_DATA_FORMAT_DDA = 0x05;
const HASH_SHA1 = 0x01;
const HASH_SHA1_BYTES = 20;
/** Header, format, hash indicator, length, hash and trailer. @see EMV 4.3 B2 table 17 */
const OVERHEAD_BYTES = 25;
/** CID and cryptogram inside the dynamic data of CDA. @see EMV 4.3 B2 table 19 */
const CDA_CRYPTOGRAM_BYTES = 9;
/** Longest dynamic data: that of CDA. */
const DYNAMIC_DATA_BYTES_MAX =
  1 + ICC_DYNAMIC_NUMBER_BYTES + CDA_CRYPTOGRAM_BYTES + HASH_SHA1_BYTES;

/** What a transaction signs with: SM2 where SM was chosen and the card has such a key. */
type SigningKey =
  | { readonly algorithm: 'RSA'; readonly key: CardRsaKey }
  | { readonly algorithm: 'SM2'; readonly privateKey: Uint8Array };

function signingKey(card: Snapshot): SigningKey | null {
  const { rsaKey, sm2PrivateKey } = active(card).profile;
  if (card.session.isSm) {
    return sm2PrivateKey && { algorithm: 'SM2', privateKey: sm2PrivateKey };
  }
  const isLong = (rsaKey?.modulus.length ?? 0) >= DYNAMIC_DATA_BYTES_MAX + OVERHEAD_BYTES;
  return rsaKey && isLong ? { algorithm: 'RSA', key: rsaKey } : null;
}

/** Whether the card has a key that a dynamic signature of this transaction fits under. */
export function canSignDynamically(card: Snapshot): boolean {
  return signingKey(card) !== null;
}

/** The length byte and number that open ICC dynamic data. @see EMV 4.3 B2 table 17 */
export function freshDynamicNumber(ports: IccPorts): Uint8Array {
  return concatBytes(
    Uint8Array.of(ICC_DYNAMIC_NUMBER_BYTES),
    ports.random.bytes(ICC_DYNAMIC_NUMBER_BYTES),
  );
}

/** Hash over the transaction's data for CDA: SHA-1, under SM2 SM3. @see EMV 4.3 B2 §6.6.1 */
export function transactionDataHash(
  card: Snapshot,
  transactionData: Uint8Array,
  ports: IccPorts,
): Uint8Array {
  const { sha1, sm3 } = ports.ciphers;
  return card.session.isSm ? sm3(transactionData) : sha1(transactionData);
}

/** Signed dynamic application data (9F4B) over the card's and the terminal's data. */
export function signDynamicData(
  card: Snapshot,
  signed: { readonly dynamicData: Uint8Array; readonly terminalData: Uint8Array },
  ports: IccPorts,
): Uint8Array {
  const signing = signingKey(card);
  if (!signing) throw new Error('the command was let through without a key');
  const { dynamicData, terminalData } = signed;
  if (signing.algorithm === 'SM2') {
    const { privateKey } = signing;
    const { random } = ports;
    const request = { privateKey, iccDynamicData: dynamicData, terminalData, random };
    return signSmDynamicData(ports.ciphers, request);
  }
  const { modulus, privateExponent } = signing.key;
  const padding = new Uint8Array(modulus.length - dynamicData.length - OVERHEAD_BYTES).fill(0xbb);
  const head = Uint8Array.of(SIGNED_DATA_FORMAT_DDA, HASH_SHA1, dynamicData.length);
  const body = concatBytes(head, dynamicData, padding);
  const hash = ports.ciphers.sha1(concatBytes(body, terminalData));
  const framed = concatBytes(Uint8Array.of(0x6a), body, hash, Uint8Array.of(0xbc));
  return rsaRaw(modulus, privateExponent, framed);
}
