/**
 * One incoming 0200, from the acquirer's line to the issuer and back: the switch's transaction as a
 * table of named steps. `journal` is the commit point: before it nothing can have been sent, after
 * it every way out is a durable state. @see docs/a-tap.md, hop 9; Q/CUP 006, messages 0200 and 0210
 */
import { errorBody, fromHex, maskPan, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  bytesField,
  type Iso8583Message,
  requireText,
  textField,
  transmissionDateTime,
} from '@tapnpay/protocol/iso8583';
import type { HsmRequest } from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import { identityOf, requestFault } from './checks.ts';
import {
  answerToAcquirer,
  bodyText,
  foreignField,
  macIsValid,
  originalOf,
  ownAnswer,
  packMessage,
  requestToIssuer,
  unpackMessage,
  withMac,
} from './messages.ts';
import type { Transaction, TransactionKey } from './model.ts';
import { type LineKeys, reachRoute, type SwitchPorts } from './ports.ts';
import { issuerOf } from './routing.ts';
import type { NewAdvice } from './store.ts';

/** Field 3 of a purchase, the one kind of 0200 that is switched. */
const PROCESSING_CODE_PURCHASE = '000000';
/** Answers of an issuer that leave open whether money moved, or say that it read nothing. */
const NOT_FINAL_CODES: ReadonlySet<string> = new Set(['68', '98', 'A0']);

/** Field 39 of the switch's own answers. */
export const ResponseCode = {
  approved: '00',
  invalid: '12',
  unknownCard: '14',
  format: '30',
  issuerDown: '91',
  duplicate: '94',
  system: '96',
  noReply: '98',
  mac: 'A0',
} as const;

/** How a 0200 ends. */
type End =
  /** The switch says no by itself; `durable` ones are journalled so that repeats hear the same. */
  | {
      readonly kind: 'refuse';
      readonly responseCode: string;
      readonly reason: string;
      readonly durable: boolean;
    }
  /** Its key is known already. */
  | { readonly kind: 'repeat'; readonly transaction: Transaction }
  /** The end of what the issuer was asked. */
  | { readonly kind: 'settled'; readonly transaction: Transaction }
  /** No answer can or may be given; the acquirer's own time-out decides. */
  | { readonly kind: 'silent'; readonly reason: string };

/** What the steps know of the transaction under way. Later steps fill in the later fields. */
type Context = {
  readonly memberId: string;
  readonly request: Iso8583Message;
  readonly keys?: LineKeys;
  readonly key?: TransactionKey;
  readonly bodyDigest?: string;
  readonly destination?: string;
  readonly issuerKeys?: LineKeys;
  readonly pinBlock?: Uint8Array | null;
  readonly transaction?: Transaction;
  readonly toIssuer?: Iso8583Message;
  readonly answer?: Iso8583Message | 'timeout' | 'down';
  readonly end?: End;
};
type Step = (ports: SwitchPorts, context: Context) => Promise<Partial<Context>>;

/** The steps in order. The name of a step is what the log calls it. */
export const TRANSACTION_STEPS: readonly (readonly [name: string, step: Step])[] = [
  ['verifyMac', verifyMac],
  ['identify', identify],
  ['findRepeat', findRepeat],
  ['checkFormat', checkFormat],
  ['route', route],
  ['readyLine', readyLine],
  ['translatePin', translatePin],
  ['journal', journal],
  ['send', send],
  ['settle', settle],
];

/** The 0210 of a member's 0200; null when it must hear nothing. Never throws. */
export async function switchRequest(
  ports: SwitchPorts,
  memberId: string,
  request: Iso8583Message,
): Promise<Iso8583Message | null> {
  let context: Context = { memberId, request };
  for (const [name, step] of TRANSACTION_STEPS) {
    try {
      context = { ...context, ...(await step(ports, context)) };
    } catch (fault) {
      const { code } = errorBody(fault);
      ports.log({ event: 'switchStepFailed', step: name, code, ...traceOf(request) });
      context = { ...context, end: await endOfFault(ports, context, name) };
    }
    if (context.end) break;
  }
  try {
    return await answerOf(ports, context);
  } catch (fault) {
    const { code } = errorBody(fault);
    ports.log({ event: 'switchStepFailed', step: 'answer', code, ...traceOf(request) });
    return null;
  }
}

/** Before the commit point nothing happened; after it the end is unknown, and reversed. */
async function endOfFault(ports: SwitchPorts, context: Context, step: string): Promise<End> {
  const silent: End = { kind: 'silent', reason: `fault:${step}` };
  if (!context.transaction) return silent;
  try {
    const transaction = await abandon(ports, context.transaction, `fault:${step}`);
    return { kind: 'settled', transaction };
  } catch {
    // The journal cannot be written now: the sweep of `tick` finds the row later.
    return silent;
  }
}

/** Field 128 under the line's MAC key: a wrong one has no effect at all. */
async function verifyMac(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { keys, verified } = await verifyMember(ports, context.memberId, context.request);
  if (!keys) return { end: { kind: 'silent', reason: 'lineDown' } };
  return verified ? { keys } : { keys, ...refuse(ResponseCode.mac, 'mac', 'passing') };
}

/** The keys under which a member's message was sent; with `verified` false, the current ones. */
export async function verifyMember(
  ports: SwitchPorts,
  memberId: string,
  request: Iso8583Message,
): Promise<{ readonly keys: LineKeys | null; readonly verified: boolean }> {
  const current = ports.lines.keys(memberId);
  if (!current) return { keys: null, verified: false };
  for (const keys of [current, ports.lines.previousKeys(memberId)]) {
    if (keys && (await macIsValid(ports.hsm, [keys.mac], request))) return { keys, verified: true };
  }
  return { keys: current, verified: false };
}

/** The key of the transaction; without one it cannot be remembered. */
async function identify(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { memberId, request } = context;
  if (!ports.profile.acquirerIds.includes(memberId)) {
    return refuse(ResponseCode.invalid, 'notAnAcquirer', 'passing');
  }
  const identity = identityOf(memberId, request);
  if ('fault' in identity) return refuse(ResponseCode.format, identity.fault, 'passing');
  return { key: identity.key, bodyDigest: ports.vault.digest(bodyText(request)) };
}

async function findRepeat(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const transaction = await ports.store.find(known(context.key));
  return transaction ? { end: { kind: 'repeat', transaction } } : {};
}

async function checkFormat(_ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const fault = requestFault(context.request);
  if (fault !== null) return refuse(ResponseCode.format, fault, 'durable');
  if (textField(context.request, 3) === PROCESSING_CODE_PURCHASE) return {};
  return refuse(ResponseCode.invalid, 'processingCode', 'durable');
}

async function route(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const destination = issuerOf(ports.profile.routes, requireText(context.request, 2));
  if (destination !== null) return { destination };
  return refuse(ResponseCode.unknownCard, 'noRoute', 'durable');
}

async function readyLine(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const issuerKeys = ports.lines.keys(known(context.destination));
  if (issuerKeys) return { issuerKeys };
  return refuse(ResponseCode.issuerDown, 'issuerDown', 'durable');
}

/** Format 0 from the acquirer line's PIN key to the issuer line's. @see ISO 9564-1 */
async function translatePin(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const pinBlock = bytesField(context.request, 52);
  if (pinBlock === undefined) return { pinBlock: null };
  const command: Extract<HsmRequest, { command: 'translatePin' }> = {
    command: 'translatePin',
    from: { key: known(context.keys).pin, format: 0 },
    toKey: known(context.issuerKeys).pin,
    pan: requireText(context.request, 2),
    pinBlock: toHex(pinBlock),
  };
  try {
    const translated = await ports.hsm.call(command);
    return { pinBlock: fromHex(translated.pinBlock) };
  } catch (fault) {
    if (!(fault instanceof TapError) || fault.code !== 'ERR_HSM_PIN') throw fault;
    return refuse(ResponseCode.system, 'pinBlock', 'durable');
  }
}

/** THE commit point: the row is durable before the first byte may leave. */
async function journal(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const destination = known(context.destination);
  const unsigned = requestToIssuer(context.request, destination, context.pinBlock ?? null);
  const toIssuer = await withMac(ports.hsm, known(context.issuerKeys).mac, unsigned);
  const transaction: Transaction = { ...newTransaction(ports, context), destination };
  const earlier = await ports.store.begin(transaction);
  if (earlier) return { end: { kind: 'repeat', transaction: earlier } };
  reachRoute(ports, traceOf(context.request), {
    destination,
    macVerified: true,
    pinTranslated: (context.pinBlock ?? null) !== null,
  });
  return { transaction, toIssuer };
}

async function send(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const { issuerTimeoutMs } = ports.profile;
  const destination = known(context.destination);
  try {
    const message = known(context.toIssuer);
    return { answer: await ports.lines.send(destination, message, issuerTimeoutMs) };
  } catch (fault) {
    // It may have left before the line failed.
    const { code } = errorBody(fault);
    ports.log({ event: 'lineFailed', destination, code, ...traceOf(context.request) });
    return { answer: 'timeout' };
  }
}

/** What the issuer's answer means, made durable before anybody hears of it. */
async function settle(ports: SwitchPorts, context: Context): Promise<Partial<Context>> {
  const sent = known(context.transaction);
  const answer = known(context.answer);
  const settled = (transaction: Transaction): Partial<Context> => ({
    end: { kind: 'settled', transaction },
  });
  if (answer === 'down') {
    return settled(
      await ports.store.answer({
        transactionId: sent.transactionId,
        responseCode: ResponseCode.issuerDown,
        approvalCode: null,
        sealedAnswer: null,
        reason: 'issuerDown',
        neverSent: true,
        atMs: ports.clock.nowMs(),
      }),
    );
  }
  const fault = answer === 'timeout' ? 'noAnswer' : await answerFault(ports, context, answer);
  if (fault !== null || answer === 'timeout') {
    return settled(await abandon(ports, sent, fault ?? 'noAnswer'));
  }
  const responseCode = requireText(answer, 39);
  const passed = answerToAcquirer(context.request, answer, responseCode);
  return settled(
    await ports.store.answer({
      transactionId: sent.transactionId,
      responseCode,
      approvalCode: textField(answer, 38) ?? null,
      sealedAnswer: ports.vault.seal(packMessage(passed)),
      reason: null,
      neverSent: false,
      atMs: ports.clock.nowMs(),
    }),
  );
}

/** Why an answer is not surely the issuer's final one to this request, or null. */
async function answerFault(
  ports: SwitchPorts,
  context: Context,
  answer: Iso8583Message,
): Promise<string | null> {
  if (answer.mti !== '0210') return 'answerType';
  const destination = known(context.destination);
  // The line may have got new keys, or been made anew, meanwhile.
  const keys = [ports.lines.keys(destination)?.mac, known(context.issuerKeys).mac];
  if (!(await macIsValid(ports.hsm, keys, answer))) return 'answerMac';
  const foreign = foreignField(known(context.toIssuer), answer);
  if (foreign !== null) return `answerField${foreign}`;
  const responseCode = textField(answer, 39) ?? '';
  if (!/^[0-9A-Z]{2}$/.test(responseCode)) return 'answerField39';
  return NOT_FINAL_CODES.has(responseCode) ? `answerCode${responseCode}` : null;
}

/** sent -> unknown with the reversal that ends it. */
export async function abandon(
  ports: SwitchPorts,
  { transactionId }: Transaction,
  reason: string,
): Promise<Transaction> {
  const atMs = ports.clock.nowMs();
  const advice = await newAdvice(ports, reason);
  const transaction = await ports.store.abandon({ transactionId, advice, atMs });
  const { state, stan, retrievalReference } = transaction;
  ports.log({ event: 'noFinalAnswer', stan, retrievalReference, reason, state });
  ports.wake();
  return transaction;
}

/** An advice with a trace number and time of its own, due now. */
export async function newAdvice(ports: SwitchPorts, reason: string): Promise<NewAdvice> {
  const nowMs = ports.clock.nowMs();
  const stan = await ports.store.nextStan();
  return { stan, transmission: transmissionDateTime(nowMs), reason, nextAtMs: nowMs };
}

async function answerOf(ports: SwitchPorts, context: Context): Promise<Iso8583Message | null> {
  const { request } = context;
  const end: End = context.end ?? { kind: 'silent', reason: 'noEnd' };
  const unsigned = await unsignedAnswer(ports, context, end);
  if (!unsigned) return null;
  const responseCode = textField(unsigned, 39) ?? null;
  ports.log({ event: 'answered', kind: end.kind, responseCode, ...traceOf(request) });
  const macKey = ports.lines.keys(context.memberId)?.mac ?? context.keys?.mac;
  return macKey === undefined ? null : withMac(ports.hsm, macKey, unsigned);
}

async function unsignedAnswer(
  ports: SwitchPorts,
  context: Context,
  end: End,
): Promise<Iso8583Message | null> {
  switch (end.kind) {
    case 'silent':
      ports.log({ event: 'notAnswered', reason: end.reason, ...traceOf(context.request) });
      return null;
    case 'repeat':
      return answerToRepeat(ports, context, end.transaction);
    case 'settled':
      return answerOfState(ports, context.request, end.transaction);
    case 'refuse':
      return answerOfRefusal(ports, context, end);
  }
}

async function answerOfRefusal(
  ports: SwitchPorts,
  context: Context,
  end: Extract<End, { kind: 'refuse' }>,
): Promise<Iso8583Message | null> {
  const { request } = context;
  const { responseCode, reason } = end;
  if (end.durable) {
    const state = 'answered';
    const refused = { ...newTransaction(ports, context), state, responseCode, reason } as const;
    const earlier = await ports.store.begin(refused);
    if (earlier) return answerToRepeat(ports, context, earlier);
  }
  reachRoute(ports, traceOf(request), { refusedBy: 'switch', responseCode, reason });
  return ownAnswer(request, responseCode, reason);
}

/** What a repeat hears: the same as the first if its body is the same, 94 if not. */
function answerToRepeat(
  ports: SwitchPorts,
  context: Context,
  transaction: Transaction,
): Iso8583Message | null {
  const { request } = context;
  const { state, bodyDigest } = transaction;
  ports.log({ event: 'repeat', state, ...traceOf(request) });
  if (bodyDigest === null) return ownAnswer(request, ResponseCode.invalid, 'reversedBefore');
  if (bodyDigest !== context.bodyDigest) {
    return ownAnswer(request, ResponseCode.duplicate, 'duplicate');
  }
  // In flight: the answer to the first is the answer to both.
  return state === 'sent' ? null : answerOfState(ports, request, transaction);
}

/** The answer that a transaction's state allows; an approval only while nobody reverses it. */
function answerOfState(
  ports: SwitchPorts,
  request: Iso8583Message,
  transaction: Transaction,
): Iso8583Message | null {
  const { state, responseCode, reason, sealedAnswer } = transaction;
  switch (state) {
    case 'sent':
      return null;
    case 'unknown':
      return ownAnswer(request, ResponseCode.noReply, reason);
    case 'reversing':
    case 'reversed':
      return ownAnswer(request, ResponseCode.invalid, 'reversed');
    case 'answered':
      if (sealedAnswer !== null) return unpackMessage(ports.vault.open(sealedAnswer));
      return ownAnswer(request, responseCode ?? ResponseCode.system, reason);
  }
}

/** A row for the request, not sent yet. Junk that a refusal is about stays out of it. */
function newTransaction(ports: SwitchPorts, context: Context): Transaction {
  const { request } = context;
  const nowMs = ports.clock.nowMs();
  const pan = textField(request, 2);
  const amount = textField(request, 4) ?? '';
  return {
    ...known(context.key),
    transactionId: uuidv7(ports.clock, ports.random),
    bodyDigest: known(context.bodyDigest),
    destination: null,
    retrievalReference: textField(request, 37) ?? null,
    amountMinor: /^[0-9]{12}$/.test(amount) ? BigInt(amount) : null,
    currency: textField(request, 49) ?? null,
    panMasked: pan === undefined ? null : maskPan(pan),
    sealedOriginal: ports.vault.seal(packMessage(originalOf(request))),
    state: 'sent',
    responseCode: null,
    approvalCode: null,
    sealedAnswer: null,
    reason: null,
    lateResponseCode: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
}

function refuse(
  responseCode: string,
  reason: string,
  memory: 'durable' | 'passing',
): Partial<Context> {
  return { end: { kind: 'refuse', responseCode, reason, durable: memory === 'durable' } };
}

/** The numbers by which logs find a transaction. */
export function traceOf(message: Iso8583Message): {
  readonly stan: string | null;
  readonly retrievalReference: string | null;
} {
  const stan = textField(message, 11) ?? null;
  return { stan, retrievalReference: textField(message, 37) ?? null };
}

/** A field that an earlier step has filled in. */
function known<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('a step ran before the one it needs');
  return value;
}
