/**
 * One incoming request (0100, 0200), from the acquirer's line to the issuer and back: the switch's
 * transaction as a table of named steps, the same for every kind. `journal` is the commit point:
 * before it nothing can have been sent, after it every way out is a durable state.
 * @see docs/a-tap.md, hop 9; Q/CUP 006, messages 0100 to 0210
 */
import { errorBody, fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  bytesField,
  type Iso8583Message,
  requireText,
  responseMti,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { HsmRequest } from '@tapnpay/protocol/wire';
import { commonFault, identityOf, requestFault } from './checks.ts';
import { abandon, newTransaction } from './journal.ts';
import { type Kind, kindOf } from './kinds.ts';
import {
  answerToAcquirer,
  bodyText,
  foreignField,
  macIsValid,
  originalOf,
  ownAnswer,
  packMessage,
  requestToIssuer,
  withMac,
} from './messages.ts';
import type { Transaction, TransactionKey } from './model.ts';
import { findOriginal } from './original.ts';
import { type LineKeys, reachRoute, type SwitchScene } from './ports.ts';
import {
  answerOfState,
  answerToRepeat,
  keySetsOf,
  type OpenAnswer,
  ResponseCode,
  today,
  traceOf,
  verifyMember,
} from './responses.ts';
import { issuerOf } from './routing.ts';

/** Answers of an issuer that leave open whether money moved, or say that it read nothing. */
const NOT_FINAL_CODES: ReadonlySet<string> = new Set(['68', '98', 'A0']);

/** How a request ends. */
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
  | { readonly kind: 'settled'; readonly transaction: Transaction; readonly known?: OpenAnswer }
  /** No answer can or may be given; the acquirer's own time-out decides. */
  | { readonly kind: 'silent'; readonly reason: string };

/** What the steps know of the transaction under way. Later steps fill in the later fields. */
type Context = {
  readonly memberId: string;
  readonly request: Iso8583Message;
  readonly settlementDate: string;
  readonly keys?: LineKeys;
  readonly key?: TransactionKey;
  readonly bodyDigest?: string;
  readonly kind?: Kind;
  readonly original?: Transaction | null;
  readonly destination?: string;
  readonly issuerKeys?: LineKeys;
  readonly pinBlock?: Uint8Array | null;
  readonly transaction?: Transaction;
  readonly toIssuer?: Iso8583Message;
  readonly answer?: Iso8583Message | 'timeout' | 'down';
  readonly end?: End;
};
type Step = (scene: SwitchScene, context: Context) => Promise<Partial<Context>>;

/** The steps in order. The name of a step is what the log calls it. */
export const TRANSACTION_STEPS: readonly (readonly [name: string, step: Step])[] = [
  ['verifyMac', verifyMac],
  ['identify', identify],
  ['checkFormat', checkFormat],
  ['follow', follow],
  ['route', route],
  ['readyLine', readyLine],
  ['translatePin', translatePin],
  ['journal', journal],
  ['send', send],
  ['settle', settle],
];

/** The answer to a member's request; null when it must hear nothing. Never throws. */
export async function switchRequest(
  scene: SwitchScene,
  memberId: string,
  request: Iso8583Message,
): Promise<Iso8583Message | null> {
  let context: Context = { memberId, request, settlementDate: today(scene) };
  for (const [name, step] of TRANSACTION_STEPS) {
    try {
      context = { ...context, ...(await step(scene, context)) };
    } catch (fault) {
      const { code } = errorBody(fault);
      scene.log({ event: 'switchStepFailed', step: name, code, ...traceOf(request) });
      context = { ...context, end: await endOfFault(scene, context, name) };
    }
    if (context.end) break;
  }
  try {
    return await answerOf(scene, context);
  } catch (fault) {
    const { code } = errorBody(fault);
    scene.log({ event: 'switchStepFailed', step: 'answer', code, ...traceOf(request) });
    return null;
  }
}

/** Before the commit point nothing happened; after it the end is unknown, and reversed. */
async function endOfFault(scene: SwitchScene, context: Context, step: string): Promise<End> {
  const silent: End = { kind: 'silent', reason: `fault:${step}` };
  if (!context.transaction) return silent;
  try {
    const transaction = await abandon(scene, context.transaction, `fault:${step}`);
    return { kind: 'settled', transaction };
  } catch {
    // The journal cannot be written now: the sweep of `tick` finds the row later.
    return silent;
  }
}

/** Field 128 under the line's MAC key: a wrong one has no effect at all. */
async function verifyMac(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { keys, verified } = await verifyMember(scene, context.memberId, context.request);
  if (!keys) return { end: { kind: 'silent', reason: 'lineDown' } };
  if (verified) return { keys };
  return { keys, ...refuse(ResponseCode.mac, 'mac', 'passing') };
}

/** The key of the transaction; without one it cannot be remembered. */
async function identify(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { memberId, request } = context;
  if (!scene.profile.acquirerIds.includes(memberId)) {
    return refuse(ResponseCode.invalid, 'notAnAcquirer', 'passing');
  }
  const identity = identityOf(memberId, request);
  if ('fault' in identity) return refuse(ResponseCode.format, identity.fault, 'passing');
  return { key: identity.key, bodyDigest: scene.vault.digest(bodyText(request)) };
}

async function checkFormat(_scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const malformed = commonFault(context.request);
  if (malformed !== null) return refuse(ResponseCode.format, malformed, 'durable');
  const kind = kindOf(context.request);
  if (kind?.spec.nature !== 'request') {
    return refuse(ResponseCode.invalid, 'transactionKind', 'durable');
  }
  const fault = requestFault(context.request, kind);
  return fault === null ? { kind } : { kind, ...refuse(ResponseCode.format, fault, 'durable') };
}

/** A void or cancellation names its original; what the issuer has not got yet is not undone. */
async function follow(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { request: message, settlementDate } = context;
  const facts = { key: known(context.key), kind: known(context.kind), message, settlementDate };
  const found = await findOriginal(scene, facts);
  if ('reason' in found) return refuse(found.responseCode, found.reason, 'durable');
  const { original } = found;
  const owed = original && (await scene.store.owedKind(original.transactionId));
  if (owed !== null)
    return { original, ...refuse(ResponseCode.issuerDown, 'originalOwed', 'durable') };
  return { original };
}

/** What follows a transaction goes to the issuer that has it, whatever the table says by now. */
async function route(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { original, request } = context;
  const byTable = issuerOf(scene.profile.routes, requireText(request, 2));
  const destination = original?.destination ?? byTable;
  if (destination !== null) return { destination };
  return refuse(ResponseCode.unknownCard, 'noRoute', 'durable');
}

/** An issuer that is away, or does not answer any more, is refused for at once. */
async function readyLine(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const destination = known(context.destination);
  const issuerKeys = scene.lines.keys(destination);
  if (!issuerKeys) return refuse(ResponseCode.issuerDown, 'issuerDown', 'durable');
  if (scene.breakers.admits(destination)) return { issuerKeys };
  return refuse(ResponseCode.issuerDown, 'issuerSilent', 'durable');
}

/** Format 0 from the acquirer line's PIN key to the issuer line's. @see ISO 9564-1 */
async function translatePin(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
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
    const translated = await scene.hsm.call(command);
    return { pinBlock: fromHex(translated.pinBlock) };
  } catch (fault) {
    if (!(fault instanceof TapError) || fault.code !== 'ERR_HSM_PIN') throw fault;
    return refuse(ResponseCode.system, 'pinBlock', 'durable');
  }
}

/** THE commit point: the row is durable before the first byte may leave. */
async function journal(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const destination = known(context.destination);
  const toIssuer = await signedForIssuer(scene, context);
  const transaction: Transaction = { ...rowOf(scene, context), destination };
  const earlier = await scene.store.begin(transaction);
  if (earlier) return { end: { kind: 'repeat', transaction: earlier } };
  reachRoute(scene, traceOf(context.request), {
    destination,
    macVerified: true,
    pinTranslated: (context.pinBlock ?? null) !== null,
  });
  return { transaction, toIssuer };
}

function signedForIssuer(scene: SwitchScene, context: Context): Promise<Iso8583Message> {
  const { request, settlementDate, pinBlock = null } = context;
  const destination = known(context.destination);
  const unsigned = requestToIssuer(request, { destination, settlementDate, pinBlock });
  return withMac(scene.hsm, known(context.issuerKeys).mac, unsigned);
}

/**
 * Sends and waits. An issuer that answers A0 has read nothing; if the line's keys changed under the
 * message, it goes again under the new ones, once: the issuer takes a copy for what it is.
 */
async function send(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const answer = await exchange(scene, context);
  const issuerKeys = scene.lines.keys(known(context.destination));
  const isRefusedMac = typeof answer === 'object' && textField(answer, 39) === ResponseCode.mac;
  const isChanged = issuerKeys !== null && issuerKeys.mac !== context.issuerKeys?.mac;
  if (!isRefusedMac || !isChanged) return { answer };
  const renewed = { ...context, issuerKeys };
  const translated = { ...renewed, ...(await translatePin(scene, renewed)) };
  if (translated.end) return { answer };
  const again = { ...translated, toIssuer: await signedForIssuer(scene, translated) };
  scene.log({ event: 'sentUnderNewKeys', ...traceOf(context.request) });
  const last = await exchange(scene, again);
  // It has left before, and a copy of it may have been read: only its reversal is sure.
  return { ...again, answer: last === 'down' ? 'timeout' : last };
}

async function exchange(
  scene: SwitchScene,
  context: Context,
): Promise<Iso8583Message | 'timeout' | 'down'> {
  const { breakers, lines, log, profile } = scene;
  const destination = known(context.destination);
  try {
    const message = known(context.toIssuer);
    const answer = await lines.send(destination, message, profile.issuerTimeoutMs);
    if (typeof answer === 'object') breakers.answered(destination);
    if (answer === 'timeout' && breakers.timedOut(destination)) {
      log({ event: 'issuerSilent', destination });
    }
    return answer;
  } catch (fault) {
    // It may have left before the line failed.
    const { code } = errorBody(fault);
    log({ event: 'lineFailed', destination, code, ...traceOf(context.request) });
    return 'timeout';
  }
}

/** What the issuer's answer means, made durable before anybody hears of it. */
async function settle(scene: SwitchScene, context: Context): Promise<Partial<Context>> {
  const { transactionId } = known(context.transaction);
  const answer = known(context.answer);
  const settled = (transaction: Transaction): Partial<Context> => ({
    end: { kind: 'settled', transaction },
  });
  const atMs = scene.clock.nowMs();
  if (answer === 'down') {
    return settled(
      await scene.store.answer({
        transactionId,
        responseCode: ResponseCode.issuerDown,
        ...{ approvalCode: null, sealedAnswer: null, reason: 'issuerDown', neverSent: true, atMs },
      }),
    );
  }
  const fault = answer === 'timeout' ? 'noAnswer' : await answerFault(scene, context, answer);
  if (fault !== null || answer === 'timeout') {
    return settled(await abandon(scene, known(context.transaction), fault ?? 'noAnswer'));
  }
  const responseCode = requireText(answer, 39);
  const { request, settlementDate } = context;
  const passed = answerToAcquirer(request, answer, { responseCode, settlementDate });
  const sealedAnswer = scene.vault.seal(packMessage(passed));
  const transaction = await scene.store.answer({
    transactionId,
    responseCode,
    approvalCode: textField(answer, 38) ?? null,
    sealedAnswer,
    ...{ reason: null, neverSent: false, atMs },
  });
  return {
    end: { kind: 'settled', transaction, known: { sealed: sealedAnswer, message: passed } },
  };
}

/** Why an answer is not surely the issuer's final one to this request, or null. */
async function answerFault(
  scene: SwitchScene,
  context: Context,
  answer: Iso8583Message,
): Promise<string | null> {
  const toIssuer = known(context.toIssuer);
  if (answer.mti !== responseMti(toIssuer.mti)) return 'answerType';
  const destination = known(context.destination);
  // The line may have got new keys, or been made anew, meanwhile.
  const sets = [...keySetsOf(scene.lines, destination), known(context.issuerKeys)];
  const keys = sets.map(({ mac }) => mac);
  if (!(await macIsValid(scene.hsm, keys, answer))) return 'answerMac';
  const foreign = foreignField(toIssuer, answer);
  if (foreign !== null) return `answerField${foreign}`;
  const responseCode = textField(answer, 39) ?? '';
  if (!/^[0-9A-Z]{2}$/.test(responseCode)) return 'answerField39';
  return NOT_FINAL_CODES.has(responseCode) ? `answerCode${responseCode}` : null;
}

async function answerOf(scene: SwitchScene, context: Context): Promise<Iso8583Message | null> {
  const { request } = context;
  const end: End = context.end ?? { kind: 'silent', reason: 'noEnd' };
  const unsigned = await unsignedAnswer(scene, context, end);
  if (!unsigned) return null;
  const responseCode = textField(unsigned, 39) ?? null;
  scene.log({ event: 'answered', kind: end.kind, responseCode, ...traceOf(request) });
  // Under the keys of its request, whatever came since: the member checks it with these.
  const macKey = context.keys?.mac ?? scene.lines.keys(context.memberId)?.mac;
  return macKey === undefined ? null : withMac(scene.hsm, macKey, unsigned);
}

async function unsignedAnswer(
  scene: SwitchScene,
  context: Context,
  end: End,
): Promise<Iso8583Message | null> {
  const { request, bodyDigest } = context;
  switch (end.kind) {
    case 'silent':
      scene.log({ event: 'notAnswered', reason: end.reason, ...traceOf(request) });
      return null;
    case 'repeat':
      return answerToRepeat(scene, { request, bodyDigest }, end.transaction);
    case 'settled':
      return answerOfState(scene, request, end.transaction, end.known);
    case 'refuse':
      return answerOfRefusal(scene, context, end);
  }
}

async function answerOfRefusal(
  scene: SwitchScene,
  context: Context,
  end: Extract<End, { kind: 'refuse' }>,
): Promise<Iso8583Message | null> {
  const { request, bodyDigest, settlementDate } = context;
  const { responseCode, reason } = end;
  if (end.durable) {
    const state = 'answered';
    const refused = { ...rowOf(scene, context), state, responseCode, reason } as const;
    const earlier = await scene.store.begin(refused);
    if (earlier) return answerToRepeat(scene, { request, bodyDigest }, earlier);
  }
  reachRoute(scene, traceOf(request), { refusedBy: 'switch', responseCode, reason });
  return ownAnswer(request, { responseCode, reason, settlementDate });
}

/** The journal's row of the request, not sent yet. */
function rowOf(scene: SwitchScene, context: Context): Transaction {
  const { request, settlementDate, kind = null, original = null } = context;
  const { key, bodyDigest } = { key: known(context.key), bodyDigest: known(context.bodyDigest) };
  const kept = originalOf(request);
  const facts = { key, bodyDigest, request, kind, settlementDate, original, kept };
  return newTransaction(scene, facts);
}

function refuse(
  responseCode: string,
  reason: string,
  memory: 'durable' | 'passing',
): Partial<Context> {
  return { end: { kind: 'refuse', responseCode, reason, durable: memory === 'durable' } };
}

/** A field that an earlier step has filled in. */
function known<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('a step ran before the one it needs');
  return value;
}
