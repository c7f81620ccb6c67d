/**
 * The issuer's decision on a reversal: idempotent, and remembered when it overtakes its original.
 * @see Q/CUP 006, messages 0420 and 0430
 */
import { uuidv7 } from '../runtime/index.ts';
import { cardAccountId, clearingAccountId, type RequestRecord } from './model.ts';
import type { IssuerPorts } from './ports.ts';
import type { ReversalRequest } from './request.ts';
import type { IssuerChange } from './store.ts';

/** What the reversal finds of its original; each case ends in the answer beside it. */
type Finding =
  | { readonly kind: 'approved'; readonly responseCode: '00' }
  /** Declined, reversed before, or still to come: there is nothing to give back. */
  | { readonly kind: 'declined' | 'reversed' | 'unknown'; readonly responseCode: '00' }
  /** Another card or amount than the original's: not what was asked for. */
  | { readonly kind: 'differs'; readonly responseCode: '12' };

/** What one reversal does, given its original or null when that has not arrived. */
export function reversalChange(
  request: ReversalRequest,
  original: RequestRecord | null,
  ports: Pick<IssuerPorts, 'clock' | 'random'>,
): IssuerChange {
  const finding = judge(request, original);
  const { clock, random } = ports;
  const isPosted = finding.kind === 'approved' && original !== null;
  const ledgerEntryId = isPosted ? uuidv7(clock, random) : null;
  const record: RequestRecord = {
    traceKey: request.traceKey,
    kind: 'reversal',
    fingerprint: request.fingerprint,
    panLookup: request.panLookup,
    cardId: original?.cardId ?? null,
    amountMinor: request.amountMinor,
    currency: request.currency,
    state: 'acknowledged',
    responseCode: finding.responseCode,
    approvalCode: null,
    reason: finding.kind,
    arqcVerified: null,
    ledgerEntryId,
    authenticationData: null,
    answeredAtMs: clock.nowMs(),
  };
  if (finding.kind === 'unknown') return { record, refusedAhead: refusedAhead(request, record) };
  if (ledgerEntryId === null || original?.cardId == null) return { record };
  const { amountMinor, currency, cardId } = original;
  const customer = { accountId: cardAccountId(cardId), currency, amountMinor };
  const clearing = { accountId: clearingAccountId(currency), currency, amountMinor: -amountMinor };
  return {
    record,
    reverses: original.traceKey,
    transaction: {
      transactionId: uuidv7(clock, random),
      kind: 'reversal',
      traceKey: request.traceKey,
      atMs: clock.nowMs(),
      postings: [
        { entryId: ledgerEntryId, ...customer },
        { entryId: uuidv7(clock, random), ...clearing },
      ],
    },
  };
}

function judge(request: ReversalRequest, original: RequestRecord | null): Finding {
  if (!original) return { kind: 'unknown', responseCode: '00' };
  const isSame =
    original.panLookup === request.panLookup &&
    original.amountMinor === request.amountMinor &&
    original.currency === request.currency;
  if (!isSame) return { kind: 'differs', responseCode: '12' };
  if (original.state === 'approved') return { kind: 'approved', responseCode: '00' };
  return { kind: original.state === 'declined' ? 'declined' : 'reversed', responseCode: '00' };
}

/** The original that must not pay when it arrives after its reversal. */
function refusedAhead(request: ReversalRequest, record: RequestRecord): RequestRecord {
  return {
    ...record,
    traceKey: request.originalTraceKey,
    kind: 'purchase',
    fingerprint: '',
    state: 'refusedAhead',
    responseCode: '12',
    reason: 'reversedBefore',
  };
}
