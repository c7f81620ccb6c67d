/** Rows of the journal, and the advices that a transaction without a final answer is owed. */
import { maskPan } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, textField, transmissionDateTime } from '@tapnpay/protocol/iso8583';
import { uuidv7 } from '../runtime/index.ts';
import { KIND_RULES, type Kind } from './kinds.ts';
import { packMessage } from './messages.ts';
import type { AdviceKind, Transaction, TransactionKey } from './model.ts';
import type { SwitchScene } from './ports.ts';
import { ResponseCode, today, traceOf } from './responses.ts';
import type { NewAdvice } from './store.ts';

/** A row for a message, not sent yet. Junk that a refusal is about stays out of it. */
export function newTransaction(
  scene: SwitchScene,
  facts: {
    readonly key: TransactionKey;
    readonly bodyDigest: string;
    readonly request: Iso8583Message;
    readonly kind: Kind | null;
    readonly settlementDate: string;
    readonly original: Transaction | null;
    /** What is kept of the message. */
    readonly kept: Iso8583Message;
  },
): Transaction {
  const { key, bodyDigest, request, kind, settlementDate, original, kept } = facts;
  const nowMs = scene.clock.nowMs();
  const pan = textField(request, 2);
  const amount = textField(request, 4) ?? '';
  return {
    ...key,
    transactionId: uuidv7(scene.clock, scene.random),
    kind: kind?.spec.kind ?? null,
    bodyDigest,
    destination: null,
    retrievalReference: textField(request, 37) ?? null,
    merchantId: textField(request, 42) ?? null,
    amountMinor: /^[0-9]{12}$/.test(amount) ? BigInt(amount) : null,
    currency: textField(request, 49) ?? null,
    panMasked: pan === undefined ? null : maskPan(pan),
    sealedOriginal: scene.vault.seal(packMessage(kept)),
    originalId: original?.transactionId ?? null,
    endedBy: null,
    state: 'sent',
    responseCode: null,
    approvalCode: null,
    sealedAnswer: null,
    reason: null,
    lateResponseCode: null,
    settlementDate,
    reversalDate: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
}

/** An advice with a trace number and time of its own, due now. */
export async function newAdvice(
  scene: Pick<SwitchScene, 'clock' | 'random' | 'store' | 'profile'>,
  facts: { readonly kind: AdviceKind; readonly reason: string; readonly settlementDate?: string },
): Promise<NewAdvice> {
  const nowMs = scene.clock.nowMs();
  return {
    adviceId: uuidv7(scene.clock, scene.random),
    kind: facts.kind,
    stan: await scene.store.nextStan(),
    transmission: transmissionDateTime(nowMs),
    reason: facts.reason,
    settlementDate: facts.settlementDate ?? today(scene),
    nextAtMs: nowMs,
  };
}

/** sent -> unknown with the reversal that ends it; what moves no money is just not answered. */
export async function abandon(
  scene: SwitchScene,
  { transactionId, kind }: Transaction,
  reason: string,
): Promise<Transaction> {
  const atMs = scene.clock.nowMs();
  const isReversible = kind === null || KIND_RULES[kind].isReversible;
  const transaction = isReversible
    ? await scene.store.abandon({
        transactionId,
        advice: await newAdvice(scene, { kind: 'reversal', reason }),
        atMs,
      })
    : await scene.store.answer({
        transactionId,
        responseCode: ResponseCode.noReply,
        ...{ approvalCode: null, sealedAnswer: null, reason, neverSent: false, atMs },
      });
  const { state, stan, retrievalReference } = transaction;
  scene.log({ event: 'noFinalAnswer', stan, retrievalReference, reason, state });
  scene.wake();
  return transaction;
}

/** Stands in the journal where a late request would go that its reversal has overtaken. */
export function barrierOf(
  scene: SwitchScene,
  key: TransactionKey,
  reversal: Iso8583Message,
): Transaction {
  const nowMs = scene.clock.nowMs();
  const { retrievalReference } = traceOf(reversal);
  const settlementDate = today(scene);
  return {
    ...key,
    transactionId: uuidv7(scene.clock, scene.random),
    ...{ kind: null, bodyDigest: null, destination: null, retrievalReference, merchantId: null },
    ...{ amountMinor: null, currency: null, panMasked: null, sealedOriginal: null },
    ...{ originalId: null, endedBy: null, responseCode: null, approvalCode: null },
    ...{ sealedAnswer: null, lateResponseCode: null, settlementDate },
    ...{ reversalDate: settlementDate, createdAtMs: nowMs, updatedAtMs: nowMs },
    state: 'reversed',
    reason: 'reversedBefore',
  };
}
