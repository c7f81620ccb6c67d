/** Planted bugs of the gateway. */

import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import { textField, withFields } from '@tapnpay/protocol/iso8583';
import {
  AUDIT_GENESIS,
  type AuditHead,
  type AuditRecord,
  nextRecord,
} from '../../online/src/gateway/audit/chain.ts';
import type { AuditLog } from '../../online/src/gateway/audit/log.ts';
import type { LedgerEntry, Order, Payment } from '../../online/src/gateway/model.ts';
import {
  type Operation,
  type PaymentWhole,
  refundableMinor,
} from '../../online/src/gateway/operations/model.ts';
import { salePostings } from '../../online/src/gateway/operations/postings.ts';
import { withMac } from '../../online/src/gateway/payment/messages.ts';
import { settlementDateAt } from '../../online/src/gateway/settlement-date.ts';
import type { GatewayStore, PaymentChange } from '../../online/src/gateway/store.ts';
import { least } from '../../online/src/issuer/change.ts';
import { type Bug, decorate, NO_BUG } from './bug.ts';

/** A bug of the store alone. */
function ofStore(change: (store: GatewayStore) => Partial<GatewayStore>): Bug {
  return { ...NO_BUG, gatewayStore: (store) => decorate<GatewayStore>(store, change(store)) };
}

/** An approval that comes after its reversal has begun still captures the order. */
export function lateApprovalWins(): Bug {
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
    if (order) entries.push(...entriesOf(order, payment));
  };
  return { ...NO_BUG, gatewayStore, onLateReply };
}

/** A tap is captured at its answer whatever the answer's MAC says. */
export function unverifiedTap(): Bug {
  const gatewayStore = (store: GatewayStore): GatewayStore =>
    decorate<GatewayStore>(store, {
      async changePayment(change) {
        const payment = await store.findPayment(change.paymentId);
        const isTap = payment?.interface === 'contactless' && change.to === 'unknown';
        if (!isTap || change.facts?.reason !== 'answerMac') return store.changePayment(change);
        const order = await store.findOrder(payment.orderId);
        const { reversal: _never, ...answered } = change;
        const postings = order ? entriesOf(order, payment) : [];
        return store.changePayment({ ...answered, to: 'captured', orderStatus: 'paid', postings });
      },
    });
  return { ...NO_BUG, gatewayStore };
}

/** The entries of a sale. */
function entriesOf(order: Order, payment: Payment): readonly LedgerEntry[] {
  const settlementDate = '20261125';
  const { paymentId } = payment;
  return salePostings({ order, payment, settlementDate }).map((one) => ({ ...one, paymentId }));
}

/** A repeated request makes another order. */
export function orderPerRetry(): Bug {
  let copies = 0;
  return ofStore((store) => ({
    createOrder: (order, { key, fingerprint }) =>
      store.createOrder(order, { key: `${key}/${++copies}`, fingerprint }),
  }));
}

/** A repeated request makes another refund. */
export function refundPerRetry(): Bug {
  let copies = 0;
  return ofStore((store) => ({
    beginOperation: (wanted) =>
      store.beginOperation({ ...wanted, identity: `${wanted.identity}/${++copies}` }),
  }));
}

/** Another body under a used key gets the old order. */
export function bodyNotCompared(): Bug {
  return ofStore((store) => ({
    createOrder: (order, { key }) => store.createOrder(order, { key, fingerprint: '' }),
  }));
}

/** An order stays open when it is paid. */
export function paidOrderOpen(): Bug {
  return ofStore((store) => ({
    changePayment: (change) =>
      store.changePayment(change.to === 'captured' ? { ...change, orderStatus: 'open' } : change),
  }));
}

/** What is left to refund is looked up before the row is locked. */
export function refundWithoutLock(): Bug {
  const seen = new Map<string, PaymentWhole>();
  return ofStore((store) => ({
    beginOperation: (wanted) =>
      store.beginOperation({
        ...wanted,
        plan: (whole) => {
          const { paymentId } = wanted;
          const isCaptured = whole.payment.state === 'captured';
          if (isCaptured && !seen.has(paymentId)) seen.set(paymentId, whole);
          const planned = wanted.plan(seen.get(paymentId) ?? whole);
          if (planned.kind !== 'begin' || planned.operation.kind !== 'refund') return planned;
          // Nor does the database say no.
          const { operation } = planned;
          const amountMinor = least(refundableMinor(whole.balance), operation.amountMinor);
          return { kind: 'begin', operation: { ...operation, amountMinor } };
        },
      }),
  }));
}

/** A repeated refund asks for twice the amount. */
export function refundDoubledOnRetry(): Bug {
  return {
    ...NO_BUG,
    gatewayLine: (line, { hsm }) => ({
      keys: () => line.keys(),
      async send(message, timeoutMs) {
        const keys = line.keys();
        const isRetry = message.mti === '0221' && textField(message, 3) === '200000';
        if (!isRetry || !keys) return line.send(message, timeoutMs);
        const doubled = String(2n * BigInt(textField(message, 4) ?? '0')).padStart(12, '0');
        const bent: Iso8583Message = withFields(message, [
          [4, doubled],
          [128, undefined],
        ]);
        return line.send(await withMac(hsm, keys.mac, bent), timeoutMs);
      },
    }),
  };
}

/** A payment without an answer is called declined, and is not reversed. */
export function unknownIsDeclined(): Bug {
  return ofStore((store) => ({
    changePayment(change) {
      const { from, to, reversal: _never, event, ...rest } = change;
      if (to !== 'unknown' || !from.includes('sending')) return store.changePayment(change);
      const body = event?.body.replaceAll('unknown', 'declined') ?? '';
      const declined: PaymentChange = { ...rest, from, to: 'declined', orderStatus: 'open' };
      return store.changePayment({ ...declined, ...(event && { event: { ...event, body } }) });
    },
  }));
}

/** The day of a payment is that of the gateway's own clock. */
export function localDay(): Bug {
  const dated = <Facts extends { readonly settlementDate?: string | null }>(
    facts: Facts | undefined,
    atMs: number,
  ): Facts | undefined =>
    facts?.settlementDate ? { ...facts, settlementDate: settlementDateAt(atMs) } : facts;
  return ofStore((store) => ({
    changePayment(change) {
      const facts = dated(change.facts, change.atMs);
      return store.changePayment({ ...change, ...(facts && { facts }) });
    },
    changeOperation(change) {
      const facts = dated(change.facts, change.atMs);
      return store.changeOperation({ ...change, ...(facts && { facts }) });
    },
  }));
}

/** A void is allowed after the cut-off, here and at the others. */
export function planVoidLate(): (store: GatewayStore) => GatewayStore {
  const renamed = (whole: PaymentWhole, settlementDate: string): PaymentWhole => ({
    ...whole,
    payment: { ...whole.payment, settlementDate },
    operations: whole.operations.map((one): Operation => ({ ...one, settlementDate })),
  });
  return (store) =>
    decorate<GatewayStore>(store, {
      beginOperation: (wanted) =>
        store.beginOperation({
          ...wanted,
          plan: (whole) => {
            const planned = wanted.plan(whole);
            const isLate = planned.kind === 'refuse' && planned.code === 'ERR_VOID_TOO_LATE';
            return isLate ? wanted.plan(renamed(whole, '1126')) : planned;
          },
        }),
    });
}

/** A refund moves no money in the gateway's book. */
export function refundNotBooked(): Bug {
  return ofStore((store) => ({
    changeOperation: (change) => store.changeOperation({ ...change, postings: () => [] }),
  }));
}

/** The merchant's leg of a capture is lost. */
export function ledgerLegMissing(): Bug {
  return ofStore((store) => ({
    ledgerEntries: async () =>
      (await store.ledgerEntries()).filter(({ kind, leg }) => kind !== 'sale' || leg === 0),
  }));
}

/** A repeated notification has another number. */
export function notificationRenumbered(): Bug {
  return ofStore((store) => ({
    async claimOutbox(claim) {
      const due = await store.claimOutbox(claim);
      return due.map((message) => {
        const parsed = JSON.parse(message.body) as { data: { sequence: number } };
        parsed.data.sequence += message.attempts - 1;
        return { ...message, body: JSON.stringify(parsed) };
      });
    },
  }));
}

/** A notification tells what was before the change. */
export function staleNotification(): Bug {
  return ofStore((store) => ({
    async changeOperation(change) {
      const { event } = change;
      const operation = await store.findOperation(change.operationId);
      const before = await store.findPaymentWhole(operation?.paymentId ?? '');
      if (!event || !before) return store.changeOperation(change);
      return store.changeOperation({
        ...change,
        event: (after) => {
          const { sequence } = after.payment;
          const { balance } = before;
          return event({ ...after, balance, payment: { ...before.payment, sequence } });
        },
      });
    },
  }));
}

/** A notification that was not taken is given up. */
export function notificationGivenUp(): Bug {
  return ofStore((store) => ({
    settleOutbox: (messageId, _result, tried) =>
      store.settleOutbox(messageId, { kind: 'delivered' }, tried),
  }));
}

/** The log says which card it was. */
export function cardNumberLogged(): Bug {
  return {
    ...NO_BUG,
    gatewayLine: (line, { log }) => ({
      keys: () => line.keys(),
      send(message, timeoutMs) {
        log({ event: 'sent', mti: message.mti, pan: textField(message, 2) ?? null });
        return line.send(message, timeoutMs);
      },
    }),
  };
}

/** Two acts under way at once write records after one and the same head. */
export function auditForked(): Bug {
  const heads = new Map<string, AuditHead>();
  const records: AuditRecord[] = [];
  const audit = (): AuditLog => ({
    async append(entry) {
      const newest = records.at(-1) ?? AUDIT_GENESIS;
      const head = heads.get(entry.subject) ?? newest;
      if ('asked' in entry.facts) heads.delete(entry.subject);
      const isFirst = 'asked' in entry.facts;
      const record = nextRecord(isFirst ? newest : head, entry);
      if (isFirst) heads.set(entry.subject, record);
      records.push(record);
      return record;
    },
    read: async (afterSeq, limit) => records.slice(afterSeq, afterSeq + limit),
  });
  return { ...NO_BUG, audit };
}
