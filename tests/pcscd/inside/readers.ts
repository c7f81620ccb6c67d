/** The readers themselves over pcscd: hot-plug, two of them, sharing, resets, sizes, times, loss. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { type ChipCard, listReaders, PcscReaders, type ReaderEvent } from '@tapnpay/agent';
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { contactlessAtr, QUICK_HOST, SLOTS, TestSlot } from '../inside.test-kit.ts';

const readers = new PcscReaders({ times: { inUseMs: 200, beginMs: 1_500 } });
after(() => readers.close());
const one = new TestSlot(readers, 0);
const two = new TestSlot(readers, 1);
const ECHO = fromHex('8010000004DEADBEEF00');

/** Answers what it was sent; counts since its last power. */
function echoCard(sign = 0): ChipCard {
  let count = 0;
  return {
    interface: 'contactless',
    reset: () => {
      count = 0;
      return contactlessAtr(Uint8Array.of(0x54, sign));
    },
    transmit: (command) => {
      count += 1;
      return concatBytes(command, Uint8Array.of(sign, count, 0x90, 0x00));
    },
  };
}

async function timesMs(host: string, rounds: number): Promise<readonly [number, number]> {
  const offered = await one.insert(echoCard(), host);
  const session = await one.reader.connect();
  const times: number[] = [];
  await session.exclusively(async (card) => {
    for (let round = 0; round < rounds; round++) {
      const started = performance.now();
      await card.transmit(ECHO);
      times.push(performance.now() - started);
    }
  });
  await session.disconnect();
  await offered.close();
  const sorted = times.sort((left, right) => left - right);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
  return [at(0.5), at(0.95)];
}

test('round trip: a route with quickack is worth more than ten times', async (t) => {
  const plain = await timesMs('127.0.0.1', 40);
  const quick = await timesMs(QUICK_HOST, 500);
  for (const [name, [median, p95]] of [
    ['plain', plain],
    ['quickack', quick],
  ] as const) {
    const figures = `median ${median.toFixed(3)} ms, p95 ${p95.toFixed(3)} ms`;
    t.diagnostic(`PC/SC round trip over vpcd, ${name}: ${figures}`);
  }
  // A vpcd that sends in one piece has no trap to avoid.
  if (plain[0] > 20) assert.ok(quick[0] * 10 < plain[0]);
});

test('both slots are listed and hot-plugged: in, out, another card in', async () => {
  assert.deepEqual(await readers.list(), [...SLOTS]);
  assert.deepEqual(await listReaders(), { status: 'ok', readers: [...SLOTS] });
  const events: ReaderEvent[] = [];
  await one.until(false);
  const off = readers.watch((event) => events.push(event));
  await (await one.insert(echoCard(1))).close();
  await (await one.insert(echoCard(2))).close();
  await one.until(false);
  off();
  const cards = events.flatMap((event) =>
    event.type === 'cardInserted'
      ? [toHex(event.atr ?? new Uint8Array(0)).slice(8, 12)]
      : event.type === 'cardRemoved'
        ? ['out']
        : [],
  );
  assert.deepEqual(cards, ['5401', 'out', '5402', 'out']);
});

test('two readers at once, each with its own card', async () => {
  const offered = await Promise.all([one.insert(echoCard(1)), two.insert(echoCard(2))]);
  const sessions = await Promise.all([one.reader.connect(), two.reader.connect()]);
  for (let round = 1; round <= 3; round++) {
    const answers = await Promise.all(sessions.map((session) => session.transmit(ECHO)));
    assert.deepEqual(
      answers.map((answer) => toHex(answer.slice(-4))),
      [`010${round}9000`, `020${round}9000`],
    );
  }
  await Promise.all(sessions.map((session) => session.disconnect()));
  await Promise.all(offered.map((card) => card.close()));
  await assert.rejects(
    one.until(false).then(() => one.reader.connect()),
    {
      code: 'ERR_CARD_ABSENT',
    },
  );
});

test('exclusive keeps other programs out until it is given back', async () => {
  const offered = await one.insert(echoCard());
  const held = await one.reader.connect({ sharing: 'exclusive' });
  await assert.rejects(one.reader.connect(), { code: 'ERR_READER_IN_USE' });
  await held.disconnect();
  const next = await one.reader.connect();
  assert.equal((await next.transmit(ECHO)).at(-3), 1, 'powered anew');
  await next.disconnect();
  await offered.close();
});

test('a transaction keeps others waiting, and a reset of theirs is told, never resumed', async () => {
  const offered = await one.insert(echoCard());
  const [mine, other] = [await one.reader.connect(), await one.reader.connect()];
  const order: string[] = [];
  const theirs = mine.exclusively(async (card) => {
    await card.transmit(ECHO);
    await new Promise((resolve) => setTimeout(resolve, 300));
    order.push('mine');
    await card.transmit(ECHO);
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await other.exclusively(async () => order.push('theirs'));
  await theirs;
  assert.deepEqual(order, ['mine', 'theirs']);
  await other.reset();
  await assert.rejects(mine.transmit(ECHO), { code: 'ERR_CARD_RESET' });
  await assert.rejects(
    mine.exclusively(async () => assert.fail('resumed')),
    { code: 'ERR_CARD_RESET' },
  );
  await mine.reset();
  assert.equal((await mine.transmit(ECHO)).at(-3), 1);
  const hold = mine.exclusively(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await assert.rejects(
    other.exclusively(async () => assert.fail('let in')),
    { code: 'ERR_READER_IN_USE' },
  );
  await hold;
  await Promise.all([mine.disconnect(), other.disconnect()]);
  await offered.close();
});

test('a session reset before its first command is taken as it is', async () => {
  const offered = await one.insert(echoCard());
  const [mine, other] = [await one.reader.connect(), await one.reader.connect()];
  await other.reset();
  assert.equal((await mine.transmit(ECHO)).at(-3), 1);
  await Promise.all([mine.disconnect(), other.disconnect()]);
  await offered.close();
});

test('extended APDUs go through whole, both ways', async () => {
  const offered = await one.insert(echoCard());
  const session = await one.reader.connect();
  for (const length of [256, 4_000, 32_000]) {
    const header = fromHex(`80100000${`00${length.toString(16).padStart(4, '0')}`}`);
    const command = concatBytes(header, new Uint8Array(length).fill(0xab), Uint8Array.of(0, 0));
    const answer = await session.transmit(command);
    assert.equal(answer.length, command.length + 4);
    assert.deepEqual(answer.slice(0, command.length), command);
  }
  await session.disconnect();
  await offered.close();
});

test('the service is killed in a session: coded at once, told by the watch, found again', async () => {
  const offered = await one.insert(echoCard());
  const session = await one.reader.connect();
  await session.transmit(ECHO);
  const events: string[] = [];
  let onEvent = () => {};
  readers.watch(({ type }) => {
    events.push(type);
    onEvent();
  });
  const seen = async (type: string): Promise<void> => {
    while (!events.includes(type)) {
      await new Promise<void>((resolve) => {
        onEvent = resolve;
      });
    }
  };
  process.kill(Number(process.env['TEST_PCSCD_PID']), 'SIGKILL');
  const started = performance.now();
  await assert.rejects(session.transmit(ECHO), { code: 'ERR_READER_SERVICE' });
  assert.ok(performance.now() - started < 3_000, 'in bounded time');
  await seen('serviceLost');
  await assert.rejects(one.reader.connect(), { code: 'ERR_READER_SERVICE' });
  assert.deepEqual(await listReaders(), { status: 'noService' });
  await session.disconnect();
  await offered.close();
  for (const path of ['/run/pcscd/pcscd.comm', '/run/pcscd/pcscd.pid'])
    rmSync(path, { force: true });
  const restarted = spawn('/usr/sbin/pcscd', ['--foreground'], { stdio: 'ignore' });
  while (!existsSync('/run/pcscd/pcscd.comm')) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await seen('serviceFound');
  const again = await one.insert(echoCard(7));
  const next = await one.reader.connect();
  assert.equal(toHex((await next.transmit(ECHO)).slice(-4)), '07019000');
  await next.disconnect();
  await again.close();
  restarted.kill('SIGKILL');
});
