/** Shows which messages of pages and windows have a shape, and that nothing else passes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageMessageShape, pairingRequestShape, windowMessageShape } from './agent-shapes.ts';
import { checkShape, type Shape } from './shape.ts';

const session = '11111111-2222-4333-8444-555555555555';
const sealedPin = 'AB'.repeat(256);
const GOOD: readonly (readonly [Shape<unknown>, Readonly<Record<string, unknown>>])[] = [
  [pageMessageShape, { type: 'hello', version: 1, token: null }],
  [pageMessageShape, { type: 'hello', version: 1, token: 'a-B_9' }],
  [pageMessageShape, { type: 'pay', session, orderId: 'ord.1' }],
  [pageMessageShape, { type: 'balance', session }],
  [pageMessageShape, { type: 'channelData', session, base64: 'AQI=' }],
  [pageMessageShape, { type: 'channelOpened', session }],
  [pageMessageShape, { type: 'channelClosed', session }],
  [pageMessageShape, { type: 'cancel', session }],
  [windowMessageShape, { type: 'consent', session, given: false }],
  [windowMessageShape, { type: 'pin', session, sealedPin }],
  [windowMessageShape, { type: 'pin', session, sealedPin: null }],
  [windowMessageShape, { type: 'present', card: 'x', interface: 'contact', liftAfter: 3 }],
  [windowMessageShape, { type: 'takeAway' }],
  [pairingRequestShape, { code: 'ABCD-EFGH', origin: null }],
];
const BAD: readonly (readonly [Shape<unknown>, unknown])[] = [
  [pageMessageShape, { type: 'hello', version: 1 }],
  [pageMessageShape, { type: 'hello', version: 1, token: 'x'.repeat(129) }],
  [pageMessageShape, { type: 'hello', version: 1, token: '' }],
  [pageMessageShape, { type: 'pay', session, orderId: '../x' }],
  [pageMessageShape, { type: 'pay', session: 'x', orderId: 'o' }],
  [pageMessageShape, { type: 'balance', session: 'x' }],
  [pageMessageShape, { type: 'balance' }],
  [pageMessageShape, { type: 'balanceResult', session, balance: null, reason: null }],
  [pageMessageShape, { type: 'channelData', session, base64: 'a b' }],
  [pageMessageShape, { type: 'channelData', session, base64: 'A'.repeat(200_001) }],
  [pageMessageShape, { type: 'consent', session, given: true }],
  [pageMessageShape, null],
  [windowMessageShape, { type: 'consent', session, given: 'true' }],
  [windowMessageShape, { type: 'consent', session, given: 1 }],
  [windowMessageShape, { type: 'pin', session, sealedPin: '1234' }],
  [windowMessageShape, { type: 'pin', session }],
  [windowMessageShape, { type: 'present', card: 'x', interface: 'nfc', liftAfter: null }],
  [windowMessageShape, { type: 'present', card: 'x', interface: 'contact', liftAfter: 0.5 }],
  [windowMessageShape, { type: 'present', card: 'x', interface: 'contact' }],
  [windowMessageShape, { type: 'pay', session, orderId: 'o' }],
  [windowMessageShape, { type: 'balance', session }],
  [pairingRequestShape, { code: 'ABCD-EFGH' }],
  [pairingRequestShape, { code: 'A'.repeat(33), origin: null }],
];

test('each message passes, and what it carries beside its fields does not', () => {
  for (const [shape, message] of GOOD) {
    assert.deepEqual(checkShape(shape, { ...message, apdu: '00A4' }, 'message'), message);
  }
});

test('anything else is refused by name of its field', () => {
  for (const [shape, message] of BAD) {
    assert.throws(
      () => checkShape(shape, message, 'message'),
      { code: 'ERR_MESSAGE_FIELD' },
      JSON.stringify(message).slice(0, 80),
    );
  }
});
