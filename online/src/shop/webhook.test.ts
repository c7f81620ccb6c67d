/** Shows that only a fresh message signed with our secret is a notification. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { START_MS, signed, TEST_SECRET } from './shop.test-kit.ts';
import { verifyWebhook, type WebhookMessage, webhookSecretBytes } from './webhook.ts';

const rule = { secret: TEST_SECRET, toleranceMs: 300_000, nowMs: START_MS };
const codeFor = (message: WebhookMessage, nowMs = START_MS): unknown => {
  try {
    verifyWebhook(message, { ...rule, nowMs });
    return null;
  } catch (fault) {
    return fault instanceof Error && 'code' in fault ? fault.code : fault;
  }
};

test('the published example of Standard Webhooks is accepted', () => {
  const message = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: '1614265330',
    signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    body: '{"test": 2432232314}',
  };
  const secret = webhookSecretBytes('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  verifyWebhook(message, { secret, toleranceMs: 300_000, nowMs: 1_614_265_330_000 });
});

test('a changed body, id, time or secret is refused, and so is a missing part', () => {
  const good = signed('{"a":1}');
  assert.equal(codeFor(good), null);
  const flipped = (good.signature ?? '').replace(/,./, (text) => (text === ',A' ? ',B' : ',A'));
  const bad: readonly Partial<WebhookMessage>[] = [
    { body: '{"a":2}' },
    { body: '' },
    { id: 'msg_other' },
    { id: null },
    { id: '' },
    { timestamp: String(START_MS / 1000 + 1) },
    { timestamp: null },
    { timestamp: '1e9' },
    { timestamp: '-1' },
    { signature: null },
    { signature: '' },
    { signature: 'v1,' },
    { signature: (good.signature ?? '').replace('v1,', 'v1a,') },
    { signature: (good.signature ?? '').slice(0, -2) },
    { signature: flipped },
  ];
  for (const change of bad) {
    assert.equal(codeFor({ ...good, ...change }), 'ERR_SIGNATURE', JSON.stringify(change));
  }
  const foreign = signed('{"a":1}', { secret: new Uint8Array(24) });
  assert.equal(codeFor(foreign), 'ERR_SIGNATURE');
});

test('five minutes too early or too late are tolerated, a second more is not', () => {
  const good = signed('{}');
  const ownSecond = START_MS - (START_MS % 1000);
  for (const [offsetMs, code] of [
    [300_000, null],
    [-300_000, null],
    [301_000, 'ERR_TIMESTAMP'],
    [-301_000, 'ERR_TIMESTAMP'],
  ] as const) {
    assert.equal(codeFor(good, ownSecond + offsetMs), code);
  }
});

test('while a secret changes one of several signatures is enough, but not the ninth', () => {
  const good = signed('{}');
  const other = signed('{}', { secret: new Uint8Array(24) }).signature;
  assert.equal(codeFor({ ...good, signature: `${other} ${good.signature}` }), null);
  const many = Array.from({ length: 8 }, () => other).join(' ');
  assert.equal(codeFor({ ...good, signature: `${many} ${good.signature}` }), 'ERR_SIGNATURE');
});
