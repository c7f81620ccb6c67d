/**
 * Terminal risk management: floor limit with split sales, random selection to the boundary,
 * velocity, exception file, forced online. Every case states the exact TVR.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, toHex, uintToBytes } from '../../bytes/index.ts';
import { TEST_PAN, type TestCardOptions } from './card.test-kit.ts';
import { type Change, cvm, quiet, refuses, run } from './case.test-kit.ts';

test('EMV 4.3 B3 §10.6.1: what was approved for this card before counts together', () => {
  const asked: string[] = [];
  const at = (logged: bigint, amountMinor = 1234n): string => {
    const amountLog = {
      amountMinorOf: (pan: { expose(): string }, sequence: { expose(): string }): bigint => {
        asked.push(`${pan.expose()} ${sequence.expose()}`);
        return logged;
      },
    };
    const change = { aid: { floorLimitMinor: 5000n }, terminal: { amountLog } };
    return run({ card: cvm('1F00'), change: { ...change, input: { amountMinor } } }).tvr;
  };
  assert.equal(at(0n), '0000000000');
  assert.equal(at(3765n), '0000000000');
  assert.equal(at(3766n), '0000008000');
  assert.equal(at(1n, 4999n), '0000008000');
  assert.deepEqual(new Set(asked), new Set([`${TEST_PAN} 01`]));
});

test('an amount log that gives no amount is a fault of the terminal, not a low sum', () => {
  for (const logged of [-1n, 5, undefined]) {
    const amountLog = { amountMinorOf: () => logged as bigint };
    const what = { card: cvm('1F00'), change: { ...quiet, terminal: { amountLog } } };
    // Nothing logged may be said by leaving the value out.
    if (logged === undefined) assert.equal(run(what).tvr, '0000000000');
    else refuses('ERR_KERNEL_ANSWER', what);
  }
});

/** How many of the 99 numbers that can be drawn select the amount. */
function selected(
  amountMinor: bigint,
  randomSelection: NonNullable<NonNullable<Change>['aid']>['randomSelection'],
  terminalType = 0x22,
): { readonly count: number; readonly drawnFor: readonly number[] } {
  const drawnFor: number[] = [];
  for (let drawn = 1; drawn <= 99; drawn++) {
    const random = (length: number): Uint8Array =>
      concatBytes(new Uint8Array(length - 1), Uint8Array.of(drawn - 1));
    const aid = { floorLimitMinor: 10_000n, ...(randomSelection ? { randomSelection } : {}) };
    const change = { aid, input: { amountMinor }, terminal: { terminalType } };
    const { tvr } = run({ card: { ...cvm('1F00'), aip: '1800' }, change, driver: { random } });
    if (tvr === '8000001000') drawnFor.push(drawn);
    else assert.equal(tvr, '8000000000');
  }
  return { count: drawnFor.length, drawnFor };
}

test('EMV 4.3 B3 §10.6.2: by the target below the threshold, biased from it to the floor limit', () => {
  const selection = { targetPercentage: 20, maximumTargetPercentage: 60, thresholdMinor: 2000n };
  assert.deepEqual(
    selected(1999n, selection).drawnFor,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  assert.equal(selected(0n, selection).count, 20);
  // At the threshold the bias is 0; half way 20 + 40/2; one below the floor limit 59.995.
  assert.equal(selected(2000n, selection).count, 20);
  assert.equal(selected(2199n, selection).count, 20);
  assert.equal(selected(2200n, selection).count, 21);
  assert.equal(selected(6000n, selection).count, 40);
  assert.equal(selected(9999n, selection).count, 59);
});

test('EMV 4.3 B3 §10.6.2: 0 and 99 per cent, threshold 0, and terminals without the choice', () => {
  const whole = { targetPercentage: 99, maximumTargetPercentage: 99, thresholdMinor: 0n };
  assert.equal(selected(1n, whole).count, 99);
  assert.equal(
    selected(5000n, { targetPercentage: 0, maximumTargetPercentage: 99, thresholdMinor: 0n }).count,
    49,
  );
  assert.equal(
    selected(1999n, { targetPercentage: 0, maximumTargetPercentage: 50, thresholdMinor: 2000n })
      .count,
    0,
  );
  const asked: number[] = [];
  const random = (length: number): Uint8Array => {
    asked.push(length);
    return new Uint8Array(length);
  };
  // Online-only and offline-only terminals do not draw, nor does one above its floor limit.
  for (const terminalType of [0x21, 0x23]) {
    const aid = { floorLimitMinor: 10_000n, randomSelection: whole };
    run({
      card: { ...cvm('1F00'), aip: '1800', firstCid: 0x00 },
      change: { aid, terminal: { terminalType } },
      driver: { random },
    });
  }
  assert.deepEqual(asked, [4, 4], 'only the unpredictable numbers of GENERATE AC');
});

const limits = (more: TestCardOptions): TestCardOptions => ({
  ...more,
  elements: { '8E': '00000000000000001F00', '9F14': '02', '9F23': '04', ...more.elements },
});
const counters = (atc: number | null, register: number | null): TestCardOptions => {
  const getData: Record<string, string> = {};
  const hex = (value: number): string => toHex(uintToBytes(value, 2));
  if (atc !== null) getData['9F36'] = hex(atc);
  if (register !== null) getData['9F13'] = hex(register);
  return { getData };
};

test('EMV 4.3 B3 §10.6.3: transactions since the last online one against both limits', () => {
  const at = (atc: number | null, register: number | null): string =>
    run({ card: limits(counters(atc, register)), change: quiet }).tvr;
  const cases: readonly (readonly [number | null, number | null, string])[] = [
    [5, 4, '0000000000'],
    [6, 4, '0000000000'],
    [7, 4, '0000004000'],
    [8, 4, '0000004000'],
    [9, 4, '0000006000'],
    [0xffff, 0xfffe, '0000000000'],
    [0xffff, 1, '0000006000'],
    // Not above the register: both, and "new card" only when the register is zero.
    [4, 4, '0000006000'],
    [3, 4, '0000006000'],
    [0, 0, '0008006000'],
    [1, 0, '0008000000'],
    [3, 0, '0008004000'],
    [5, 0, '0008006000'],
    // Not told: both, and the missing data.
    [null, 4, '2000006000'],
    [4, null, '2000006000'],
    [null, 0, '2008006000'],
    [null, null, '2000006000'],
  ];
  for (const [atc, register, tvr] of cases) {
    assert.equal(at(atc, register), tvr, `${atc} ${register}`);
  }
});

test('EMV 4.3 B3 §10.6.3: without one of the limits nothing is asked, a malformed one ends it', () => {
  for (const elements of [{ '9F14': null }, { '9F23': null }, { '9F14': null, '9F23': null }]) {
    const { tvr, commands } = run({
      card: limits({ elements, ...counters(1, 0) }),
      change: quiet,
    });
    assert.equal(tvr, '0000000000');
    assert.ok(!commands.some(({ ins }) => ins === 0xca));
  }
  refuses('ERR_CARD_DATA', { card: limits({ elements: { '9F14': '0002' } }), change: quiet });
  refuses('ERR_CARD_DATA', { card: limits({ elements: { '9F23': '0004' } }), change: quiet });
});

test('EMV 4.3 B3 §10.6.3: limits of 0 and 255', () => {
  const at = (lower: string, upper: string, atc: number, register: number): string =>
    run({
      card: limits({ elements: { '9F14': lower, '9F23': upper }, ...counters(atc, register) }),
      change: quiet,
    }).tvr;
  assert.equal(at('00', '00', 5, 4), '0000006000');
  assert.equal(at('FF', 'FF', 300, 45), '0000000000');
  assert.equal(at('FF', 'FF', 301, 45), '0000006000');
  assert.equal(at('FF', 'FF', 45, 45), '0000006000');
});

test('EMV 4.3 B4 §6.3.5: the exception file is asked for PAN and sequence, whatever the AIP says', () => {
  const asked: string[] = [];
  const isOnExceptionFile = (
    pan: { expose(): string },
    sequence: { expose(): string },
  ): boolean => {
    asked.push(`${pan.expose()} ${sequence.expose()}`);
    return true;
  };
  const change = { ...quiet, terminal: { isOnExceptionFile } };
  const { tvr, tsi } = run({ card: { ...cvm('1F00'), aip: '7400' }, change });
  assert.deepEqual([tvr, tsi], ['1000000000', 'C000']);
  run({ card: { elements: { '8E': '00000000000000001F00', '5F34': null } }, change });
  assert.deepEqual(asked, [`${TEST_PAN} 01`, `${TEST_PAN} 00`]);
});

test('EMV 4.3 B4 §6.5.3: forced online is a bit of its own; an offline-only terminal declines by it', () => {
  const input = { forceOnline: true };
  const forced = run({ card: { ...cvm('1F00'), aip: '7400' }, change: { ...quiet, input } });
  assert.deepEqual([forced.tvr, forced.requested], ['0000000800', 0x80]);
  const aid = { ...quiet.aid, tacDefault: new Uint8Array([0, 0, 0, 0x08, 0]) };
  const offline = run({
    card: { ...cvm('1F00'), firstCid: 0x00 },
    change: { aid, input, terminal: { terminalType: 0x23 } },
  });
  assert.deepEqual([offline.requested, offline.outcome.reason], [0x00, 'terminal:TAC+IAC-default']);
});
