/**
 * The three loads of the electronic cash: what refuses them, and what they move. The new total is
 * what the card itself vouches for and the amount; our record of the purse is a shadow.
 * @see PBOC3 P13; Q/CUP 006, message 0200 with field 3 60, 62 and 63
 */
import { uuidv7 } from '../../runtime/index.ts';
import {
  CARD_STEPS,
  type KnownCard,
  no,
  PIN_STEPS,
  type Step,
  type StepResult,
  TRANSACTION_STEP,
} from '../authorisation.ts';
import type { Side } from '../change.ts';
import { type CardView, clearingAccountId, electronicCashAccountId } from '../model.ts';
import type { IssuerPorts } from '../ports.ts';
import { type CardRequest, isTapped } from '../request.ts';
import type { Script } from '../scripts/model.ts';
import type { LoadKind } from './load-types.ts';

const BEFORE: readonly Step[] = [
  TRANSACTION_STEP,
  { name: 'inserted', run: checkInserted },
  ...CARD_STEPS,
];
const PURSE_STEPS: readonly Step[] = [
  { name: 'purse', run: checkPurse },
  { name: 'ceiling', run: checkCeiling },
];
const BALANCE_STEP: Step = { name: 'loadBalance', run: checkBalance };

/** One kind of load. */
export type LoadRow = {
  readonly steps: readonly Step[];
  /** Where the money comes from; the purse's side is the same for all. */
  readonly source: (card: CardView, payer: CardView | null) => string;
};

/** The table. */
export const LOADS: Readonly<Record<LoadKind, LoadRow>> = {
  designatedLoad: {
    steps: [...BEFORE, ...PIN_STEPS, ...PURSE_STEPS, BALANCE_STEP],
    source: ({ accountId }) => accountId,
  },
  // The acquirer has the cash, and owes it to us.
  cashLoad: {
    steps: [...BEFORE, ...PURSE_STEPS],
    source: ({ currency }) => clearingAccountId(currency),
  },
  nonDesignatedLoad: {
    steps: [
      ...BEFORE,
      { name: 'payer', run: checkPayer },
      ...PIN_STEPS,
      ...PURSE_STEPS,
      BALANCE_STEP,
    ],
    source: ({ accountId }, payer) => payer?.accountId ?? accountId,
  },
};

/** The entries of a load: the payer's first. */
export function loadSides(
  card: CardView,
  facts: { readonly source: string; readonly amountMinor: bigint },
): readonly Side[] {
  const { source, amountMinor } = facts;
  return [
    [source, -amountMinor],
    [electronicCashAccountId(card.cardId), amountMinor],
  ];
}

/** The script of a load that is approved now: debited, not confirmed. */
export function newLoad(
  request: CardRequest,
  facts: { readonly card: CardView; readonly source: string },
  { clock, random }: Pick<IssuerPorts, 'clock' | 'random'>,
): Script {
  const nowMs = clock.nowMs();
  return {
    scriptId: uuidv7(clock, random),
    cardId: facts.card.cardId,
    kind: 'load',
    target: '',
    data: '',
    newPin: null,
    loadTraceKey: request.traceKey,
    sourceAccountId: facts.source,
    amountMinor: request.amountMinor,
    state: 'queued',
    delivery: null,
    deliveries: 0,
    evidence: null,
    createdAtMs: nowMs,
    changedAtMs: nowMs,
  };
}

/** A card that was tapped is gone when the new total comes. */
function checkInserted({ request }: KnownCard): StepResult {
  return isTapped(request) ? no('57', 'loadTapped') : {};
}

/** The balance that the total is made of must be the card's own word. */
function checkPurse({ facts }: KnownCard): StepResult {
  if (facts.service?.isUndecided) return no('57', 'loadUndecided');
  switch (facts.service?.purse.kind) {
    case 'proved':
      return {};
    case 'macWrong':
      return no('05', 'purseMacWrong');
    case 'none':
      return no('57', 'noElectronicCash');
    default:
      return no('30', 'purseMalformed');
  }
}

/** 9F77: loads that the card does not have yet count too. */
function checkCeiling({ request, card, facts, ports }: KnownCard): StepResult {
  const { service } = facts;
  if (service?.purse.kind !== 'proved') return no('30', 'purseMalformed');
  const ceilingMinor =
    service.settings?.electronicCashLimitMinor ??
    card.electronicCashLimitMinor ??
    ports.limits.electronicCashMinor;
  const waitingMinor = service.waiting.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
  const totalMinor = service.purse.balanceMinor + waitingMinor + request.amountMinor;
  return totalMinor <= ceilingMinor ? {} : no('61', 'electronicCashLimit');
}

/** Fields 102 and 103: from an account that its bank has bound to this card, to this card. */
function checkPayer({ request, payer }: KnownCard): StepResult {
  const { transfer, panLookup, currency } = request;
  if (transfer === null) return no('30', 'transferMissing');
  if (transfer.toLookup !== panLookup) return no('30', 'transferToOther');
  if (payer === null) return no('57', 'payerNotBound');
  if (payer.state !== 'active' || payer.hotReason !== null) return no('62', 'payerBlocked');
  return payer.currency === currency ? {} : no('12', 'currencyNotHeld');
}

function checkBalance({ request, card, payer }: KnownCard): StepResult {
  const { availableMinor } = request.kind === 'nonDesignatedLoad' && payer ? payer : card;
  return request.amountMinor <= availableMinor ? {} : no('51', 'funds');
}
