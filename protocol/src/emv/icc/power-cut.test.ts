/**
 * Shows that power may go at every command of every kind of session: the stored image is the one
 * before or the one after, both start a card that pays, no counter comes twice, money and logs
 * agree, and what is left of the old session moves nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import { type IccImage, parseIccImage } from '../data/index.ts';
import {
  type Answer,
  CardSession,
  type Change,
  cardOf,
  commandOf,
  imageOf,
  SELECT,
  send,
  stateOf,
  TERMINAL,
} from './icc.test-kit.ts';
import type { IccInterface } from './index.ts';

/** One command and the card around it. */
type Step = {
  readonly command: string;
  readonly sw: string;
  readonly before: IccImage;
  readonly after: IccImage;
};

const CARD: Change = { request: { electronicCash: {}, pin: '123456' } };
const PURSE_MINOR = 10000n;
const AMOUNT_MINOR = 1234n;
const RIGHT_PIN = '26123456FFFFFFFF';
const WRONG_PIN = '26123457FFFFFFFF';

class Recorded extends CardSession {
  readonly steps: Step[] = [];

  override send(hex: string): Answer {
    const before = this.card.image();
    const answer = super.send(hex);
    this.steps.push({ command: hex, sw: answer.sw, before, after: this.card.image() });
    return answer;
  }
}

const balance = (image: IccImage) => BigInt(stateOf(image).electronicCash?.balanceMinor ?? '0');

/** A whole online transaction with both scripts of a load. */
function loadSession(): Recorded {
  const session = new Recorded(CARD).start();
  session.send('00B2010C00');
  session.send(commandOf('00200080', WRONG_PIN));
  session.send(commandOf('00200080', RIGHT_PIN));
  session.send('00880000047863AFC600');
  session.generate('80');
  session.externalAuthenticate();
  session.script('04DA9F58', '09');
  session.generate('40');
  session.script('04DA9F79', '000000030000');
  session.script('84240002', session.pinChangeData('241357FFFFFFFFFF'));
  session.brokenScript('04DA9F79', '000000090000');
  return session;
}

function purseSession(): Recorded {
  const session = new Recorded(CARD).start({ '9F7A': '01' });
  session.send('00B2010C00');
  session.send('80CA9F7900');
  session.generate('40');
  session.send('00B2015C00');
  return session;
}

function offlineSession(): Recorded {
  const session = new Recorded({ ...CARD, state: { atc: 6, lastOnlineAtc: 5 } }).start();
  session.generate('80');
  session.generate('40', { '8A': '5933' });
  return session;
}

/** Taps have no session object: the commands, and what the card was before and after each. */
function tapSteps(indicator: '00' | '01'): readonly Step[] {
  const card = cardOf(imageOf(CARD), 'contactless');
  const values = `36000080${TERMINAL['9F02']}00000000000001560000000000015626070100${TERMINAL['9F37']}${indicator}`;
  const reads = [1, 2, 3, 4, 5].map((record) => `00B20${record}2400`);
  const gpo = commandOf('80A80000', `8322${values}`, '00');
  return [SELECT, gpo, ...reads, '00B2013C00', SELECT].map((command) => {
    const before = card.image();
    const { sw } = send(card, command);
    return { command, sw, before, after: card.image() };
  });
}

/** What must hold around any single command. */
function assertStep({ command, sw, before, after }: Step): void {
  const [old, now] = [stateOf(before), stateOf(after)];
  const isCounted = command.startsWith('80A8') && sw === '9000';
  assert.equal(now.atc - old.atc, isCounted ? 1 : 0, command);
  const moved = balance(after) - balance(before);
  const [payment] = now.log.length > old.log.length ? now.log : [];
  const [load] = now.loadLog.length > old.loadLog.length ? now.loadLog : [];
  assert.equal(load !== undefined, moved > 0n, 'money comes with its log entry');
  if (moved < 0n) {
    assert.ok(payment, 'money goes with its log entry');
    assert.equal(BigInt(payment.slice(12, 24)), -moved);
    assert.equal(payment.slice(-4), toHex(Uint8Array.of(now.atc >> 8, now.atc & 255)));
  }
  if (load) {
    assert.equal(BigInt(load.slice(4, 16)), balance(before));
    assert.equal(BigInt(load.slice(16, 28)), balance(after));
  }
  assert.deepEqual(parseIccImage(JSON.stringify(after)), after);
}

/** The next transaction of a card that was started from an image. */
function nextCounter(image: IccImage): number {
  const card = cardOf(image);
  const { sw } = send(card, SELECT);
  assert.ok(['9000', '6283'].includes(sw));
  assert.equal(send(card, '80A800000B8309000000000012340156').sw, '9000');
  const dol = `${TERMINAL['9F02']}${'00'.repeat(6)}01560000000000015626070100${TERMINAL['9F37']}`;
  const answer = send(card, commandOf('80AE8000', `${dol}101112${'20'.repeat(20)}`, '00'));
  assert.equal(answer.sw, '9000');
  return Number.parseInt(answer.data.slice(6, 10), 16);
}

/** Cuts the power before and after every step. */
function assertCuts(steps: readonly Step[], by: IccInterface): void {
  steps.forEach((step, index) => {
    assertStep(step);
    assert.equal(nextCounter(step.before), stateOf(step.before).atc + 1);
    assert.equal(nextCounter(step.after), stateOf(step.after).atc + 1);
    const restarted = cardOf(step.after, by);
    for (const { command } of steps.slice(index + 1)) {
      // A new selection is a new transaction: what counts is what comes of the torn one.
      if (command.startsWith('00A4')) break;
      send(restarted, command);
    }
    assert.equal(balance(restarted.image()), balance(step.after), 'the torn session moves nothing');
    assert.equal(stateOf(restarted.image()).atc, stateOf(step.after).atc);
    assert.deepEqual(restarted.image().applications[0]?.dgis, step.after.applications[0]?.dgis);
  });
}

test('a load by contact: PIN, ARQC, ARPC, scripts before and after, one that fails', () => {
  const { steps } = loadSession();
  assertCuts(steps, 'contact');
  const last = steps.at(-1);
  assert.ok(last);
  assert.equal(balance(last.after), 30000n);
  assert.equal(steps.filter(({ before, after }) => balance(before) !== balance(after)).length, 1);
});

test('a payment from the purse by contact', () => {
  const { steps } = purseSession();
  assertCuts(steps, 'contact');
  assert.equal(balance(steps.at(-1)?.after ?? imageOf()), PURSE_MINOR - AMOUNT_MINOR);
});

test('an offline approval of the account', () => {
  const { steps } = offlineSession();
  assertCuts(steps, 'contact');
  const last = steps.at(-1);
  assert.ok(last);
  assert.equal(stateOf(last.after).cumulativeOfflineAmountMinor, AMOUNT_MINOR.toString());
});

test('a tap paid from the purse: the money goes at its last record and at no other command', () => {
  const steps = tapSteps('01');
  assertCuts(steps, 'contactless');
  const moves = steps.filter(({ before, after }) => balance(before) !== balance(after));
  assert.deepEqual(
    moves.map(({ command }) => command),
    ['00B2013C00'],
  );
});

test('a tap that goes online moves nothing but the counter', () => {
  const steps = tapSteps('00');
  assertCuts(steps, 'contactless');
  const last = steps.at(-1);
  assert.ok(last);
  assert.equal(balance(last.after), PURSE_MINOR);
});

test('twenty payments with the power cut at a different command each: no counter twice, no cent lost', () => {
  let image = imageOf(CARD);
  let spent = 0n;
  const counters = new Set<string>();
  for (let run = 0; run < 20; run++) {
    const session = new Recorded({ ...CARD, image: { applications: image.applications } });
    session.start({ '9F7A': '01' });
    session.send('00B2010C00');
    const tc = session.generate('40', { '9F02': '000000000100' });
    const steps = session.steps;
    const cut = run % (steps.length + 1);
    image = cut === 0 ? (steps[0]?.before ?? image) : (steps[cut - 1]?.after ?? image);
    if (cut >= steps.length) {
      assert.equal(tc.cid, 0x40);
      assert.equal(counters.has(tc.atc), false);
      counters.add(tc.atc);
      spent += 100n;
    }
  }
  assert.ok(spent > 0n);
  assert.equal(balance(image), PURSE_MINOR - spent);
  assert.equal(stateOf(image).log.length, Number(spent / 100n));
  assert.ok(fromHex(stateOf(image).log[0] ?? '').length > 0);
});
