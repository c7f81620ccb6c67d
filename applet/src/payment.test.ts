/**
 * The payment application against the virtual card and a scripted gateway: how each refusal and
 * each lost end is told, and that nothing is called paid that is not.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayScript } from '../../protocol/node/gateway.test-peer.ts';
import { SAMPLE_PAN } from '../../protocol/src/emv/icc/sample.test-card.ts';
import { caKey, callsOf, hopsOf, parameters, pay, type Run, typesOf } from './payment.test-kit.ts';

const apdusOf = (run: Run) => callsOf(run, 'cardTransmit');

test('an approved payment: ARQC and signature hold, the card ends with a TC, hops in order', () => {
  const run = pay();
  const { result, gateway } = run;
  assert.equal(result.outcome, 'approved');
  assert.equal(result.charged, 'yes');
  assert.equal(result.reason, null);
  assert.equal(result.responseCode, '00');
  assert.equal(result.paymentId, 'payment-1');
  assert.equal(result.cryptogram.secondType, 'TC');
  assert.equal(result.dataAuthentication, 'DDA');
  assert.match(result.cryptogram.arqc ?? '', /^[0-9A-F]{16}$/);
  assert.match(result.cryptogram.arpc ?? '', /^[0-9A-F]{16}$/);
  assert.deepEqual(result.channel, { protocol: 'TLSv1.3', mutual: true, resumed: false });
  assert.equal(result.card?.panMasked, '629999******0009');
  assert.ok(gateway.isArqcValid && gateway.isElementSignatureValid);
  assert.deepEqual(typesOf(run), ['hello', 'orderRequest', 'payment', 'completion']);
  const inOrder = ['channel', 'tap', 'check', 'cryptogram', 'seal', 'finish', 'confirm'];
  assert.deepEqual(hopsOf(run), inOrder);
  assert.equal(result.interface, 'contact');
  assert.equal(callsOf(run, 'releaseCard'), 1);
});

test('the sealed payment carries what field 2, 14, 35, 52 and 55 need', () => {
  const { payment } = pay().gateway;
  assert.equal(payment?.pan, SAMPLE_PAN);
  assert.equal(payment?.interface, 'contact');
  assert.equal(payment?.applicationLabel, 'PBOC DEBIT');
  assert.equal(payment?.panSequenceNumber, '01');
  assert.equal(payment?.expiryYymm, '3112');
  assert.ok(payment?.track2.startsWith(`${SAMPLE_PAN}D3112`));
  assert.deepEqual(payment?.pin, { block: 'B4'.repeat(16), ksn: '01'.repeat(12) });
  assert.ok(payment?.field55.includes('9F0206000000001234'));
});

test('neither result nor hops show PAN, track 2 or PIN block', () => {
  const { result, host } = pay();
  const shown = JSON.stringify([result, host.hops]);
  assert.ok(JSON.stringify(pay().gateway.payment).includes(SAMPLE_PAN), 'positive control');
  for (const secret of [SAMPLE_PAN, `${SAMPLE_PAN}D`, 'B4B4B4B4']) {
    assert.ok(!shown.includes(secret), secret);
  }
});

test('messages in pieces of one byte are the same messages', () => {
  assert.equal(pay({}, { pieceBytes: 1 }).result.outcome, 'approved');
});

for (const code of ['55', '51', '05', '75']) {
  test(`the issuer's refusal ${code} ends the card with an AAC and is the issuer's`, () => {
    const { result } = pay({ responseCode: code });
    assert.equal(result.outcome, 'declined');
    assert.equal(result.reason, `issuer:${code}`);
    assert.equal(result.charged, 'no');
    assert.equal(result.cryptogram.secondType, 'AAC');
  });
}

test('a wrong ARPC after an approval: the card refuses, the gateway is told AAC (B3 §10.9)', () => {
  const { result, gateway } = pay({ isArpcWrong: true });
  assert.equal(result.outcome, 'declined');
  assert.equal(result.reason, 'card:AAC');
  assert.equal(result.tvr.slice(8), '40', 'issuer authentication failed');
  const completion = gateway.received.at(-1);
  assert.ok(completion?.type === 'completion');
  assert.equal(completion.completion.outcome, 'declined');
  assert.equal(completion.completion.secondType, 'AAC');
});

test('a card pulled before each APDU up to the cryptogram, for good: nothing charged', () => {
  const whole = pay();
  const sentAt = whole.host.calls.findIndex(
    (call, index) => call.call === 'channelSend' && index > 12,
  );
  const beforeSend = whole.host.calls
    .slice(0, sentAt)
    .filter(({ call }) => call === 'cardTransmit').length;
  assert.ok(beforeSend > 5 && beforeSend < apdusOf(whole));
  for (let number = 1; number <= beforeSend; number++) {
    const run = pay({}, { cardRemovedBefore: number });
    assert.equal(run.result.outcome, 'cancelled', `APDU ${number}`);
    assert.equal(run.result.reason, 'ERR_CARD_REMOVED');
    assert.equal(run.result.charged, 'no');
    assert.deepEqual(typesOf(run), ['hello', 'orderRequest', 'abandon']);
  }
  for (let number = beforeSend + 1; number <= apdusOf(whole); number++) {
    const run = pay({}, { cardRemovedBefore: number });
    assert.equal(run.result.outcome, 'unknown', `APDU ${number}`);
    assert.equal(run.result.charged, 'unknown');
    const completion = run.gateway.received.at(-1);
    assert.ok(completion?.type === 'completion');
    assert.equal(completion.completion.secondType, null);
    assert.equal(completion.completion.outcome, 'declined');
  }
});

test('a card pulled after the approval is settled once the gateway says reversed', () => {
  const number = apdusOf(pay());
  const { result } = pay({ onCompletion: 'reversed' }, { cardRemovedBefore: number });
  assert.equal(result.outcome, 'declined');
  assert.equal(result.reason, 'ERR_CARD_REMOVED');
  assert.equal(result.charged, 'no');
});

test('a channel lost after the payment was sent is unknown, and the card is ended', () => {
  const { result } = pay({ onPayment: 'close' });
  assert.equal(result.outcome, 'unknown');
  assert.equal(result.reason, 'ERR_CHANNEL_CLOSED');
  assert.equal(result.charged, 'unknown');
  assert.equal(result.cryptogram.secondType, 'AAC');
});

test('a channel lost after the completion is unknown, whatever the card said', () => {
  const { result } = pay({ onCompletion: 'close' });
  assert.equal(result.outcome, 'unknown');
  assert.equal(result.cryptogram.secondType, 'TC');
});

test('an answer that the gateway does not have is unknown', () => {
  const { result } = pay({ onPayment: 'unknown' });
  assert.equal(result.outcome, 'unknown');
  assert.equal(result.reason, 'gateway:unknown');
  assert.equal(result.paymentId, 'payment-1');
});

test('a gateway that sent nothing: cancelled, no offline approval instead (Y3)', () => {
  const run = pay({ onPayment: 'unable' });
  assert.equal(run.result.outcome, 'cancelled');
  assert.equal(run.result.reason, 'gateway:unable');
  assert.equal(run.result.charged, 'no');
  assert.equal(run.result.cryptogram.secondType, 'AAC');
  assert.equal(typesOf(run).at(-1), 'abandon');
});

test('a refusal before the commit point is cancelled; an inner fault is unknown', () => {
  const refused = pay({ onPayment: 'error:ERR_PAYMENT_SIGNATURE' }).result;
  assert.deepEqual(
    [refused.outcome, refused.reason, refused.charged],
    ['cancelled', 'ERR_PAYMENT_SIGNATURE', 'no'],
  );
  const inner = pay({ onPayment: 'error:ERR_INTERNAL' }).result;
  assert.deepEqual([inner.outcome, inner.charged], ['unknown', 'unknown']);
});

for (const [what, script, code] of [
  [
    'signed by nobody',
    { mangle: withOrder({ signature: '00'.repeat(64) }) },
    'ERR_ORDER_SIGNATURE',
  ],
  ['changed after signing', { mangle: withOrder({ amountMinor: '1' }) }, 'ERR_ORDER_SIGNATURE'],
  ['of another id', { order: { orderId: 'order-2' } }, 'ERR_ORDER_MISMATCH'],
  ['of amount 0', { order: { amountMinor: '0' } }, 'ERR_ORDER_FIELD'],
  ['of 13 digits', { order: { amountMinor: '1000000000000' } }, 'ERR_MESSAGE_FIELD'],
  ['of a negative amount', { order: { amountMinor: '-5' } }, 'ERR_MESSAGE_FIELD'],
  ['of an unknown currency', { order: { currency: '999' } }, 'ERR_ORDER_FIELD'],
  ['of month 13', { order: { dateYymmdd: '261301' } }, 'ERR_ORDER_FIELD'],
  ['of hour 24', { order: { timeHhmmss: '240000' } }, 'ERR_ORDER_FIELD'],
  ['of no web origin', { order: { origin: 'javascript:alert(1)' } }, 'ERR_ORDER_FIELD'],
] as const) {
  test(`an order ${what} is refused before the card is touched`, () => {
    const run = pay(script);
    assert.deepEqual([run.result.outcome, run.result.reason], ['cancelled', code]);
    assert.equal(run.result.charged, 'no');
    assert.equal(apdusOf(run), 0);
    assert.equal(callsOf(run, 'presentCard'), 0, 'nobody is asked for a card');
  });
}

function withOrder(change: object): NonNullable<GatewayScript['mangle']> {
  return (message) =>
    message.type === 'signedOrder'
      ? { ...message, order: { ...message.order, ...change } }
      : message;
}

test('a gateway that asks for no certificate, or speaks another version, gets nothing', () => {
  const notMutual = pay({}, { channel: { mutual: false } });
  assert.equal(notMutual.result.reason, 'ERR_CHANNEL_NOT_MUTUAL');
  assert.deepEqual(typesOf(notMutual), []);
  assert.equal(pay({ version: 1 }).result.reason, 'ERR_CHANNEL_VERSION');
});

test('junk from the gateway is a coded end: cancelled before the payment, unknown after it', () => {
  const junkAt = (type: string) => ({
    mangle: (message: { readonly type: string }) =>
      message.type === type ? { type: 'nonsense' } : message,
  });
  for (const type of ['welcome', 'signedOrder']) {
    const { result } = pay(junkAt(type));
    assert.deepEqual([result.outcome, result.reason], ['cancelled', 'ERR_MESSAGE_FIELD']);
  }
  for (const type of ['authorisation', 'result']) {
    assert.equal(pay(junkAt(type)).result.outcome, 'unknown', type);
  }
});

test('a message out of turn is refused', () => {
  const mangle = () => ({
    type: 'result',
    paymentId: 'x',
    outcome: 'approved',
    responseCode: '00',
  });
  assert.equal(pay({ mangle }).result.reason, 'ERR_CHANNEL_MESSAGE');
});

test("the gateway's own refusal keeps its code", () => {
  const mangle: GatewayScript['mangle'] = (message) =>
    message.type === 'signedOrder'
      ? { type: 'error', code: 'ERR_ORDER_PAID', message: 'paid', data: {} }
      : message;
  const { result } = pay({ mangle });
  assert.deepEqual([result.outcome, result.reason], ['cancelled', 'ERR_ORDER_PAID']);
});

test('a cardholder who gives no PIN cancels', () => {
  const { result } = pay({}, { pin: 'cancelled' });
  assert.deepEqual([result.outcome, result.charged], ['cancelled', 'no']);
  assert.equal(result.reason, 'cardholder:pin');
});

test('a card that does not authenticate under the sandbox CA is never asked for its PIN', () => {
  const runs = [
    pay({}, {}, { troubles: ['bad-icc-certificate'] }),
    pay({}, {}, { parameters: { caPublicKeys: [] } }),
  ];
  assert.ok(
    pay().host.calls.some(({ call }) => call === 'sealPin'),
    'positive control',
  );
  for (const { host, result } of runs) {
    assert.ok(!host.calls.some(({ call }) => call === 'sealPin'));
    assert.equal(result.dataAuthentication, 'failed');
    assert.equal(result.tvr.slice(0, 2), '08', 'DDA failed');
    assert.equal(result.tvr.slice(4, 6), '10', 'PIN required, no PIN pad');
  }
});

test('bad acceptance parameters end in a coded fault before the card is touched', () => {
  const bent = [{ ...caKey, sha1: '00'.repeat(20) }];
  const run = pay({}, {}, { parameters: { caPublicKeys: bent } });
  assert.deepEqual([run.result.outcome, run.result.reason], ['cancelled', 'ERR_KERNEL_CA_KEY']);
  assert.equal(callsOf(run, 'presentCard'), 0);
});

test('a card without our application is declined offline and the order stays payable', () => {
  const aids = [{ ...parameters.aids[0], aid: 'A000000003' }];
  const run = pay({}, {}, { parameters: { aids } });
  assert.deepEqual([run.result.outcome, run.result.charged], ['declined', 'no']);
  assert.equal(run.result.reason, 'terminal:noApplication');
  assert.equal(typesOf(run).at(-1), 'abandon');
});
