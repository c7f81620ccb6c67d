/**
 * Shows that both stores keep the same promises: one suite over the memory and over PostgreSQL.
 * The rules that only a database can enforce by itself follow.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Database, openDatabase } from '../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import type { KeptAttestation } from './elements/model.ts';
import type { NewEvent, NewPosting, Order, Payment } from './model.ts';
import type { BeginGuard, GatewayStore, PaymentChange } from './store.ts';
import { MemoryGatewayStore } from './store-memory.ts';
import { openGatewayStore } from './store-postgres.ts';

const NOW = 1_800_000_000_000;
let count = 0;

function anOrder(changes: Partial<Order> = {}): Order {
  return {
    orderId: `order-${++count}`,
    merchantId: 'M1',
    mode: 'test',
    merchantOrderNumber: 'number',
    amountMinor: 999_999_999_999n,
    currency: '156',
    origin: 'https://shop.example',
    notifyUrl: 'http://127.0.0.1/',
    returnUrl: 'https://shop.example/back?a=1',
    kind: 'purchase',
    captureMode: 'automatic',
    status: 'open',
    createdAtMs: NOW,
    expiresAtMs: NOW + 1000,
    paymentId: null,
    fault: null,
    ...changes,
  };
}

function aPayment(order: Order, elementId: string, changes: Partial<Payment> = {}): Payment {
  const stan = String(++count).padStart(6, '0');
  return {
    paymentId: `payment-${count}`,
    orderId: order.orderId,
    elementId,
    interface: 'contact',
    state: 'sending',
    amountMinor: order.amountMinor,
    currency: order.currency,
    panMasked: '629999******0017',
    card: {
      aid: 'A000000333010101',
      applicationLabel: 'PBOC 借记',
      applicationTransactionCounter: 65_535,
      arqc: '1122334455667788',
      tvr: '0080008000',
      cvmResults: '020000',
    },
    stan,
    retrievalReference: `607309${stan}`,
    transmission: '0314092653',
    sealedOriginal: 'AB',
    responseCode: null,
    approvalCode: null,
    issuer: null,
    second: null,
    secondType: null,
    tsi: null,
    settlementDate: null,
    reason: null,
    deadlineMs: NOW + 30_000,
    sequence: 0,
    hops: [{ n: 1, name: 'order', party: 'gateway', atMs: NOW, facts: { a: 'b' } }],
    createdAtMs: NOW,
    updatedAtMs: NOW,
    ...changes,
  };
}

const LOAD_FILE = '1F'.repeat(32);

/** A guard whose attestation is newer than each before. */
function guardOf(
  changes: Partial<BeginGuard> = {},
  attested: Partial<KeptAttestation> = {},
): BeginGuard {
  const counter = ++count;
  const attestation = {
    ...{ counter, loadFileHash: LOAD_FILE, parameterVersion: 1 },
    ...{ statement: `statement ${counter}`, signature: 'AB', ...attested },
  };
  return { nowMs: NOW, pinCounter: null, attestation, ...changes };
}

function change(payment: Payment, changes: Partial<PaymentChange>): PaymentChange {
  return {
    paymentId: payment.paymentId,
    from: ['sending'],
    to: 'authorised',
    atMs: NOW + 1,
    orderStatus: null,
    ...changes,
  };
}

function placesOf(
  ends: readonly PromiseSettledResult<unknown>[],
  status: 'fulfilled' | 'rejected',
): readonly number[] {
  return ends.flatMap((end, place) => (end.status === status ? [place] : []));
}

const anEvent = (payment: Payment, messageId: string): NewEvent => ({
  messageId,
  paymentId: payment.paymentId,
  merchantId: 'M1',
  mode: 'test',
  url: 'http://127.0.0.1/',
  body: '{"masked":true}',
  createdAtMs: NOW,
});

const postings = (amountMinor: bigint, other = -amountMinor): readonly NewPosting[] => {
  const transactionId = `sale:${++count}`;
  const facts = { kind: 'sale', phase: 'posted', mode: 'test', currency: '156' } as const;
  const base = { ...facts, transactionId, settlementDate: '20260314' };
  return [
    { ...base, leg: 0, account: 'a', amountMinor },
    { ...base, leg: 1, account: 'b', amountMinor: other },
  ];
};

async function anElement(store: GatewayStore): Promise<string> {
  const codeId = `code-${++count}`;
  const elementId = `element-${count}`;
  await store.addPairingCode({ codeId, sealedCode: 'AA', expiresAtMs: NOW + 1000, failures: 0 });
  const element = {
    elementId,
    publicKeySpki: 'AA',
    certificateSha256: 'BB',
    certificatePem: 'PEM',
    initialKeyId: `key-${count}`,
    enrolledAtMs: NOW,
  };
  const fresh = { state: 'operable', lastPinCounter: 0, lastPaymentCounter: 0, lock: null };
  await store.acceptLoadFile({ hash: LOAD_FILE, name: 'test', acceptedAtMs: NOW });
  assert.equal(await store.enrolElement(codeId, element, NOW), 'enrolled');
  assert.deepEqual(await store.findElement(elementId), { ...element, ...fresh });
  assert.equal(await store.enrolElement(codeId, element, NOW), 'codeUsed');
  return elementId;
}

async function begun(store: GatewayStore): Promise<{ order: Order; payment: Payment }> {
  const order = anOrder();
  await store.createOrder(order, { key: order.orderId, fingerprint: 'f' });
  const payment = aPayment(order, await anElement(store));
  const guard = guardOf();
  assert.deepEqual(await store.beginPayment(payment, guard), { refused: null });
  return { order, payment };
}

function suite(name: string, open: () => Promise<GatewayStore | null>): void {
  describe(name, () => {
    let opened: GatewayStore | null = null;
    before(async () => {
      opened = await open();
    });
    after(() => opened?.close());
    const rule = (title: string, check: (store: GatewayStore) => Promise<void>): void => {
      test(title, async (context) => {
        if (opened) return check(opened);
        context.skip('no database here');
      });
    };
    orderRules(rule);
    beginRules(rule);
    changeRules(rule);
    queueRules(rule);
    pairingRules(rule);
  });
}
type Rule = (title: string, check: (store: GatewayStore) => Promise<void>) => void;

function orderRules(rule: Rule): void {
  rule('I6: 50 parallel orders of one idempotency key make one order', async (store) => {
    const key = `parallel-${++count}`;
    const results = await Promise.all(
      Array.from({ length: 50 }, () =>
        store.createOrder(anOrder(), { key, fingerprint: 'same body' }),
      ),
    );
    const created = results.filter(({ kind }) => kind === 'created');
    assert.equal(created.length, 1);
    const ids = new Set(results.map((result) => ('order' in result ? result.order.orderId : '')));
    assert.equal(ids.size, 1);
    const other = await store.createOrder(anOrder(), { key, fingerprint: 'other body' });
    assert.deepEqual(other, { kind: 'conflict' });
    const foreign = anOrder({ merchantId: 'M2' });
    const third = await store.createOrder(foreign, { key, fingerprint: 'other body' });
    assert.deepEqual(third, { kind: 'created', order: foreign });
  });

  rule('an order is kept as it was given, cancelled when open, expired by time', async (store) => {
    const order = anOrder({ fault: 'kill-gateway@return' });
    await store.createOrder(order, { key: order.orderId, fingerprint: 'f' });
    assert.deepEqual(await store.findOrder(order.orderId), order);
    assert.equal(await store.findOrder('none'), null);
    assert.equal(await store.cancelOrder('none'), null);
    assert.equal((await store.cancelOrder(order.orderId))?.status, 'cancelled');
    const old = anOrder({ expiresAtMs: NOW - 1 });
    await store.createOrder(old, { key: old.orderId, fingerprint: 'f' });
    assert.equal(await store.expireOrders(NOW - 1), 1);
    assert.equal((await store.findOrder(old.orderId))?.status, 'expired');
    const { order: taken } = await begun(store);
    assert.equal((await store.cancelOrder(taken.orderId))?.status, 'processing');
  });

  rule('trace numbers are six digits from 000001 and do not repeat', async (store) => {
    const stans = await Promise.all(Array.from({ length: 250 }, () => store.nextStan()));
    assert.equal(new Set(stans).size, 250);
    assert.ok(stans.every((stan) => /^[0-9]{6}$/.test(stan) && stan !== '000000'));
  });
}

function beginRules(rule: Rule): void {
  rule('I1: of 20 parallel payments of one order one passes the commit point', async (store) => {
    const order = anOrder();
    await store.createOrder(order, { key: order.orderId, fingerprint: 'f' });
    const elementId = await anElement(store);
    const guard = guardOf();
    const results = await Promise.all(
      Array.from({ length: 20 }, () => store.beginPayment(aPayment(order, elementId), guard)),
    );
    assert.equal(results.filter(({ refused }) => refused === null).length, 1);
    const refused = results.find((result) => result.refused !== null);
    assert.deepEqual(refused, { refused: 'order', status: 'processing' });
  });

  rule('the commit point keeps the payment and refuses what is not payable', async (store) => {
    const { order, payment } = await begun(store);
    assert.deepEqual(await store.findPayment(payment.paymentId), payment);
    assert.deepEqual(await store.findPaymentByTrace(payment), payment);
    const after_ = await store.findOrder(order.orderId);
    assert.deepEqual([after_?.status, after_?.paymentId], ['processing', payment.paymentId]);
    const { elementId } = payment;
    const open = anOrder();
    await store.createOrder(open, { key: open.orderId, fingerprint: 'f' });
    const begin = (changes: Partial<Payment>, nowMs = NOW, pinCounter: number | null = null) =>
      store.beginPayment(aPayment(open, elementId, changes), guardOf({ nowMs, pinCounter }));
    assert.deepEqual(await begin({ orderId: 'none' }), { refused: 'order', status: null });
    assert.deepEqual(await begin({}, NOW + 1000), { refused: 'order', status: 'expired' });
    assert.deepEqual(await begin({ elementId: 'none' }), { refused: 'element' });
    const { stan, retrievalReference } = payment;
    assert.deepEqual(await begin({ stan, retrievalReference }), { refused: 'trace' });
    assert.equal((await store.findOrder(open.orderId))?.status, 'open', 'refusals change nothing');
    assert.deepEqual(await begin({}, NOW, 7), { refused: null });
    assert.equal((await store.findElement(elementId))?.lastPinCounter, 7);
  });

  rule('a PIN counter is used once, a locked element never again', async (store) => {
    const { payment } = await begun(store);
    const { elementId } = payment;
    const begin = async (pinCounter: number) => {
      const order = anOrder();
      await store.createOrder(order, { key: order.orderId, fingerprint: 'f' });
      return store.beginPayment(aPayment(order, elementId), guardOf({ pinCounter }));
    };
    assert.deepEqual(await begin(3), { refused: null });
    assert.deepEqual(await begin(3), { refused: 'pinCounter' });
    assert.deepEqual(await begin(2), { refused: 'pinCounter' });
    const parallel = await Promise.all(Array.from({ length: 8 }, () => begin(4)));
    assert.equal(parallel.filter(({ refused }) => refused === null).length, 1);
    await store.lockElement(elementId, { reason: 'operator', note: 'lost', atMs: NOW });
    assert.deepEqual(await begin(9), { refused: 'element' });
    assert.equal((await store.unlockElement(elementId))?.lock, null);
    assert.deepEqual(await begin(9), { refused: null });
  });

  rule(
    'an attestation is kept with its payment; its counter rises, code and parameters are known',
    async (store) => {
      const { payment } = await begun(store);
      const { elementId } = payment;
      const kept = await store.findAttestation(payment.paymentId);
      assert.match(kept?.statement ?? '', /^statement [0-9]+$/);
      assert.deepEqual([kept?.elementId, kept?.certificatePem], [elementId, 'PEM']);
      const last = (await store.findElement(elementId))?.lastPaymentCounter ?? 0;
      const begin = async (attested: Partial<KeptAttestation>) => {
        const order = anOrder();
        await store.createOrder(order, { key: order.orderId, fingerprint: 'f' });
        return store.beginPayment(aPayment(order, elementId), guardOf({}, attested));
      };
      const recorded = kept?.statement ?? '';
      assert.deepEqual(await begin({ counter: last }), { refused: 'counter', recorded });
      assert.deepEqual(await begin({ counter: last - 1 }), { refused: 'counter', recorded: null });
      const parallel = await Promise.all(
        Array.from({ length: 8 }, () => begin({ counter: last + 1, statement: 'one' })),
      );
      assert.equal(parallel.filter(({ refused }) => refused === null).length, 1);
      assert.deepEqual(
        parallel.find(({ refused }) => refused !== null),
        { refused: 'counter', recorded: 'one' },
      );
      const unknown = { refused: 'loadFile', state: 'unknown' };
      assert.deepEqual(await begin({ loadFileHash: 'AB'.repeat(32) }), unknown);
      const file = { hash: `${++count}`.padStart(64, '0'), name: 'file', acceptedAtMs: NOW };
      assert.equal((await store.acceptLoadFile(file)).state, 'accepted');
      assert.deepEqual(await begin({ loadFileHash: file.hash }), { refused: null });
      const revocation = { atMs: NOW + 1, note: 'hole' };
      assert.equal((await store.revokeLoadFile(file.hash, revocation))?.state, 'revoked');
      await store.revokeLoadFile(file.hash, { atMs: NOW + 2, note: 'later' });
      const revoked = await store.acceptLoadFile(file);
      assert.deepEqual(
        [revoked.state, revoked.revokedAtMs, revoked.note],
        ['revoked', NOW + 1, 'hole'],
      );
      assert.ok((await store.listLoadFiles()).some(({ hash }) => hash === file.hash));
      const isRevoked = { refused: 'loadFile', state: 'revoked' };
      assert.deepEqual(await begin({ loadFileHash: file.hash }), isRevoked);
      assert.equal(await store.revokeLoadFile('none', revocation), null);
      assert.equal(await store.findAttestation('none'), null);
    },
  );

  rule('parameter sets rise, and payments under an old one are refused', async (store) => {
    const { payment } = await begun(store);
    const newest = (await store.newestParameters())?.version ?? 0;
    const set = { body: '{}', signature: 'AB', publishedAtMs: NOW, publishedBy: 'key' };
    const next = { ...set, version: newest + 5, minimumVersion: 0 };
    const twice = await Promise.all([store.publishParameters(next), store.publishParameters(next)]);
    assert.deepEqual(twice.toSorted(), ['exists', 'published']);
    const between = { ...next, version: newest + 4 };
    assert.equal(await store.publishParameters(between), 'exists', 'never between two');
    assert.deepEqual(await store.newestParameters(), next);
    const begin = async (parameterVersion: number) => {
      const order = anOrder();
      await store.createOrder(order, { key: order.orderId, fingerprint: 'f' });
      const guard = guardOf({}, { parameterVersion });
      return store.beginPayment(aPayment(order, payment.elementId), guard);
    };
    assert.deepEqual(await begin(1), { refused: null });
    // Of the other rules' payments none is under version 0.
    await store.publishParameters({ ...next, version: newest + 6, minimumVersion: 1 });
    assert.deepEqual(await begin(0), { refused: 'parameters', minimumVersion: 1 });
    assert.deepEqual(await begin(1), { refused: null });
  });
}

function changeRules(rule: Rule): void {
  rule('a move writes facts, hops, order, book and notification together', async (store) => {
    const { order, payment } = await begun(store);
    const facts = {
      responseCode: '00',
      approvalCode: '123456',
      issuer: { arqcVerified: true, ledgerEntryId: 'x', reason: null },
      deadlineMs: null,
    };
    const hop = { n: 14, name: 'tell', party: 'gateway', atMs: NOW, facts: {} } as const;
    const messageId = `message-${++count}`;
    const event = anEvent(payment, messageId);
    const entries = postings(order.amountMinor);
    const changed = await store.changePayment(
      change(payment, {
        to: 'captured',
        facts,
        hops: [hop],
        orderStatus: 'paid',
        postings: entries,
        event,
      }),
    );
    const expected = {
      ...payment,
      ...facts,
      state: 'captured',
      sequence: 1,
      hops: [...payment.hops, hop],
      updatedAtMs: NOW + 1,
    };
    assert.deepEqual(changed, expected);
    assert.deepEqual(await store.findPayment(payment.paymentId), expected);
    assert.equal((await store.findOrder(order.orderId))?.status, 'paid');
    const booked = (await store.ledgerEntries()).filter(
      ({ paymentId }) => paymentId === payment.paymentId,
    );
    assert.deepEqual(
      booked,
      entries.map((entry) => ({ ...entry, paymentId: payment.paymentId })),
    );
    const claimed = await store.claimOutbox({
      ...{ nowMs: NOW, leaseMs: 5, limit: 100, exceptMerchants: [] },
    });
    const told = claimed.find((message) => message.messageId === messageId);
    assert.deepEqual(told, { ...event, endpointId: null, attempts: 1, nextAtMs: NOW + 5 });
    await store.settleOutbox(messageId, { kind: 'delivered' }, { atMs: NOW, status: 200 });
  });

  rule('how the card ended is noted once, beside any state, and by a move', async (store) => {
    const { payment } = await begun(store);
    const { paymentId } = payment;
    const hops = [{ n: 13, name: 'confirm', party: 'gateway', atMs: NOW, facts: {} }] as const;
    const facts = { second: '8877665544332211', secondType: 'AAC', tsi: 'E800' } as const;
    await store.noteCardEnd(paymentId, { facts, hops });
    const noted = { ...payment, ...facts, hops: [...payment.hops, ...hops] };
    assert.deepEqual(await store.findPayment(paymentId), noted);
    const other = { second: null, secondType: null, tsi: 'F800' };
    await store.noteCardEnd(paymentId, { facts: other, hops });
    await store.noteCardEnd('none', { facts: other, hops });
    assert.deepEqual(await store.findPayment(paymentId), noted);
    const { payment: second } = await begun(store);
    const moved = await store.changePayment(change(second, { facts }));
    assert.deepEqual([moved?.tsi, moved?.card], ['E800', second.card]);
  });

  rule('a move from another state writes nothing at all', async (store) => {
    const { order, payment } = await begun(store);
    const late = change(payment, {
      from: ['authorised'],
      to: 'captured',
      orderStatus: 'paid',
      postings: postings(1n),
      reversal: { stan: '999999', transmission: '0101000000', reason: 'r', nextAtMs: NOW },
    });
    assert.equal(await store.changePayment(late), null);
    assert.equal(await store.changePayment({ ...late, paymentId: 'none' }), null);
    assert.deepEqual(await store.findPayment(payment.paymentId), payment);
    assert.equal((await store.findOrder(order.orderId))?.status, 'processing');
    assert.equal(await store.findReversal(payment.paymentId), null);
  });

  rule('of 10 parallel moves from one state one happens', async (store) => {
    const { payment } = await begun(store);
    const moves = await Promise.all(
      Array.from({ length: 10 }, () => store.changePayment(change(payment, {}))),
    );
    assert.equal(moves.filter((moved) => moved !== null).length, 1);
  });

  rule('final states are never left, and no move leaves the table', async (store) => {
    const { payment } = await begun(store);
    const illegal = change(payment, { to: 'reversed' });
    await assert.rejects(store.changePayment(illegal), /cannot go from sending to reversed/);
    await store.changePayment(change(payment, { to: 'declined', orderStatus: 'open' }));
    const back = change(payment, { from: ['declined'], to: 'captured' });
    await assert.rejects(store.changePayment(back), /cannot go from declined to captured/);
  });

  rule(
    'I4: a ledger transaction that does not sum to zero is refused as a whole',
    async (store) => {
      const { order, payment } = await begun(store);
      const before_ = (await store.ledgerEntries()).length;
      const crooked = change(payment, {
        to: 'captured',
        orderStatus: 'paid',
        postings: postings(order.amountMinor, -order.amountMinor + 1n),
      });
      await assert.rejects(store.changePayment(crooked), /does not balance/);
      assert.equal((await store.findPayment(payment.paymentId))?.state, 'sending');
      assert.equal((await store.findOrder(order.orderId))?.status, 'processing');
      assert.equal((await store.ledgerEntries()).length, before_);
    },
  );

  rule('a facts value of null is written, an absent one is left', async (store) => {
    const { payment } = await begun(store);
    const first = { responseCode: '98', reason: 'timeout', deadlineMs: 5 };
    await store.changePayment(change(payment, { facts: first }));
    const moved = await store.changePayment(
      change(payment, { from: ['authorised'], to: 'unknown', facts: { reason: null } }),
    );
    assert.deepEqual([moved?.responseCode, moved?.reason, moved?.deadlineMs], ['98', null, 5]);
  });
}

function queueRules(rule: Rule): void {
  rule('a reversal is claimed when due, leased, postponed, and closed once', async (store) => {
    const { order, payment } = await begun(store);
    const { paymentId } = payment;
    const stan = String(++count).padStart(6, '0');
    const reversal = { stan, transmission: '0314092700', reason: 'timeout', nextAtMs: NOW };
    await store.changePayment(change(payment, { to: 'unknown', orderStatus: 'unknown', reversal }));
    const claimAt = async (nowMs: number) =>
      (await store.claimReversals({ nowMs, leaseMs: 100, limit: 50 })).find(
        (row) => row.paymentId === paymentId,
      );
    assert.equal(await claimAt(NOW - 1), undefined);
    const rest = { acknowledgedAtMs: null, responseCode: null };
    const own = { paymentId, operationId: null };
    const wanted = { ...reversal, ...own, attempts: 1, nextAtMs: NOW + 100, ...rest };
    assert.deepEqual(await claimAt(NOW), wanted);
    assert.equal(await claimAt(NOW + 99), undefined, 'leased');
    await store.postponeReversal(own, NOW + 50);
    assert.equal((await claimAt(NOW + 50))?.attempts, 2);
    const close = change(payment, {
      from: ['unknown'],
      to: 'reversed',
      orderStatus: 'open',
      acknowledged: '25',
    });
    assert.equal((await store.changePayment(close))?.state, 'reversed');
    const closed = await store.findReversal(paymentId);
    assert.deepEqual([closed?.responseCode, closed?.acknowledgedAtMs], ['25', NOW + 1]);
    await store.postponeReversal(own, NOW);
    assert.equal(await claimAt(NOW + 10_000), undefined);
    assert.equal((await store.findOrder(order.orderId))?.status, 'open');
  });

  rule('payments are listed by state and deadline', async (store) => {
    const { payment } = await begun(store);
    const listed = async (deadlineBeforeMs?: number) =>
      (
        await store.listPayments({
          states: ['sending', 'authorised'],
          limit: 1000,
          ...(deadlineBeforeMs === undefined ? {} : { deadlineBeforeMs }),
        })
      ).some(({ paymentId }) => paymentId === payment.paymentId);
    assert.equal(await listed(), true);
    assert.equal(await listed(NOW + 29_999), false);
    assert.equal(await listed(NOW + 30_000), true);
    await store.changePayment(change(payment, { to: 'declined' }));
    assert.equal(await listed(), false);
  });

  rule('a notification is leased, retried, given up', async (store) => {
    const { payment } = await begun(store);
    const messageId = `message-${++count}`;
    const event = anEvent(payment, messageId);
    await store.changePayment(change(payment, { to: 'declined', event }));
    const attemptsAt = async (nowMs: number) =>
      (await store.claimOutbox({ nowMs, leaseMs: 100, limit: 100, exceptMerchants: [] })).find(
        (message) => message.messageId === messageId,
      )?.attempts;
    assert.equal(await attemptsAt(NOW), 1);
    assert.equal(await attemptsAt(NOW + 99), undefined);
    const tried = { atMs: NOW, status: 500 };
    await store.settleOutbox(messageId, { nextAtMs: NOW + 10 }, tried);
    assert.equal(await attemptsAt(NOW + 10), 2);
    await store.settleOutbox(messageId, { kind: 'dead' }, tried);
    await store.settleOutbox(messageId, { nextAtMs: NOW }, tried);
    const { delivery } = (await store.findDelivery(messageId)) ?? {};
    assert.deepEqual([delivery?.state, delivery?.lastStatus], ['dead', 500]);
    assert.equal(await attemptsAt(NOW + 1_000_000), undefined);
  });
}

function pairingRules(rule: Rule): void {
  rule('a pairing code is used once, expires, and dies of wrong proofs', async (store) => {
    const add = async (expiresAtMs: number): Promise<string> => {
      const codeId = `code-${++count}`;
      await store.addPairingCode({ codeId, sealedCode: 'AA', expiresAtMs, failures: 0 });
      return codeId;
    };
    const active = async (nowMs: number) =>
      (await store.activePairingCodes(nowMs)).map(({ codeId }) => codeId);
    const code = await add(NOW + 5000);
    const old = await add(NOW);
    assert.ok((await active(NOW)).includes(code));
    assert.ok(!(await active(NOW)).includes(old));
    const elementId = `element-${++count}`;
    const element = {
      elementId,
      publicKeySpki: 'AA',
      certificateSha256: 'BB',
      certificatePem: null,
      initialKeyId: elementId,
      enrolledAtMs: NOW,
    };
    assert.equal(await store.enrolElement(old, element, NOW), 'codeUsed');
    const enrolments = await Promise.all(
      Array.from({ length: 5 }, () => store.enrolElement(code, element, NOW)),
    );
    assert.equal(enrolments.filter((result) => result === 'enrolled').length, 1);
    const second = await add(NOW + 5000);
    assert.equal(await store.enrolElement(second, element, NOW), 'exists');
    assert.ok((await active(NOW)).includes(second), 'a refused enrolment uses no code up');
    for (let failures = 0; failures < 3; failures++) await store.notePairingFailure(NOW, 3);
    assert.deepEqual(await active(NOW), []);
  });
}

suite('memory', async () => new MemoryGatewayStore());

let database: TestDatabase | null = null;
suite('PostgreSQL', async () => {
  database = await startTestDatabase();
  return database && openGatewayStore({ databaseUrl: database.url, schema: 'gateway' });
});

describe('what the database itself refuses', () => {
  let raw: Database | null = null;
  before(async () => {
    if (!database) return;
    const migrationsDir = `${import.meta.dirname}/migrations`;
    raw = await openDatabase({ databaseUrl: database.url, schema: 'gateway', migrationsDir });
  });
  after(async () => {
    await raw?.close();
    await database?.close();
  });

  test('ledger entries cannot be changed or removed, a paid order stays paid', async (context) => {
    if (!raw) return context.skip('no database here');
    const { pool } = raw;
    for (const statement of [
      'UPDATE ledger_entries SET amount_minor = 1',
      'DELETE FROM ledger_entries',
      'TRUNCATE ledger_entries CASCADE',
    ]) {
      await assert.rejects(pool.query(statement), /immutable/);
    }
    const unpay = `UPDATE orders SET status = 'open' WHERE status = 'paid'`;
    await assert.rejects(pool.query(unpay), /a paid order cannot become open/);
  });

  test('of many at once a bad one fails alone: orders, commit points, moves', async (context) => {
    if (!raw || !database) return context.skip('no database here');
    const store = await openGatewayStore({ databaseUrl: database.url, schema: 'gateway' });
    try {
      const orders = Array.from({ length: 30 }, (_, place) =>
        anOrder(place === 11 ? { currency: 'yuan' } : {}),
      );
      const made = await Promise.allSettled(
        orders.map((order) => store.createOrder(order, { key: order.orderId, fingerprint: 'F' })),
      );
      assert.deepEqual(placesOf(made, 'rejected'), [11]);
      const good = orders.filter((_, place) => place !== 11);
      const elements: string[] = [];
      for (const _ of good) elements.push(await anElement(store));
      const payments = good.map((order, place) => aPayment(order, elements[place] ?? ''));
      const [first] = payments;
      assert.ok(first);
      const { stan, retrievalReference } = first;
      const wanted = payments.map((payment, place) =>
        place === 7 ? { ...payment, stan, retrievalReference } : payment,
      );
      const begun = await Promise.all(
        wanted.map((payment, place) =>
          store.beginPayment(payment, guardOf({ pinCounter: place === 3 ? 0 : 1 })),
        ),
      );
      const refused = begun.map(({ refused: why }) => why);
      assert.deepEqual(
        refused,
        good.map((_, place) => ({ 3: 'pinCounter', 7: 'trace' })[place] ?? null),
      );
      const moved = await Promise.allSettled(
        wanted.map((payment, place) =>
          store.changePayment(
            change(payment, place === 5 ? { to: 'reversed' } : { facts: { responseCode: '00' } }),
          ),
        ),
      );
      assert.deepEqual(placesOf(moved, 'rejected'), [5]);
      const after_ = await Promise.all(
        wanted.map((payment) => store.findPayment(payment.paymentId)),
      );
      const expected = new Map([
        [3, null],
        [5, 'sending'],
        [7, null],
      ]);
      assert.deepEqual(
        after_.map((payment) => payment?.state ?? null),
        good.map((_, place) => (expected.has(place) ? expected.get(place) : 'authorised')),
      );
    } finally {
      await store.close();
    }
  });

  test('two live attempts of one order are impossible', async (context) => {
    if (!raw) return context.skip('no database here');
    await assert.rejects(
      raw.pool.query(`INSERT INTO payments SELECT (p).* FROM (
        SELECT jsonb_populate_record(payments, jsonb_build_object('payment_id', 'twin',
          'stan', '999998', 'retrieval_reference', '607309999998')) AS p
        FROM payments WHERE state = 'captured' LIMIT 1) AS twin`),
      /payments_one_live/,
    );
    await assert.rejects(
      raw.pool.query(`UPDATE payments SET retrieval_reference = '607309999998'
        WHERE state = 'captured'`),
      /payments_check/,
      'a retrieval reference ends with its trace number',
    );
  });
});
