/**
 * The benchmark's parts without a browser: the page's script against an extension of the test, the
 * host without work as a process, and what is said when a browser or Playwright is missing.
 */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { toPluginOf } from '@tapnpay/protocol/wire';
import { thisMachine } from '../../doctor/machine.ts';
import { chromiumPath, loadPlaywright } from './browser.ts';
import { PAGE_SCRIPT, pageCalls } from './page-script.ts';

const ORIGIN = 'http://127.0.0.1:4600';
const SESSION = '11111111-2222-4333-8444-555555555555';

type ToPlugin = NonNullable<ReturnType<typeof toPluginOf>>;
type Reply = (body: object) => void;
type Extension = (asked: ToPlugin, reply: Reply) => void;

/** A page with the script, and the extension that answers it; what it sent to the bridge. */
function pageWith(extension: Extension) {
  const listeners: ((event: object) => void)[] = [];
  const sent: string[] = [];
  const sockets: string[] = [];
  class Socket {
    onopen = (): void => {};
    onmessage = (_: { data: ArrayBuffer }): void => {};
    onclose = (): void => {};
    constructor(url: string) {
      sockets.push(url);
      setImmediate(() => this.onopen());
    }
    send(bytes: Uint8Array): void {
      sent.push(Buffer.from(bytes).toString());
      const data = new Uint8Array(Buffer.from('answer')).buffer;
      setImmediate(() => this.onmessage({ data }));
    }
    close(): void {}
  }
  const window = {
    postMessage: (data: unknown, target: string) => {
      assert.equal(target, ORIGIN);
      const asked = toPluginOf(data);
      assert.ok(asked, `the extension takes it: ${JSON.stringify(data)}`);
      const { channel } = asked;
      extension(asked, (body) => tell({ tapnpay: 'toPage', channel, ...body }));
    },
  };
  const tell = (data: object, source: unknown = window): void => {
    setImmediate(() => {
      for (const listener of listeners) listener({ source, origin: ORIGIN, data });
    });
  };
  const context = createContext({
    ...{ window, crypto, performance, setTimeout, clearTimeout, btoa, atob, WebSocket: Socket },
    location: { origin: ORIGIN },
    addEventListener: (_: string, listener: (event: object) => void) => listeners.push(listener),
  });
  runInContext(PAGE_SCRIPT, context);
  const call = <Answer>(expression: string) => runInContext(expression, context) as Promise<Answer>;
  return { call, sent, sockets };
}

const HELLO = { kind: 'hello', version: '0.1.0', protocol: { min: 1, max: 1 }, readers: [] };
const message = (said: object) => ({ kind: 'message', message: said });

/** Greets, and leaves the rest to `then`. */
function greeting(then: Extension): Extension {
  return (asked, reply) => {
    if (asked.kind === 'open') reply({ ...HELLO, element: { id: 'E', state: 'operable' } });
    else if (asked.kind === 'message' && asked.message.type === 'hello') {
      reply(message({ type: 'welcome' }));
    } else then(asked, reply);
  };
}

test('the page opens the port, and carries the records of a payment to the bridge', async () => {
  const page = pageWith(
    greeting((asked, reply) => {
      if (asked.kind !== 'message') return;
      const { type } = asked.message;
      const of = (facts: object) => reply(message({ session: SESSION, ...facts }));
      if (type === 'pay') of({ type: 'openChannel' });
      if (type === 'channelOpened') {
        of({ type: 'channelData', base64: Buffer.from('records').toString('base64') });
      }
      if (asked.message.type === 'channelData') {
        const { base64 } = asked.message;
        assert.equal(Buffer.from(base64, 'base64').toString(), 'answer');
        of({ type: 'result', result: { channel: { resumed: true } } });
      }
    }),
  );
  const beforeMs = Date.now();
  const { openedAtMs } = await page.call<{ openedAtMs: number }>(pageCalls.open());
  assert.ok(openedAtMs >= beforeMs && openedAtMs <= Date.now());
  const pay = pageCalls.pay({ session: SESSION, orderId: 'o' });
  const paid = await page.call<{ result: { channel: { resumed: boolean } }; code: null }>(pay);
  assert.deepEqual([paid.result.channel.resumed, paid.code], [true, null]);
  assert.deepEqual(page.sockets, ['ws://127.0.0.1:4600/v1/channel']);
  assert.deepEqual(page.sent, ['records']);
});

test('a payment that fails has its code; a lost way fails with its own', async () => {
  const failing = pageWith(
    greeting((_, reply) => {
      const error = { code: 'ERR_BUSY', message: '', data: {} };
      reply(message({ type: 'failed', session: SESSION, error }));
    }),
  );
  await failing.call(pageCalls.open());
  const pay = pageCalls.pay({ session: SESSION, orderId: 'o' });
  const { code } = await failing.call<{ code: string }>(pay);
  assert.equal(code, 'ERR_BUSY');
  const lost = pageWith((_, reply) =>
    reply({ kind: 'lost', code: 'ERR_HOST_MISSING', detail: 'not found' }),
  );
  await assert.rejects(lost.call(pageCalls.open()), /ERR_HOST_MISSING: not found/);
  const refusing = pageWith((asked, reply) => {
    if (asked.kind === 'open') reply({ ...HELLO, element: { id: null, state: 'notEnrolled' } });
    else reply(message({ type: 'refused', error: { code: 'ERR_ORIGIN', message: '', data: {} } }));
  });
  await assert.rejects(refusing.call(pageCalls.open()), /ERR_ORIGIN/);
});

for (const [kind, bytes, types] of [
  ['question', 16, ['pay']],
  ['question', 1024, ['channelData', 'pay']],
  ['echo', 16, ['channelData']],
] as const) {
  test(`a round trip of ${bytes} B by ${kind} is one answer to ${types.join(' and ')}`, async () => {
    const asked: string[] = [];
    const page = pageWith(
      greeting(({ kind: what, ...rest }, reply) => {
        assert.equal(what, 'message');
        const said = (rest as { message: { type: string; base64?: string; orderId?: string } })
          .message;
        asked.push(said.type);
        if (said.type === 'channelData') assert.equal(said.base64?.length, bytes);
        if (said.type === 'pay' && bytes === 16) assert.equal(said.orderId?.length, bytes);
        if (said.type === types.at(-1)) {
          const answer = kind === 'echo' ? said : { type: 'failed' };
          reply(message(answer));
        }
      }),
    );
    await page.call(pageCalls.open());
    const trips = pageCalls.roundTrips({ session: SESSION, bytes, count: 3, kind });
    const times = await page.call<number[]>(trips);
    assert.equal(times.length, 3);
    assert.ok(times.every((ms) => ms >= 0));
    assert.deepEqual(asked, [...types, ...types, ...types]);
  });
}

class EchoHost {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  #held = Buffer.alloc(0);

  constructor(kind: string) {
    const entry = join(import.meta.dirname, 'echo-host.ts');
    this.child = spawn(process.execPath, [entry, kind], { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  say(said: object): void {
    const body = Buffer.from(JSON.stringify({ type: 'page', message: said }));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    // In two writes: a pipe keeps no frames together.
    this.child.stdin.write(Buffer.concat([head, body.subarray(0, 5)]));
    this.child.stdin.write(body.subarray(5));
  }

  async next(): Promise<{ readonly type: string; readonly message?: { readonly type: string } }> {
    while (this.#held.length < 4 || this.#held.length < 4 + this.#held.readUInt32LE()) {
      const [chunk] = (await once(this.child.stdout, 'data')) as [Buffer];
      this.#held = Buffer.concat([this.#held, chunk]);
    }
    const end = 4 + this.#held.readUInt32LE();
    const frame = JSON.parse(this.#held.toString('utf8', 4, end));
    this.#held = this.#held.subarray(end);
    return frame;
  }
}

test('the host without work answers what must be answered, and ends with its input', async () => {
  for (const kind of ['silent', 'echo']) {
    const host = new EchoHost(kind);
    assert.equal((await host.next()).type, 'hello');
    host.say({ type: 'hello', version: 1, token: null });
    assert.equal((await host.next()).message?.type, 'welcome');
    host.say({ type: 'channelData', session: SESSION, base64: 'AAAA' });
    if (kind === 'echo') assert.equal((await host.next()).message?.type, 'channelData');
    host.say({ type: 'pay', session: SESSION, orderId: 'o' });
    assert.equal((await host.next()).message?.type, 'failed');
    host.child.stdin.end();
    const [code] = await once(host.child, 'exit');
    assert.equal(code, 0);
  }
});

test('a missing browser and a missing Playwright are said, with what to do', async () => {
  const empty = { ...thisMachine, findProgram: () => null, exists: () => false };
  await assert.rejects(chromiumPath(empty), { code: 'ERR_BENCH_BROWSER', message: /apt-get/ });
  const nowhere = pathToFileURL(join(tmpdir(), 'x.js')).href;
  assert.throws(() => loadPlaywright(nowhere), { code: 'ERR_BENCH_BROWSER', message: /npm ci/ });
  assert.ok(loadPlaywright().chromium, 'positive control');
});
