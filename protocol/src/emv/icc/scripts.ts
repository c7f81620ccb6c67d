/** Issuer script commands: the frame of secure messaging around each of them. */
import { equalBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  type StatusWord,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_6987_SECURE_MESSAGING_DATA_MISSING,
  SW_6988_SECURE_MESSAGING_DATA_INCORRECT,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import { expectedScriptMac } from './cryptograms.ts';
import {
  changePin,
  type Effect,
  putData,
  setApplicationBlocked,
  setCardBlocked,
  updateRecord,
} from './script-effects.ts';
import {
  active,
  answerStatus,
  type CommandHandler,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
  withState,
} from './session.ts';

/** Bytes of the MAC at the end of a script command. @see PBOC3 P5 (secure messaging) */
export const SCRIPT_MAC_BYTES = 4;
/** Highest count that the CVR can hold. */
const SCRIPT_COUNTER_MAX = 15;

/** Script commands by class and instruction. @see PBOC3 P5 (issuer script commands) */
export const SCRIPT_COMMANDS: Readonly<Record<string, CommandHandler>> = {
  '841E': secured(setApplicationBlocked(true)),
  '8418': secured(setApplicationBlocked(false)),
  '8416': secured(setCardBlocked),
  '8424': secured(changePin),
  '04DA': secured(putData),
  '04DC': secured(updateRecord),
};

function secured(effect: Effect): CommandHandler {
  return (card, command, ports) => runScript(card, command, { effect, ports });
}

/**
 * Runs one script: right moment, right MAC, then its effect. Any refusal after the moment was right
 * is remembered as "script failed"; a script after the final cryptogram is counted.
 * @see PBOC3 P5 (script processing); EMV 4.3 B2 §9
 */
function runScript(
  card: Snapshot,
  command: CommandApdu,
  by: { readonly effect: Effect; readonly ports: IccPorts },
): Outcome {
  if (!isScriptTime(card)) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  const body = command.data ?? new Uint8Array(0);
  if (body.length < SCRIPT_MAC_BYTES) {
    return refuse(card, SW_6987_SECURE_MESSAGING_DATA_MISSING);
  }
  const plain = body.slice(0, -SCRIPT_MAC_BYTES);
  const mac = body.subarray(body.length - SCRIPT_MAC_BYTES);
  const { cla, ins, p1, p2 } = command;
  const header = Uint8Array.of(cla, ins, p1, p2, body.length);
  const expected = expectedScriptMac(card, { header, data: plain }, by.ports);
  if (!equalBytes(expected, mac)) return refuse(card, SW_6988_SECURE_MESSAGING_DATA_INCORRECT);
  const counted = countScript(card);
  const result = by.effect(counted, { command, plain }, by.ports);
  if (typeof result === 'number') return refuse(counted, result);
  return answerStatus(result, SW_9000_OK);
}

/** Scripts are bound to the ARQC, or to a blocked application's AAC. */
function isScriptTime(card: Snapshot): boolean {
  const { firstCryptogram: first, phase } = card.session;
  if (!first || (phase !== 'online' && phase !== 'completed')) return false;
  const isBlockedAac = first.type === 'AAC' && active(card).state.applicationBlocked;
  return first.type === 'ARQC' || isBlockedAac;
}

/** Scripts after the final cryptogram are counted for the next CVR. */
function countScript(card: Snapshot): Snapshot {
  if (card.session.phase !== 'completed') return card;
  const scriptCounter = Math.min(active(card).state.scriptCounter + 1, SCRIPT_COUNTER_MAX);
  return withState(card, { scriptCounter });
}

function refuse(card: Snapshot, statusWord: StatusWord): Outcome {
  const marked = withState(withSession(card, { hasScriptFailed: true }), {
    lastScriptFailed: true,
  });
  return answerStatus(marked, statusWord);
}
