/**
 * Loads of the purse at the payment application: by insertion alone, signed by the card as what they
 * are, and never called done without the gateway's word.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, flattenTlv } from '@tapnpay/protocol/iso7816';
import { pay, typesOf } from './payment.test-kit.ts';

const LOAD = { order: { transactionType: '60' } } as const;

test('a load: the card signs 9C 60 by contact, and the gateway’s word ends it', () => {
  const { result, gateway } = pay(LOAD);
  assert.deepEqual([result.outcome, result.interface], ['approved', 'contact']);
  const values = flattenTlv(decodeTlv(fromHex(gateway.payment?.field55 ?? '')));
  assert.equal(toHex(values.get('9C') ?? new Uint8Array()), '60');
  assert.ok(gateway.isArqcValid && gateway.isElementSignatureValid);
});

test('the payer is told that it is a load, at the card and at the PIN', () => {
  for (const [order, kind] of [
    [LOAD, 'ecashLoad'],
    [{ order: { transactionType: '62' } }, 'ecashLoad'],
    [{}, 'purchase'],
  ] as const) {
    const { host } = pay(order);
    const asked = host.calls.flatMap((call) =>
      call.call === 'presentCard' || call.call === 'sealPin' ? [`${call.call} ${call.kind}`] : [],
    );
    assert.deepEqual(asked, [`presentCard ${kind}`, `sealPin ${kind}`]);
  }
});

test('a tap is not asked for, and not taken', () => {
  const { host } = pay(LOAD);
  const asked = host.calls.find((call) => call.call === 'presentCard');
  assert.deepEqual(asked?.call === 'presentCard' && asked.interfaces, ['contact']);
  const purchase = pay();
  const both = purchase.host.calls.find((call) => call.call === 'presentCard');
  assert.deepEqual(both?.call === 'presentCard' && both.interfaces, ['contact', 'contactless']);
});

test('debited, and the card got no new total: unknown, with the reason a person can act on', () => {
  const { result, gateway } = pay({ ...LOAD, onCompletion: 'unknown' });
  assert.deepEqual([result.outcome, result.reason], ['unknown', 'load:notGiven']);
  assert.equal(typesOf({ gateway } as never).at(-1), 'completion');
  const sale = pay({ onCompletion: 'unknown' }).result;
  assert.equal(sale.reason, 'gateway:completion', 'a sale is told as before');
});

test('no answer of the issuer is no load: the reason is the gateway’s', () => {
  const { result } = pay({ ...LOAD, onPayment: 'unknown' });
  assert.deepEqual([result.outcome, result.reason], ['unknown', 'gateway:unknown']);
});

test('a transaction type that nobody signed, or that is none, ends before the card', () => {
  for (const transactionType of ['01', '6', '', '00 '] as const) {
    const order = { transactionType: transactionType as '00' };
    const { result, host } = pay({ order });
    assert.equal(result.outcome, 'cancelled', transactionType);
    assert.ok(!host.calls.some(({ call }) => call === 'presentCard'));
  }
  const mangle = (message: unknown): unknown => {
    const sent = message as { readonly type: string; readonly order?: object };
    return sent.type === 'signedOrder'
      ? { ...sent, order: { ...sent.order, transactionType: '60' } }
      : message;
  };
  const bent = pay({ mangle: mangle as never }).result;
  assert.deepEqual([bent.outcome, bent.reason], ['cancelled', 'ERR_ORDER_SIGNATURE']);
});
