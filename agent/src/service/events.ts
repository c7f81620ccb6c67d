/** What the service writes to its log: hops, and the card's APDUs as trace events, masked. */
import type { CardInterface, HopName, HopRecord, TraceEvent } from '@tapnpay/protocol/wire';
import type { PaymentApdu } from '../payment.ts';

/** One line of the log: an event's name and facts. */
export type AgentLogRecord = { readonly event: string; readonly [fact: string]: unknown };
export type AgentLog = (record: AgentLogRecord) => void;

/** A passed hop; its order id leads to it. */
export function hopEvent(record: HopRecord, orderId: string): AgentLogRecord {
  return { event: 'hop', ...record, references: [orderId] };
}

/** A masked exchange with the card. */
export function apduEvent(facts: {
  readonly apdu: PaymentApdu;
  readonly orderId: string;
  readonly atMs: number;
  readonly sealed: boolean;
}): TraceEvent {
  const { apdu, orderId, atMs, sealed } = facts;
  const { number, attempt, command, response } = apdu;
  return {
    event: 'trace',
    party: 'agent',
    atMs,
    hop: hopOf(command, apdu.interface, sealed),
    references: [orderId],
    kind: 'apdu',
    title: COMMAND_NAMES[command.slice(2, 4)] ?? `INS ${command.slice(2, 4)}`,
    data: { number, attempt, interface: apdu.interface, command, response },
  };
}

/** By instruction byte. @see EMV 4.3 B3 §6.3 */
const COMMAND_NAMES: Readonly<Record<string, string>> = {
  A4: 'SELECT',
  A8: 'GET PROCESSING OPTIONS',
  B2: 'READ RECORD',
  CA: 'GET DATA',
  '84': 'GET CHALLENGE',
  '88': 'INTERNAL AUTHENTICATE',
  '20': 'VERIFY',
  AE: 'GENERATE APPLICATION CRYPTOGRAM',
  '82': 'EXTERNAL AUTHENTICATE',
  '1E': 'APPLICATION BLOCK',
  '18': 'APPLICATION UNBLOCK',
  '16': 'CARD BLOCK',
  '24': 'PIN CHANGE/UNBLOCK',
  DA: 'PUT DATA',
  DC: 'UPDATE RECORD',
};
const CHECK_INSTRUCTIONS: ReadonlySet<string> = new Set(['88', '20', 'CA', '84']);

/** In qPBOC the answer to GET PROCESSING OPTIONS is the cryptogram. @see EMV C-7 */
function hopOf(command: string, cardInterface: CardInterface, sealed: boolean): HopName {
  const ins = command.slice(2, 4);
  if (sealed) return 'finish';
  if (ins === 'AE' || (ins === 'A8' && cardInterface === 'contactless')) return 'cryptogram';
  return CHECK_INSTRUCTIONS.has(ins) ? 'check' : 'tap';
}
