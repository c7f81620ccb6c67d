/** Issuer script commands under secure messaging: block, unblock, PIN unblock, PUT DATA. */
import { bcdToNumeric, equalBytes, toHex } from '../../bytes/index.ts';
import { scriptMac4 } from '../../crypto/index.ts';
import {
  type CommandApdu,
  type StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_6987_SECURE_MESSAGING_DATA_MISSING,
  SW_6988_SECURE_MESSAGING_DATA_INCORRECT,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  answerStatus,
  atcBytes,
  type Outcome,
  type Snapshot,
  sessionKey,
  withSession,
  withState,
} from './session.ts';

/** Bytes of the MAC at the end of a script command. @see PBOC3 P5 (secure messaging) */
export const SCRIPT_MAC_BYTES = 4;
/** Highest count that the CVR can hold. */
const SCRIPT_COUNTER_MAX = 15;

/** What one script does to the card, once its MAC is proved. */
type Effect = (card: Snapshot, command: CommandApdu, plain: Uint8Array) => Snapshot | StatusWord;

/** APPLICATION BLOCK: final cryptograms are AAC from now on. @see PBOC3 P5 */
export function applicationBlock(card: Snapshot, command: CommandApdu): Outcome {
  return script(card, command, (now, { p1, p2 }, plain) => {
    if (p1 !== 0 || p2 !== 0) return SW_6A86_WRONG_P1_P2;
    if (plain.length !== 0) return SW_6700_WRONG_LENGTH;
    return withState(now, { applicationBlocked: true });
  });
}

/** APPLICATION UNBLOCK, under the AAC of a blocked application. @see PBOC3 P5 */
export function applicationUnblock(card: Snapshot, command: CommandApdu): Outcome {
  return script(card, command, (now, { p1, p2 }, plain) => {
    if (p1 !== 0 || p2 !== 0) return SW_6A86_WRONG_P1_P2;
    if (plain.length !== 0) return SW_6700_WRONG_LENGTH;
    return withState(now, { applicationBlocked: false });
  });
}

/** CARD BLOCK: SELECT answers 6A81 for ever. @see PBOC3 P5 */
export function cardBlock(card: Snapshot, command: CommandApdu): Outcome {
  return script(card, command, (now, { p1, p2 }, plain) => {
    if (p1 !== 0 || p2 !== 0) return SW_6A86_WRONG_P1_P2;
    if (plain.length !== 0) return SW_6700_WRONG_LENGTH;
    return withState(now, { cardBlocked: true });
  });
}

/** PIN UNBLOCK (P2 00): the try counter is full again; changing a PIN is not supported. */
export function pinUnblock(card: Snapshot, command: CommandApdu): Outcome {
  return script(card, command, (now, { p1, p2 }, plain) => {
    if (p1 !== 0 || p2 !== 0) return SW_6A86_WRONG_P1_P2;
    if (plain.length !== 0) return SW_6700_WRONG_LENGTH;
    return withState(now, { pinTryCounter: now.image.state.pinTryLimit });
  });
}

/** PUT DATA of the parameters that an issuer may change after personalisation. @see PBOC3 P5 */
export function putData(card: Snapshot, command: CommandApdu): Outcome {
  return script(card, command, (now, { p1, p2 }, plain) => {
    const tag = toHex(Uint8Array.of(p1, p2));
    if (!PUTTABLE.has(tag)) return SW_6A88_REFERENCED_DATA_NOT_FOUND;
    if (!data.isDataElementLength(tag, plain)) return SW_6700_WRONG_LENGTH;
    const policy = changedPolicy(tag, plain);
    if (!policy) return SW_6A80_WRONG_DATA;
    return { ...now, image: { ...now.image, policy: { ...now.image.policy, ...policy } } };
  });
}

const PUTTABLE: ReadonlySet<string> = new Set([
  data.TAG_9F52_PBOC_APPLICATION_DEFAULT_ACTION,
  data.TAG_9F54_PBOC_CUMULATIVE_AMOUNT_LIMIT,
  data.TAG_9F56_PBOC_ISSUER_AUTHENTICATION_INDICATOR,
  data.TAG_9F58_PBOC_LOWER_CONSECUTIVE_OFFLINE_LIMIT,
  data.TAG_9F59_PBOC_UPPER_CONSECUTIVE_OFFLINE_LIMIT,
  data.TAG_9F5C_PBOC_CUMULATIVE_AMOUNT_UPPER_LIMIT,
]);

function changedPolicy(tag: string, value: Uint8Array): Partial<data.IccPolicy> | undefined {
  const amount = /^[0-9]+$/.test(toHex(value)) ? BigInt(bcdToNumeric(value)).toString() : undefined;
  switch (tag) {
    case data.TAG_9F52_PBOC_APPLICATION_DEFAULT_ACTION:
      return { applicationDefaultAction: toHex(value) };
    case data.TAG_9F56_PBOC_ISSUER_AUTHENTICATION_INDICATOR:
      return { issuerAuthenticationIndicator: toHex(value) };
    case data.TAG_9F58_PBOC_LOWER_CONSECUTIVE_OFFLINE_LIMIT:
      return { lowerConsecutiveOfflineLimit: value[0] ?? 0 };
    case data.TAG_9F59_PBOC_UPPER_CONSECUTIVE_OFFLINE_LIMIT:
      return { upperConsecutiveOfflineLimit: value[0] ?? 0 };
    case data.TAG_9F54_PBOC_CUMULATIVE_AMOUNT_LIMIT:
      return amount === undefined ? undefined : { cumulativeAmountLimitMinor: amount };
    case data.TAG_9F5C_PBOC_CUMULATIVE_AMOUNT_UPPER_LIMIT:
      return amount === undefined ? undefined : { cumulativeAmountUpperLimitMinor: amount };
    default:
      return undefined;
  }
}

/**
 * Runs one script: right moment, right MAC, then its effect. Any refusal after the moment was right
 * is remembered as "script failed"; a script after the final cryptogram is counted.
 * @see PBOC3 P5 (script processing); EMV 4.3 B2 §9
 */
function script(card: Snapshot, command: CommandApdu, effect: Effect): Outcome {
  const cryptogram = scriptCryptogram(card);
  if (!cryptogram) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  const body = command.data ?? new Uint8Array(0);
  if (body.length < SCRIPT_MAC_BYTES) {
    return refuse(card, SW_6987_SECURE_MESSAGING_DATA_MISSING);
  }
  const plain = body.slice(0, -SCRIPT_MAC_BYTES);
  const mac = body.subarray(body.length - SCRIPT_MAC_BYTES);
  const { cla, ins, p1, p2 } = command;
  const header = Uint8Array.of(cla, ins, p1, p2, body.length);
  const { image } = card;
  const key = sessionKey(image, 'udkMac');
  const expected = scriptMac4(key, header, atcBytes(image), cryptogram, plain);
  if (!equalBytes(expected, mac)) return refuse(card, SW_6988_SECURE_MESSAGING_DATA_INCORRECT);
  const counted = countScript(card);
  const result = effect(counted, command, plain);
  if (typeof result === 'number') return refuse(counted, result);
  return answerStatus(result, SW_9000_OK);
}

/** The cryptogram that scripts are bound to: the ARQC, or a blocked application's AAC. */
function scriptCryptogram(card: Snapshot): Uint8Array | undefined {
  const { session, image } = card;
  const first = session.firstCryptogram;
  if (!first || (session.phase !== 'online' && session.phase !== 'completed')) return undefined;
  const isBlockedAac = first.type === 'AAC' && image.state.applicationBlocked;
  return first.type === 'ARQC' || isBlockedAac ? first.ac : undefined;
}

/** Scripts after the final cryptogram are counted for the next CVR. */
function countScript(card: Snapshot): Snapshot {
  if (card.session.phase !== 'completed') return card;
  const scriptCounter = Math.min(card.image.state.scriptCounter + 1, SCRIPT_COUNTER_MAX);
  return withState(card, { scriptCounter });
}

function refuse(card: Snapshot, statusWord: StatusWord): Outcome {
  const marked = withState(withSession(card, { hasScriptFailed: true }), {
    lastScriptFailed: true,
  });
  return answerStatus(marked, statusWord);
}
