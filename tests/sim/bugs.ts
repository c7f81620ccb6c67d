/**
 * Planted bugs: each breaks one party by a decorator over its store or lines, and each must be
 * found by the checks. They show that a world without findings means something.
 */
import { buildReply, type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import type { Hsm } from '@tapnpay/protocol/wire';
import {
  LEDGER_PAYER_CLEARING,
  type LedgerEntry,
  merchantPayable,
  type Payment,
} from '../../online/src/gateway/model.ts';
import type { GatewayStore } from '../../online/src/gateway/store.ts';
import type { RequestRecord } from '../../online/src/issuer/model.ts';
import type { IssuerChange, IssuerStore } from '../../online/src/issuer/store.ts';
import { withMac } from '../../online/src/switch/messages.ts';
import type { MemberLines } from '../../online/src/switch/ports.ts';

/** Where a world can be broken. */
export type Bug = {
  gatewayStore(store: GatewayStore): GatewayStore;
  issuerStore(store: IssuerStore): IssuerStore;
  switchLines(lines: MemberLines, hsm: Hsm): MemberLines;
  /** After the gateway has looked at an answer that nobody waited for. */
  onLateReply(message: Iso8583Message): Promise<void>;
};

/** Nothing is broken. */
const NONE: Bug = {
  gatewayStore: (store) => store,
  issuerStore: (store) => store,
  switchLines: (lines) => lines,
  onLateReply: async () => undefined,
};

/** The planted bugs by name; `none` is the system as it is. A bug lives as long as its world. */
export const BUGS: Readonly<Record<string, () => Bug>> = {
  none: () => NONE,
  'no-idempotency': noIdempotency,
  'dropped-reversal': droppedReversal,
  'late-approval-wins': lateApprovalWins,
  'unverified-tap': unverifiedTap,
};

/** Names of the bugs that must be found. */
export const PLANTED_BUGS: readonly string[] = Object.keys(BUGS).filter((name) => name !== 'none');

/** `target` with some methods replaced. */
function decorate<Port extends object>(target: Port, changes: Partial<Port>): Port {
  return new Proxy(target, {
    get(_, property) {
      const changed: unknown = Reflect.get(changes, property);
      if (changed !== undefined) return changed;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** The issuer forgets what it answered: a repeated 0200 is decided, and debited, again. */
function noIdempotency(): Bug {
  const issuerStore = (store: IssuerStore): IssuerStore => {
    let copies = 0;
    // Reversals still find their originals, or this would be another bug.
    const reversing = new Set<string>();
    return decorate<IssuerStore>(store, {
      async findRequest(traceKey) {
        const found = await store.findRequest(traceKey);
        const isPurchase = traceKey.startsWith('0200/');
        if (!isPurchase && !found) reversing.add(traceKey);
        return isPurchase && reversing.size === 0 ? null : found;
      },
      async findCard(query) {
        const card = await store.findCard(query);
        return card && { ...card, atcUse: null, atcHighest: 0 };
      },
      async commit(wanted: IssuerChange) {
        const { record, card } = wanted;
        reversing.delete(record.traceKey);
        if (record.kind !== 'sale') return store.commit(wanted);
        const known = await store.findRequest(record.traceKey);
        const traceKey = known ? `${record.traceKey}/${++copies}` : record.traceKey;
        return store.commit({
          ...wanted,
          record: { ...record, traceKey },
          ...(card && { card: { ...card, usedAtc: null } }),
        });
      },
    });
  };
  return { ...NONE, issuerStore };
}

/** The switch takes its own reversals for acknowledged without sending them. */
function droppedReversal(): Bug {
  return {
    ...NONE,
    switchLines: (lines, hsm) => ({
      keys: (institutionId) => lines.keys(institutionId),
      previousKeys: (institutionId) => lines.previousKeys(institutionId),
      async send(institutionId, message, timeoutMs) {
        const keys = lines.keys(institutionId);
        if (!message.mti.startsWith('042') || !keys) {
          return lines.send(institutionId, message, timeoutMs);
        }
        return withMac(hsm, keys.mac, buildReply(message, '00'));
      },
    }),
  };
}

/** An approval that comes after its reversal has begun still captures the order. */
function lateApprovalWins(): Bug {
  const captured = new Map<string, Payment>();
  const entries: LedgerEntry[] = [];
  let book: GatewayStore | null = null;
  const gatewayStore = (store: GatewayStore): GatewayStore => {
    book = store;
    return decorate<GatewayStore>(store, {
      findPayment: async (id) => captured.get(id) ?? store.findPayment(id),
      async findOrder(orderId) {
        const order = await store.findOrder(orderId);
        const isPaid = [...captured.values()].some((payment) => payment.orderId === orderId);
        return order && isPaid ? { ...order, status: 'paid' } : order;
      },
      async listPayments(query) {
        const listed = await store.listPayments(query);
        return listed
          .map((payment) => captured.get(payment.paymentId) ?? payment)
          .filter(({ state }) => query.states.includes(state));
      },
      async changePayment(change) {
        const forced = captured.get(change.paymentId);
        if (!forced) return store.changePayment(change);
        // Its reversal still comes to its end.
        if (change.to === 'reversed') {
          await store.changePayment({ ...change, from: ['unknown', 'reversing'] });
        }
        return forced;
      },
      ledgerEntries: async () => [...(await store.ledgerEntries()), ...entries],
    });
  };
  const onLateReply = async (message: Iso8583Message): Promise<void> => {
    if (!book || message.mti !== '0210' || textField(message, 39) !== '00') return;
    const trace = {
      stan: textField(message, 11) ?? '',
      transmission: textField(message, 7) ?? '',
    };
    const payment = await book.findPaymentByTrace(trace);
    if (!payment || !['unknown', 'reversing', 'reversed'].includes(payment.state)) return;
    if (captured.has(payment.paymentId)) return;
    captured.set(payment.paymentId, { ...payment, state: 'captured', responseCode: '00' });
    const order = await book.findOrder(payment.orderId);
    entries.push(...capturePostings(payment, order?.merchantId ?? ''));
  };
  return { ...NONE, gatewayStore, onLateReply };
}

/** A tap is captured at its answer whatever the answer's MAC says. */
function unverifiedTap(): Bug {
  const gatewayStore = (store: GatewayStore): GatewayStore =>
    decorate<GatewayStore>(store, {
      async changePayment(change) {
        const payment = await store.findPayment(change.paymentId);
        const isTap = payment?.interface === 'contactless' && change.to === 'unknown';
        if (!isTap || change.facts?.reason !== 'answerMac') return store.changePayment(change);
        const order = await store.findOrder(payment.orderId);
        const { reversal: _never, ...answered } = change;
        const postings = capturePostings(payment, order?.merchantId ?? '');
        return store.changePayment({ ...answered, to: 'captured', orderStatus: 'paid', postings });
      },
    });
  return { ...NONE, gatewayStore };
}

/** The two entries of a capture. */
function capturePostings(payment: Payment, merchantId: string): readonly LedgerEntry[] {
  const { paymentId, currency, amountMinor } = payment;
  const facts = { kind: 'sale', phase: 'posted', mode: 'test', paymentId, currency } as const;
  const base = { ...facts, transactionId: `bug:${paymentId}`, settlementDate: '20260314' };
  return [
    { ...base, leg: 0, account: LEDGER_PAYER_CLEARING, amountMinor },
    { ...base, leg: 1, account: merchantPayable(merchantId), amountMinor: -amountMinor },
  ];
}

/** What `RequestRecord.traceKey` was before a bug made copies of it. */
export function plainTraceKey({ traceKey }: Pick<RequestRecord, 'traceKey'>): string {
  return traceKey.split('/').slice(0, 5).join('/');
}
