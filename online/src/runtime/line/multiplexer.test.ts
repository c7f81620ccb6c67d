/** Shows matching, its counters, what waits for a place in flight, and the one timer of deadlines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@tapnpay/protocol/bytes';
import { type DecodedMessage, type Iso8583Message, withFields } from '@tapnpay/protocol/iso8583';
import fc from 'fast-check';
import { newCounters } from './counters.ts';
import {
  LineError,
  Multiplexer,
  matchKeyOf,
  messagePair,
  type Reply,
  requireMatchKey,
  type Settled,
} from './index.ts';
import { answer, code, ManualClock, MEMBER_ID, received, request } from './line.test-kit.ts';

/** A multiplexer under test, and what it sent. */
function open(
  facts: { readonly inFlightMax?: number; readonly queueMax?: number; readonly clock?: Clock } = {},
) {
  const clock = facts.clock ?? new ManualClock();
  const counters = newCounters();
  const multiplexer = new Multiplexer<DecodedMessage>({ ...facts, clock, counters });
  const sent: Iso8583Message[] = [];
  const ask = (message: Iso8583Message, timeoutMs = 1_000): Promise<Reply> =>
    multiplexer.expect(requireMatchKey(message), { timeoutMs, send: () => sent.push(message) });
  const settle = (message: Iso8583Message): Settled => {
    const key = matchKeyOf(message);
    return key ? multiplexer.settle(key, received(message)) : 'unmatched';
  };
  return { multiplexer, counters, sent, ask, settle };
}
const terminal = (stan: string, id: string): Iso8583Message => request(stan, [[41, id]]);

test('a pair is class and function: a request, its repeat and its answer have the same', () => {
  const groups = ['0200 0201 0210', '0220 0221 0230', '0420 0421 0430', '0400 0410', '0820 0830'];
  const pairs = groups.map((group) => new Set(group.split(' ').map(messagePair)));
  for (const pair of pairs) assert.equal(pair.size, 1);
  assert.equal(new Set(pairs.flatMap((pair) => [...pair])).size, groups.length);
});

test('shuffled answers find their requests, also with equal trace numbers', async () => {
  const { multiplexer, ask, settle } = open();
  const requests = ['000001', '000002', '000003'].flatMap((stan) => [
    terminal(stan, '00000001'),
    terminal(stan, '00000002'),
  ]);
  const waiting = requests.map((message) => ask(message));
  for (const message of requests.toReversed()) assert.equal(settle(answer(message)), 'matched');
  for (const [index, reply] of (await Promise.all(waiting)).entries()) {
    assert.ok(reply !== 'timeout');
    assert.equal(reply.fields.get(11), requests[index]?.fields.get(11));
    assert.equal(reply.fields.get(41), requests[index]?.fields.get(41));
  }
  assert.equal(multiplexer.inFlight, 0);
});

test('an answer without F41 or F7 is taken when one can be meant, never guessed', async () => {
  for (const field of [41, 7]) {
    const { ask, settle } = open();
    const bare = withFields(answer(request('000001')), [[field, undefined]]);
    const other = request('000001', [[field, field === 41 ? '00000002' : '1125120001']]);
    const waiting = [ask(request('000001')), ask(other)];
    assert.equal(settle(bare), 'unmatched');
    assert.equal(settle(answer(other)), 'matched');
    assert.equal(settle(bare), 'unmatched', 'it may be a copy of the answer to the other');
    assert.equal(settle(answer(request('000001'))), 'matched');
    await Promise.all(waiting);
    const alone = ask(request('000002'));
    assert.equal(settle(withFields(answer(request('000002')), [[field, undefined]])), 'matched');
    await alone;
  }
});

test('an answer without F41 is not taken for another request when it may be a late one', async () => {
  const clock = new ManualClock();
  const { ask, settle, counters } = open({ clock });
  const early = ask(terminal('000001', '00000001'), 100);
  await clock.advance(100);
  assert.equal(await early, 'timeout');
  void ask(terminal('000001', '00000002'));
  const bare = withFields(answer(request('000001')), [[41, undefined]]);
  assert.equal(settle(bare), 'unmatched');
  assert.equal(settle(answer(terminal('000001', '00000001'))), 'late');
  assert.equal(settle(bare), 'matched', 'now one can be meant');
  assert.deepEqual([counters.late, counters.unmatched, counters.matched], [1, 1, 1]);
});

test('a duplicate key in flight is refused; another pair, time or acquirer is not it', () => {
  const { multiplexer, ask, settle, counters } = open();
  void ask(request('000001'));
  assert.throws(() => ask(request('000001')), code('ERR_LINE_DUPLICATE'));
  assert.throws(() => ask({ ...request('000001'), mti: '0201' }), code('ERR_LINE_DUPLICATE'));
  void ask({ ...request('000001'), mti: '0420' });
  void ask({ ...request('000001'), mti: '0220' });
  void ask(request('000001', [[7, '1125120001']]));
  void ask(request('000001', [[32, '49990000002']]));
  assert.equal(multiplexer.inFlight, 5);
  assert.equal(counters.duplicates, 1 + 1);
  assert.equal(settle(answer(request('000009'))), 'unmatched');
});

test('time-out, then the answer is late, once; a copy of it is unmatched', async () => {
  const clock = new ManualClock();
  const { ask, settle, counters } = open({ clock });
  const waiting = ask(request('000001'));
  await clock.advance(999);
  assert.equal(counters.expired, 0);
  await clock.advance(1);
  assert.equal(await waiting, 'timeout');
  assert.equal(settle(answer(request('000001'))), 'late');
  assert.equal(settle(answer(request('000001'))), 'unmatched');
  assert.deepEqual([counters.expired, counters.late, counters.unmatched], [1, 1, 1]);
});

test('the same key again after its time-out: an answer belongs to the repeat', async () => {
  const clock = new ManualClock();
  const { ask, settle } = open({ clock });
  const first = ask({ ...request('000001'), mti: '0420' }, 100);
  await clock.advance(100);
  assert.equal(await first, 'timeout');
  const repeat = ask({ ...request('000001'), mti: '0421' });
  assert.equal(settle({ ...answer(request('000001')), mti: '0430' }), 'matched');
  assert.notEqual(await repeat, 'timeout');
  assert.equal(settle({ ...answer(request('000001')), mti: '0430' }), 'unmatched', 'a copy');
});

test('a lost line fails what was sent as unknown, and what waited as not sent', async () => {
  const { multiplexer, ask } = open({ inFlightMax: 1 });
  const sent = ask(request('000001'));
  const waiting = ask(request('000002'));
  multiplexer.failAll(new LineError('ERR_LINE_CLOSED', 'lost'));
  await assert.rejects(sent, code('ERR_LINE_CLOSED'));
  await assert.rejects(waiting, code('ERR_LINE_NOT_ESTABLISHED'));
  assert.equal(multiplexer.inFlight + multiplexer.queued, 0);
});

test('back-pressure: beyond the places in flight requests wait, in order; a full queue refuses', async () => {
  const { multiplexer, ask, settle, sent, counters } = open({ inFlightMax: 2, queueMax: 2 });
  const stans = ['000001', '000002', '000003', '000004'];
  const waiting = stans.map((stan) => ask(request(stan)));
  assert.deepEqual([multiplexer.inFlight, multiplexer.queued, sent.length], [2, 2, 2]);
  assert.throws(() => ask(request('000005')), code('ERR_LINE_BUSY'));
  assert.throws(() => ask(request('000003')), code('ERR_LINE_DUPLICATE'), 'waiting counts, too');
  assert.equal(settle(answer(request('000004'))), 'unmatched', 'it has not been sent');
  for (const stan of stans) assert.equal(settle(answer(request(stan))), 'matched');
  assert.ok((await Promise.all(waiting)).every((reply) => reply !== 'timeout'));
  assert.deepEqual(
    sent.map((message) => message.fields.get(11)),
    stans,
  );
  assert.equal(counters.busy, 1);
});

test('back-pressure: a request whose turn does not come in time is refused and never sent', async () => {
  const clock = new ManualClock();
  const { ask, sent, counters } = open({ clock, inFlightMax: 1 });
  const first = ask(request('000001'), 1_000);
  const busy = assert.rejects(ask(request('000002'), 1_000), code('ERR_LINE_BUSY'));
  const third = ask(request('000003'), 2_000);
  await clock.advance(1_000);
  assert.equal(await first, 'timeout');
  await busy;
  assert.equal(sent.length, 2, 'the place that came free is for the third');
  await clock.advance(1_000);
  assert.equal(await third, 'timeout');
  assert.deepEqual([counters.expired, counters.busy], [2, 1]);
});

test('urgent requests pass a full flight', () => {
  const { multiplexer, ask } = open({ inFlightMax: 1, queueMax: 1 });
  void ask(request('000001'));
  let isSent = false;
  void multiplexer.expect(requireMatchKey({ ...request('000002'), mti: '0820' }), {
    timeoutMs: 1_000,
    isUrgent: true,
    send: () => {
      isSent = true;
    },
  });
  assert.ok(isSent);
});

test('a thousand deadlines take one timer', async () => {
  const inner = new ManualClock();
  let open_ = 0;
  let most = 0;
  const clock: Clock = {
    nowMs: () => inner.nowMs(),
    startTimer(delayMs, action) {
      open_ += 1;
      most = Math.max(most, open_);
      const cancel = inner.startTimer(delayMs, () => {
        open_ -= 1;
        action();
      });
      return () => {
        open_ -= 1;
        cancel();
      };
    },
  };
  const { ask, counters } = open({ clock });
  for (let index = 0; index < 1_000; index++) {
    const stan = String(index).padStart(6, '0');
    void ask(request(stan), 1_000 + (index % 7) * 100);
  }
  await inner.advance(1_300);
  assert.equal(counters.expired, 572);
  await inner.advance(1_000);
  assert.equal(counters.expired, 1_000);
  assert.equal(most, 1);
});

test('a wall clock set back does not lengthen a deadline, one set forward ends it', async () => {
  const inner = new ManualClock();
  let shiftMs = 0;
  const clock: Clock = {
    nowMs: () => inner.nowMs() + shiftMs,
    startTimer: (delayMs, action) => inner.startTimer(delayMs, action),
  };
  const { ask, counters } = open({ clock });
  const first = ask(request('000001'), 1_000);
  shiftMs = -3_600_000;
  const second = ask(request('000002'), 1_000);
  await inner.advance(1_000);
  assert.equal(await first, 'timeout');
  assert.equal(await second, 'timeout');
  const third = ask(request('000003'), 1_000);
  shiftMs = 0;
  await inner.advance(1_000);
  assert.equal(await third, 'timeout');
  assert.equal(counters.expired, 3);
});

test('any order of answers, copies and missing fields crosses no two requests (fast-check)', async () => {
  const spec = fc.record({
    stan: fc.integer({ min: 0, max: 3 }),
    terminal: fc.integer({ min: 1, max: 3 }),
    second: fc.integer({ min: 0, max: 1 }),
    drops: fc.subarray([7, 32, 41]),
    isCopied: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(spec, { maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      async (all, order) => {
        const { multiplexer, ask, settle } = open();
        const asked: { readonly message: Iso8583Message; readonly reply: Promise<Reply> }[] = [];
        const answers: Iso8583Message[] = [];
        for (const [index, { stan, terminal: id, second, drops, isCopied }] of all.entries()) {
          const message = request(`00000${stan}`, [
            [41, `0000000${id}`],
            [7, `112512000${second}`],
            [32, MEMBER_ID],
          ]);
          try {
            asked.push({
              message: withFields(message, [[38, `00000${index}`.slice(-6)]]),
              reply: ask(message),
            });
          } catch (fault) {
            assert.ok(code('ERR_LINE_DUPLICATE')(fault));
            continue;
          }
          const full = withFields(answer(message), [[38, `00000${index}`.slice(-6)]]);
          answers.push(
            withFields(
              full,
              drops.map((field) => [field, undefined]),
            ),
          );
          if (isCopied) answers.push(full);
        }
        answers.sort(() => ((order.next().value ?? 0) % 3) - 1);
        for (const message of answers) settle(message);
        // What no answer could be told for sure stays open; the rest has its own answer.
        multiplexer.failAll(new LineError('ERR_LINE_CLOSED', 'over'));
        for (const { message, reply } of asked) {
          const got = await reply.catch(() => null);
          if (got === null || got === 'timeout') continue;
          assert.equal(got.fields.get(38), message.fields.get(38));
        }
      },
    ),
  );
});
