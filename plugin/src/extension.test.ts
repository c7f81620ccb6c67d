/** Shows that a page hears its own extension and nobody else, in time, and within the size limit. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AGENT_MESSAGE_BYTES_MAX, PLUGIN_EVERY_CHANNEL, type ToPage } from '@tapnpay/protocol/wire';
import { Extension } from './extension.ts';
import { FakeExtension, PAGE_ORIGIN, TestClock } from './plugin.test-kit.ts';

function setUp(): {
  clock: TestClock;
  browser: FakeExtension;
  extension: Extension;
  unasked: ToPage[];
} {
  const clock = new TestClock();
  const browser = new FakeExtension(clock);
  const unasked: ToPage[] = [];
  const extension = new Extension((message) => unasked.push(message), browser);
  return { clock, browser, extension, unasked };
}
const ping = (extension: Extension): Promise<ToPage | null> =>
  extension.ask({ kind: 'ping' }, 'here', 1_000);

describe('asking', () => {
  test('the answer of this channel, and nothing is left running', async () => {
    const { browser, extension, clock, unasked } = setUp();
    const answer = await ping(extension);
    assert.equal(answer?.kind === 'here' && answer.version, '0.1.0');
    assert.deepEqual(browser.heard, [{ tapnpay: 'toPlugin', channel: 'channel-1', kind: 'ping' }]);
    assert.equal(clock.timers.size, 0);
    assert.deepEqual(unasked, []);
  });

  test('nobody answers: null after the time, and what comes later is unasked', async () => {
    const { browser, extension, clock, unasked } = setUp();
    browser.version = null;
    let answer: ToPage | null | undefined;
    void ping(extension).then((told) => {
      answer = told;
    });
    await clock.pass(999);
    assert.equal(answer, undefined);
    await clock.pass(1);
    assert.equal(answer, null);
    browser.say({ kind: 'here', version: '0.1.0' });
    assert.deepEqual(
      unasked.map(({ kind }) => kind),
      ['here'],
    );
  });

  test('`lost` answers every question, and is told besides', async () => {
    const { browser, extension, unasked } = setUp();
    browser.host = null;
    const open = extension.ask({ kind: 'open' }, 'hello', 5_000);
    const doctor = extension.ask({ kind: 'doctor' }, 'report', 60_000);
    browser.lose('ERR_HOST_EXITED', 'Native host has exited.');
    for (const answer of [await open, await doctor]) {
      assert.equal(answer?.kind === 'lost' && answer.code, 'ERR_HOST_EXITED');
    }
    assert.deepEqual(
      unasked.map(({ kind }) => kind),
      ['lost'],
    );
  });

  test('two questions at once have each their own answer', async () => {
    const { browser, extension } = setUp();
    const doctor = extension.ask({ kind: 'doctor' }, 'report', 60_000);
    assert.equal((await ping(extension))?.kind, 'here');
    browser.say({ kind: 'report', report: { checks: [] } });
    assert.equal((await doctor)?.kind, 'report');
  });
});

describe('forged messages', () => {
  const here = { tapnpay: 'toPage', channel: 'channel-1', kind: 'here', version: '9.9.9' };
  const self = 'the page';
  for (const [name, change] of [
    ['of another window', { source: { a: 'frame' } }],
    ['of no window', { source: null }],
    ['of another origin', { origin: 'https://evil.example' }],
    ['of an opaque origin', { origin: 'null' }],
    ['of another channel', { data: { ...here, channel: 'channel-2' } }],
    ['without a channel', { data: { ...here, channel: undefined } }],
    ['for the extension', { data: { ...here, tapnpay: 'toPlugin' } }],
    ['of another library', { data: { ...here, tapnpay: undefined } }],
    ['that are text', { data: JSON.stringify(here) }],
    ['that are nothing', { data: null }],
    ['that are undefined', { data: undefined }],
    ['that are a number', { data: 7 }],
  ] as const) {
    test(`${name} are nobody's answer`, async () => {
      const { browser, extension, clock, unasked } = setUp();
      browser.version = null;
      const answer = ping(extension);
      browser.event({ data: here, origin: PAGE_ORIGIN, source: browser.self, ...change });
      await clock.pass(1_000);
      assert.equal(await answer, null, self);
      assert.deepEqual(unasked, []);
    });
  }

  test('the extension that arrives speaks to every channel', () => {
    const { browser, unasked } = setUp();
    browser.arrive('0.2.0');
    assert.equal(unasked[0]?.channel, PLUGIN_EVERY_CHANNEL);
    assert.equal(unasked[0]?.kind === 'here' && unasked[0].version, '0.2.0');
  });
});

describe('the size of a message', () => {
  const data = (base64: string) => ({ type: 'channelData', session: 's', base64 }) as const;
  const overhead = JSON.stringify(data('')).length;
  const longest = data('A'.repeat(AGENT_MESSAGE_BYTES_MAX - overhead));
  const tooLong = data('A'.repeat(AGENT_MESSAGE_BYTES_MAX - overhead + 1));

  test('the longest one passes both ways', () => {
    const { browser, extension, unasked } = setUp();
    extension.post({ kind: 'message', message: longest });
    assert.equal(browser.heard.length, 1);
    browser.say({ kind: 'message', message: longest });
    assert.equal(unasked[0]?.kind, 'message');
  });

  test('one byte more does not leave the page, and is told as lost', () => {
    const { browser, extension, unasked } = setUp();
    extension.post({ kind: 'message', message: tooLong });
    assert.equal(browser.heard.length, 0);
    const [lost] = unasked;
    assert.equal(lost?.kind === 'lost' && lost.code, 'ERR_MESSAGE_TOO_LARGE');
  });

  test('one byte more is not heard either', () => {
    const { browser, unasked } = setUp();
    browser.channel = 'channel-1';
    browser.say({ kind: 'message', message: tooLong });
    const [lost] = unasked;
    assert.equal(lost?.kind === 'lost' && lost.code, 'ERR_MESSAGE_TOO_LARGE');
  });
});
