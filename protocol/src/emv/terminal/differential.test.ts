/**
 * Two opinions on 500 seeded cards and terminals: the contact kernel's, and that of a deliberately
 * simple model written from the standard's tables. TVR, TSI, CVM results, requested cryptograms and
 * outcome agree in each. A seed that disagrees is named, with both opinions.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { configurationOf, runConfiguration } from './differential-configuration.test-kit.ts';
import { judge, type Verdict } from './differential-model.test-kit.ts';

const CONFIGURATIONS = 500;

test(`kernel and model agree on ${CONFIGURATIONS} seeded configurations`, () => {
  for (let seed = 1; seed <= CONFIGURATIONS; seed++) {
    const configuration = configurationOf(seed);
    const said = { seed, ...runConfiguration(configuration) };
    const expected = { seed, ...judge(configuration) };
    assert.deepEqual(said, expected, JSON.stringify(configuration));
  }
});

test('the configurations reach every outcome, every request and most bits', () => {
  const verdicts = Array.from({ length: CONFIGURATIONS }, (_, at) =>
    judge(configurationOf(at + 1)),
  );
  const seen = <Key extends keyof Verdict>(key: Key) => new Set(verdicts.map((one) => one[key]));
  assert.deepEqual(seen('outcome'), new Set(['approved', 'declined', 'unknown', 'cancelled']));
  assert.deepEqual(seen('requested'), new Set(['TC', 'ARQC', 'AAC', null]));
  assert.deepEqual(seen('requestedSecond'), new Set(['TC', 'AAC', null]));
  const bits = verdicts.reduce((all, { tvr }) => all | BigInt(`0x${tvr}`), 0n);
  assert.equal(bits.toString(16).toUpperCase().padStart(10, '0'), 'FAF8FCF870');
});
