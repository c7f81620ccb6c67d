/** Shows who may talk to the agent: our own address, known origins, paired browsers and pages. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { connect as tcpConnect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT_VERSION, pageHeaders } from '@tapnpay/protocol/wire';
import { type Answer, GATEWAY, OTHER_GATEWAY, ofType, ServiceRig } from './service.test-kit.ts';
import { HELLO_TIMEOUT_MS } from './sockets.ts';

let rig: ServiceRig;
before(async () => {
  rig = await ServiceRig.start();
});
after(() => rig.close());

const PATHS = ['/v1/health', '/window', '/wallet', '/assets/app.js', '/v1/pairing', '/v1/reader'];
const SOCKETS = ['/v1/session', '/v1/window'];

/** A refusal holds its code and nothing of ours. */
function assertRefused(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.code], [status, code]);
  assert.deepEqual(Object.keys(JSON.parse(answer.text)).sort(), ['code', 'data', 'message']);
  assert.equal(answer.headers['set-cookie'], undefined);
  assertNoCors(answer);
}

function assertNoCors({ headers }: Answer): void {
  const cors = Object.keys(headers).filter((name) => name.startsWith('access-control-'));
  assert.deepEqual(cors, []);
}

test('it listens on 127.0.0.1 and nowhere else', async () => {
  const others = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => address)
    .filter((address) => address !== '127.0.0.1');
  for (const host of [...others, ...(process.platform === 'linux' ? ['127.0.0.2'] : [])]) {
    const reached = await new Promise<boolean>((resolve) => {
      const socket = tcpConnect({ host, port: rig.port });
      socket.on('connect', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('close', () => socket.destroy());
    });
    assert.equal(reached, false, host);
  }
});

test('another Host gets nothing, on every path', async () => {
  const { port } = rig;
  const cookie = await rig.cookie();
  const hosts = [
    'evil.test',
    `evil.test:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `127.0.0.1.:${port}`,
    `127.0.0.1:${port}.evil.test`,
    `127.1:${port}`,
    `[::1]:${port}`,
    `localhost:${port + 1}`,
    `localhost.evil.test:${port}`,
    `LOCALHOST:${port}`,
  ];
  for (const host of hosts) {
    for (const path of [...PATHS, '/nowhere']) {
      assertRefused(await rig.ask(path, { headers: { host, cookie } }), 421, 'ERR_HOST');
    }
    for (const path of SOCKETS) {
      const headers = { host, cookie, origin: `http://${host}` };
      assertRefused(await rig.upgrade(path, headers), 421, 'ERR_HOST');
    }
  }
});

test('both names of our own address are served', async () => {
  for (const name of ['127.0.0.1', 'localhost']) {
    const host = `${name}:${rig.port}`;
    assert.equal((await rig.ask('/v1/health', { headers: { host } })).status, 200);
    const headers = { host, origin: `http://${host}` };
    const body = { code: rig.pairingCode, origin: null };
    assert.equal((await rig.ask('/v1/pairing', { headers, body })).status, 200);
  }
});

test('health tells versions and states, no secret, and pages cannot read it', async () => {
  const answer = await rig.ask('/v1/health');
  assert.deepEqual(JSON.parse(answer.text), {
    version: AGENT_VERSION,
    element: { id: 'element-1', state: 'operable' },
    readers: [{ name: 'Virtual reader', kind: 'virtual' }],
    readerService: { state: 'off', code: null },
  });
  assertNoCors(answer);
  for (const origin of ['http://evil.test', GATEWAY, 'null']) {
    assertRefused(await rig.ask('/v1/health', { headers: { origin } }), 403, 'ERR_ORIGIN');
  }
});

test('a session is for pages of known gateways only', async () => {
  const origins = [
    'http://evil.test',
    'null',
    rig.origin,
    `${GATEWAY}.evil.test`,
    GATEWAY.replace('http', 'https'),
    GATEWAY.toUpperCase(),
    `${GATEWAY}/`,
  ];
  for (const origin of origins) {
    assertRefused(await rig.upgrade('/v1/session', { origin }), 403, 'ERR_ORIGIN');
  }
  assertRefused(await rig.upgrade('/v1/session', {}), 403, 'ERR_ORIGIN');
  assert.equal((await rig.upgrade('/v1/session', { origin: GATEWAY })).status, 101);
});

test('a window is for our own pages in a paired browser only', async () => {
  const { origin } = rig;
  const cookie = await rig.cookie();
  for (const foreign of [GATEWAY, 'http://evil.test', `http://localhost:${rig.port}`]) {
    const answer = await rig.upgrade('/v1/window', { origin: foreign, cookie });
    assertRefused(answer, 403, 'ERR_ORIGIN');
  }
  assertRefused(await rig.upgrade('/v1/window', { cookie }), 403, 'ERR_ORIGIN');
  const name = cookie.split('=')[0];
  const token = await rig.token();
  for (const wrong of ['', `${name}=`, `${name}=x`, `${name}=${token}`, `x${cookie}`]) {
    const answer = await rig.upgrade('/v1/window', { origin, cookie: wrong });
    assertRefused(answer, 401, 'ERR_NOT_PAIRED');
  }
  assertRefused(await rig.upgrade('/v1/window', { origin }), 401, 'ERR_NOT_PAIRED');
  assert.equal((await rig.upgrade('/v1/window', { origin, cookie })).status, 101);
});

test('an upgrade of another route, and a plain request for a socket, find nothing', async () => {
  const { origin } = rig;
  assertRefused(await rig.upgrade('/v1/health', { origin }), 404, 'ERR_NOT_FOUND');
  const headers = { origin: GATEWAY };
  assertRefused(await rig.ask('/v1/session', { headers }), 404, 'ERR_NOT_FOUND');
});

test('a preflight is refused: no other origin may send us anything', async () => {
  for (const origin of ['http://evil.test', GATEWAY]) {
    for (const path of ['/v1/pairing', '/v1/reader', '/v1/health']) {
      const headers = { origin, 'access-control-request-method': 'POST' };
      const answer = await rig.ask(path, { method: 'OPTIONS', headers });
      assertRefused(answer, 403, 'ERR_ORIGIN');
    }
  }
});

test('pages come with their policy; nothing beside them can be read', async () => {
  const wanted = pageHeaders({ connect: [`ws://127.0.0.1:${rig.port}`] });
  for (const path of [`/window?origin=${encodeURIComponent(GATEWAY)}`, '/wallet']) {
    const answer = await rig.ask(path);
    assert.equal(answer.status, 200);
    assert.ok(answer.text.includes('<title>Agent</title>'));
    for (const [name, value] of Object.entries(wanted)) {
      assert.equal(answer.headers[name], value, name);
    }
    assertNoCors(answer);
  }
  const script = await rig.ask('/assets/app.js');
  assert.deepEqual([script.status, script.text], [200, 'export const x = 1;\n']);
  assert.match(script.headers['content-type'] ?? '', /javascript/);
  for (const path of [
    '/assets/',
    '/assets/none.js',
    '/assets/../index.html',
    '/assets/..%2f..%2fagent%2flocal-key',
    '/assets/%2e%2e/%2e%2e/agent/local-key',
    '/assets/..\\..\\agent\\local-key',
    '/',
    '/index.html',
    '/agent/local-key',
  ]) {
    const answer = await rig.ask(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.code, 'ERR_NOT_FOUND', path);
  }
});

test('pairing: the cookie is out of reach of scripts and other sites, the token is bound', async () => {
  const { status, headers, text } = await rig.pair({ code: rig.pairingCode, origin: GATEWAY });
  assert.equal(status, 200);
  const cookies = headers['set-cookie'] ?? [];
  assert.equal(cookies.length, 2);
  for (const cookie of cookies) {
    const form = new RegExp(`^tapnpay-agent-${rig.port}=[\\w-]{43}; Path=/v1/(window|pairing); `);
    assert.match(cookie, form);
    assert.match(cookie, /HttpOnly; SameSite=Strict/);
  }
  const { token } = JSON.parse(text) as { token: string };
  assert.match(token, /^[\w-]{43}$/);
  const hello = async (origin: string, given: string | null) => {
    const page = await rig.stranger(origin);
    page.send({ type: 'hello', version: AGENT_VERSION, token: given });
    const [answer] = [await page.next((message) => message.type !== 'state')];
    page.close();
    return answer.type === 'refused' ? answer.error.code : answer.type;
  };
  assert.equal(await hello(GATEWAY, token), 'welcome');
  assert.equal(await hello(OTHER_GATEWAY, token), 'ERR_NOT_PAIRED');
  assert.equal(await hello(GATEWAY, null), 'ERR_NOT_PAIRED');
  assert.equal(await hello(GATEWAY, `${token.slice(0, -1)}_`), 'ERR_NOT_PAIRED');
  const cookieValue = cookies[0]?.split(/[=;]/)[1] ?? '';
  assert.equal(await hello(GATEWAY, cookieValue), 'ERR_NOT_PAIRED', 'a cookie is no token');
});

test('pairing again needs no code in a paired browser, and is for known gateways only', async () => {
  const cookie = await rig.cookie();
  const known = await rig.pair({ code: null, origin: GATEWAY }, { cookie });
  assert.equal(known.status, 200);
  assert.match((JSON.parse(known.text) as { token: string }).token, /^[\w-]{43}$/);
  assert.equal(known.headers['set-cookie'], undefined);
  assertRefused(await rig.pair({ code: null, origin: GATEWAY }), 401, 'ERR_NOT_PAIRED');
  const evil = await rig.pair({ code: null, origin: 'http://evil.test' }, { cookie });
  assertRefused(evil, 403, 'ERR_ORIGIN');
  const body = { code: rig.pairingCode, origin: GATEWAY };
  for (const origin of [GATEWAY, 'http://evil.test', 'null']) {
    const headers = { origin, cookie };
    assertRefused(await rig.ask('/v1/pairing', { body, headers }), 403, 'ERR_ORIGIN');
  }
  assertRefused(await rig.ask('/v1/pairing', { body }), 403, 'ERR_ORIGIN');
});

test('a pairing request of another form is refused', async () => {
  const headers = { origin: rig.origin };
  const bodies = [{}, { code: 1, origin: null }, { code: 'x'.repeat(33), origin: null }, [], null];
  for (const body of bodies) {
    assertRefused(await rig.ask('/v1/pairing', { headers, body }), 400, 'ERR_REQUEST');
  }
  const long = { code: null, origin: null, more: 'x'.repeat(5_000) };
  assertRefused(await rig.ask('/v1/pairing', { headers, body: long }), 413, 'ERR_BODY_TOO_LARGE');
});

test('what was paired is kept as digests in a closed file, and known after a restart', async () => {
  const first = await ServiceRig.start();
  const token = await first.token();
  const cookie = await first.cookie();
  const code = first.pairingCode;
  const path = join(first.dataDir, 'agent', 'paired.json');
  const kept = readFileSync(path, 'utf8');
  assert.ok(!kept.includes(token) && !kept.includes(cookie.split('=')[1] ?? '?'));
  for (const file of ['paired.json', 'pairing-code', 'local-key']) {
    if (process.platform === 'win32') break;
    assert.equal(statSync(join(first.dataDir, 'agent', file)).mode & 0o777, 0o600, file);
  }
  assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
  await first.stop();
  const second = await ServiceRig.start({ dataDir: first.dataDir });
  assert.equal(second.pairingCode, code);
  const page = await second.stranger();
  page.send({ type: 'hello', version: AGENT_VERSION, token });
  await page.next(ofType('welcome'));
  const secrets = [token, code, cookie.split('=')[1] ?? '?'];
  const logged = JSON.stringify([...first.log, ...second.log]);
  assert.ok(first.log.some(({ event }) => event === 'paired'));
  for (const secret of secrets) assert.ok(!logged.includes(secret));
  await second.close();
  await first.close();
});

test('a socket says hello first, in time, in our version, once', async () => {
  const early = await rig.stranger();
  early.send({ type: 'pay', session: '11111111-2222-4333-8444-555555555555', orderId: 'o' });
  assert.deepEqual(await early.closed, { code: 1008, reason: 'ERR_SEQUENCE' });
  assert.deepEqual(early.received, []);

  const silent = await rig.stranger();
  rig.clock.advance(HELLO_TIMEOUT_MS);
  assert.deepEqual(await silent.closed, { code: 1008, reason: 'ERR_SEQUENCE' });

  const token = await rig.token();
  const old = await rig.stranger();
  old.send({ type: 'hello', version: AGENT_VERSION + 1, token });
  const { error } = await old.next(ofType('refused'));
  assert.deepEqual([error.code, error.data], ['ERR_VERSION', { version: AGENT_VERSION }]);
  assert.equal((await old.closed).reason, 'ERR_VERSION');

  const twice = await rig.page();
  twice.send({ type: 'hello', version: AGENT_VERSION, token });
  assert.deepEqual(await twice.closed, { code: 1008, reason: 'ERR_SEQUENCE' });
});

test('a message without a shape closes its socket with the reason', async () => {
  const wrong: readonly (readonly [string | Uint8Array<ArrayBuffer>, number, string])[] = [
    ['{', 1008, 'ERR_FRAME_JSON'],
    ['null', 1008, 'ERR_MESSAGE_FIELD'],
    ['{"type":"apdu","command":"00A4"}', 1008, 'ERR_MESSAGE_FIELD'],
    ['{"type":"pay","session":"x","orderId":"o"}', 1008, 'ERR_MESSAGE_FIELD'],
    ['{"type":"constructor"}', 1008, 'ERR_MESSAGE_FIELD'],
    [new Uint8Array([1, 2, 3]), 1003, 'ERR_FRAME_JSON'],
  ];
  for (const [data, code, reason] of wrong) {
    const page = await rig.page();
    page.sendRaw(data);
    assert.deepEqual(await page.closed, { code, reason });
  }
  const window = await rig.window();
  window.sendRaw('{"type":"consent","given":"true"}');
  assert.deepEqual(await window.closed, { code: 1008, reason: 'ERR_MESSAGE_FIELD' });
});

test('a message that is too long, and too many of them, close the socket', async () => {
  const long = await rig.page();
  long.sendRaw(JSON.stringify({ type: 'hello', token: 'x'.repeat(300_000) }));
  assert.equal((await long.closed).code, 1009);
  const flood = await rig.page();
  const session = '11111111-2222-4333-8444-555555555555';
  for (let count = 0; count < 1_000; count++) flood.send({ type: 'channelClosed', session });
  assert.deepEqual(await flood.closed, { code: 1008, reason: 'ERR_RATE' });
  const steady = await rig.page();
  for (let count = 0; count < 300; count++) steady.send({ type: 'channelClosed', session });
  steady.send({ type: 'pay', session, orderId: 'order-1' });
  await steady.next(ofType('state'));
  steady.close();
  await steady.closed;
  rig.element.payments.at(-1)?.reject(new Error('over'));
});

test('the reader is for programs of this user that know the key', async () => {
  const file = JSON.parse(readFileSync(join(rig.dataDir, 'agent', 'local-key'), 'utf8')) as {
    key: string;
    port: number;
  };
  assert.equal(file.port, rig.port);
  const authorization = `Bearer ${file.key}`;
  assert.equal((await rig.ask('/v1/reader', { headers: { authorization } })).status, 200);
  for (const wrong of ['', 'Bearer ', `Bearer ${'0'.repeat(64)}`, file.key]) {
    const answer = await rig.ask('/v1/reader', { headers: { authorization: wrong } });
    assertRefused(answer, 401, 'ERR_LOCAL_KEY');
    const body = { type: 'takeAway' };
    const post = await rig.ask('/v1/reader', { headers: { authorization: wrong }, body });
    assertRefused(post, 401, 'ERR_LOCAL_KEY');
  }
  const foreign = { authorization, origin: 'http://evil.test' };
  assertRefused(await rig.ask('/v1/reader', { headers: foreign }), 403, 'ERR_ORIGIN');
  const body = { type: 'consent', session: 'x', given: true };
  const answer = await rig.ask('/v1/reader', { headers: { authorization }, body });
  assertRefused(answer, 400, 'ERR_REQUEST');
});

test('five wrong codes in a minute, and no code is looked at for its rest', async () => {
  rig.clock.advance(60_000);
  for (let count = 0; count < 5; count++) {
    const wrong = await rig.pair({ code: `AAAA-AAA${count}`, origin: GATEWAY });
    assertRefused(wrong, 403, 'ERR_PAIRING_CODE');
  }
  const right = { code: rig.pairingCode, origin: GATEWAY };
  assertRefused(await rig.pair(right), 429, 'ERR_PAIRING_TRIES');
  rig.clock.advance(59_999);
  assertRefused(await rig.pair(right), 429, 'ERR_PAIRING_TRIES');
  rig.clock.advance(1);
  assert.equal((await rig.pair(right)).status, 200);
});

test('the code is taken as people type it', async () => {
  const typed = rig.pairingCode.toLowerCase().replace('-', ' ').replace('0', 'o').replace('1', 'l');
  assert.equal((await rig.pair({ code: typed, origin: null })).status, 200);
});
