/**
 * Shows that a host is taken only after its hello, that every way in which it can be lost has one
 * code and is told once, and that long frames pass in chunks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cutNativeFrame,
  NATIVE_FRAME_BYTES_MAX,
  NATIVE_HELLO_TIMEOUT_MS,
  NATIVE_HOST_NAME,
  type NativeHostFrame,
  NativeJoiner,
} from '@tapnpay/protocol/wire';
import { FakeBrowser, FakeClock, framesTo, GATEWAY, HOST_HELLO } from '../browser.test-kit.ts';
import { NativeLink } from './native-link.ts';

const SESSION = '0192f4c0-0000-7000-8000-000000000001';
const PAGE = { origin: GATEWAY, tabId: 7, frameId: 0 };

function setUp() {
  const browser = new FakeBrowser();
  const clock = new FakeClock();
  const log: string[] = [];
  const frames: unknown[] = [];
  const link = new NativeLink({
    runtime: browser.api.runtime,
    after: clock.after,
    page: PAGE,
    onHello: ({ version }) => log.push(`hello ${version}`),
    onFrame: (frame) => {
      log.push(frame.type);
      frames.push(frame);
    },
    onLost: (code, detail) => log.push(`${code} ${detail}`.trim()),
  });
  const greeted = () => {
    link.open();
    browser.host.say(HOST_HELLO);
    log.length = 0;
    return browser.host;
  };
  return { browser, clock, log, frames, link, greeted };
}

test('opens the host of our name and says at once whose page it is for', () => {
  const { browser, link } = setUp();
  link.open();
  assert.equal(browser.host.name, NATIVE_HOST_NAME);
  assert.deepEqual(browser.host.sent, [
    { type: 'hello', version: '0.1.0', protocol: { min: 1, max: 1 }, page: PAGE },
  ]);
});

test('tells the hello once and stops its clock', () => {
  const { browser, clock, link, log } = setUp();
  link.open();
  browser.host.say(HOST_HELLO);
  clock.pass(2 * NATIVE_HELLO_TIMEOUT_MS);
  assert.deepEqual(log, ['hello 0.1.0']);
  assert.equal(clock.waiting, 0);
});

test('ERR_HOST_TIMEOUT: no hello in 5 s, and the host is let go', () => {
  const { browser, clock, link, log } = setUp();
  link.open();
  clock.pass(NATIVE_HELLO_TIMEOUT_MS - 1);
  assert.deepEqual(log, []);
  clock.pass(1);
  assert.deepEqual(log, ['ERR_HOST_TIMEOUT no hello in 5000 ms']);
  assert.equal(browser.host.isOpen, false);
  browser.host.say(HOST_HELLO);
  assert.equal(log.length, 1, 'a late hello is nobody’s');
});

for (const [text, code] of [
  ['Specified native messaging host not found.', 'ERR_HOST_MISSING'],
  ['Access to the specified native messaging host is forbidden.', 'ERR_HOST_FORBIDDEN'],
  ['Native host has exited.', 'ERR_HOST_EXITED'],
  ['Error when communicating with the native messaging host.', 'ERR_HOST_PROTOCOL'],
] as const) {
  test(`${code}: with the browser's text, once`, () => {
    const { browser, clock, link, log } = setUp();
    link.open();
    browser.hostEnds(browser.host, text);
    clock.pass(NATIVE_HELLO_TIMEOUT_MS);
    assert.deepEqual(log, [`${code} ${text}`]);
  });
}

test("Firefox's text stands on the port itself", () => {
  const { browser, link, log } = setUp();
  link.open();
  browser.host.error = { message: `No such native application ${NATIVE_HOST_NAME}` };
  browser.host.close();
  assert.deepEqual(log, [`ERR_HOST_MISSING No such native application ${NATIVE_HOST_NAME}`]);
});

test('a browser that refuses to connect at all', () => {
  const { browser, link, log } = setUp();
  browser.connectFault = new Error('Access to the specified native messaging host is forbidden.');
  link.open();
  assert.match(log[0] ?? '', /^ERR_HOST_FORBIDDEN /);
  link.send({ type: 'doctor' });
  assert.equal(log.length, 1);
});

test('ERR_HOST_OUTDATED and ERR_EXTENSION_OUTDATED: no version in common, by who is behind', () => {
  for (const [protocol, code] of [
    [{ min: 0, max: 0 }, 'ERR_HOST_OUTDATED host 0.1.0 speaks 0 to 0'],
    [{ min: 2, max: 3 }, 'ERR_EXTENSION_OUTDATED host 0.1.0 speaks 2 to 3'],
  ] as const) {
    const { browser, link, log } = setUp();
    link.open();
    browser.host.say({ ...HOST_HELLO, protocol });
    assert.deepEqual(log, [code]);
    assert.equal(browser.host.isOpen, false);
  }
});

test('ERR_HOST_PROTOCOL: what is no frame, a frame before hello, a second hello', () => {
  const state = { type: 'state', session: SESSION, state: { name: 'connecting' } };
  const wrong: readonly (readonly [string, readonly unknown[]])[] = [
    ['no frame', ['text']],
    ['unknown type', [{ type: 'apdu' }]],
    ['hello without a version', [{ ...HOST_HELLO, version: undefined }]],
    ['page before hello', [{ type: 'page', message: state }]],
    ['second hello', [HOST_HELLO, HOST_HELLO]],
    ['unknown message', [HOST_HELLO, { type: 'page', message: { type: 'apdu' } }]],
    ['chunks out of order', [{ type: 'chunk', id: 1, index: 1, count: 2, text: '' }]],
  ];
  for (const [name, frames] of wrong) {
    const { browser, link, log } = setUp();
    link.open();
    for (const frame of frames) browser.host.say(frame);
    assert.match(log.at(-1) ?? '', /^ERR_HOST_PROTOCOL /, name);
    assert.equal(browser.host.isOpen, false, name);
  }
});

test('a host that will not serve the page may say so instead of hello', () => {
  const { browser, link, log } = setUp();
  link.open();
  const error = { code: 'ERR_ORIGIN', message: 'no', data: {} };
  browser.host.say({ type: 'page', message: { type: 'refused', error } });
  assert.deepEqual(log, ['page']);
});

test('frames pass both ways after hello', () => {
  const { link, log, greeted } = setUp();
  const host = greeted();
  host.say({ type: 'page', message: { type: 'openChannel', session: SESSION } });
  link.send({ type: 'page', message: { type: 'channelOpened', session: SESSION } });
  assert.deepEqual(log, ['page']);
  assert.deepEqual(framesTo(host), [
    { type: 'page', message: { type: 'channelOpened', session: SESSION } },
  ]);
});

test('long frames pass in chunks, both ways', () => {
  const { link, frames, greeted } = setUp();
  const host = greeted();
  const base64 = 'A'.repeat(199_996);
  const message = { type: 'channelData', session: SESSION, base64 } as const;
  // Quotes become two characters each in JSON: this frame is over the limit as a whole.
  const long = { ...message, base64: base64 + '"'.repeat(NATIVE_FRAME_BYTES_MAX / 4) };
  link.send({ type: 'page', message: long });
  const joiner = new NativeJoiner();
  const chunks = framesTo(host);
  assert.ok(chunks.length > 1 && chunks.every(({ type }) => type === 'chunk'));
  const joined = chunks.map((chunk) => joiner.take(chunk)).at(-1);
  assert.deepEqual(joined, { type: 'page', message: long });
  const check = (id: number) => ({
    id: `check${id}`,
    state: 'ok' as const,
    code: null,
    facts: { text: 'x'.repeat(4_096) },
  });
  const facts = Object.fromEntries(
    Array.from({ length: 16 }, (_, at) => [`f${at}`, 'x'.repeat(4_096)]),
  );
  const checks = Array.from({ length: 8 }, (_, at) => ({ ...check(at), facts }));
  const report: NativeHostFrame = { type: 'report', report: { checks } };
  const parts = cutNativeFrame(report, 1);
  assert.ok(parts.length > 1);
  for (const part of parts) host.say(part);
  assert.deepEqual(frames, [report]);
});

test('after close nothing is told and nothing is sent', () => {
  const { browser, clock, link, log, greeted } = setUp();
  const host = greeted();
  link.close();
  assert.equal(host.isOpen, false);
  host.say({ type: 'page', message: { type: 'openChannel', session: SESSION } });
  browser.hostEnds(host, 'Native host has exited.');
  link.send({ type: 'doctor' });
  clock.pass(NATIVE_HELLO_TIMEOUT_MS);
  assert.deepEqual(log, []);
  assert.deepEqual(framesTo(host), []);
});

test('ERR_MESSAGE_TOO_LARGE: the port itself takes no more', () => {
  const { link, log, greeted } = setUp();
  greeted().fault = new Error('Message length exceeded maximum allowed length.');
  link.send({ type: 'doctor' });
  assert.match(log[0] ?? '', /^ERR_MESSAGE_TOO_LARGE /);
});
