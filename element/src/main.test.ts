/**
 * The element as a process: what it answers, what it does with junk, and what it cannot do. Each
 * forbidden thing is done by the same code in the test's own process, which shows that it could.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ELEMENT_FRAME_BYTES_MAX, encodeJsonFrame } from '@tapnpay/protocol/wire';
import { loadFileOf } from './load-file.test-kit.ts';
import { attempts } from './probe.test-kit.ts';
import { enrol, Running } from './running.test-kit.ts';

const storeDir = mkdtempSync(join(tmpdir(), 'tapnpay-element-'));

const pay = (orderId: string) => ({ type: 'pay', orderId, serverName: 'gateway.test' }) as const;

let element: Running;
let elementId: string;
before(async () => {
  element = new Running(storeDir);
  assert.deepEqual(await element.event(), { type: 'ready', elementId: null, state: 'notEnrolled' });
  assert.equal((await element.ask(pay('x'))).error?.code, 'ERR_ELEMENT_NOT_ENROLLED');
  elementId = await enrol(element);
});
after(async () => {
  await element.end();
  rmSync(storeDir, { recursive: true });
});

test('an enrolled element says so, also after a kill', async () => {
  const status = await element.ask({ type: 'status' });
  assert.deepEqual(status.result, { elementId, state: 'operable' });
  element.child.kill('SIGKILL');
  await element.exitCode;
  element = new Running(storeDir);
  assert.deepEqual(await element.event(), { type: 'ready', elementId, state: 'operable' });
});

test('the process can neither read, write, spawn, connect nor be inspected; without its flags it can', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    });
  });
  const free = await attempts(port);
  assert.equal(connections, 1, 'positive control');
  const directory = mkdtempSync(join(tmpdir(), 'tapnpay-probes-'));
  const flags = ['--permission', `--import=${new URL('./probe.test-hook.ts', import.meta.url)}`];
  const probed = new Running(directory, { flags, words: [String(port)] });
  assert.equal((await probed.event()).type, 'ready');
  await probed.end();
  for (const [name, outcome] of Object.entries(free)) {
    assert.equal(outcome, 'done', `positive control: ${name}`);
    const found = new RegExp(`^probe ${name} (.+)$`, 'm').exec(probed.stderr)?.[1];
    assert.match(String(found), name === 'environment' ? /^empty$/ : /^ERR_/, `${name}: ${found}`);
  }
  assert.equal(connections, 1);
  server.close();
  rmSync(directory, { recursive: true });
});

test('a load file whose bytes are not the ones that were named is refused before it runs', async () => {
  const { path } = loadFileOf('probe.test-application.ts');
  const directory = mkdtempSync(join(tmpdir(), 'tapnpay-altered-'));
  const whole = readFileSync(path);
  try {
    writeFileSync(path, Buffer.concat([whole, Buffer.from('\n')]));
    const victim = new Running(directory);
    const event = await victim.event();
    assert.equal(event.type === 'answer' && event.error?.code, 'ERR_ELEMENT_APPLICATION');
    assert.equal(await victim.exitCode, 3);
  } finally {
    writeFileSync(path, whole);
    rmSync(directory, { recursive: true });
  }
});

test('the element refuses to run without the permission model', async () => {
  const naked = new Running(storeDir, { flags: [] });
  const event = await naked.event();
  assert.equal(event.type === 'answer' && event.error?.code, 'ERR_ELEMENT_USAGE');
  assert.equal(await naked.exitCode, 3);
});

const CARD_REQUEST = {
  ...{ type: 'cardRequest', kind: 'purchase', amountMinor: '1234', currency: '156' },
  ...{ merchantName: 'Test Shop', origin: 'https://shop.test' },
  ...{ interfaces: ['contact'], attempt: 1, reason: null },
};
const fault = (code: string) => ({ code, message: 'gone', data: {} });

/** Starts a payment whose application does `what`; the caller answers what it asks. */
function start(what: string): void {
  element.write({ ...pay(what), id: 100 });
}

async function answered(): Promise<string | undefined> {
  let event = await element.event();
  while (event.type !== 'answer') event = await element.event();
  assert.equal(event.id, 100);
  return event.error?.code;
}

async function presented(request: object = CARD_REQUEST): Promise<void> {
  assert.deepEqual(await element.event(), request);
  element.write({ type: 'cardAnswer', interface: 'contact' });
}

async function askedPin(): Promise<string> {
  const event = await element.event();
  assert.ok(event.type === 'pinRequest');
  return event.publicKeySpki;
}

test('one command at a time: a second payment is refused, the first goes on', async () => {
  start('hang');
  await presented();
  assert.deepEqual(await element.event(), { type: 'apdu', command: '00A40400' });
  assert.equal((await element.ask(pay('read'))).error?.code, 'ERR_ELEMENT_BUSY');
  element.write({ type: 'apduFault', error: fault('ERR_CARD_REMOVED') });
  assert.equal(await answered(), 'ERR_CARD_REMOVED');
});

for (const code of ['ERR_USER_CANCELLED', 'ERR_CARD_TIMEOUT', 'ERR_CARD_REMOVED']) {
  test(`no card comes: the application is told ${code}`, async () => {
    start('hang');
    assert.deepEqual(await element.event(), CARD_REQUEST);
    element.write({ type: 'cardFault', error: fault(code) });
    assert.equal(await answered(), code);
  });
}

test('a card is reached only after a person presented it, and not after its release', async () => {
  start('no-card');
  assert.equal(await answered(), 'ERR_ELEMENT_APPLICATION');
  start('released');
  await presented();
  assert.deepEqual(await element.event(), { type: 'cardDone' });
  assert.equal(await answered(), 'ERR_ELEMENT_APPLICATION');
});

test('an application cannot ask for cards without end', async () => {
  start('cards-endless');
  for (let count = 0; count < 8; count++) await presented();
  assert.equal(await answered(), 'ERR_ELEMENT_APPLICATION');
});

test('one PIN a presentation; a new card gets a new key', async () => {
  start('pin-early');
  assert.equal(await answered(), 'ERR_PIN_REPEATED');
  start('pin-twice');
  await presented();
  const first = await askedPin();
  element.write({ type: 'pinAnswer', sealedPin: null });
  assert.equal(await answered(), 'ERR_PIN_REPEATED');
  start('pin-again');
  await presented();
  const second = await askedPin();
  element.write({ type: 'pinAnswer', sealedPin: null });
  await presented({ ...CARD_REQUEST, attempt: 2 });
  const third = await askedPin();
  element.write({ type: 'pinAnswer', sealedPin: null });
  assert.equal(await answered(), undefined);
  assert.equal(new Set([first, second, third]).size, 3);
});

test('a card that leaves at the PIN is a fault at that question', async () => {
  start('pin-twice');
  await presented();
  await askedPin();
  element.write({ type: 'pinFault', error: fault('ERR_CARD_REMOVED') });
  assert.equal(await answered(), 'ERR_CARD_REMOVED');
});

test('an application out of hand, or with a defect, ends its payment only', async () => {
  assert.equal((await element.ask(pay('endless'))).error?.code, 'ERR_ELEMENT_APPLICATION');
  for (const [what, code] of [
    ['defect', 'ERR_APPLET_FAULT'],
    ['loop', 'ERR_APPLET_TIME'],
    ['no-result', 'ERR_APPLET_ANSWER'],
    ['unknown', 'ERR_APPLET_HOST_CALL'],
    ['confused', 'ERR_APPLET_HOST_CALL'],
  ] as const) {
    assert.equal((await element.ask(pay(what))).error?.code, code, what);
  }
  assert.equal((await element.ask({ type: 'status' })).error, undefined);
});

for (const [what, junk, code] of [
  ['an over-long frame', Buffer.from('FFFFFFFF', 'hex'), 'ERR_FRAME_LENGTH'],
  ['an empty frame', Buffer.alloc(4), 'ERR_FRAME_LENGTH'],
  ['no JSON', Buffer.from('000000027B7B', 'hex'), 'ERR_FRAME_JSON'],
  ['no UTF-8', Buffer.from('0000000122', 'hex'), 'ERR_FRAME_JSON'],
  ['an unknown command', frame({ type: 'format' }), 'ERR_MESSAGE_FIELD'],
  ['a wrong field', frame({ type: 'status', id: 'one' }), 'ERR_MESSAGE_FIELD'],
  [
    'an answer out of sequence',
    frame({ type: 'apduAnswer', response: '9000' }),
    'ERR_ELEMENT_SEQUENCE',
  ],
  ['a PIN nobody asked for', frame({ type: 'pinAnswer', sealedPin: null }), 'ERR_ELEMENT_SEQUENCE'],
  [
    'a card nobody asked for',
    frame({ type: 'cardAnswer', interface: 'contactless' }),
    'ERR_ELEMENT_SEQUENCE',
  ],
  ['a card of no interface', frame({ type: 'cardAnswer', interface: 'air' }), 'ERR_MESSAGE_FIELD'],
  [
    'a card fault nobody asked for',
    frame({ type: 'cardFault', error: fault('ERR_CARD_TIMEOUT') }),
    'ERR_ELEMENT_SEQUENCE',
  ],
] as const) {
  test(`junk ends the element with a coded error: ${what}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tapnpay-junk-'));
    const victim = new Running(directory);
    await victim.event();
    victim.child.stdin.write(junk);
    const event = await victim.event();
    assert.ok(event.type === 'answer' && event.id === 0);
    assert.equal(event.error?.code, code);
    assert.equal(await victim.exitCode, 3);
    assert.equal(victim.stderr, '');
    rmSync(directory, { recursive: true });
  });
}

for (const [what, commands] of [
  ['a second answer for one card', [{ type: 'cardAnswer', interface: 'contact' }]],
  ['a PIN instead of a card answer', [{ type: 'pinAnswer', sealedPin: null }]],
] as const) {
  test(`out of sequence in a payment: ${what}`, async () => {
    start('hang');
    await presented();
    assert.deepEqual(await element.event(), { type: 'apdu', command: '00A40400' });
    for (const command of commands) element.write(command);
    const event = await element.event();
    assert.ok(event.type === 'answer' && event.id === 0);
    assert.equal(event.error?.code, 'ERR_ELEMENT_SEQUENCE');
    assert.equal(await element.exitCode, 3);
    element = new Running(storeDir);
    assert.deepEqual(await element.event(), { type: 'ready', elementId, state: 'operable' });
  });
}

function frame(message: object): Uint8Array {
  return encodeJsonFrame(message, ELEMENT_FRAME_BYTES_MAX);
}

test('the end of its input ends the element, even in the middle of a frame', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tapnpay-end-'));
  const victim = new Running(directory);
  await victim.event();
  victim.child.stdin.write(Buffer.of(0, 0));
  assert.equal(await victim.end(), 0);
  rmSync(directory, { recursive: true });
});
