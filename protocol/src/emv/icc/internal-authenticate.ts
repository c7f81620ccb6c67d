/** INTERNAL AUTHENTICATE: the card's dynamic signature (DDA). @see EMV 4.3 B2 §6.5 */
import {
  type CommandApdu,
  encodeTlv,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { dolBytes } from './dol-values.ts';
import { canSignDynamically, freshDynamicNumber, signDynamicData } from './dynamic-signature.ts';
import { dolOf } from './runtime-profile.ts';
import {
  active,
  answer,
  answerStatus,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
} from './session.ts';

/**
 * Signs the terminal's DDOL data with the card's own key, between GPO and GENERATE AC. A card
 * without DDOL takes whatever the terminal's default one gives.
 */
export function internalAuthenticate(
  card: Snapshot,
  command: CommandApdu,
  ports: IccPorts,
): Outcome {
  const { application, options } = active(card);
  if (command.p1 !== 0 || command.p2 !== 0) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  const isSupported = options !== null && data.aipHas(options.aip, data.AIP_1_DDA_SUPPORTED);
  if (card.session.phase !== 'initiated' || !isSupported || !canSignDynamically(card)) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const terminalData = command.data ?? new Uint8Array(0);
  const ddol = dolOf(application, options, data.TAG_9F49_DDOL);
  const isWrongLength = ddol ? terminalData.length !== dolBytes(ddol) : terminalData.length === 0;
  if (isWrongLength) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const dynamicData = freshDynamicNumber(ports);
  const signature = signDynamicData(card, { dynamicData, terminalData }, ports);
  const next = withSession(card, { isDdaPerformed: true });
  return answer(next, signatureAnswer(signature, options.isFormat2));
}

function signatureAnswer(signature: Uint8Array, isFormat2: boolean): Uint8Array {
  if (!isFormat2) return encodeTlv(data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1, signature);
  const object = encodeTlv(data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA, signature);
  return encodeTlv(data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2, object);
}
