/**
 * Shows every branch of money in the gateway: approval, decline, unknown end, reversal, crash and
 * lateness, over the store in memory, a clock that is turned by hand and a scripted switch.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { luhnCheckDigit, toHex } from '@tapnpay/protocol/bytes';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import type { GatewayError } from './errors.ts';
import {
  approving,
  completionOf,
  fieldText,
  newOrder,
  payOrder,
  reply,
  START_MS,
  sealedPayment,
  TEST_INITIAL_KEY_ID,
  TEST_PAN,
  TestLine,
  testGateway,
  testPeer,
} from './gateway.test-kit.ts';
import { LEDGER_PAYER_CLEARING } from './model.ts';

const code = (expected: string) => (fault: unknown) =>
  (fault as GatewayError).code === expected ||
  assert.fail(`${(fault as GatewayError).code ?? fault} instead of ${expected}`);

test('approval and TC: the order is paid once, the ledger balances, every hop is recorded', async () => {
  const { core, store, line } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const answer = await payOrder(core, peer, order.orderId);
  assert.equal(answer.result, 'answered');
  assert.equal(answer.responseCode, '00');
  assert.equal(answer.issuerAuthenticationData, '11223344556677883030');
  assert.equal((await core.order(order.orderId)).status, 'processing');

  const result = await core.complete(peer, completionOf(answer.paymentId, 'TC'));
  assert.deepEqual(result, {
    type: 'result',
    paymentId: answer.paymentId,
    outcome: 'approved',
    responseCode: '00',
  });
  assert.equal((await core.order(order.orderId)).status, 'paid');
  const { payment } = await core.payment(answer.paymentId);
  assert.deepEqual(
    payment.hops.map(({ n }) => n),
    [1, 3, 7, 8, 11, 12, 13, 14],
  );
  assert.equal(payment.issuer?.arqcVerified, true);
  assert.equal(payment.issuer?.ledgerEntryId, 'issuer-entry-1');
  const entries = await store.ledgerEntries();
  assert.deepEqual(
    entries.map(({ account, amountMinor }) => [account, amountMinor]),
    [
      [LEDGER_PAYER_CLEARING, 1234n],
      ['merchant-payable:898110000000001', -1234n],
    ],
  );
  assert.equal(line.types(), '0200');
});

test('the 0200 carries the fields of a chip sale (Q/CUP 006, message 0200)', async () => {
  const { core, line } = await testGateway();
  const order = await newOrder(core);
  await payOrder(core, testPeer(), order.orderId);
  const [request] = line.sent;
  const text = (number: number): string => fieldText(request, number);
  assert.equal(text(2), TEST_PAN);
  assert.equal(text(4), '000000001234');
  assert.equal(text(7), '0314092653');
  assert.equal(text(11), '000001');
  assert.equal(text(12) + text(13), '0926530314');
  assert.equal(text(22), '052');
  assert.equal(text(23), '001');
  assert.equal(text(37), '607309000001');
  assert.equal(text(49), '156');
  assert.equal(text(43).length, 40);
  const present = [...(request?.fields.keys() ?? [])].sort((a, b) => a - b);
  const wanted = [2, 3, 4, 7, 11, 12, 13, 14, 18, 22, 23, 25, 32, 33, 35, 37, 41, 42, 43, 49];
  assert.deepEqual(present, [...wanted, 55, 60, 128]);
});

test('a PIN is translated by the HSM, and its key serial number is used once (X9.24-3)', async () => {
  const { core, line, hsm } = await testGateway();
  const peer = testPeer();
  const first = await newOrder(core);
  await payOrder(core, peer, first.orderId, { pinCounter: 5 });
  assert.equal(fieldText(line.sent[0], 22), '051');
  assert.equal(fieldText(line.sent[0], 53), '2600000000000000');
  assert.equal(toHex(line.sent[0]?.fields.get(52) as Uint8Array), '0412AC89ABCDEF67');
  const translation = hsm.requests.find(({ command }) => command === 'translatePin');
  assert.deepEqual(translation, {
    command: 'translatePin',
    from: { key: 'base-derivation-key', format: 4, ksn: `${TEST_INITIAL_KEY_ID}00000005` },
    toKey: 'line-pin-key',
    pan: TEST_PAN,
    pinBlock: '0F'.repeat(16),
  });
  const second = await newOrder(core);
  for (const changes of [
    { pinCounter: 5 },
    { pinCounter: 4 },
    { pinCounter: 6, ksn: `54415001FFFFFFFF00000006` },
  ]) {
    await assert.rejects(payOrder(core, peer, second.orderId, changes), code('ERR_PIN_KSN'));
  }
  assert.equal(line.types(), '0200');
  assert.equal((await core.order(second.orderId)).status, 'open');
});

test('approval and AAC: a durable reversal, then the order can be paid again', async () => {
  const { core, store, line } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  const result = await core.complete(peer, completionOf(paymentId, 'AAC'));
  assert.equal(result.type === 'result' && result.outcome, 'declined');
  assert.equal((await core.payment(paymentId)).payment.state, 'reversing');
  await assert.rejects(payOrder(core, peer, order.orderId), code('ERR_ORDER_UNKNOWN'));

  await core.tick();
  const [request, reversal] = line.sent;
  assert.equal(reversal?.mti, '0420');
  assert.notEqual(fieldText(reversal, 11), fieldText(request, 11));
  const institutions = '4999000000149990000001';
  const original = `0200${fieldText(request, 11)}${fieldText(request, 7)}${institutions}`;
  assert.equal(fieldText(reversal, 90), original);
  assert.equal(fieldText(reversal, 37), fieldText(request, 37));
  assert.equal(fieldText(reversal, 38), '123456');
  assert.equal((await core.payment(paymentId)).payment.state, 'reversed');
  assert.equal((await core.order(order.orderId)).status, 'open');
  assert.deepEqual(await store.ledgerEntries(), []);

  const again = await payOrder(core, peer, order.orderId);
  await core.complete(peer, completionOf(again.paymentId, 'TC'));
  assert.equal((await core.order(order.orderId)).paymentId, again.paymentId);
  assert.equal((await store.ledgerEntries()).length, 2);
});

test('a completion without cryptogram or against the kernel is no payment', async () => {
  for (const change of [
    { secondType: null, second: null },
    { outcome: 'declined' },
    { second: null },
  ] as const) {
    const { core, store } = await testGateway();
    const order = await newOrder(core);
    const peer = testPeer();
    const { paymentId } = await payOrder(core, peer, order.orderId);
    await core.complete(peer, { ...completionOf(paymentId, 'TC'), ...change });
    assert.equal((await core.payment(paymentId)).payment.state, 'reversing');
    assert.deepEqual(await store.ledgerEntries(), []);
  }
});

test('time-out: unknown, reversed with growing pauses until 0430; late approval never wins', async () => {
  const line = new TestLine(() => 'timeout');
  const { core, store, clock, log } = await testGateway({ line });
  const order = await newOrder(core);
  const peer = testPeer();
  const { paymentId, result } = await payOrder(core, peer, order.orderId);
  assert.equal(result, 'unknown');
  assert.equal((await core.order(order.orderId)).status, 'unknown');
  await assert.rejects(payOrder(core, peer, order.orderId), code('ERR_ORDER_UNKNOWN'));

  await core.tick();
  await core.tick();
  assert.equal(line.types(), '0200 0420', 'a repeat waits for its pause');
  clock.advance(1_000);
  await core.tick();
  clock.advance(1_000);
  await core.tick();
  assert.equal(line.types(), '0200 0420 0421', 'the second pause is longer');
  assert.equal(fieldText(line.sent[2], 11), fieldText(line.sent[1], 11));

  const request = line.sent[0] as Iso8583Message;
  await core.lateReply(await reply(request, '00'));
  assert.equal((await core.payment(paymentId)).payment.state, 'unknown');
  assert.ok(log.some(({ event }) => event === 'lateAnswerIgnored'));

  line.script = approving;
  clock.advance(60_000);
  await core.tick();
  const { payment, reversal } = await core.payment(paymentId);
  assert.equal(payment.state, 'reversed');
  assert.equal(reversal?.responseCode, '00');
  await core.lateReply(await reply(request, '00'));
  assert.equal((await core.order(order.orderId)).status, 'open');
  assert.deepEqual(await store.ledgerEntries(), []);
  clock.advance(3_600_000);
  await core.tick();
  assert.equal(line.types(), '0200 0420 0421 0421', 'an acknowledged reversal is not repeated');
});

test('reversal: 25 ends it, other codes, wrong MACs and foreign answers do not', async () => {
  const answers: ((message: Iso8583Message) => Promise<Iso8583Message>)[] = [
    (message) => reply(message, '96'),
    (message) => reply(message, '00', [[11, '999999']]),
    async (message) => {
      const right = await reply(message, '00');
      return { ...right, fields: new Map([...right.fields, [128, new Uint8Array(8)]]) };
    },
    async (message) => ({ ...(await reply(message, '00')), mti: '0210' }),
    () => Promise.reject(new Error('line lost')),
    (message) => reply(message, '25'),
  ];
  const line = new TestLine(() => 'timeout');
  const { core, clock } = await testGateway({ line });
  const order = await newOrder(core);
  const { paymentId } = await payOrder(core, testPeer(), order.orderId);
  for (const answer of answers) {
    assert.equal((await core.payment(paymentId)).payment.state, 'unknown');
    line.script = answer;
    clock.advance(60_000);
    await core.tick();
  }
  const { payment, reversal } = await core.payment(paymentId);
  assert.equal(payment.state, 'reversed');
  assert.equal(reversal?.attempts, answers.length);
});

test('field 39: a decline is final and frees the order, an ambiguous code is unknown', async () => {
  for (const [responseCode, state, status] of [
    ['51', 'declined', 'open'],
    ['05', 'declined', 'open'],
    ['55', 'declined', 'open'],
    ['A0', 'unknown', 'unknown'],
    ['94', 'unknown', 'unknown'],
    ['91', 'declined', 'open'],
    ['68', 'unknown', 'unknown'],
    ['96', 'unknown', 'unknown'],
    ['98', 'unknown', 'unknown'],
    ['10', 'unknown', 'unknown'],
  ] as const) {
    const line = new TestLine((message) => reply(message, responseCode));
    const { core, store } = await testGateway({ line });
    const order = await newOrder(core);
    const peer = testPeer();
    const answer = await payOrder(core, peer, order.orderId);
    assert.equal(answer.responseCode, responseCode);
    assert.equal(answer.result, state === 'declined' ? 'answered' : 'unknown');
    const end = await core.complete(peer, completionOf(answer.paymentId, 'AAC'));
    assert.equal(end.type === 'result' && end.outcome, state);
    assert.equal((await core.payment(answer.paymentId)).payment.state, state);
    assert.equal((await core.order(order.orderId)).status, status);
    const { payment } = await core.payment(answer.paymentId);
    assert.deepEqual([payment.second, payment.tsi], ['8877665544332211', 'E800']);
    assert.equal(payment.hops.map(({ n }) => n).join(), '1,3,7,8,11,14,12,13');
    const tell = payment.hops.find(({ n }) => n === 14);
    assert.deepEqual(tell?.facts, {
      paymentId: payment.paymentId,
      outcome: state,
      notified: false,
    });
    assert.deepEqual(await store.ledgerEntries(), []);
    assert.equal((await store.findReversal(answer.paymentId)) !== null, state === 'unknown');
  }
});

test('a 0210 that is not surely the answer is unknown and reversed', async () => {
  const scripts: readonly (readonly [string, (message: Iso8583Message) => unknown])[] = [
    [
      'answerMac',
      async (message) => {
        const right = await reply(message, '00');
        const mac = right.fields.get(128) as Uint8Array;
        const wrong = mac.map((byte, index) => (index === 7 ? byte ^ 0x80 : byte));
        return { ...right, fields: new Map([...right.fields, [128, wrong]]) };
      },
    ],
    [
      'answerMac',
      async (message) => {
        const fields = new Map((await reply(message, '00')).fields);
        fields.delete(128);
        return { ...message, mti: '0210', fields };
      },
    ],
    ['answerField:4', (message) => reply(message, '00', [[4, '000000000001']])],
    ['answerField:37', (message) => reply(message, '00', [[37, '000000000001']])],
    ['answerType', async (message) => ({ ...(await reply(message, '00')), mti: '0230' })],
    ['fault:send', () => Promise.reject(new Error('line lost'))],
  ];
  for (const [reason, script] of scripts) {
    const line = new TestLine(script as TestLine['script']);
    const { core, store } = await testGateway({ line });
    const order = await newOrder(core);
    const { paymentId, result } = await payOrder(core, testPeer(), order.orderId);
    assert.equal(result, 'unknown', reason);
    assert.equal((await core.payment(paymentId)).payment.reason, reason);
    assert.equal((await store.findReversal(paymentId))?.reason, reason);
    line.script = approving;
    await core.tick();
    assert.equal((await core.order(order.orderId)).status, 'open');
  }
});

test('an HSM that fails before the commit point charges nothing, after it makes unknown', async () => {
  const { core, hsm, line, store } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  hsm.failing = true;
  await assert.rejects(payOrder(core, peer, order.orderId), code('ERR_HSM_UNAVAILABLE'));
  assert.equal(line.sent.length, 0);
  assert.equal((await core.order(order.orderId)).status, 'open');
  hsm.failing = false;
  line.script = (message) => {
    hsm.failing = true;
    return reply(message, '00');
  };
  const { paymentId, result } = await payOrder(core, peer, order.orderId);
  assert.equal(result, 'unknown');
  assert.equal((await store.findReversal(paymentId))?.reason, 'fault:judge');
});

test('approved but never completed: reversed after the time-out, a late TC does not pay', async () => {
  const { core, clock, store, line } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  clock.advance(29_999);
  await core.tick();
  assert.equal((await core.payment(paymentId)).payment.state, 'authorised');
  clock.advance(1);
  line.script = () => 'timeout';
  await core.tick();
  assert.equal((await core.payment(paymentId)).payment.reason, 'noCompletion:overdue');
  const late = await core.complete(peer, completionOf(paymentId, 'TC'));
  assert.equal(late.type === 'result' && late.outcome, 'unknown');
  line.script = approving;
  clock.advance(60_000);
  await core.tick();
  const later = await core.complete(peer, completionOf(paymentId, 'TC'));
  assert.equal(later.type === 'result' && later.outcome, 'reversed');
  assert.equal((await core.order(order.orderId)).status, 'open');
  assert.deepEqual(await store.ledgerEntries(), []);
});

test('a completion is heard once: repeats hear the same and book nothing', async () => {
  const { core, store } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  const results = await Promise.all(
    Array.from({ length: 20 }, () => core.complete(peer, completionOf(paymentId, 'TC'))),
  );
  assert.ok(results.every((end) => end.type === 'result' && end.outcome === 'approved'));
  const afterwards = await core.complete(peer, completionOf(paymentId, 'AAC'));
  assert.equal(afterwards.type === 'result' && afterwards.outcome, 'approved');
  assert.equal((await store.ledgerEntries()).length, 2);
  const stranger = testPeer({ elementId: 'E2' });
  await assert.rejects(
    core.complete(stranger, completionOf(paymentId, 'TC')),
    code('ERR_PAYMENT_NOT_FOUND'),
  );
});

test('a crash at each durable state: the next start reverses it and charges nothing twice', async () => {
  for (const at of ['sending', 'authorised', 'unknown', 'reversing'] as const) {
    const before = await testGateway();
    const { store, clock, line } = before;
    const order = await newOrder(before.core);
    const peer = testPeer();
    let release: (answer: Iso8583Message) => void = () => undefined;
    if (at === 'sending') {
      line.script = () =>
        new Promise((resolve) => {
          release = resolve;
        });
    }
    if (at === 'unknown') line.script = () => 'timeout';
    const paying = payOrder(before.core, peer, order.orderId);
    const payment = at === 'sending' ? await untilSent(line, store) : (await paying).paymentId;
    if (at === 'reversing') await before.core.complete(peer, completionOf(payment, 'AAC'));
    assert.equal((await store.findPayment(payment))?.state, at);

    const vault = before.ports.vault;
    const after = await testGateway({ store, clock, seed: 2 });
    Object.assign(after.ports, { vault });
    assert.equal(await after.core.recover(), at === 'sending' || at === 'authorised' ? 1 : 0);
    await assert.rejects(
      payOrder(after.core, testPeer(), order.orderId),
      code('ERR_ORDER_UNKNOWN'),
    );
    await after.core.tick();
    assert.equal(after.line.types(), '0420', at);
    assert.equal((await store.findPayment(payment))?.state, 'reversed');
    assert.equal((await after.core.order(order.orderId)).status, 'open');
    if (at === 'sending') {
      release(await reply(line.sent[0] as Iso8583Message, '00'));
      assert.equal((await paying).result, 'unknown', 'the approval came after the reversal');
      assert.equal((await store.findPayment(payment))?.state, 'reversed');
    }
    assert.equal(await after.core.recover(), 0);
    assert.deepEqual(await store.ledgerEntries(), []);
  }
});

async function untilSent(line: TestLine, store: { listPayments: Listing }): Promise<string> {
  while (line.sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [payment] = await store.listPayments({ states: ['sending'], limit: 1 });
  return payment?.paymentId ?? '';
}
type Listing = (query: {
  states: readonly ['sending'];
  limit: number;
}) => Promise<readonly { readonly paymentId: string }[]>;

test('one order, one charge: paid, busy and 50 parallel payments are refused', async () => {
  const { core, line, store } = await testGateway();
  const order = await newOrder(core);
  const attempts = await Promise.allSettled(
    Array.from({ length: 50 }, () => payOrder(core, testPeer(), order.orderId)),
  );
  const paid = attempts.flatMap((attempt) =>
    attempt.status === 'fulfilled' ? [attempt.value.paymentId] : [],
  );
  assert.equal(paid.length, 1);
  for (const attempt of attempts) {
    if (attempt.status === 'rejected') code('ERR_ORDER_BUSY')(attempt.reason);
  }
  assert.equal(line.types(), '0200');
  await core.complete(testPeer(), completionOf(paid[0] ?? '', 'TC'));
  await assert.rejects(payOrder(core, testPeer(), order.orderId), code('ERR_ORDER_PAID'));
  assert.equal((await store.ledgerEntries()).length, 2);
});

test('before the commit point a lost, late or foreign payment is refused and nothing is sent', async () => {
  const { core, clock, line, hsm } = await testGateway();
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const other = `62999900000000${luhnTail('62999900000000')}`;
  const refusals = [
    ['ERR_PAYMENT_SIGNATURE', { signedExporter: '00'.repeat(32) }],
    ['ERR_PAYMENT_SIGNATURE', { signingKey: stranger }],
    ['ERR_PAYMENT_AMOUNT', { field55: { '9F02': '000000001235' } }],
    ['ERR_PAYMENT_AMOUNT', { field55: { '5F2A': '0840' } }],
    ['ERR_PAYMENT_FIELD', { field55: { '9A': '260313' } }],
    ['ERR_PAYMENT_FIELD', { field55: { '9F27': '00' } }],
    ['ERR_PAYMENT_FIELD', { field55: { '9F27': '40' } }],
    ['ERR_PAYMENT_FIELD', { field55: { '9F26': '' } }],
    ['ERR_PAYMENT_FIELD', { field55: { '9F02': '00000000123F' } }],
    ['ERR_PAYMENT_FIELD', { track2: `${other}D301220112345678` }],
    ['ERR_PAYMENT_FIELD', { track2: `${TEST_PAN}D301120112345678` }],
    ['ERR_PAYMENT_FIELD', { pan: '6299990000000018' }],
  ] as const;
  const order = await newOrder(core);
  for (const [expected, changes] of refusals) {
    await assert.rejects(payOrder(core, testPeer(), order.orderId, changes), code(expected));
  }
  const closed = testPeer({ isOpen: () => false });
  await assert.rejects(payOrder(core, closed, order.orderId), code('ERR_CHANNEL_LOST'));
  const peer = testPeer();
  const sealed = await sealedPayment(core, peer, order.orderId);
  await assert.rejects(core.pay(testPeer(), sealed), code('ERR_ORDER_UNSIGNED'));
  clock.advance(5 * 60_000);
  await assert.rejects(core.pay(peer, sealed), code('ERR_ORDER_STALE'));
  line.up = false;
  await assert.rejects(payOrder(core, peer, order.orderId), code('ERR_SWITCH_UNAVAILABLE'));
  clock.advance(10 * 60_000);
  await assert.rejects(core.pay(peer, sealed), code('ERR_ORDER_EXPIRED'));
  await core.tick();
  assert.equal((await core.order(order.orderId)).status, 'expired');
  assert.equal(line.sent.length, 0);
  assert.equal(hsm.requests.filter(({ command }) => command === 'translatePin').length, 0);
});

function luhnTail(start: string): string {
  return `0${luhnCheckDigit(`${start}0`)}`;
}

test('cancelled orders and locked elements take no payment', async () => {
  const { core, store, line } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const sealed = await sealedPayment(core, peer, order.orderId);
  await core.cancelOrder(order.orderId);
  await assert.rejects(core.pay(peer, sealed), code('ERR_ORDER_CANCELLED'));
  const second = await newOrder(core);
  await store.lockElement('E1', { reason: 'operator', note: 'test', atMs: 0 });
  await assert.rejects(payOrder(core, peer, second.orderId), code('ERR_ELEMENT_LOCKED'));
  assert.equal(line.sent.length, 0);
});

test('contactless: paid at the 0210, no second cryptogram, hop 12 does not apply', async () => {
  const { core, store, line } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId, { interface: 'contactless' });
  assert.equal((await core.order(order.orderId)).status, 'paid');
  assert.equal(fieldText(line.sent[0], 22), '072');
  assert.equal((await store.ledgerEntries()).length, 2);
  const refused = core.complete(peer, completionOf(paymentId, 'AAC'));
  await assert.rejects(refused, code('ERR_PAYMENT_STATE'));
  const { payment } = await core.payment(paymentId);
  assert.equal(payment.hops.map(({ n }) => n).join(), '1,3,7,8,11,14');
  assert.deepEqual([payment.state, payment.second, payment.tsi], ['captured', null, null]);
});

test('contactless: a decline frees the order, a time-out is reversed, and no deadline is set', async () => {
  const { core, store, line, clock } = await testGateway();
  line.script = (message) => reply(message, '51');
  const declined = await newOrder(core);
  const peer = testPeer();
  const tap = { interface: 'contactless', pinCounter: 1 } as const;
  const refused = await payOrder(core, peer, declined.orderId, tap);
  assert.equal(refused.responseCode, '51');
  assert.equal(fieldText(line.sent[0], 22), '071');
  assert.equal((await core.order(declined.orderId)).status, 'open');

  line.script = () => 'timeout';
  const lost = await newOrder(core);
  const { paymentId, result } = await payOrder(core, peer, lost.orderId, {
    interface: 'contactless',
  });
  assert.equal(result, 'unknown');
  assert.equal((await core.payment(paymentId)).payment.deadlineMs, null);
  line.script = approving;
  clock.advance(60_000);
  await core.tick();
  const { payment, reversal } = await core.payment(paymentId);
  assert.deepEqual([payment.state, reversal?.responseCode], ['reversed', '00']);
  assert.equal(fieldText(line.sent.at(-1), 22), '072');
  assert.deepEqual(await store.ledgerEntries(), []);

  const again = await payOrder(core, peer, lost.orderId, { interface: 'contactless' });
  const paid = (await core.payment(again.paymentId)).payment;
  assert.deepEqual([paid.state, paid.deadlineMs], ['captured', null]);
  clock.advance(3_600_000);
  assert.equal((await core.tick()).overdue, 0, 'nothing waits for a completion');
  assert.equal((await core.order(lost.orderId)).status, 'paid');
});

test('contactless: above the limit of the reader nothing is sent', async () => {
  const { core, line } = await testGateway();
  const tap = { interface: 'contactless' } as const;
  const over = await newOrder(core, { amount: '5000.01' });
  const refused = payOrder(core, testPeer(), over.orderId, tap);
  await assert.rejects(refused, code('ERR_PAYMENT_AMOUNT'));
  assert.equal(line.sent.length, 0);
  const most = await newOrder(core, { amount: '5000.00' });
  assert.equal((await payOrder(core, testPeer(), most.orderId, tap)).responseCode, '00');
  const inserted = await payOrder(core, testPeer(), over.orderId);
  assert.equal(inserted.responseCode, '00');
});

test('lab fault flip-mac: one bit of F128 is wrong; outside the lab it cannot be asked for', async () => {
  const lab = await testGateway({ lab: true });
  const order = await newOrder(lab.core, { lab: { fault: 'flip-mac' } });
  await payOrder(lab.core, testPeer(), order.orderId);
  const sent = lab.line.sent[0]?.fields.get(128) as Uint8Array;
  const made = lab.hsm.requests.find(({ command }) => command === 'generateMac');
  assert.ok(made?.command === 'generateMac');
  const { mac } = await lab.hsm.call(made);
  const difference = BigInt(`0x${toHex(sent)}`) ^ BigInt(`0x${mac}`);
  assert.equal(difference.toString(2).replaceAll('0', '').length, 1);
  const live = await testGateway();
  await assert.rejects(newOrder(live.core, { lab: { fault: 'flip-mac' } }), code('ERR_LAB_ONLY'));
});

test('the first hop is the order, and its time is the order’s', async () => {
  const { core, clock, hops } = await testGateway();
  const order = await newOrder(core);
  clock.advance(5_000);
  const { paymentId } = await payOrder(core, testPeer(), order.orderId);
  const { payment } = await core.payment(paymentId);
  assert.equal(payment.hops[0]?.atMs, START_MS);
  assert.equal(hops[0]?.name, 'order');
});

test('lab fault kill-gateway@HOP strikes between the durable states that its name says', async () => {
  const expected = [
    ['order', 'no order', 0],
    ['channel', 'no payment', 0],
    ['tap', 'no payment', 0],
    ['seal', 'no payment', 0],
    ['request', 'sending', 0],
    ['return', 'sending', 1],
    ['finish', 'authorised', 1],
    ['confirm', 'authorised', 1],
    ['tell', 'captured', 1],
  ] as const;
  for (const [hop, state, sent] of expected) {
    const { core, ports, store, line } = await testGateway({ lab: true });
    const seen: Promise<readonly [string, number]>[] = [];
    const look = async (): Promise<string> => {
      if (hop === 'order') return 'no order';
      const states = ['sending', 'authorised', 'captured'] as const;
      const [payment] = await store.listPayments({ states, limit: 1 });
      return payment?.state ?? 'no payment';
    };
    const crash = (): void => {
      const sentBefore = line.sent.length;
      seen.push(look().then((found) => [found, sentBefore] as const));
    };
    Object.assign(ports, { crash });
    const order = await newOrder(core, { lab: { fault: `kill-gateway@${hop}` } });
    const peer = testPeer();
    const { paymentId } = await payOrder(core, peer, order.orderId);
    await core.complete(peer, completionOf(paymentId, 'TC'));
    assert.deepEqual(await Promise.all(seen), [[state, sent]], hop);
  }
});
