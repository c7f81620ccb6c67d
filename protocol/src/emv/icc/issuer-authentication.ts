/** EXTERNAL AUTHENTICATE: the card checks the issuer's answer (ARPC). @see EMV 4.3 B2 §8.2 */
import { equalBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  SW_6A86_WRONG_P1_P2,
  SW_6300_AUTHENTICATION_FAILED,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import { AIP_1_ISSUER_AUTHENTICATION_SUPPORTED, aipHas } from '../data/index.ts';
import { expectedArpc } from './cryptograms.ts';
import {
  active,
  answerStatus,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
  withState,
} from './session.ts';

/** Issuer authentication data: ARPC (8) and response code (2). @see PBOC3 P5 (91) */
export const ISSUER_AUTHENTICATION_DATA_BYTES = 10;
const ARPC_BYTES = 8;

/** Once per transaction, after an ARQC; a wrong ARPC is remembered. @see EMV 4.3 B3 §6.5.4 */
export function externalAuthenticate(
  card: Snapshot,
  command: CommandApdu,
  ports: IccPorts,
): Outcome {
  if (command.p1 !== 0 || command.p2 !== 0) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  const { session } = card;
  const isAwaited = session.phase === 'online' && session.issuerAuthentication === 'notPerformed';
  if (!supportsIssuerAuthentication(card) || !isAwaited) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const authenticationData = command.data ?? new Uint8Array(0);
  if (authenticationData.length !== ISSUER_AUTHENTICATION_DATA_BYTES) {
    return answerStatus(card, SW_6700_WRONG_LENGTH);
  }
  const next = authenticateIssuer(card, authenticationData, ports);
  const isOk = next.session.issuerAuthentication === 'ok';
  return answerStatus(next, isOk ? SW_9000_OK : SW_6300_AUTHENTICATION_FAILED);
}

/** Whether the AIP offers EXTERNAL AUTHENTICATE. */
export function supportsIssuerAuthentication(card: Snapshot): boolean {
  const { options } = active(card);
  return options !== null && aipHas(options.aip, AIP_1_ISSUER_AUTHENTICATION_SUPPORTED);
}

/** The card after checking ARPC ‖ ARC against its own ARQC; `data` has 10 bytes. */
export function authenticateIssuer(
  card: Snapshot,
  authenticationData: Uint8Array,
  ports: IccPorts,
): Snapshot {
  const isComplete = authenticationData.length === ISSUER_AUTHENTICATION_DATA_BYTES;
  if (!card.session.firstCryptogram || !isComplete) return failed(card);
  const arc = authenticationData.slice(ARPC_BYTES);
  const expected = expectedArpc(card, arc, ports);
  if (!equalBytes(expected, authenticationData.subarray(0, ARPC_BYTES))) return failed(card);
  return withSession(card, { issuerAuthentication: 'ok', authenticatedArc: arc });
}

/** Remembered at once, so that pulling the card does not hide it. */
function failed(card: Snapshot): Snapshot {
  const marked = withSession(card, { issuerAuthentication: 'failed' });
  return withState(marked, { lastIssuerAuthenticationFailed: true });
}
