/**
 * The issuer's decision on a message that a card stands behind, as a table of named steps for each
 * kind. The first step that refuses ends it; no step writes anything. @see docs/a-tap.md, hop 10
 */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  CRYPTOGRAM_VERSION_17,
  isTokenShaped,
  TVR_1_CDA_FAILED,
  TVR_1_DDA_FAILED,
  TVR_1_SDA_FAILED,
  TVR_BYTES,
  tvrHas,
} from '@tapnpay/protocol/emv/data';
import {
  assembleAcInput,
  checkCardVerificationResults,
  checkCryptogramEnvelope,
  isAtcAccepted,
  judgeAtc,
} from '@tapnpay/protocol/emv/issuer';
import { transactionSpec } from '@tapnpay/protocol/iso8583';
import { algorithmOf, atcHex, cardIdOf, cryptogramKey } from './card-facts.ts';
import { isLoadTransactionType, loadTransactionType } from './ecash/load-types.ts';
import type { CardLimits, CardState, CardView } from './model.ts';
import { PIN_FAILURES_MAX } from './model.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';
import { type CardRequest, isTapped } from './request.ts';
import { type CardService, serveCard } from './scripts/service.ts';
import { localDay } from './settlement.ts';

const TAG_95_TERMINAL_VERIFICATION_RESULTS = '95';
const TAG_9C_TRANSACTION_TYPE = '9C';
const TAG_9F10_ISSUER_APPLICATION_DATA = '9F10';
const TAG_9F26_APPLICATION_CRYPTOGRAM = '9F26';
const CRYPTOGRAM_BYTES = 8;

/** Why a request is refused: field 39 and one word for people, both parts of the answer. */
export type Refusal = { readonly responseCode: string; readonly reason: string };

/** What steps have found; part of the decision whatever it is. */
export type AuthorisationFacts = {
  /** Null until the cryptogram was looked at. */
  readonly arqcVerified: boolean | null;
  /** Counter of a verified cryptogram: used up from now on. */
  readonly usedAtc: number | null;
  /** Wrong PINs in a row after this request. */
  readonly pinFailures: number;
  /** What the contact came to for the card's scripts; null where none is looked for. */
  readonly service: CardService | null;
};

/** What a step sees. */
export type AuthorisationContext = {
  readonly request: CardRequest;
  readonly card: CardView | null;
  readonly facts: AuthorisationFacts;
  /** Whose account pays a load from another account. */
  readonly payer: CardView | null;
  readonly lineKeys: LineKeys;
  readonly ports: Pick<IssuerPorts, 'hsm' | 'keys' | 'limits' | 'clock' | 'store'>;
};

/** A refusal, new facts, or both. */
export type StepResult = {
  readonly refusal?: Refusal;
  readonly facts?: Partial<AuthorisationFacts>;
};
/** One check. */
export type Step = {
  readonly name: string;
  readonly run: (context: KnownCard) => StepResult | Promise<StepResult>;
};
/** The context of a card that is in the books. */
export type KnownCard = AuthorisationContext & { readonly card: CardView };

/** The decision and what was found on the way to it. */
export type Decision = { readonly refusal: Refusal | null; readonly facts: AuthorisationFacts };

/** That it is the card itself, now. */
const PROOF_STEPS: readonly Step[] = [
  { name: 'cryptogram', run: checkCryptogram },
  { name: 'transactionCounter', run: checkTransactionCounter },
  { name: 'envelope', run: checkEnvelope },
];

/** What the contact shows of scripts, and which still wait. */
const SERVICE_STEP: Step = {
  name: 'service',
  run: async ({ request, card, ports }) => ({
    facts: { service: await serveCard(request, card, ports) },
  }),
};

/** Checks of the card and its holder, for every online request. */
export const CARD_STEPS: readonly Step[] = [
  { name: 'hotList', run: checkHotList },
  { name: 'cardState', run: checkCardState },
  { name: 'expiry', run: checkExpiry },
  ...PROOF_STEPS,
  { name: 'dataAuthentication', run: checkDataAuthentication },
];

/** A step that loads share. */
export const TRANSACTION_STEP: Step = { name: 'transaction', run: checkTransaction };
/** The PIN, which must be there. */
export const PIN_STEPS: readonly Step[] = [
  { name: 'pinPresent', run: checkPinPresent },
  { name: 'pin', run: checkPin },
];

/** A payment, now or later. */
export const PAYMENT_STEPS: readonly Step[] = [
  TRANSACTION_STEP,
  ...CARD_STEPS,
  { name: 'cardholderVerification', run: checkCardholderVerification },
  { name: 'pin', run: checkPin },
  { name: 'limit', run: checkLimit },
  { name: 'dayLimit', run: checkDayLimit },
  { name: 'balance', run: checkBalance },
];

/** A look at the balance. */
export const INQUIRY_STEPS: readonly Step[] = [
  { name: 'currency', run: checkCurrency },
  ...CARD_STEPS,
  ...PIN_STEPS,
];

/**
 * A payment that the chip approved out of its electronic cash. It has happened: neither the card's
 * state nor its limits can undo it, only a cryptogram that is not the card's.
 */
export const OFFLINE_STEPS: readonly Step[] = [
  TRANSACTION_STEP,
  { name: 'cryptogram', run: checkCryptogram },
  { name: 'transactionCounter', run: checkAdviceCounter },
  { name: 'envelope', run: checkOfflineEnvelope },
];

/** Runs the steps. */
export async function decideByCard(
  steps: readonly Step[],
  context: AuthorisationContext,
): Promise<Decision> {
  const { card } = context;
  let { facts } = context;
  if (!card) return { refusal: refuse('14', 'cardUnknown'), facts };
  for (const { run } of servedSteps(steps, context.request, card)) {
    const result = await runStep(run, { ...context, card, facts });
    facts = { ...facts, ...result.facts };
    if (result.refusal) return { refusal: result.refusal, facts };
  }
  return { refusal: null, facts };
}

/**
 * A card for which something waits is proved first, whatever is said of it then: a lost card must
 * hear that it is blocked.
 */
function servedSteps(
  steps: readonly Step[],
  { kind }: CardRequest,
  card: CardView,
): readonly Step[] {
  const isServed = card.hasScripts || loadTransactionType(kind) !== null;
  if (!isServed || transactionSpec(kind).nature === 'advice') return steps;
  const proofs = new Set(PROOF_STEPS);
  return [...PROOF_STEPS, SERVICE_STEP, ...steps.filter((step) => !proofs.has(step))];
}

/**
 * An HSM that fails makes no decision: a request is refused with 96, an advice gets no answer and
 * comes again.
 */
async function runStep(run: Step['run'], context: KnownCard): Promise<StepResult> {
  try {
    return await run(context);
  } catch (thrown) {
    if (!(thrown instanceof TapError) || !thrown.code.startsWith('ERR_HSM')) throw thrown;
    if (transactionSpec(context.request.kind).nature === 'advice') throw thrown;
    return { refusal: refuse('96', 'hsmFailed') };
  }
}

function checkTransaction(context: KnownCard): StepResult {
  if (context.request.amountMinor <= 0n) return no('12', 'amountZero');
  return checkCurrency(context);
}

function checkCurrency({ request, card }: KnownCard): StepResult {
  return request.currency === card.currency ? {} : no('12', 'currencyNotHeld');
}

function checkHotList({ card }: KnownCard): StepResult {
  return card.hotReason === null ? {} : no(card.hotReason, 'hotListed');
}

/** What is said of a card in each state. */
const STATE_REFUSALS: Readonly<Record<Exclude<CardState, 'active'>, Refusal>> = {
  blocked: { responseCode: '62', reason: 'cardBlocked' },
  refused: { responseCode: '05', reason: 'doNotHonour' },
  lost: { responseCode: '41', reason: 'cardLost' },
  stolen: { responseCode: '43', reason: 'cardStolen' },
  expired: { responseCode: '54', reason: 'cardExpired' },
  closed: { responseCode: '14', reason: 'cardClosed' },
};

function checkCardState({ card }: KnownCard): StepResult {
  return card.state === 'active' ? {} : { refusal: STATE_REFUSALS[card.state] };
}

/** A card is good to the end of its month, by the clock of China. @see ISO 7813 (expiry date) */
function checkExpiry({ request, card, ports }: KnownCard): StepResult {
  const sent = request.expiryYymm;
  if (sent !== null && sent !== card.expiryYymm) return no('54', 'expiryDiffers');
  return card.expiryYymm >= localYymm(ports.clock.nowMs()) ? {} : no('54', 'cardExpired');
}

/**
 * CVN 01 of an insertion, CVN 17 of a tap, over the data of field 55, under the cipher that the
 * card names. @see PBOC3 P5 (CVN 01), PBOC3 P17
 */
async function checkCryptogram({ request, ports }: KnownCard): Promise<StepResult> {
  const values = request.card?.expose();
  if (!values) return no('30', 'iccDataMalformed');
  if (isTokenShaped(values)) return no('05', 'tokenCryptogram');
  const cryptogram = values.get(TAG_9F26_APPLICATION_CRYPTOGRAM);
  const algorithm = algorithmOf(values);
  if (cryptogram?.length !== CRYPTOGRAM_BYTES || request.atc === null || algorithm === null) {
    return no('30', 'iccDataMissing');
  }
  let data: Uint8Array;
  try {
    data = assembleAcInput(values);
  } catch (thrown) {
    if (thrown instanceof TapError) return no('30', 'iccDataMissing');
    throw thrown;
  }
  // A tap is final at our answer: a cryptogram that was made for an insertion must not become one.
  const version = values.get(TAG_9F10_ISSUER_APPLICATION_DATA)?.[2];
  if (isTapped(request) && version !== CRYPTOGRAM_VERSION_17) {
    return no('05', 'contactCryptogramTapped');
  }
  const { valid } = await ports.hsm.call({
    command: 'verifyArqc',
    algorithm,
    imkAc: cryptogramKey(ports.keys, algorithm),
    card: cardIdOf(request),
    atc: atcHex(request.atc),
    data: toHex(data),
    arqc: toHex(cryptogram),
  });
  if (!valid) return { ...no('05', 'arqcWrong'), facts: { arqcVerified: false } };
  return { facts: { arqcVerified: true } };
}

/** Each counter pays once: a copied cryptogram is a true one that comes again. */
function checkTransactionCounter({ request, card }: KnownCard): StepResult {
  const atc = request.atc ?? 0;
  const used: ReadonlySet<number> = new Set(card.atcUse === null ? [] : [atc]);
  const verdict = judgeAtc(atc, { used, highest: card.atcHighest }, 'request');
  if (isAtcAccepted(verdict)) return { facts: { usedAtc: atc } };
  // A counter below the highest is burnt too, if it was never seen.
  if (verdict === 'behind') return { ...no('05', 'atcBehind'), facts: { usedAtc: atc } };
  return no('05', verdict === 'replayed' ? 'atcReplayed' : 'atcImpossible');
}

/** Payments of a purse come late and in any order; each of them once. */
function checkAdviceCounter({ request, card }: KnownCard): StepResult {
  const atc = request.atc ?? 0;
  // Uploaded before under another trace number: it is in the books.
  if (card.atcUse === 'advice') return no('94', 'tcPosted');
  const used: ReadonlySet<number> = new Set(card.atcUse === null ? [] : [atc]);
  const verdict = judgeAtc(atc, { used, highest: card.atcHighest }, 'advice');
  if (isAtcAccepted(verdict)) return { facts: { usedAtc: atc } };
  return no('05', verdict === 'replayed' ? 'atcReplayed' : 'atcImpossible');
}

/** What the card signed must be what the message asks. */
function checkEnvelope({ request }: KnownCard): StepResult {
  const [finding] = envelopeFindings(request);
  if (finding !== undefined) return envelopeRefusal(finding);
  // What the card signed for a load is no payment, and the reverse.
  const type = request.card?.expose().get(TAG_9C_TRANSACTION_TYPE);
  const signed = type === undefined ? '' : toHex(type);
  const wanted = loadTransactionType(request.kind);
  const isAsSigned = wanted === null ? !isLoadTransactionType(signed) : signed === wanted;
  return isAsSigned ? {} : no('05', 'transactionTypeDiffers');
}

/** The same for a TC: the card must say itself that it approved. */
function checkOfflineEnvelope({ request }: KnownCard): StepResult {
  const values = request.card?.expose() ?? new Map<string, Uint8Array>();
  const others = envelopeFindings(request).filter((finding) => finding !== 'cryptogramTypeDiffers');
  const [finding] = [...checkCardVerificationResults(values, 'TC'), ...others];
  return finding === undefined ? {} : envelopeRefusal(finding);
}

function envelopeFindings(request: CardRequest): ReturnType<typeof checkCryptogramEnvelope> {
  const values = request.card?.expose() ?? new Map<string, Uint8Array>();
  return checkCryptogramEnvelope(values, {
    pan: request.pan,
    amount: request.amount,
    posEntryMode: request.entryMode,
    panSequenceNumber: request.panSequenceNumber,
    ...(request.track2 ? { track2: request.track2 } : {}),
    currency: request.currency,
    hasPinData: request.pinBlock !== null,
  });
}

function envelopeRefusal(finding: string): StepResult {
  const isFormat = finding === 'dataMissing' || finding === 'iadMalformed';
  return no(isFormat ? '30' : '05', finding);
}

/** The terminal found that the chip's certificates or signature are wrong: our policy is no. */
function checkDataAuthentication({ request }: KnownCard): StepResult {
  const tvr = request.card?.expose().get(TAG_95_TERMINAL_VERIFICATION_RESULTS);
  // A tap's message may leave it out.
  if (tvr === undefined && isTapped(request)) return {};
  if (tvr?.length !== TVR_BYTES) return no('30', 'iccDataMissing');
  const hasFailed = [TVR_1_SDA_FAILED, TVR_1_DDA_FAILED, TVR_1_CDA_FAILED].some((bit) =>
    tvrHas(tvr, bit),
  );
  return hasFailed ? no('05', 'dataAuthenticationFailed') : {};
}

/**
 * A tap above a limit without a PIN: 61, for the amount is what is too much. Our cards are no
 * consumer devices, so no other method is believed; an insertion's rules are the card's CVM list.
 */
function checkCardholderVerification({ request, card, ports }: KnownCard): StepResult {
  if (!isNoPinTap(request)) return {};
  const limits = limitsOf(card, ports.limits);
  if (request.amountMinor > limits.noPinMinor) return no('61', 'noPinLimit');
  const dayMinor = card.usage.noPinMinor + request.amountMinor;
  return dayMinor <= limits.noPinDayMinor ? {} : no('61', 'noPinDayLimit');
}

/** Nobody reads a balance with a found card. */
function checkPinPresent({ request }: KnownCard): StepResult {
  return request.pinBlock ? {} : no('55', 'pinMissing');
}

/**
 * The third wrong PIN in a row is the last that is looked at; somebody guessed, so the card
 * pays nothing without a PIN either. @see ISO 9564-1 §7
 */
async function checkPin(context: KnownCard): Promise<StepResult> {
  const { request, card, facts, lineKeys, ports } = context;
  if (card.pinFailures >= PIN_FAILURES_MAX) return no('75', 'pinTriesExceeded');
  if (!request.pinBlock) return {};
  const { valid } = await ports.hsm.call({
    command: 'verifyPin',
    pinKey: lineKeys.pin,
    pvk: ports.keys.pvk,
    pinBlock: toHex(request.pinBlock.expose()),
    pan: request.pan.expose(),
    pvki: card.pvki,
    // A PIN change that this very contact has confirmed counts already.
    pvv: facts.service?.settings?.pvv ?? card.pvv,
  });
  if (valid) return { facts: { pinFailures: 0 } };
  return { ...no('55', 'pinWrong'), facts: { pinFailures: card.pinFailures + 1 } };
}

function checkLimit({ request, card, ports }: KnownCard): StepResult {
  const { singleAmountMinor } = limitsOf(card, ports.limits);
  return request.amountMinor <= singleAmountMinor ? {} : no('61', 'amountLimit');
}

/** What was paid today counts, what was undone does not. */
function checkDayLimit({ request, card, ports }: KnownCard): StepResult {
  const limits = limitsOf(card, ports.limits);
  if (card.usage.count >= limits.dayCount) return no('65', 'dayCountLimit');
  const dayMinor = card.usage.amountMinor + request.amountMinor;
  return dayMinor <= limits.dayAmountMinor ? {} : no('61', 'dayAmountLimit');
}

function checkBalance({ request, card }: KnownCard): StepResult {
  return request.amountMinor <= card.availableMinor ? {} : no('51', 'funds');
}

/** The card's own limits, the installation's where it has none. */
export function limitsOf(
  card: { readonly limits: CardLimits },
  installation: IssuerPorts['limits'],
): IssuerPorts['limits'] {
  const { limits } = card;
  return {
    singleAmountMinor: limits.singleAmountMinor ?? installation.singleAmountMinor,
    dayAmountMinor: limits.dayAmountMinor ?? installation.dayAmountMinor,
    dayCount: limits.dayCount ?? installation.dayCount,
    noPinMinor: limits.noPinMinor ?? installation.noPinMinor,
    noPinDayMinor: limits.noPinDayMinor ?? installation.noPinDayMinor,
    electronicCashMinor: installation.electronicCashMinor,
  };
}

/** Whether nobody has shown to be the card's holder. */
export function isNoPinTap(request: CardRequest): boolean {
  return isTapped(request) && request.pinBlock === null;
}

/** Year and month in China. Cards expire between 2000 and 2099. */
function localYymm(nowMs: number): string {
  return localDay(nowMs).slice(2, 6);
}

function refuse(responseCode: string, reason: string): Refusal {
  return { responseCode, reason };
}

/** A step's no. */
export function no(responseCode: string, reason: string): { readonly refusal: Refusal } {
  return { refusal: refuse(responseCode, reason) };
}
