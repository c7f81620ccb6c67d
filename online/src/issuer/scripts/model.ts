/**
 * Issuer scripts: what the bank wants a card to do, delivered with the card's next online contact,
 * one in each, and open until the card or a notice has shown what became of it. A load of the
 * electronic cash is such a script too. @see PBOC3 P5 (issuer script processing)
 */

/** Command of a script. `load`: PUT DATA of the new total in 9F79. */
export type ScriptKind =
  | 'load'
  | 'blockApplication'
  | 'unblockApplication'
  | 'blockCard'
  | 'unblockPin'
  | 'changePin'
  | 'putData'
  | 'updateRecord';

/**
 * `queued`: no card has been told. `delivered`: it left with an answer, and whether the card did it
 * is not known; of a load this is "debited, not confirmed". `reversed`: a load whose money went
 * back, because its acquirer said that the card was not told; the next contact shows if that was
 * true. `done`, `failed` and `closed` (never done, and not wanted any more) are final.
 */
export type ScriptState = 'queued' | 'delivered' | 'reversed' | 'done' | 'failed' | 'closed';

/** What a script's end or new delivery stands on. */
export type ScriptEvidence = 'notice' | 'balance' | 'counter' | 'cryptogram' | 'operator';

/** The last time that a script left. */
export type Delivery = {
  /** The request whose answer carried it. */
  readonly traceKey: string;
  /** 9F18 of its template, eight hex digits. */
  readonly identifier: string;
  /** Counter of that contact. */
  readonly atc: number;
  /**
   * Scripts that the card had counted by then (CVR byte 4, bits 8-5); null when a contact since,
   * which showed nothing, has cleared the count.
   */
  readonly counterBefore: number | null;
  /** What the card vouched for then; of loads only. */
  readonly balanceMinor: bigint | null;
};

/** One script. */
export type Script = {
  readonly scriptId: string;
  readonly cardId: string;
  readonly kind: ScriptKind;
  /** P1 and P2 of PUT DATA (a tag) and UPDATE RECORD (record, reference control), hex. */
  readonly target: string;
  /** Data of the command, hex; empty where there is none, or where each delivery makes its own. */
  readonly data: string;
  /** Of a PIN change: the new PIN's block (format 0), the key it is under, and its check value. */
  readonly newPin: {
    readonly pinBlock: string;
    readonly pinKey: string;
    readonly pvv: string;
  } | null;
  /** Of a load: its request, the account that paid it, and what it adds; zero for the others. */
  readonly loadTraceKey: string | null;
  readonly sourceAccountId: string | null;
  readonly amountMinor: bigint;
  readonly state: ScriptState;
  readonly delivery: Delivery | null;
  readonly deliveries: number;
  readonly evidence: ScriptEvidence | null;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
};

/** A new script, or what becomes of one that was in state `from` after so many deliveries. */
export type ScriptChange = {
  readonly from: ScriptState | null;
  readonly deliveriesBefore: number;
  readonly script: Script;
};

/** What the bank knows of a card and a confirmed script has changed. */
export type CardSettings = {
  readonly cardId: string;
  readonly pvv?: string;
  /** 9F77. */
  readonly electronicCashLimitMinor?: bigint;
};

/** States in which a card's next contact has something to say or to hear. */
export const OPEN_SCRIPT_STATES: readonly ScriptState[] = ['queued', 'delivered', 'reversed'];

/** A script that was not there. */
export function newScriptChange(script: Script): ScriptChange {
  return { from: null, deliveriesBefore: 0, script };
}

/** The script in another state. */
export function changed(
  script: Script,
  to: Partial<Pick<Script, 'state' | 'delivery' | 'deliveries' | 'evidence'>>,
  atMs: number,
): ScriptChange {
  const { state: from, deliveries: deliveriesBefore } = script;
  return { from, deliveriesBefore, script: { ...script, ...to, changedAtMs: atMs } };
}

/** What a script that the card has done changes in the bank's books. */
export function settingsOf(script: Script): CardSettings | null {
  const { cardId, kind, newPin, target, data } = script;
  if (kind === 'changePin' && newPin) return { cardId, pvv: newPin.pvv };
  if (kind !== 'putData' || target !== TAG_9F77_BALANCE_LIMIT) return null;
  return { cardId, electronicCashLimitMinor: BigInt(data) };
}

const TAG_9F77_BALANCE_LIMIT = '9F77';
