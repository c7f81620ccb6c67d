/** Shows that page and content script know their own messages, and nothing else on the same bus. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  NATIVE_FAULT_CODES,
  PLUGIN_EVERY_CHANNEL,
  type ToPageBody,
  type ToPluginBody,
  toPageOf,
  toPluginOf,
} from './plugin-page.ts';

const CHANNEL = '0192f4c0-0000-7000-8000-000000000001';
const SESSION = '0192f4c0-0000-7000-8000-000000000002';

const TO_PLUGIN: readonly ToPluginBody[] = [
  { kind: 'ping' },
  { kind: 'open' },
  { kind: 'message', message: { type: 'pay', session: SESSION, orderId: 'o1' } },
  { kind: 'show' },
  { kind: 'doctor' },
  { kind: 'update' },
  { kind: 'close' },
];

const TO_PAGE: readonly ToPageBody[] = [
  { kind: 'here', version: '0.1.0' },
  {
    kind: 'hello',
    version: '0.1.0',
    protocol: { min: 1, max: 1 },
    element: { id: null, state: 'notEnrolled' },
    readers: [],
  },
  { kind: 'message', message: { type: 'openChannel', session: SESSION } },
  { kind: 'report', report: { checks: [] } },
  ...NATIVE_FAULT_CODES.map((code) => ({ kind: 'lost' as const, code, detail: '' })),
];

test('each message of the page is known in its own direction only', () => {
  for (const body of TO_PLUGIN) {
    const message = { tapnpay: 'toPlugin', channel: CHANNEL, ...body };
    assert.equal(toPluginOf(message), message, body.kind);
    assert.equal(toPageOf(message), null, body.kind);
    assert.equal(toPluginOf({ ...message, tapnpay: 'toPage' }), null, body.kind);
  }
});

test('each message of the content script is known in its own direction only', () => {
  for (const body of TO_PAGE) {
    const message = { tapnpay: 'toPage', channel: PLUGIN_EVERY_CHANNEL, ...body };
    assert.equal(toPageOf(message), message, body.kind);
    assert.equal(toPluginOf(message), null, body.kind);
  }
});

test('other data of the bus is not ours', () => {
  const ping = { tapnpay: 'toPlugin', channel: CHANNEL, kind: 'ping' };
  const foreign: readonly unknown[] = [
    null,
    undefined,
    'toPlugin',
    7,
    [ping],
    {},
    { tapnpay: 'toPlugin' },
    { ...ping, channel: '' },
    { ...ping, channel: 7 },
    { ...ping, channel: 'x'.repeat(65) },
    { ...ping, kind: 'pong' },
    { ...ping, kind: 'constructor' },
    { ...ping, kind: '__proto__' },
    { ...ping, kind: ['ping'] },
  ];
  for (const data of foreign) assert.equal(toPluginOf(data), null, JSON.stringify(data));
});

test('a message with a field of another shape is not ours', () => {
  const to = (body: object) => ({ tapnpay: 'toPage', channel: CHANNEL, ...body });
  const hello = { kind: 'hello', version: '1', protocol: {}, element: { state: 'x' }, readers: [] };
  assert.notEqual(toPageOf(to(hello)), null);
  const wrong: readonly object[] = [
    { kind: 'here' },
    { kind: 'here', version: 1 },
    { ...hello, protocol: null },
    { ...hello, element: {} },
    { ...hello, readers: {} },
    { kind: 'message', message: [] },
    { kind: 'message', message: { type: 1 } },
    { kind: 'report', report: { checks: {} } },
    { kind: 'lost', code: 'ERR_OTHER', detail: '' },
    { kind: 'lost', code: 'ERR_HOST_EXITED' },
  ];
  for (const body of wrong) assert.equal(toPageOf(to(body)), null, JSON.stringify(body));
  assert.equal(toPluginOf({ tapnpay: 'toPlugin', channel: CHANNEL, kind: 'message' }), null);
});
