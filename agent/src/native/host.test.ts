/**
 * The real host process at its port: it speaks first, believes the browser only, writes frames and
 * nothing else, says why it ends, and ends when the browser does.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  AGENT_VERSION,
  cutNativeFrame,
  NATIVE_CHUNKS_MAX,
  NATIVE_FRAME_BYTES_MAX,
  NATIVE_HELLO_TIMEOUT_MS,
  NATIVE_PROTOCOL,
} from '@tapnpay/protocol/wire';
import { hostConfigPath } from './config.ts';
import { encodeNativeFrame } from './frames.ts';
import {
  EXTENSION_ID,
  type HostClient,
  isMessage,
  ofType,
  SESSION,
  TestSystem,
  until,
} from './host.test-kit.ts';
import { EXIT_REFUSED, HOST_END_MS } from './host.ts';
import { HOST_VERSION } from './version.ts';

let system: TestSystem;
before(async () => {
  system = await TestSystem.start();
});
after(async () => {
  await system.close();
});

const HELLO = {
  type: 'hello',
  version: '0.1.0',
  protocol: NATIVE_PROTOCOL,
  page: { origin: `chrome-extension://${EXTENSION_ID}`, tabId: -1, frameId: 0 },
} as const;

/** A host that has said hello. */
async function greeted(options: Parameters<TestSystem['host']>[0] = {}): Promise<HostClient> {
  const host = system.host(options);
  await host.next(ofType('hello'), 'hello');
  return host;
}

/** The host says why, and has ended by itself. */
async function refusal(host: HostClient): Promise<string> {
  const { message } = await host.next(isMessage('refused'), 'refused');
  const { status } = await host.exited;
  assert.equal(status, EXIT_REFUSED);
  assert.equal(host.frames.at(-1)?.type, 'page', 'the reason is the last frame');
  assert.ok(host.isClean);
  return message.error.code;
}

test('the version is that of the package', () => {
  const path = fileURLToPath(new URL('../../package.json', import.meta.url));
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  assert.equal(HOST_VERSION, version);
});

test('it speaks first: version, range, element as last seen, readers', async () => {
  const host = system.host();
  const hello = await host.next(ofType('hello'), 'hello');
  assert.equal(host.frames.length, 1);
  assert.deepEqual(hello, {
    type: 'hello',
    version: HOST_VERSION,
    protocol: NATIVE_PROTOCOL,
    element: { id: null, state: 'notEnrolled' },
    readers: [{ name: 'Virtual reader', kind: 'virtual' }],
  });
  const { status, ms } = await host.end();
  assert.equal(status, 0);
  assert.ok(ms < HOST_END_MS, `${ms} ms`);
});

test('the end of input before its first word ends it, too', async () => {
  const { status } = await system.host().end();
  assert.equal(status, 0);
});

test('a page of a gateway is welcomed; who else asks is refused by the origin', async () => {
  const host = system.host();
  await host.open(system.origin);
  assert.equal((await host.end()).status, 0);
  const strangers = [
    'https://evil.example',
    'null',
    `${system.origin}.evil.example`,
    system.origin.replace('http', 'https'),
    'chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba',
  ];
  for (const origin of strangers) {
    const stranger = await greeted();
    stranger.hello(origin);
    stranger.send({ type: 'doctor' });
    assert.equal(await refusal(stranger), 'ERR_ORIGIN', origin);
    assert.ok(!stranger.frames.some(({ type }) => type === 'report'));
  }
});

test("the extension's own pages get the doctor's report and no seat", async () => {
  for (const origin of [HELLO.page.origin, 'moz-extension://2c127fa4-62c7-7e4f']) {
    const host = await greeted();
    host.hello(origin);
    host.send({ type: 'doctor' });
    const { report } = await host.next(ofType('report'), 'report');
    const states = new Map(report.checks.map(({ id, state }) => [id, state]));
    assert.equal(states.get('gateway'), 'ok', JSON.stringify(report));
    assert.ok(states.has('element'));
    host.send({ type: 'page', message: { type: 'pay', session: SESSION, orderId: 'order-1' } });
    assert.equal(await refusal(host), 'ERR_ORIGIN');
  }
});

test('a range without a version in common is refused with ours', async () => {
  for (const protocol of [
    { min: 2, max: 9 },
    { min: 0, max: 0 },
    { min: 1, max: 0 },
  ]) {
    const host = await greeted();
    host.send({ ...HELLO, protocol });
    const { message } = await host.next(isMessage('refused'), 'refused');
    assert.deepEqual([message.error.code, message.error.data], ['ERR_VERSION', NATIVE_PROTOCOL]);
    assert.equal((await host.exited).status, EXIT_REFUSED);
  }
  const wider = system.host();
  await wider.next(ofType('hello'), 'hello');
  wider.send({ ...HELLO, protocol: { min: 0, max: 9 } });
  wider.send({ type: 'doctor' });
  await wider.next(ofType('report'), 'report');
  assert.equal((await wider.end()).status, 0);
});

test('a page of another version of the messages is refused', async () => {
  const host = await greeted();
  host.hello(system.origin);
  const hello = { type: 'hello', version: AGENT_VERSION + 1, token: null } as const;
  host.send({ type: 'page', message: hello });
  assert.equal(await refusal(host), 'ERR_VERSION');
});

test('frames out of order are refused', async () => {
  const pageHello = {
    type: 'page',
    message: { type: 'hello', version: AGENT_VERSION, token: null },
  } as const;
  const toPage = { ...HELLO, page: { ...HELLO.page, origin: system.origin } };
  const pay = { type: 'page', message: { type: 'pay', session: SESSION, orderId: 'o' } } as const;
  const orders = [
    [pageHello],
    [{ type: 'doctor' }],
    [{ type: 'windowOpened' }],
    [HELLO, HELLO],
    [toPage, pay],
    [toPage, pageHello, pageHello],
  ] as const;
  for (const frames of orders) {
    const host = await greeted();
    for (const frame of frames) host.send(frame);
    assert.equal(await refusal(host), 'ERR_SEQUENCE', JSON.stringify(frames));
  }
});

test('what is no frame ends the host with its code, and the code arrives', async () => {
  const huge = Buffer.alloc(8);
  huge.writeUInt32LE(NATIVE_FRAME_BYTES_MAX + 1);
  const cut = cutNativeFrame({ type: 'x', text: '支'.repeat(200_000) }, 1);
  const cases: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ['ERR_FRAME_LENGTH', [new Uint8Array(4)]],
    ['ERR_FRAME_LENGTH', [huge]],
    ['ERR_FRAME_LENGTH', [Buffer.from('garbage that is no frame at all')]],
    ['ERR_FRAME_LENGTH', [Buffer.from('{"type":"doctor"}\n')]],
    ['ERR_FRAME_JSON', [encodeNativeFrame('{')]],
    [
      'ERR_FRAME_JSON',
      [Buffer.concat([encodeNativeFrame('""').subarray(0, 4), Buffer.of(0x22, 0xff)])],
    ],
    ['ERR_MESSAGE_FIELD', [encodeNativeFrame('null')]],
    ['ERR_MESSAGE_FIELD', [encodeNativeFrame('{"type":"apdu","command":"00A4"}')]],
    ['ERR_MESSAGE_FIELD', [encodeNativeFrame('{"type":"__proto__"}')]],
    ['ERR_FRAME_CHUNK', [encodeNativeFrame(JSON.stringify(cut[1]))]],
    ['ERR_FRAME_CHUNK', [encodeNativeFrame(JSON.stringify(cut[0])), encodeNativeFrame('{}')]],
    [
      'ERR_MESSAGE_FIELD',
      [encodeNativeFrame(JSON.stringify({ ...cut[0], count: NATIVE_CHUNKS_MAX + 1 }))],
    ],
  ];
  for (const [code, frames] of cases) {
    const host = await greeted();
    for (const bytes of frames) host.sendBytes(bytes);
    assert.equal(await refusal(host), code);
  }
});

test('a frame is read wherever the pipe breaks it', async () => {
  const bytes = Buffer.from(encodeNativeFrame(JSON.stringify(HELLO)));
  const host = await greeted();
  for (const byte of bytes) {
    host.sendBytes(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  host.send({ type: 'doctor' });
  await host.next(ofType('report'), 'report');
  const { status } = await host.end();
  assert.equal(status, 0);
});

test('input that ends inside a frame ends the host like any other end', async () => {
  const bytes = encodeNativeFrame(JSON.stringify(HELLO));
  for (const length of [1, 4, 5, bytes.length - 1]) {
    const host = await greeted();
    host.sendBytes(bytes.subarray(0, length));
    const { status } = await host.end();
    assert.equal(status, 0);
    assert.equal(host.frames.length, 1);
    assert.ok(host.isClean);
  }
});

test('too many frames at once are refused', async () => {
  const host = await greeted();
  host.send(HELLO);
  for (let count = 0; count < 2_000; count++) host.sendText('{"type":"doctor"}');
  assert.equal(await refusal(host), 'ERR_RATE');
});

test('who never says hello is refused in 5 s', async () => {
  const host = await greeted();
  const fromMs = performance.now();
  assert.equal(await refusal(host), 'ERR_SEQUENCE');
  assert.ok(performance.now() - fromMs > NATIVE_HELLO_TIMEOUT_MS - 1_000);
});

test('nothing but frames reaches standard output, whatever code writes there', async () => {
  const noise = `setInterval(() => {
    if (process.stdout.write.name !== 'diverted') return;
    console.log('POLLUTION'); console.info({ a: 1 }); console.table([1]);
    process.stdout.write('RAW'); process.stdout.write(Buffer.from('BYTES'));
  }, 2)`;
  const host = system.host({
    nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(noise)}`],
  });
  await host.next(ofType('hello'), 'hello');
  await until(() => host.stderr.includes('POLLUTION'), 'noise');
  host.send(HELLO);
  host.send({ type: 'doctor' });
  await host.next(ofType('report'), 'report');
  const { status } = await host.end();
  assert.equal(status, 0);
  assert.ok(host.isClean, host.stderr.slice(-500));
  assert.ok(host.stderr.includes('RAW') && host.stderr.includes('BYTES'));
});

test('a browser that reads no more, and one that closes standard error: exit 0, no trace', async () => {
  const host = await greeted();
  host.child.stderr.destroy();
  host.send(HELLO);
  host.send({ type: 'doctor' });
  await host.next(ofType('report'), 'report');
  host.child.stdout.destroy();
  host.send({ type: 'doctor' });
  const { status } = await host.exited;
  assert.equal(status, 0);
  const loud = await greeted();
  loud.child.stdout.destroy();
  loud.send(HELLO);
  loud.send({ type: 'doctor' });
  assert.equal((await loud.exited).status, 0);
  assert.doesNotMatch(loud.stderr, /EPIPE|at .*\.ts/);
});

test('the last frame arrives at a reader that is slow', async () => {
  const host = await greeted();
  host.child.stdout.pause();
  host.sendBytes(new Uint8Array(4));
  await new Promise((resolve) => host.child.once('exit', resolve));
  host.child.stdout.resume();
  assert.equal(await refusal(host), 'ERR_FRAME_LENGTH');
});

test('a signal ends it like the end of input', async () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const host = await greeted();
    host.child.kill(signal);
    assert.equal((await host.exited).status, 0, signal);
  }
});

test('what the browser adds is no command: both browsers start the same host', async () => {
  const config = hostConfigPath(system.dataDir);
  const lines = [
    [`chrome-extension://${EXTENSION_ID}/`],
    [`chrome-extension://${EXTENSION_ID}/`, '--parent-window=0'],
    ['/home/支付 测试/org.tapnpay.host.json', 'plugin@tapnpay.org'],
    ['--config', '/nowhere'],
    ['doctor', '--help', '--version'],
    [],
  ];
  for (const added of lines) {
    const host = system.host({ args: ['--config', config, ...added] });
    const { version } = await host.next(ofType('hello'), 'hello');
    assert.equal(version, HOST_VERSION);
    assert.equal((await host.end()).status, 0);
  }
});

test('a host without its file says so in a frame; one without arguments says how it is started', async () => {
  const broken = join(system.dataDir, 'broken.json');
  for (const [file, text] of [
    [join(system.dataDir, 'none.json'), null],
    [broken, '{'],
    [broken, JSON.stringify({ ...system.config(), dataDir: 'relative' })],
    [broken, JSON.stringify({ ...system.config(), gatewayOrigins: ['https://a.example/'] })],
  ] as const) {
    if (text !== null) writeFileSync(file, text);
    const host = system.host({ configFile: file });
    const { message } = await host.next(isMessage('refused'), 'refused');
    assert.equal(message.error.code, 'ERR_HOST_CONFIG');
    assert.equal((await host.exited).status, EXIT_REFUSED);
  }
  const plain = system.host({ args: [] });
  assert.equal((await plain.exited).status, 2);
  assert.equal(plain.frames.length, 0);
  assert.match(plain.stderr, /started by a browser/);
});

test('a long frame passes in chunks to the host', async () => {
  const host = await greeted();
  const padded = { ...HELLO, padding: '支'.repeat(400_000) };
  assert.ok(cutNativeFrame(padded, 1).length > 4);
  host.send(padded);
  host.send({ type: 'doctor' });
  await host.next(ofType('report'), 'report');
  assert.equal((await host.end()).status, 0);
});

test('hosts that come and go leave no process', async () => {
  for (let round = 0; round < 3; round++) {
    const hosts = Array.from({ length: 4 }, () => system.host());
    await Promise.all(hosts.map((host) => host.open(system.origin)));
    await Promise.all(hosts.map((host) => host.end()));
  }
  assert.deepEqual(system.elements(), []);
  assert.ok(system.hosts.every(({ isExited }) => isExited));
});
