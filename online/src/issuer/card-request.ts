/**
 * Requests that a card stands behind: which steps decide on each kind, and what an approval moves.
 * @see Q/CUP 006, messages 0100, 0200 and 0220
 */
import { asciiToBytes, concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import { type TransactionKind, transactionSpec } from '@tapnpay/protocol/iso8583';
import {
  algorithmOf,
  arqcHex,
  atcHex,
  cardIdOf,
  cryptogramKey,
  type Decision,
  decideByCard,
  INQUIRY_STEPS,
  isNoPinTap,
  OFFLINE_STEPS,
  PAYMENT_STEPS,
  type Step,
} from './authorisation.ts';
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
  readonly workItems?: (record: RequestRecord) => readonly WorkItem[];
};

type Row = {
  readonly steps: readonly Step[];
  /** Whether it counts to the card's limits. */
  readonly isSpending: boolean;
  readonly effect: (request: CardRequest, card: CardView, ports: IssuerPorts) => Effect;
};

/** A kind that a card stands behind. */
export type CardKind = Extract<
  TransactionKind,
  'sale' | 'preAuthorisation' | 'balanceInquiry' | 'offlineSaleAdvice'
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
};

/** What one such request does, decided on the card as it is now. */
export async function decideCardRequest(
  request: CardRequest & { readonly kind: CardKind },
  lineKeys: LineKeys,
  ports: IssuerPorts,
): Promise<IssuerChange> {
  const row = CARD_KINDS[request.kind];
  const card = await findCard(request, ports);
  const facts = { arqcVerified: null, usedAtc: null, pinFailures: card?.pinFailures ?? 0 };
  const context = { request, card, facts, lineKeys, ports };
  const decision = await decideByCard(row.steps, context);
  const iccData = await authenticate(request, decision, ports);
  if (decision.refusal !== null || card === null) {
    return refusedChange({ request, card, decision, iccData, ports });
  }
  const effect = row.effect(request, card, ports);
  const transaction = transactionOf(request, effect.sides ?? [], ports);
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
      iccData,
      additionalAmounts: effect.additionalAmounts ?? null,
      usageDay: row.isSpending ? today(ports) : null,
      isNoPin: row.isSpending && isNoPinTap(request),
    },
    ports,
  );
  const usage = usageChange(record, 1);
  return {
    record,
    card: cardChange(request, card, decision),
    ...(usage && { usage }),
    ...(effect.hold && { hold: { from: null, hold: effect.hold } }),
    ...(transaction && { transaction }),
    workItems: effect.workItems?.(record) ?? [],
  };
}

function refusedChange(parts: {
  readonly request: CardRequest;
  readonly card: CardView | null;
  readonly decision: Decision;
  readonly iccData: string | null;
  readonly ports: IssuerPorts;
}): IssuerChange {
  const { request, card, decision, iccData, ports } = parts;
  const { responseCode, reason } = decision.refusal ?? {
    responseCode: '14',
    reason: 'cardUnknown',
  };
  const { arqcVerified } = decision.facts;
  const cardId = card?.cardId ?? null;
  const facts = { cardId, responseCode, reason, arqcVerified, iccData } as const;
  const record = recordOf(request, { ...facts, state: 'declined' }, ports);
  const isAdvice = transactionSpec(request.kind).nature === 'advice';
  return {
    record,
    ...(card && { card: cardChange(request, card, decision) }),
    // What is refused has happened all the same: somebody must find out why.
    workItems: isAdvice ? [workItem('adviceRefused', record, { note: reason }, ports)] : [],
  };
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

/**
 * Tag 91, also of a decline: the card may then trust that it was its issuer who said no. A card
 * that was tapped, or paid offline, is gone and hears nothing.
 */
async function authenticate(
  request: CardRequest,
  decision: Decision,
  ports: IssuerPorts,
): Promise<string | null> {
  const { arqcVerified } = decision.facts;
  const isGone = isTapped(request) || transactionSpec(request.kind).nature === 'advice';
  const values = request.card?.expose();
  const algorithm = values === undefined ? null : algorithmOf(values);
  if (!arqcVerified || isGone || request.atc === null || algorithm === null) return null;
  const arc = toHex(asciiToBytes(decision.refusal?.responseCode ?? '00'));
  try {
    const { arpc } = await ports.hsm.call({
      command: 'generateArpc',
      algorithm,
      imkAc: cryptogramKey(ports.keys, algorithm),
      card: cardIdOf(request),
      atc: atcHex(request.atc),
      arqc: arqcHex(request),
      arc,
    });
    const proof = fromHex(arpc + arc);
    return toHex(concatBytes(encodeTlv(TAG_91_ISSUER_AUTHENTICATION_DATA, proof)));
  } catch (thrown) {
    // Without proof the card would refuse an approval; a decline stands without it.
    if (decision.refusal) return null;
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
