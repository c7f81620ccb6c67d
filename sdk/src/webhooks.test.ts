/** Shows which notifications are taken. The vector is computed with Node's own HMAC. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { verifyWebhook, type WebhookMessage } from './webhooks.ts';

const secret = `whsec_${Buffer.from('a secret of 24 bytes ...').toString('base64')}`;
const other = `whsec_${Buffer.from('another secret').toString('base64')}`;
const nowMs = 1_800_000_000_000;
const event = {
  type: 'payment.approved',
  timestamp: '2027-01-15T08:00:00Z',
  data: { sequence: 2 },
};

function signed(text: string, by: string, at = nowMs, id = 'msg_1'): WebhookMessage {
  const timestamp = String(Math.floor(at / 1000));
  const key = Buffer.from(by.slice(6), 'base64');
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${mac}`,
  };
  return { headers, body: text };
}
const right = signed(JSON.stringify(event), secret);
const refusal = (
  message: WebhookMessage,
  rule: Partial<Parameters<typeof verifyWebhook>[1]> = {},
) =>
  verifyWebhook(message, { secrets: [secret], nowMs, ...rule }).then(
    () => 'taken',
    (fault: { code: string }) => fault.code,
  );
const withHeader = (name: string, value: string): WebhookMessage => ({
  ...right,
  headers: { ...(right.headers as Record<string, string>), [name]: value },
});

test('a signed notification becomes its event, by plain headers and by Headers', async () => {
  assert.deepEqual(await verifyWebhook(right, { secrets: [secret], nowMs }), event);
  const headers = new Headers(right.headers as Record<string, string>);
  assert.deepEqual(await verifyWebhook({ ...right, headers }, { secrets: [secret], nowMs }), event);
});

test('while a secret is changed, either secret and either signature will do', async () => {
  assert.equal(await refusal(right, { secrets: [other, secret] }), 'taken');
  const mine = String((right.headers as Record<string, string>)['webhook-signature']);
  assert.equal(
    await refusal(withHeader('webhook-signature', `v1,${'A'.repeat(43)}= ${mine}`)),
    'taken',
  );
});

test('another body, id, time, secret, version or form is refused', async () => {
  const code = 'ERR_WEBHOOK_SIGNATURE';
  assert.equal(await refusal({ ...right, body: `${right.body} ` }), code);
  assert.equal(await refusal(right, { secrets: [other] }), code);
  assert.equal(await refusal(right, { secrets: [] }), code);
  assert.equal(await refusal(withHeader('webhook-id', 'msg_2')), code);
  assert.equal(await refusal(withHeader('webhook-timestamp', '1800000001')), code);
  assert.equal(await refusal(withHeader('webhook-timestamp', 'now')), code);
  assert.equal(await refusal(withHeader('webhook-signature', 'v1,short')), code);
  const mine = String((right.headers as Record<string, string>)['webhook-signature']);
  assert.equal(await refusal(withHeader('webhook-signature', mine.replace('v1', 'v2'))), code);
  const many = `${'v1,x '.repeat(8)}${mine}`;
  assert.equal(await refusal(withHeader('webhook-signature', many)), code, 'bounded');
  assert.equal(await refusal({ headers: {}, body: right.body }), code);
});

test('a notification from another time is refused though its signature is right', async () => {
  const text = JSON.stringify(event);
  assert.equal(await refusal(signed(text, secret, nowMs - 300_000)), 'taken');
  assert.equal(await refusal(signed(text, secret, nowMs - 301_000)), 'ERR_WEBHOOK_TIMESTAMP');
  assert.equal(await refusal(signed(text, secret, nowMs + 301_000)), 'ERR_WEBHOOK_TIMESTAMP');
  const old = signed(text, secret, nowMs - 900_000);
  assert.equal(await refusal(old, { toleranceMs: 900_000 }), 'taken');
});

test('a signed body that is no event is refused', async () => {
  for (const text of ['', 'null', '[]', '{"type":1}', '{"type":"a","timestamp":"b"}']) {
    assert.equal(await refusal(signed(text, secret)), 'ERR_WEBHOOK_BODY', text);
  }
});
