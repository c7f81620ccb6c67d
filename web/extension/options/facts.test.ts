/** Shows what the options page learns of host and gateways, and the report that it makes of it. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Port } from '@tapnpay/plugin/extension';
import type { DoctorReport, PluginVersions } from '@tapnpay/protocol/wire';
import {
  askGateway,
  askHost,
  DOCTOR_TIMEOUT_MS,
  type GatewayFact,
  type HostExamination,
  needOf,
  wholeReport,
} from './facts.ts';

const OWN = 'chrome-extension://abcdefghijklmnopabcdefghijklmnop';
const HELLO = {
  type: 'hello',
  version: '0.1.0',
  protocol: { min: 1, max: 1 },
  element: { id: 'SE-0001', state: 'operable' },
  readers: [],
} as const;
const VERSIONS: PluginVersions = {
  extension: {
    id: 'abcdefghijklmnopabcdefghijklmnop',
    geckoId: 'plugin@tapnpay.org',
    latest: '0.2.0',
    required: '0.1.0',
  },
  host: { latest: '0.1.0', required: '0.1.0' },
  protocol: { min: 1, max: 1 },
  install: {
    crx: 'https://pay.example/a',
    updateManifest: 'https://pay.example/b',
    xpi: 'https://pay.example/c',
    xpiUpdates: 'https://pay.example/d',
  },
};
const there = (versions: PluginVersions = VERSIONS): GatewayFact => ({
  origin: 'https://pay.example',
  state: 'there',
  versions,
});

function setUp() {
  const sent: { readonly type: string }[] = [];
  const state = { isOpen: true, nowMs: 0, lastError: '' };
  let hear = (_: unknown): void => {};
  let closed = (): void => {};
  const timers: { readonly ms: number; readonly call: () => void }[] = [];
  const port: Port = {
    name: 'host',
    postMessage: (message) => void sent.push(message as { type: string }),
    disconnect: () => {
      state.isOpen = false;
    },
    onMessage: {
      addListener: (listener) => {
        hear = listener;
      },
    },
    onDisconnect: {
      addListener: (listener) => {
        closed = () => listener(port);
      },
    },
  };
  const asked = (wish: 'hello' | 'doctor'): Promise<HostExamination> =>
    askHost(
      {
        runtime: {
          connectNative: () => port,
          getManifest: () => ({ version: '0.1.0' }),
          get lastError() {
            return { message: state.lastError };
          },
        },
        after: (ms, call) => {
          const timer = { ms, call };
          timers.push(timer);
          return () => void timers.splice(timers.indexOf(timer), 1);
        },
        origin: OWN,
        nowMs: () => state.nowMs,
      },
      wish,
    );
  return {
    sent,
    state,
    timers,
    asked,
    say: (frame: unknown) => hear(frame),
    end: (text: string) => {
      state.lastError = text;
      closed();
    },
  };
}

test('a host that says hello is there, and is let go at once', async () => {
  const { asked, say, sent, state, timers } = setUp();
  const answer = asked('hello');
  say(HELLO);
  const { host } = await answer;
  assert.deepEqual(host, { state: 'there', hello: HELLO });
  assert.equal(state.isOpen, false);
  assert.deepEqual(timers, []);
  assert.deepEqual(
    sent.map(({ type }) => type),
    ['hello'],
  );
  assert.deepEqual((sent[0] as { page?: unknown }).page, { origin: OWN, tabId: -1, frameId: 0 });
});

test('the doctor is asked after hello, and its report kept', async () => {
  const { asked, say, sent, state } = setUp();
  const answer = asked('doctor');
  say(HELLO);
  assert.equal(sent.at(-1)?.type, 'doctor');
  state.nowMs = 120;
  const report: DoctorReport = { checks: [{ id: 'gateway', state: 'ok', code: null, facts: {} }] };
  say({ type: 'report', report });
  assert.deepEqual(await answer, { host: { state: 'there', hello: HELLO }, report, tookMs: 120 });
  assert.equal(state.isOpen, false);
});

test('a lost host: its code and the text of the browser', async () => {
  const { asked, end } = setUp();
  const answer = asked('doctor');
  end('Specified native messaging host not found.');
  const { host, report } = await answer;
  const detail = 'Specified native messaging host not found.';
  assert.deepEqual(host, { state: 'lost', code: 'ERR_HOST_MISSING', detail });
  assert.equal(report, null);
});

test('a host of another system refuses', async () => {
  const { asked, say } = setUp();
  const answer = asked('doctor');
  say(HELLO);
  const error = { code: 'ERR_ORIGIN', message: 'not served', data: {} };
  say({ type: 'page', message: { type: 'refused', error } });
  const { host } = await answer;
  assert.deepEqual(host, { state: 'lost', code: 'ERR_ORIGIN', detail: 'ERR_ORIGIN: not served' });
});

test('a doctor that never ends', async () => {
  const { asked, say, timers } = setUp();
  const answer = asked('doctor');
  say(HELLO);
  timers.find(({ ms }) => ms === DOCTOR_TIMEOUT_MS)?.call();
  const { host } = await answer;
  assert.equal(host.state === 'lost' && host.code, 'ERR_HOST_TIMEOUT');
});

async function serve(answer: { status: number; body: string }): Promise<Server> {
  const server = createServer((_, response) => {
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

test('gateways: there, something else, nobody', async () => {
  const cases = [
    [{ status: 200, body: JSON.stringify(VERSIONS) }, 'there'],
    [{ status: 404, body: '' }, 'other'],
    [{ status: 200, body: '<!doctype html>' }, 'other'],
    [{ status: 200, body: JSON.stringify({ ...VERSIONS, host: {} }) }, 'other'],
  ] as const;
  for (const [answer, state] of cases) {
    const server = await serve(answer);
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.equal((await askGateway(origin, fetch)).state, state);
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    assert.equal((await askGateway(origin, fetch)).state, 'down');
  }
});

test('the strictest gateway decides what a part needs', () => {
  const forced = there({
    ...VERSIONS,
    extension: { ...VERSIONS.extension, required: '0.3.0', latest: '0.3.0' },
  });
  const down: GatewayFact = { origin: 'https://x.example', state: 'down', reason: '' };
  assert.equal(needOf('extension', '0.1.0', []).need, 'ok');
  assert.equal(needOf('extension', '0.1.0', [down]).need, 'ok');
  assert.equal(needOf('extension', '0.1.0', [there(), down]).need, 'optional');
  const need = needOf('extension', '0.1.0', [there(), forced, there()]);
  assert.deepEqual(need, { need: 'forced', latest: '0.3.0', required: '0.3.0' });
  assert.equal(needOf('host', '0.1.0', [there()]).need, 'ok');
});

const idsOf = ({ checks }: DoctorReport) => checks.map(({ id, state }) => `${id} ${state}`);

test('the report without a host says what waits for it', () => {
  const host = { state: 'lost', code: 'ERR_HOST_FORBIDDEN', detail: 'x' } as const;
  const report = wholeReport({
    extensionVersion: '0.2.0',
    examination: { host, report: null, tookMs: 1 },
    gateways: [there(), { origin: 'https://x.example', state: 'down', reason: 'refused' }],
  });
  assert.deepEqual(idsOf(report), [
    'extension ok',
    'host broken',
    'element unknown',
    'readerService unknown',
    'readers unknown',
    'gateway ok',
    'gateway broken',
  ]);
  assert.equal(report.checks[1]?.code, 'ERR_HOST_FORBIDDEN');
});

test("the report with a host holds the host's, and what it does not know of the browser", () => {
  const host = { state: 'there', hello: HELLO } as const;
  const found = (id: string) => ({ id, state: 'ok', code: null, facts: {} }) as const;
  const examined = (checks: DoctorReport['checks']) =>
    idsOf(
      wholeReport({
        extensionVersion: '0.1.0',
        examination: { host, report: { checks }, tookMs: 12.4 },
        gateways: [there()],
      }),
    );
  assert.deepEqual(examined([found('element')]), [
    'extension warn',
    'host ok',
    'element ok',
    'gateway ok',
  ]);
  assert.deepEqual(examined([found('host'), found('gateway')]), [
    'extension warn',
    'host ok',
    'gateway ok',
  ]);
});
