/**
 * Questions to the agent: one answer each, a time limit, and an answer that crossed with our giving
 * up is harmless once, while one that nobody asked for is not.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, TapError } from '@tapnpay/protocol/bytes';
import { Question } from './question.ts';

/** A clock whose timers fire when the test says so. */
function manualClock() {
  const timers = new Map<object, { readonly delayMs: number; readonly fire: () => void }>();
  const clock: Clock = {
    nowMs: () => 0,
    startTimer: (delayMs, fire) => {
      const key = {};
      timers.set(key, { delayMs, fire });
      return () => timers.delete(key);
    },
  };
  return { clock, timers };
}

function newQuestion() {
  const { clock, timers } = manualClock();
  const question = new Question<string>('card', clock);
  let emitted = 0;
  const ask = (unless?: Promise<never>) =>
    question.ask({
      emit: () => {
        emitted += 1;
      },
      timeoutMs: 60_000,
      late: () => new TapError('ERR_LATE', 'late'),
      ...(unless ? { unless } : {}),
    });
  return { question, ask, timers, emitted: () => emitted };
}

const FAULT = { code: 'ERR_USER_CANCELLED', message: 'no', data: {} };

test('an answer, or a fault with its code; no timer stays', async () => {
  const { question, ask, timers, emitted } = newQuestion();
  const first = ask();
  question.answer({ value: 'here' });
  assert.equal(await first, 'here');
  const second = ask();
  question.answer({ error: FAULT });
  await assert.rejects(second, { code: 'ERR_USER_CANCELLED' });
  assert.deepEqual([timers.size, emitted()], [0, 2]);
});

test('unasked, and a second answer to one question, are out of sequence', async () => {
  const { question, ask } = newQuestion();
  assert.throws(() => question.answer({ value: 'x' }), { code: 'ERR_ELEMENT_SEQUENCE' });
  const asked = ask();
  question.answer({ value: 'one' });
  assert.throws(() => question.answer({ value: 'two' }), { code: 'ERR_ELEMENT_SEQUENCE' });
  assert.equal(await asked, 'one');
  assert.throws(() => question.answer({ error: FAULT }), { code: 'ERR_ELEMENT_SEQUENCE' });
});

test('after its time the answer is harmless once; asked again, the next answer counts', async () => {
  const { question, ask, timers } = newQuestion();
  const late = ask();
  const [timer] = timers.values();
  assert.equal(timer?.delayMs, 60_000);
  timer?.fire();
  await assert.rejects(late, { code: 'ERR_LATE' });
  question.answer({ value: 'crossed' });
  assert.throws(() => question.answer({ value: 'again' }), { code: 'ERR_ELEMENT_SEQUENCE' });
  const again = ask();
  question.answer({ value: 'fresh' });
  assert.equal(await again, 'fresh');
});

test('an agent that drops its late answer may answer the next question', async () => {
  const { question, ask, timers } = newQuestion();
  const late = ask();
  for (const { fire } of timers.values()) fire();
  await assert.rejects(late, { code: 'ERR_LATE' });
  const next = ask();
  question.answer({ value: 'fresh' });
  assert.equal(await next, 'fresh');
});

test('what makes the answer useless ends the wait at once', async () => {
  const { question, ask, timers } = newQuestion();
  let lose: (fault: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    lose = reject;
  });
  const asked = ask(lost);
  lose(new TapError('ERR_CHANNEL_CLOSED', 'lost'));
  await assert.rejects(asked, { code: 'ERR_CHANNEL_CLOSED' });
  assert.equal(timers.size, 0);
  question.answer({ value: 'crossed' });
});
