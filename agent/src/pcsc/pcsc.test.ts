/**
 * PC/SC without hardware: a process of our own plays the library's, command by command, so that
 * every fault of a service, reader or card has its code, its time, and no command goes out twice.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { CardEvent, CardReader, CardSession, ConnectOptions } from '../readers/index.ts';
import { asciiLine, PCSC, STATE } from './messages.ts';
import { PcscReaders } from './pcsc-readers.ts';
import type { SessionTimes } from './pcsc-session.ts';
import { cardEvents } from './reader-watch.ts';

const folder = mkdtempSync(join(tmpdir(), 'tapnpay-pcsc-session-'));
const opened: PcscReaders[] = [];
after(async () => {
  for (const readers of opened) await readers.close();
  rmSync(folder, { recursive: true });
});

const SELECT = '00A4040007A0000003330101';
const CONNECTED = { result: { protocol: 2, atr: '3BE700008131FE455441504E504159AF' } };
const OK = { result: {} };
const fault = (pcscCode: number) => ({ pcscCode });
const answers = (response: string) => ({ result: { response } });
const state = (bits: number) => ({ result: { states: [{ reader: 'R', state: bits, atr: '' }] } });

/** What the played library answers to an operation: a list is used up, then its last one stays. */
type Play = Readonly<Record<string, readonly unknown[]>>;
type Rig = {
  readonly reader: CardReader;
  readonly readers: PcscReaders;
  readonly asked: () => readonly string[];
};

let count = 0;
function play(parts: Play, times: Partial<SessionTimes> = {}): Rig {
  count += 1;
  const log = join(folder, `log-${count}`);
  writeFileSync(log, '');
  const entry = join(folder, `library-${count}.mjs`);
  writeFileSync(
    entry,
    `import { appendFileSync } from 'node:fs';
     import { createInterface } from 'node:readline';
     const parts = ${JSON.stringify(parts)};
     createInterface({ input: process.stdin }).on('line', (line) => {
       const request = JSON.parse(line);
       appendFileSync(${JSON.stringify(log)}, request.op + ' ' + (request.command ?? request.disposition ?? '') + '\\n');
       const list = parts[request.op] ?? [{ result: {} }];
       const answer = list.length > 1 ? list.shift() : list[0];
       if (answer === 'hang') return;
       if (answer === 'die') process.exit(3);
       setTimeout(() => console.log(JSON.stringify(answer)), answer.afterMs ?? 0);
     });`,
  );
  const readers = new PcscReaders({ entry, times: { inUseMs: 250, removalMs: 50, ...times } });
  opened.push(readers);
  const asked = () =>
    readFileSync(log, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  return { reader: readers.reader('R'), readers, asked };
}
async function connected(
  parts: Play,
  times: Partial<SessionTimes> = {},
  options: ConnectOptions = {},
): Promise<Rig & { readonly session: CardSession }> {
  const rig = play({ connect: [CONNECTED], reconnect: [CONNECTED], ...parts }, times);
  return { ...rig, session: await rig.reader.connect(options) };
}
const send = (session: CardSession) => session.transmit(fromHex(SELECT));

test('a session: ATR, protocol, interface, one APDU, and the card powered off at its end', async () => {
  const { session, asked } = await connected({ transmit: [answers('6F009000')] });
  assert.deepEqual([session.protocol, session.interface, session.pinPad], ['T=1', 'contact', null]);
  assert.equal(toHex(await send(session)), '6F009000');
  await session.disconnect();
  await session.disconnect();
  assert.deepEqual(asked(), ['connect', `transmit ${SELECT}`, 'disconnect unpower']);
  await assert.rejects(send(session), { code: 'ERR_READER_CLOSED' });
});

test('T=0: 61xx and 6Cxx are handed through, nothing is fetched', async () => {
  const t0 = { result: { protocol: 1, atr: '3B6700005441504E504159' } };
  const { session, asked } = await connected({
    connect: [t0],
    transmit: [answers('6126'), answers('6C1A')],
  });
  assert.equal(session.protocol, 'T=0');
  assert.deepEqual([toHex(await send(session)), toHex(await send(session))], ['6126', '6C1A']);
  assert.equal(asked().length, 3);
});

test('every fault of a connect has its code', async () => {
  for (const [pcscCode, code] of [
    [PCSC.E_NO_SMARTCARD, 'ERR_CARD_ABSENT'],
    [PCSC.W_REMOVED_CARD, 'ERR_CARD_REMOVED'],
    [PCSC.W_UNRESPONSIVE_CARD, 'ERR_CARD_MUTE'],
    [PCSC.W_UNSUPPORTED_CARD, 'ERR_CARD_PROTOCOL'],
    [PCSC.E_PROTO_MISMATCH, 'ERR_CARD_PROTOCOL'],
    [PCSC.E_UNKNOWN_READER, 'ERR_READER_GONE'],
    [PCSC.E_READER_UNAVAILABLE, 'ERR_READER_GONE'],
    [PCSC.E_SHARING_VIOLATION, 'ERR_READER_IN_USE'],
    [PCSC.E_NO_SERVICE, 'ERR_READER_SERVICE'],
    [PCSC.W_SECURITY_VIOLATION, 'ERR_READER_SERVICE'],
    [0x80100004, 'ERR_READER_FAULT'],
  ] as const) {
    const { reader } = play({ connect: [fault(pcscCode)] }, { inUseMs: 0 });
    await assert.rejects(reader.connect(), { code }, code);
  }
  const { readers } = play({ list: [{ noLibrary: true }] });
  await assert.rejects(readers.list(), { code: 'ERR_READER_LIBRARY' });
});

test('a card that powers up badly, or is looked at by another program, is tried again', async () => {
  const busy = fault(PCSC.E_SHARING_VIOLATION);
  const mute = fault(PCSC.W_UNRESPONSIVE_CARD);
  const { asked } = await connected({ connect: [busy, mute, fault(PCSC.W_RESET_CARD), CONNECTED] });
  assert.equal(asked().length, 4);
  const dead = play({ connect: [mute] });
  await assert.rejects(dead.reader.connect(), { code: 'ERR_CARD_MUTE' });
  assert.equal(dead.asked().filter((op) => op === 'connect').length, 3);
});

test('0x8010002F of a card that was just laid on: looked at twice more, silently', async () => {
  assert.equal(PCSC.E_COMM_DATA_LOST, 0x8010002f);
  const early = fault(PCSC.E_COMM_DATA_LOST);
  const { session, asked } = await connected({
    connect: [early, early, CONNECTED],
    transmit: [answers('9000')],
  });
  assert.equal(toHex(await send(session)), '9000');
  assert.equal(asked().filter((op) => op === 'connect').length, 3);
  const never = play({ connect: [early] });
  await assert.rejects(never.reader.connect(), { code: 'ERR_CARD_TRANSPORT' });
  assert.equal(never.asked().filter((op) => op === 'connect').length, 3);
});

test('a card that another program holds: asked for three times more at least, then "in use"', async () => {
  const held = fault(PCSC.E_SHARING_VIOLATION);
  const never = play({ connect: [held] }, { inUseMs: 0 });
  await assert.rejects(never.reader.connect(), { code: 'ERR_READER_IN_USE' });
  assert.equal(never.asked().filter((op) => op === 'connect').length, 4);
  const { asked } = await connected({ connect: [held, held, held, CONNECTED] }, { inUseMs: 0 });
  assert.equal(asked().length, 4, 'and at the last of them it is ours');
});

test('reset before its first command: connected again, and the command goes out once more', async () => {
  const { session, asked } = await connected({
    transmit: [fault(PCSC.W_RESET_CARD), answers('9000')],
  });
  assert.equal(toHex(await send(session)), '9000');
  assert.deepEqual(asked().slice(1), [
    `transmit ${SELECT}`,
    'reconnect leave',
    `transmit ${SELECT}`,
  ]);
});

test('reset after a command: told, not resumed; an own reset begins anew', async () => {
  const reset = fault(PCSC.W_RESET_CARD);
  const { session, asked } = await connected({
    transmit: [answers('9000'), reset, reset, answers('6A82')],
  });
  await send(session);
  await assert.rejects(send(session), { code: 'ERR_CARD_RESET' });
  await assert.rejects(send(session), { code: 'ERR_CARD_RESET' });
  assert.equal(
    asked().some((op) => op.startsWith('reconnect')),
    false,
  );
  await session.reset();
  assert.equal(toHex(await send(session)), '6A82');
  assert.equal(asked().at(-2), 'reconnect reset');
});

test('a transaction begins, ends, and after a fault within leaves a reset card', async () => {
  const { session, asked } = await connected({
    transmit: [answers('9000'), fault(PCSC.W_RESET_CARD)],
  });
  await session.exclusively((card) => card.transmit(fromHex(SELECT)));
  await session.exclusively(async (card) => {
    await assert.rejects(card.transmit(fromHex(SELECT)), { code: 'ERR_CARD_RESET' });
    await assert.rejects(card.transmit(fromHex(SELECT)), { code: 'ERR_CARD_RESET' });
  });
  assert.deepEqual(asked().slice(1), [
    ...['begin', `transmit ${SELECT}`, 'end leave'],
    ...['begin', `transmit ${SELECT}`, 'end reset'],
  ]);
});

test('a transaction on an unused card that was reset takes it as it is; a used one does not', async () => {
  const begin = [fault(PCSC.W_RESET_CARD), OK, fault(PCSC.W_RESET_CARD)];
  const { session, asked } = await connected({ begin, transmit: [answers('9000')] });
  await session.exclusively((card) => card.transmit(fromHex(SELECT)));
  assert.deepEqual(asked().slice(1, 4), ['begin', 'reconnect leave', 'begin']);
  await assert.rejects(
    session.exclusively(async () => assert.fail('begun')),
    {
      code: 'ERR_CARD_RESET',
    },
  );
});

test('others that do not let go: in use, in bounded time', async () => {
  const { session } = await connected({ begin: ['hang'] }, { beginMs: 100 });
  await assert.rejects(
    session.exclusively(async () => assert.fail('begun')),
    {
      code: 'ERR_READER_IN_USE',
    },
  );
});

test('an idle transaction is kept alive, and hears that the card left', async () => {
  const { session, asked } = await connected(
    { status: [CONNECTED, fault(PCSC.W_REMOVED_CARD)] },
    { keepAliveMs: 30 },
  );
  await session.exclusively(async (card) => {
    const until = performance.now() + 5_000;
    while (asked().filter((op) => op === 'status').length < 3 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await assert.rejects(card.transmit(fromHex(SELECT)), { code: 'ERR_CARD_REMOVED' });
  });
  assert.equal(
    asked().some((op) => op.startsWith('transmit')),
    false,
  );
});

test('an exchange that fails: removed, unplugged or lost in transport, never sent again', async () => {
  const present = state(STATE.PRESENT);
  for (const [pcscCode, wait, code] of [
    [PCSC.E_NOT_TRANSACTED, [state(STATE.EMPTY)], 'ERR_CARD_REMOVED'],
    [PCSC.E_NOT_TRANSACTED, [present, state(STATE.EMPTY)], 'ERR_CARD_REMOVED'],
    [PCSC.E_NOT_TRANSACTED, [present], 'ERR_CARD_TRANSPORT'],
    [PCSC.E_COMM_DATA_LOST, [state(STATE.UNAVAILABLE)], 'ERR_READER_GONE'],
    [PCSC.E_INSUFFICIENT_BUFFER, [present], 'ERR_CARD_TRANSPORT'],
    [PCSC.W_UNPOWERED_CARD, [state(STATE.EMPTY)], 'ERR_CARD_REMOVED'],
    [PCSC.E_READER_UNAVAILABLE, [present], 'ERR_READER_GONE'],
    [PCSC.E_NO_SERVICE, [present], 'ERR_READER_SERVICE'],
    [PCSC.W_REMOVED_CARD, [present], 'ERR_CARD_REMOVED'],
  ] as const) {
    const { session, asked } = await connected({ transmit: [fault(pcscCode)], wait });
    await assert.rejects(send(session), { code }, `${pcscCode.toString(16)} ${code}`);
    assert.equal(asked().filter((op) => op.startsWith('transmit')).length, 1);
  }
  const empty = await connected({ transmit: [answers('')], wait: [state(STATE.EMPTY)] });
  await assert.rejects(send(empty.session), { code: 'ERR_CARD_REMOVED' });
});

test('a driver that hangs or crashes in an APDU: coded, in bounded time, and the next one starts', async () => {
  const hung = await connected({ transmit: ['hang'] }, { transmitMs: 100 });
  await assert.rejects(send(hung.session), { code: 'ERR_READER_TIMEOUT' });
  await assert.rejects(send(hung.session), { code: 'ERR_READER_TIMEOUT' });
  await hung.session.disconnect();
  const again = await hung.reader.connect();
  assert.equal(again.protocol, 'T=1');
  const dead = await connected({ transmit: ['die'] });
  await assert.rejects(send(dead.session), { code: 'ERR_READER_CRASH' });
});

test('commands that PC/SC cannot carry are refused before they leave', async () => {
  const { session, asked } = await connected({});
  for (const length of [0, 3, 70_000]) {
    await assert.rejects(session.transmit(new Uint8Array(length)), { code: 'ERR_CARD_APDU' });
  }
  assert.equal(asked().length, 1);
});

test('a PIN pad is looked for when wanted: found, none, or a driver that refuses', async () => {
  const wanted = { wantsPinPad: true };
  const pad = {
    features: [{ result: { data: '0604420000DB' } }],
    control: [{ result: { data: '9000' } }],
  };
  const { session } = await connected(pad, {}, wanted);
  const options = { digitsMin: 4, digitsMax: 12, timeoutMs: 1_000, language: 'en' } as const;
  const result = await session.pinPad?.verifyPlaintextPin(options);
  assert.deepEqual(result, { result: 'verified', response: fromHex('9000') });
  for (const features of [
    { result: { data: '' } },
    fault(PCSC.E_NOT_TRANSACTED),
    fault(0x8010001f),
  ]) {
    const without = await connected({ features: [features] }, {}, wanted);
    assert.equal(without.session.pinPad, null);
  }
});

test('at the pad: no answer in time is "timeout", a broken driver "unusable", a pulled card removed', async () => {
  const features = [{ result: { data: '0604420000DB' } }];
  const options = { digitsMin: 4, digitsMax: 12, timeoutMs: 100, language: 'en' } as const;
  const enter = async (parts: Play) => {
    const wanted = { wantsPinPad: true };
    const { session } = await connected({ features, ...parts }, {}, wanted);
    return await session.pinPad?.verifyPlaintextPin(options);
  };
  const present = [state(STATE.PRESENT)];
  const lost = [fault(PCSC.E_NOT_TRANSACTED)];
  assert.deepEqual(await enter({ control: ['hang'] }), { result: 'timeout' });
  assert.deepEqual(await enter({ control: lost, wait: present }), { result: 'unusable' });
  assert.deepEqual(await enter({ control: [fault(0x8010001f)] }), { result: 'unusable' });
  assert.deepEqual(await enter({ control: [{ result: { data: '' } }] }), { result: 'unusable' });
  await assert.rejects(enter({ control: lost, wait: [state(STATE.EMPTY)] }), {
    code: 'ERR_CARD_REMOVED',
  });
});

test('the watch tells readers, cards, a lost service and its return', async () => {
  const at = (bits: number, atr = '') => ({
    result: { states: [{ reader: 'R', state: bits, atr }] },
  });
  const list = (...readers: string[]) => ({ result: { readers } });
  const { readers } = play({
    list: [list('R'), list('R'), list('R'), fault(PCSC.E_NO_SERVICE), list('R'), list()],
    wait: [
      at(STATE.EMPTY),
      at(0x10000 | STATE.PRESENT, '3B6700'),
      at(0x10000 | STATE.PRESENT, '3B6700'),
    ],
  });
  const told: string[] = [];
  const fresh: boolean[] = [];
  const done = new Promise<void>((resolve) => {
    const off = readers.watch((event) => {
      told.push(event.type);
      if (event.type === 'cardInserted') fresh.push(event.isFresh);
      if (told.filter((type) => type === 'readerRemoved').length < 2) return;
      off();
      resolve();
    });
  });
  await done;
  assert.deepEqual(told, [
    ...['readerAdded', 'cardInserted'],
    ...[
      'cardRemoved',
      'readerRemoved',
      'serviceLost',
      'serviceFound',
      'readerAdded',
      'cardInserted',
    ],
    ...['cardRemoved', 'readerRemoved'],
  ]);
  assert.deepEqual(fresh, [true, false], 'the service came back, the card lay there');
});

test('after a fault that nobody knows the watch begins anew, with a context of its own', async () => {
  const broken = fault(0x80100004);
  // A process of the same context would answer with this fault for ever.
  const { readers } = play({
    list: [{ result: { readers: ['R'] } }, broken],
    wait: [state(STATE.EMPTY)],
  });
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    const off = readers.watch((event) => {
      told.push(event.type === 'serviceLost' ? event.code : event.type);
      if (told.filter((type) => type === 'readerAdded').length < 2) return;
      off();
      resolve();
    });
  });
  const first = ['readerAdded', 'readerRemoved', 'ERR_READER_FAULT'];
  assert.deepEqual(told, [...first, 'serviceFound', 'readerAdded']);
});

test('states as events: in, out, swapped between two looks, mute', () => {
  const types = (last: number, now: number, atr = '3B') =>
    cardEvents(last, { reader: 'R', state: now, atr }).map((event: CardEvent) => event.type);
  const { EMPTY, PRESENT, MUTE } = STATE;
  assert.deepEqual(types(0, EMPTY), []);
  assert.deepEqual(types(EMPTY, PRESENT), ['cardInserted']);
  assert.deepEqual(types(PRESENT, EMPTY), ['cardRemoved']);
  assert.deepEqual(types(PRESENT, PRESENT), []);
  assert.deepEqual(types(0x10000 | PRESENT, 0x30000 | PRESENT), ['cardRemoved', 'cardInserted']);
  const isFresh = (last: number) =>
    cardEvents(last, { reader: 'R', state: 0x30000 | PRESENT, atr: '3B' }).map(
      (event) => event.type === 'cardInserted' && event.isFresh,
    );
  assert.deepEqual(isFresh(EMPTY), [true], 'only where the reader was seen empty');
  assert.deepEqual(isFresh(0), [false]);
  assert.deepEqual(isFresh(STATE.UNKNOWN), [false]);
  assert.deepEqual(isFresh(0x10000 | PRESENT), [false, false]);
  const [mute] = cardEvents(EMPTY, { reader: 'R', state: PRESENT | MUTE, atr: '3B00' });
  assert.equal(mute?.type === 'cardInserted' && mute.atr === null, true);
});

test('a message is one line of ASCII whatever a reader is called', () => {
  const line = asciiLine({ op: 'connect', reader: '读卡器\n00', exclusive: false });
  assert.match(line, /^[\x20-\x7e]+\n$/);
  assert.equal((JSON.parse(line) as { reader: string }).reader, '读卡器\n00');
});
