/**
 * Requests that a card stands behind: which steps decide on each kind, and what an approval moves.
 * @see Q/CUP 006, messages 0100, 0200 and 0220
 */
import { asciiToBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import { type TransactionKind, transactionSpec } from '@tapnpay/protocol/iso8583';
import {
  type Decision,
  decideByCard,
  INQUIRY_STEPS,
  isNoPinTap,
  OFFLINE_STEPS,
  PAYMENT_STEPS,
  type Step,
} from './authorisation.ts';
import { algorithmOf, arqcHex, atcHex, cardIdOf, cryptogramKey } from './card-facts.ts';
import {
  approvalCode,
  least,
  payerEntryId,
  recordOf,
  type Side,
  today,
  transactionOf,
  usageChange,
  workItem,
} from './change.ts';
import type { LoadKind } from './ecash/load-types.ts';
import { LOADS, loadSides, newLoad } from './ecash/loads.ts';
import {
  type CardView,
  clearingAccountId,
  differenceAccountId,
  electronicCashAccountId,
  type Hold,
  type RequestRecord,
  type WorkItem,
} from './model.ts';
import type { IssuerPorts, LineKeys } from './ports.ts';
import { type CardRequest, isTapped } from './request.ts';
import { type Dispatch, dispatch, iccDataHex } from './scripts/delivery.ts';
import type { Script } from './scripts/model.ts';
import type { CardChange, IssuerChange } from './store.ts';

const TAG_91_ISSUER_AUTHENTICATION_DATA = '91';
const DAY_MS = 24 * 3_600_000;
/** How long a pre-authorisation keeps money. @see Q/CUP 006 (pre-authorisation) */
export const HOLD_MS: number = 30 * DAY_MS;
/** Digits of an amount in field 54. */
const AMOUNT_DIGITS = 12;
/** Field 54: ledger balance, available balance; of the default account. @see ISO 8583:1987 §4.3 */
const LEDGER_BALANCE = '0001';
const AVAILABLE_BALANCE = '0002';

/** What an approval does beside its record. */
type Effect = {
  readonly sides?: readonly Side[];
  readonly hold?: Hold;
  readonly additionalAmounts?: string;
  /** A load that the card is to be told of. */
  readonly load?: Script;
  readonly workItems?: (record: RequestRecord) => readonly WorkItem[];
};

type Row = {
  readonly steps: readonly Step[];
  /** Whether it counts to the card's limits. */
  readonly isSpending: boolean;
  readonly effect: (
    request: CardRequest,
    card: CardView,
    ports: IssuerPorts,
    payer: CardView | null,
  ) => Effect;
};

/** A kind that a card stands behind. */
export type CardKind = Extract<
  TransactionKind,
  'sale' | 'preAuthorisation' | 'balanceInquiry' | 'offlineSaleAdvice' | LoadKind
>;

const CARD_KINDS: Readonly<Record<CardKind, Row>> = {
  sale: {
    steps: PAYMENT_STEPS,
    isSpending: true,
    effect: ({ amountMinor, currency }, { accountId }) => ({
      sides: [
        [accountId, -amountMinor],
        [clearingAccountId(currency), amountMinor],
      ],
    }),
  },
  preAuthorisation: { steps: PAYMENT_STEPS, isSpending: true, effect: holdEffect },
  balanceInquiry: { steps: INQUIRY_STEPS, isSpending: false, effect: balanceEffect },
  offlineSaleAdvice: { steps: OFFLINE_STEPS, isSpending: false, effect: purseEffect },
  designatedLoad: loadRow('designatedLoad'),
  cashLoad: loadRow('cashLoad'),
  nonDesignatedLoad: loadRow('nonDesignatedLoad'),
};

/** Money stays the customer's: it counts to no limit of spending. */
function loadRow(kind: LoadKind): Row {
  const { steps, source } = LOADS[kind];
  return {
    steps,
    isSpending: false,
    effect: (request, card, ports, payer) => {
      const from = source(card, payer);
      return {
        sides: loadSides(card, { source: from, amountMinor: request.amountMinor }),
        load: newLoad(request, { card, source: from }, ports),
      };
    },
  };
}

/** What one such request does, decided on the card as it is now. */
export async function decideCardRequest(
  request: CardRequest & { readonly kind: CardKind },
  lineKeys: LineKeys,
  ports: IssuerPorts,
): Promise<IssuerChange> {
  const row = CARD_KINDS[request.kind];
  const card = await findCard(request, ports);
  const payer = card && (await findPayer(request, card, ports));
  const pinFailures = card?.pinFailures ?? 0;
  const facts = { arqcVerified: null, usedAtc: null, pinFailures, service: null };
  const context = { request, card, payer, facts, lineKeys, ports };
  const decision = await decideByCard(row.steps, context);
  const isApproved = decision.refusal === null && card !== null;
  const effect = isApproved ? row.effect(request, card, ports, payer) : {};
  const answer = await authenticate(request, { decision, load: effect.load ?? null }, ports);
  const standing = { request, card, decision, answer, ports };
  if (!isApproved) return refusedChange(standing);
  return approvedChange({ ...standing, card, row, effect });
}

/** A decision on its way to the books. */
type Standing = {
  readonly request: CardRequest & { readonly kind: CardKind };
  readonly card: CardView | null;
  readonly decision: Decision;
  readonly answer: AnswerData;
  readonly ports: IssuerPorts;
};

function approvedChange(
  standing: Standing & { readonly card: CardView; readonly row: Row; readonly effect: Effect },
): IssuerChange {
  const { request, card, decision, answer, ports, row, effect } = standing;
  const served = decision.facts.service?.sides ?? [];
  const transaction = transactionOf(request, [...(effect.sides ?? []), ...served], ports);
  const record = recordOf(
    request,
    {
      cardId: card.cardId,
      state: 'approved',
      responseCode: '00',
      reason: null,
      arqcVerified: decision.facts.arqcVerified,
      approvalCode: approvalCode(ports),
      ledgerEntryId: payerEntryId(transaction),
      iccData: answer.iccData,
      additionalAmounts: effect.additionalAmounts ?? null,
      usageDay: row.isSpending ? today(ports) : null,
      isNoPin: row.isSpending && isNoPinTap(request),
    },
    ports,
  );
  const usage = usageChange(record, 1);
  const service = serviceChange(standing, record);
  return {
    record,
    card: cardChange(request, card, decision),
    ...(usage && { usage }),
    ...(effect.hold && { hold: { from: null, hold: effect.hold } }),
    ...(transaction && { transaction }),
    ...service,
    workItems: [...(effect.workItems?.(record) ?? []), ...service.workItems],
  };
}

function refusedChange(standing: Standing): IssuerChange {
  const { request, card, decision, answer, ports } = standing;
  const { responseCode, reason } = decision.refusal ?? {
    responseCode: '14',
    reason: 'cardUnknown',
  };
  const { arqcVerified, service: found } = decision.facts;
  const { iccData } = answer;
  const cardId = card?.cardId ?? null;
  const facts = { cardId, responseCode, reason, arqcVerified, iccData } as const;
  const record = recordOf(request, { ...facts, state: 'declined' }, ports);
  const isAdvice = transactionSpec(request.kind).nature === 'advice';
  const transaction = transactionOf(request, found?.sides ?? [], ports);
  const service = serviceChange(standing, record);
  return {
    record,
    ...(card && { card: cardChange(request, card, decision) }),
    ...(transaction && { transaction }),
    ...service,
    // What is refused has happened all the same: somebody must find out why.
    workItems: [
      ...(isAdvice ? [workItem('adviceRefused', record, { note: reason }, ports)] : []),
      ...service.workItems,
    ],
  };
}

/** What the contact has shown of scripts, and what leaves with its answer. */
function serviceChange(
  { decision, answer, ports }: Standing,
  record: RequestRecord,
): Pick<IssuerChange, 'scripts' | 'settings'> & { readonly workItems: readonly WorkItem[] } {
  const { service } = decision.facts;
  if (service === null) return { workItems: [] };
  const { changes, settings, findings } = service;
  return {
    scripts: [...changes, ...(answer.dispatched?.changes ?? [])],
    ...(settings && { settings }),
    workItems: findings.map(({ kind, ...facts }) => workItem(kind, record, facts, ports)),
  };
}

/** The card whose account is to pay a load from another account. */
async function findPayer(
  request: CardRequest,
  card: CardView,
  ports: IssuerPorts,
): Promise<CardView | null> {
  const { store } = ports;
  if (request.kind !== 'nonDesignatedLoad' || request.transfer === null) return null;
  const cardId = await store.findLoadPayer(card.cardId, request.transfer.fromLookup);
  return cardId === null
    ? null
    : store.findCard({ card: { cardId }, atc: null, day: today(ports) });
}

function cardChange(request: CardRequest, card: CardView, decision: Decision): CardChange {
  const { cardId, version } = card;
  const { pinFailures, usedAtc } = decision.facts;
  const atcUse = transactionSpec(request.kind).nature;
  return { cardId, version, pinFailures, usedAtc, atcUse };
}

async function findCard(request: CardRequest, ports: IssuerPorts): Promise<CardView | null> {
  const { store, refreshCards } = ports;
  const { panLookup, panSequenceNumber, atc } = request;
  const query = { card: { panLookup, panSequenceNumber }, atc, day: today(ports) };
  const found = await store.findCard(query);
  return found ?? ((await refreshCards()) ? store.findCard(query) : null);
}

/** What goes to the card in field 55 of the answer. */
type AnswerData = { readonly iccData: string | null; readonly dispatched: Dispatch | null };
const NOTHING_FOR_CARD: AnswerData = { iccData: null, dispatched: null };

/**
 * Tag 91, also of a decline: the card may then trust that it was its issuer who said no. With it
 * goes a script that waits for the card. A card that was tapped, or paid offline, is gone and hears
 * nothing.
 */
async function authenticate(
  request: CardRequest,
  facts: { readonly decision: Decision; readonly load: Script | null },
  ports: IssuerPorts,
): Promise<AnswerData> {
  const { decision, load } = facts;
  const { arqcVerified, service } = decision.facts;
  const isGone = isTapped(request) || transactionSpec(request.kind).nature === 'advice';
  const values = request.card?.expose();
  const algorithm = values === undefined ? null : algorithmOf(values);
  if (!arqcVerified || isGone || request.atc === null || algorithm === null) {
    return NOTHING_FOR_CARD;
  }
  const arc = toHex(asciiToBytes(decision.refusal?.responseCode ?? '00'));
  const { hsm, keys } = ports;
  const card = cardIdOf(request);
  const atc = atcHex(request.atc);
  const arqc = arqcHex(request);
  try {
    const imkAc = cryptogramKey(keys, algorithm);
    const asked = { command: 'generateArpc', algorithm, imkAc, card, atc, arqc, arc } as const;
    const { arpc } = await hsm.call(asked);
    const proof = encodeTlv(TAG_91_ISSUER_AUTHENTICATION_DATA, fromHex(arpc + arc));
    const contact = { hsm, keys, algorithm, card, atc, arqc, traceKey: request.traceKey };
    const dispatched = service && (await dispatch(service, { ...contact, newLoad: load }, ports));
    return { iccData: iccDataHex(proof, dispatched), dispatched };
  } catch (thrown) {
    // Without proof the card would refuse an approval; a decline stands without it.
    if (decision.refusal) return NOTHING_FOR_CARD;
    throw thrown;
  }
}

/** Money stays where it is and cannot be spent. */
function holdEffect(request: CardRequest, card: CardView, ports: IssuerPorts): Effect {
  const { traceKey, amountMinor } = request;
  return {
    hold: {
      holdId: traceKey,
      accountId: card.accountId,
      amountMinor,
      heldMinor: amountMinor,
      postedMinor: 0n,
      state: 'held',
      expiresAtMs: ports.clock.nowMs() + HOLD_MS,
    },
  };
}

function balanceEffect(_request: CardRequest, card: CardView): Effect {
  const { currency, balanceMinor, availableMinor } = card;
  const part = (type: string, amountMinor: bigint): string => {
    const digits = String(amountMinor < 0n ? -amountMinor : amountMinor);
    const sign = amountMinor < 0n ? 'D' : 'C';
    return `${type}${currency}${sign}${digits.padStart(AMOUNT_DIGITS, '0')}`;
  };
  const parts = [part(LEDGER_BALANCE, balanceMinor), part(AVAILABLE_BALANCE, availableMinor)];
  return { additionalAmounts: parts.join('') };
}

/** The chip has paid: what our record of its purse does not cover is a difference to look into. */
function purseEffect(request: CardRequest, card: CardView, ports: IssuerPorts): Effect {
  const { amountMinor, currency } = request;
  const coveredMinor = least(amountMinor, card.electronicCashMinor);
  const shortMinor = amountMinor - coveredMinor;
  return {
    sides: [
      [electronicCashAccountId(card.cardId), -coveredMinor],
      [differenceAccountId(currency), -shortMinor],
      [clearingAccountId(currency), amountMinor],
    ],
    workItems: (record) => {
      if (shortMinor === 0n) return [];
      const facts = { amountMinor: shortMinor, note: 'the purse held less in our books' };
      return [workItem('electronicCashShort', record, facts, ports)];
    },
  };
}
