/**
 * The issuer's decision on a 0200 as a table of named steps. The first step that refuses ends it;
 * no step writes anything. @see docs/a-tap.md, hop 10
 */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  CRYPTOGRAM_VERSION_17,
  TVR_1_CDA_FAILED,
  TVR_1_DDA_FAILED,
  TVR_1_SDA_FAILED,
  TVR_BYTES,
  tvrHas,
} from '@tapnpay/protocol/emv/data';
import {
  assembleAcInput,
  checkCryptogramEnvelope,
  isAtcAccepted,
  judgeAtc,
} from '@tapnpay/protocol/emv/issuer';
import { transmissionDateTime } from '@tapnpay/protocol/iso8583';
import { type CardView, PIN_FAILURES_MAX } from './model.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';
import { isTapped, type PurchaseRequest } from './request.ts';

const PROCESSING_CODE_PURCHASE = '000000';
const TAG_95_TERMINAL_VERIFICATION_RESULTS = '95';
const TAG_9F10_ISSUER_APPLICATION_DATA = '9F10';
const TAG_9F26_APPLICATION_CRYPTOGRAM = '9F26';
const ARQC_BYTES = 8;

/** Why a purchase is refused: field 39 and one word for people, both parts of the answer. */
export type Refusal = { readonly responseCode: string; readonly reason: string };

/** What steps have found; part of the decision whatever it is. */
export type PurchaseFacts = {
  /** Null until the cryptogram was looked at. */
  readonly arqcVerified: boolean | null;
  /** Counter of a verified cryptogram: used up from now on. */
  readonly usedAtc: number | null;
  /** Wrong PINs in a row after this request. */
  readonly pinFailures: number;
};

/** What a step sees. */
export type PurchaseContext = {
  readonly request: PurchaseRequest;
  readonly card: CardView | null;
  readonly facts: PurchaseFacts;
  readonly lineKeys: LineKeys;
  readonly ports: Pick<IssuerPorts, 'hsm' | 'keys' | 'limits' | 'clock'>;
};

/** A refusal, new facts, or both. */
export type StepResult = { readonly refusal?: Refusal; readonly facts?: Partial<PurchaseFacts> };
type Step = (context: KnownCard) => StepResult | Promise<StepResult>;
type KnownCard = PurchaseContext & { readonly card: CardView };

/** The decision and what was found on the way to it. */
export type Decision = { readonly refusal: Refusal | null; readonly facts: PurchaseFacts };

/** The steps in their order. */
export const PURCHASE_STEPS: readonly { readonly name: string; readonly run: Step }[] = [
  { name: 'transaction', run: checkTransaction },
  { name: 'cardState', run: checkCardState },
  { name: 'expiry', run: checkExpiry },
  { name: 'cryptogram', run: checkCryptogram },
  { name: 'transactionCounter', run: checkTransactionCounter },
  { name: 'envelope', run: checkEnvelope },
  { name: 'dataAuthentication', run: checkDataAuthentication },
  { name: 'cardholderVerification', run: checkCardholderVerification },
  { name: 'pin', run: checkPin },
  { name: 'limit', run: checkLimit },
  { name: 'balance', run: checkBalance },
];

/** Runs the steps. */
export async function decidePurchase(context: PurchaseContext): Promise<Decision> {
  const { card } = context;
  let { facts } = context;
  if (!card) return { refusal: refuse('14', 'cardUnknown'), facts };
  for (const { run } of PURCHASE_STEPS) {
    const result = await runStep(run, { ...context, card, facts });
    facts = { ...facts, ...result.facts };
    if (result.refusal) return { refusal: result.refusal, facts };
  }
  return { refusal: null, facts };
}

/** An HSM that fails makes no decision: the purchase is refused with 96. */
async function runStep(run: Step, context: KnownCard): Promise<StepResult> {
  try {
    return await run(context);
  } catch (thrown) {
    if (!(thrown instanceof TapError) || !thrown.code.startsWith('ERR_HSM')) throw thrown;
    return { refusal: refuse('96', 'hsmFailed') };
  }
}

function checkTransaction({ request, card }: KnownCard): StepResult {
  if (request.processingCode !== PROCESSING_CODE_PURCHASE) return no('12', 'processingCode');
  if (request.amountMinor <= 0n) return no('12', 'amountZero');
  if (request.currency !== card.currency) return no('12', 'currencyNotHeld');
  return {};
}

function checkCardState({ card }: KnownCard): StepResult {
  if (card.state === 'blocked') return no('62', 'cardBlocked');
  return card.state === 'refused' ? no('05', 'doNotHonour') : {};
}

/** A card is good to the end of its month, by the clock of China. @see ISO 7813 (expiry date) */
function checkExpiry({ request, card, ports }: KnownCard): StepResult {
  const sent = request.expiryYymm;
  if (sent !== null && sent !== card.expiryYymm) return no('54', 'expiryDiffers');
  return card.expiryYymm >= localYymm(ports.clock.nowMs()) ? {} : no('54', 'cardExpired');
}

/** CVN 01 of an insertion, CVN 17 of a tap, over the data of field 55. @see PBOC3 P5 (CVN 01) */
async function checkCryptogram({ request, ports }: KnownCard): Promise<StepResult> {
  const values = request.card?.expose();
  if (!values) return no('30', 'iccDataMalformed');
  const arqc = values.get(TAG_9F26_APPLICATION_CRYPTOGRAM);
  if (arqc?.length !== ARQC_BYTES || request.atc === null) return no('30', 'iccDataMissing');
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
    imkAc: ports.keys.imkAc,
    card: cardIdOf(request),
    atc: atcHex(request.atc),
    data: toHex(data),
    arqc: toHex(arqc),
  });
  if (!valid) return { ...no('05', 'arqcWrong'), facts: { arqcVerified: false } };
  return { facts: { arqcVerified: true } };
}

/** Each counter pays once: a copied cryptogram is a true one that comes again. */
function checkTransactionCounter({ request, card }: KnownCard): StepResult {
  const atc = request.atc ?? 0;
  const used: ReadonlySet<number> = new Set(card.isAtcUsed ? [atc] : []);
  const verdict = judgeAtc(atc, { used, highest: card.atcHighest }, 'request');
  if (isAtcAccepted(verdict)) return { facts: { usedAtc: atc } };
  // A counter below the highest is burnt too, if it was never seen.
  if (verdict === 'behind') return { ...no('05', 'atcBehind'), facts: { usedAtc: atc } };
  return no('05', verdict === 'replayed' ? 'atcReplayed' : 'atcImpossible');
}

/** What the card signed must be what the message asks. */
function checkEnvelope({ request }: KnownCard): StepResult {
  const values = request.card?.expose() ?? new Map<string, Uint8Array>();
  const [finding] = checkCryptogramEnvelope(values, {
    pan: request.pan,
    amount: request.amount,
    posEntryMode: request.entryMode,
    panSequenceNumber: request.panSequenceNumber,
    ...(request.track2 ? { track2: request.track2 } : {}),
    currency: request.currency,
    hasPinData: request.pinBlock !== null,
  });
  if (finding === undefined) return {};
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
 * A tap above the limit without a PIN: 61, for the amount is what is too much. Our cards are no
 * consumer devices, so no other method is believed; an insertion's rules are the card's CVM list.
 */
function checkCardholderVerification({ request, ports }: KnownCard): StepResult {
  if (!isTapped(request) || request.pinBlock) return {};
  return request.amountMinor <= ports.limits.noPinMinor ? {} : no('61', 'noPinLimit');
}

/**
 * The third wrong PIN in a row is the last that is looked at; somebody guessed, so the card
 * pays nothing without a PIN either. @see ISO 9564-1 §7
 */
async function checkPin({ request, card, lineKeys, ports }: KnownCard): Promise<StepResult> {
  if (card.pinFailures >= PIN_FAILURES_MAX) return no('75', 'pinTriesExceeded');
  if (!request.pinBlock) return {};
  const { valid } = await ports.hsm.call({
    command: 'verifyPin',
    pinKey: lineKeys.pin,
    pvk: ports.keys.pvk,
    pinBlock: toHex(request.pinBlock.expose()),
    pan: request.pan.expose(),
    pvki: card.pvki,
    pvv: card.pvv,
  });
  if (valid) return { facts: { pinFailures: 0 } };
  return { ...no('55', 'pinWrong'), facts: { pinFailures: card.pinFailures + 1 } };
}

function checkLimit({ request, ports }: KnownCard): StepResult {
  return request.amountMinor <= ports.limits.singleAmountMinor ? {} : no('61', 'amountLimit');
}

function checkBalance({ request, card }: KnownCard): StepResult {
  return request.amountMinor <= card.balanceMinor ? {} : no('51', 'funds');
}

/** The card as the HSM derives its keys. */
export function cardIdOf(request: PurchaseRequest): {
  readonly pan: string;
  readonly panSequenceNumber: string;
} {
  return { pan: request.pan.expose(), panSequenceNumber: request.panSequenceNumber };
}

/** A counter as 9F36 carries it. */
export function atcHex(atc: number): string {
  return atc.toString(16).padStart(4, '0').toUpperCase();
}

/** Cryptogram of the request, for the proof to the card. */
export function arqcHex(request: PurchaseRequest): string {
  const arqc = request.card?.expose().get(TAG_9F26_APPLICATION_CRYPTOGRAM);
  return arqc ? toHex(arqc) : '';
}

/** Year and month in China. Cards expire between 2000 and 2099. */
function localYymm(nowMs: number): string {
  const month = transmissionDateTime(nowMs).slice(0, 2);
  // The year turns eight hours before it does in Greenwich.
  const year = new Date(nowMs + 8 * 3_600_000).getUTCFullYear() % 100;
  return String(year).padStart(2, '0') + month;
}

function refuse(responseCode: string, reason: string): Refusal {
  return { responseCode, reason };
}

function no(responseCode: string, reason: string): { readonly refusal: Refusal } {
  return { refusal: refuse(responseCode, reason) };
}
