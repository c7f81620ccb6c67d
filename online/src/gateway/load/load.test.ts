/**
 * Shows a load at the gateway: debited and not confirmed from the answer on, never reversed by time
 * or restart, captured by the card's results alone; and that results go to the issuer as a notice,
 * once each, until they are acknowledged.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, encodeTlv, findTlv } from '@tapnpay/protocol/iso7816';
import type { SealedCompletion } from '@tapnpay/protocol/wire';
import { GatewayError } from '../errors.ts';
import {
  approving,
  completionOf,
  fieldText,
  newOrder,
  type PaymentChanges,
  payOrder,
  reply,
  type SwitchScript,
  type TestGateway,
  testGateway,
  testPeer,
} from '../gateway.test-kit.ts';
import { areScriptResults, haveSucceeded } from './model.ts';

const DAY_MS = 86_400_000;
const DONE = '20AABBCCDD';
const REFUSED = '11AABBCCDD';
const NOT_PERFORMED = '00AABBCCDD';
const LOAD: PaymentChanges = { field55: { '9C': '60' } };
const SCRIPT = '7211860F04DA9F790A000000001734AABBCCDD';

/** Approves with a script, acknowledges the rest. */
const loading: SwitchScript = (message) => {
  if (message.mti !== '0200') return approving(message);
  const proof = encodeTlv('91', fromHex('11223344556677883030'));
  return reply(message, '00', [[55, Uint8Array.from([...proof, ...fromHex(SCRIPT)])]]);
};
const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof GatewayError && thrown.code === wanted;

type Loading = TestGateway & {
  readonly peer: ReturnType<typeof testPeer>;
  readonly orderId: string;
  readonly paymentId: string;
};

async function loadingGateway(script: SwitchScript = loading): Promise<Loading> {
  const gateway = await testGateway();
  gateway.line.script = script;
  const peer = testPeer();
  const { orderId } = await newOrder(gateway.core, { kind: 'ecashLoad' });
  const { paymentId } = await payOrder(gateway.core, peer, orderId, LOAD);
  return { ...gateway, peer, orderId, paymentId };
}

const end = (paymentId: string, results: string): SealedCompletion => ({
  ...completionOf(paymentId, 'TC'),
  scriptResults: results,
});

async function where({ core, orderId, paymentId }: Loading): Promise<readonly string[]> {
  const { payment } = await core.payment(paymentId);
  return [payment.state, (await core.order(orderId)).status];
}

test('a load is its own message; its answer and script reach the application', async () => {
  const gateway = await testGateway();
  gateway.line.script = loading;
  const { orderId } = await newOrder(gateway.core, { kind: 'ecashLoad' });
  const answer = await payOrder(gateway.core, testPeer(), orderId, LOAD);
  const [request] = gateway.line.sent;
  assert.equal(
    `${request?.mti} ${fieldText(request, 3)} ${fieldText(request, 25)}`,
    '0200 600000 91',
  );
  assert.equal(answer.scripts.length, 1);
  assert.ok(answer.scripts[0]?.startsWith('72'));
});

test('the card has done the script: captured, paid, nothing owed to the merchant, issuer told', async () => {
  const load = await loadingGateway();
  const { core, line, store, peer, paymentId } = load;
  assert.deepEqual(await where(load), ['debitedNotConfirmed', 'processing']);
  const result = await core.complete(peer, end(paymentId, DONE));
  assert.equal(result.type === 'result' && result.outcome, 'approved');
  assert.deepEqual(await where(load), ['captured', 'paid']);
  assert.deepEqual(await store.ledgerEntries(), []);
  await core.tick();
  assert.equal(line.types(), '0200 0620');
  const [request, notice] = line.sent;
  assert.equal(fieldText(notice, 3) + fieldText(notice, 25), '60000091');
  const original = `0200${fieldText(request, 11)}${fieldText(request, 7)}4999000000149990000001`;
  assert.equal(fieldText(notice, 90), original);
  const told = findTlv(decodeTlv(notice?.fields.get(55) as Uint8Array), 'DF31');
  assert.equal(toHex(told?.value ?? new Uint8Array()), DONE);
  for (const secret of [22, 35, 52]) assert.equal(notice?.fields.has(secret), false);
  await core.tick();
  assert.equal(line.types(), '0200 0620', 'acknowledged once is told once');
});

test('twenty copies of a completion: one notice, one end, the same word', async () => {
  const load = await loadingGateway();
  const { core, line, peer, paymentId } = load;
  const copies = Array.from({ length: 20 }, () => core.complete(peer, end(paymentId, DONE)));
  for (const one of await Promise.all(copies)) {
    assert.equal(one.type === 'result' && one.outcome, 'approved');
  }
  await core.tick();
  await core.complete(peer, end(paymentId, REFUSED));
  await core.tick();
  assert.equal(line.types(), '0200 0620');
  assert.deepEqual(await where(load), ['captured', 'paid']);
});

for (const [name, results] of [
  ['refused', REFUSED],
  ['was not given', NOT_PERFORMED],
  ['says nothing', ''],
] as const) {
  test(`the card ${name}: it stays debited, unknown to the payer, processing to the merchant`, async () => {
    const load = await loadingGateway();
    const { core, line, peer, paymentId, clock, orderId } = load;
    const result = await core.complete(peer, end(paymentId, results));
    assert.equal(result.type === 'result' && result.outcome, 'unknown');
    clock.advance(365 * DAY_MS);
    await core.tick();
    assert.equal(await core.recover(), 0);
    await core.tick();
    assert.deepEqual(await where(load), ['debitedNotConfirmed', 'processing']);
    assert.ok(!line.types().includes('042'), line.types());
    assert.equal(line.types().includes('0620'), results !== '');
    await assert.rejects(payOrder(core, peer, orderId, LOAD), code('ERR_ORDER_BUSY'));
  });
}

test('no completion, a card that ends with an AAC, a restart: never reversed', async () => {
  const load = await loadingGateway();
  const { core, line, peer, paymentId, clock } = load;
  const aac = await core.complete(peer, completionOf(paymentId, 'AAC'));
  assert.equal(aac.type === 'result' && aac.outcome, 'unknown');
  clock.advance(DAY_MS);
  await core.tick();
  await core.recover();
  await core.tick();
  assert.equal(line.types(), '0200');
  assert.deepEqual(await where(load), ['debitedNotConfirmed', 'processing']);
});

test('no answer: reversed like every request, without an approval code, for the card was told nothing', async () => {
  const load = await loadingGateway((message) =>
    message.mti === '0200' ? 'timeout' : approving(message),
  );
  await load.core.tick();
  const [, reversal] = load.line.sent;
  assert.equal(reversal?.mti, '0420');
  assert.equal(fieldText(reversal, 3), '600000');
  assert.equal(reversal?.fields.has(38), false);
  assert.deepEqual(await where(load), ['reversed', 'open']);
});

test('a notice is repeated as 0621 with its numbers until it is acknowledged; a person hears of it', async () => {
  const load = await loadingGateway((message) =>
    message.mti.startsWith('062') ? 'timeout' : loading(message),
  );
  const { core, line, peer, paymentId, clock, store } = load;
  await core.complete(peer, end(paymentId, DONE));
  for (let tries = 0; tries < 12; tries++) {
    await core.tick();
    clock.advance(120_000);
  }
  const notices = line.sent.filter(({ mti }) => mti.startsWith('062'));
  assert.deepEqual(new Set(notices.slice(1).map(({ mti }) => mti)), new Set(['0621']));
  assert.equal(new Set(notices.map((one) => fieldText(one, 11) + fieldText(one, 7))).size, 1);
  const kinds = async () => (await store.listWorkItems(9)).map(({ kind }) => kind);
  assert.deepEqual(await kinds(), ['noticeUnanswered']);
  line.script = loading;
  await core.tick();
  assert.deepEqual(await kinds(), []);
  const count = line.sent.length;
  clock.advance(DAY_MS);
  await core.tick();
  assert.equal(line.sent.length, count);
});

test('answers that are no acknowledgement: another trace, a wrong MAC, try again', async () => {
  for (const [number, value] of [
    [11, '999999'],
    [128, new Uint8Array(8)],
    [39, '91'],
  ] as const) {
    const load = await loadingGateway(async (message) => {
      if (!message.mti.startsWith('062')) return loading(message);
      const good = await reply(message, number === 39 ? '91' : '00');
      if (number === 39) return good;
      return { ...good, fields: new Map([...good.fields, [number, value]]) };
    });
    await load.core.complete(load.peer, end(load.paymentId, DONE));
    await load.core.tick();
    assert.equal((await load.store.findNotice(load.paymentId))?.acknowledgedAtMs, null);
  }
});

test('keys change under a notice: its answer is under the keys of its request', async () => {
  const load = await loadingGateway();
  const { core, line, store, peer, paymentId } = load;
  line.script = (message) => {
    Object.assign(line, { keys: () => ({ pin: 'new-pin-key', mac: 'new-mac-key' }) });
    return reply(message, '00');
  };
  await core.complete(peer, end(paymentId, DONE));
  await core.tick();
  assert.equal((await store.findNotice(paymentId))?.responseCode, '00');
});

for (const refusal of ['30', '94', '98']) {
  test(`a notice that is answered ${refusal} may be known by a damaged copy alone: sent again`, async () => {
    const load = await loadingGateway(async (message) =>
      message.mti === '0620' ? reply(message, refusal) : loading(message),
    );
    const { core, store, peer, paymentId, clock, line } = load;
    await core.complete(peer, end(paymentId, DONE));
    await core.tick();
    assert.equal((await store.findNotice(paymentId))?.acknowledgedAtMs, null);
    clock.advance(60_000);
    await core.tick();
    assert.equal(line.types(), '0200 0620 0621');
    assert.equal((await store.findNotice(paymentId))?.responseCode, '00');
  });
}

test('the process died between results and end: the next sweep writes the end', async () => {
  const load = await loadingGateway();
  const { core, store, paymentId } = load;
  const life = { stan: '900001', transmission: '0314092653', nextAtMs: 0 };
  await store.addNotice({ paymentId, results: DONE, ...life });
  await core.tick();
  assert.deepEqual(await where(load), ['captured', 'paid']);
});

test('a sale tells its scripts too, whatever its own end', async () => {
  const gateway = await testGateway();
  const { core, line } = gateway;
  const peer = testPeer();
  const { orderId } = await newOrder(core);
  const { paymentId } = await payOrder(core, peer, orderId);
  await core.complete(peer, end(paymentId, REFUSED));
  await core.tick();
  assert.equal(line.types(), '0200 0620');
  assert.equal(fieldText(line.sent[1], 3), '000000');
  assert.equal((await core.order(orderId)).status, 'paid');
});

test('refused before anything is sent: a tap, another transaction type, a hold', async () => {
  const { core, line } = await testGateway();
  const peer = testPeer();
  const load = await newOrder(core, { kind: 'ecashLoad' });
  const tapped = { ...LOAD, interface: 'contactless' } as const;
  await assert.rejects(payOrder(core, peer, load.orderId, tapped), code('ERR_PAYMENT_FIELD'));
  await assert.rejects(payOrder(core, peer, load.orderId), code('ERR_PAYMENT_FIELD'));
  const sale = await newOrder(core);
  await assert.rejects(payOrder(core, peer, sale.orderId, LOAD), code('ERR_PAYMENT_FIELD'));
  const held = newOrder(core, { kind: 'ecashLoad', captureMode: 'manual' });
  await assert.rejects(held, code('ERR_REQUEST'));
  assert.equal(line.types(), '');
});

test('what is in the purse is neither voided nor refunded', async () => {
  const load = await loadingGateway();
  const { core, peer, paymentId, line } = load;
  await core.complete(peer, end(paymentId, DONE));
  const { merchantId } = await core.order(load.orderId);
  for (const kind of ['void', 'refund'] as const) {
    const wanted = { merchantId, paymentId, kind, identity: kind, fingerprint: kind };
    await assert.rejects(core.operate(wanted), code('ERR_PAYMENT_STATE'));
  }
  assert.equal(line.types(), '0200');
});

test('the signed order says what it is: another type is another signature', async () => {
  const { core } = await testGateway();
  for (const [kind, type] of [
    ['purchase', '00'],
    ['ecashLoad', '60'],
  ] as const) {
    const { orderId } = await newOrder(core, { kind });
    const asked = await core.requestOrder(testPeer(), orderId);
    assert.equal(asked.type === 'signedOrder' && asked.order.transactionType, type);
  }
});

test('results by form: five bytes each, and all of them successful', () => {
  for (const good of [DONE, DONE + REFUSED, NOT_PERFORMED]) assert.ok(areScriptResults(good));
  for (const bad of ['', '20', `${DONE}2`, '30AABBCCDD', DONE.repeat(17)]) {
    assert.equal(areScriptResults(bad), false, bad);
  }
  assert.deepEqual([DONE, DONE + DONE, DONE + REFUSED, NOT_PERFORMED, ''].map(haveSucceeded), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
