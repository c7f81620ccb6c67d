/** INTERNAL AUTHENTICATE: the card's dynamic signature (DDA). @see EMV 4.3 B2 §6.5 */
import { concatBytes, fromHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import {
  type CommandApdu,
  decodeDol,
  encodeTlv,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { dolBytes } from './dol-values.ts';
import {
  answer,
  answerStatus,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
} from './session.ts';

/** Bytes of our ICC dynamic number, 2 to 8 allowed. @see EMV 4.3 B2 table 17 */
export const ICC_DYNAMIC_NUMBER_BYTES = 8;
const SIGNED_DATA_FORMAT_DDA = 0x05;
const HASH_SHA1 = 0x01;
const OVERHEAD_BYTES = 25;

/** Signs the terminal's DDOL data with the card's own key, between GPO and GENERATE AC. */
export function internalAuthenticate(
  card: Snapshot,
  command: CommandApdu,
  ports: IccPorts,
): Outcome {
  const { image, session } = card;
  if (command.p1 !== 0 || command.p2 !== 0) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  const isSupported = data.aipHas(fromHex(image.aip), data.AIP_1_DDA_SUPPORTED);
  if (session.phase !== 'initiated' || !isSupported) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const terminalData = command.data ?? new Uint8Array(0);
  if (terminalData.length !== dolBytes(decodeDol(fromHex(image.ddol)))) {
    return answerStatus(card, SW_6700_WRONG_LENGTH);
  }
  const signature = signDynamicData(image, terminalData, ports);
  const next = withSession(card, { isDdaPerformed: true });
  return answer(next, encodeTlv(data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1, signature));
}

/** Signed dynamic application data. @see EMV 4.3 B2 table 15 */
export function signDynamicData(
  image: data.IccImage,
  terminalData: Uint8Array,
  ports: IccPorts,
): Uint8Array {
  const modulus = fromHex(image.rsa.modulus);
  const dynamicData = concatBytes(
    Uint8Array.of(ICC_DYNAMIC_NUMBER_BYTES),
    ports.random.bytes(ICC_DYNAMIC_NUMBER_BYTES),
  );
  const padding = new Uint8Array(modulus.length - dynamicData.length - OVERHEAD_BYTES).fill(0xbb);
  const signed = concatBytes(
    Uint8Array.of(SIGNED_DATA_FORMAT_DDA, HASH_SHA1, dynamicData.length),
    dynamicData,
    padding,
  );
  const hash = ports.ciphers.sha1(concatBytes(signed, terminalData));
  const framed = concatBytes(Uint8Array.of(0x6a), signed, hash, Uint8Array.of(0xbc));
  return rsaRaw(modulus, fromHex(image.rsa.privateExponent), framed);
}
