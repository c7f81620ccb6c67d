/**
 * The published inputs that engineers asked about: each is recognised without being named, every
 * restated field of its answer is right, and ten spoilt copies of it are never judged the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { TapError } from '../bytes/index.ts';
import { explain } from './index.ts';
import {
  caseDifferences,
  differences,
  type InputCase,
  pasted,
  randomBelow,
  readInputs,
  type Spoiling,
  spoilt,
} from './inputs.test-kit.ts';

const { cases, skip } = readInputs();

/** Inputs in which every byte is under a check value, cryptogram, MAC or signature. */
const SEALED: readonly string[] = ['cup-01-signin-f62-40B', 'upi-10-icc-cert', 'visa-20-dda-ddol'];
const COPIES: readonly Spoiling[] = [
  ...['flippedByte', 'flippedByte', 'flippedByte', 'anotherKey', 'anotherKey'],
  ...['shiftedOffset', 'shiftedOffset', 'cutShort', 'cutShort', 'cutShort'],
] as readonly Spoiling[];

/** Facts, results and findings, or the refusal: what must not be the same for a spoilt copy. */
function verdictOf(input: unknown, as: InputCase['kind'] | undefined): string {
  try {
    const { kind, facts, checks, findings } = explain(
      nodeCiphers,
      pasted(input),
      as === undefined ? {} : { as },
    );
    const results = checks.map(({ name, result, expected, actual }) => [
      ...[name, result, expected, actual],
    ]);
    return JSON.stringify([kind, facts, results, findings.map(({ code }) => code)]);
  } catch (thrown) {
    if (!(thrown instanceof TapError) || !thrown.code.startsWith('ERR_EXPLAIN_')) throw thrown;
    return JSON.stringify([thrown.code, thrown.data]);
  }
}

test('all published inputs but the one without bytes are restated', () => {
  assert.equal(cases.length, 55);
  assert.deepEqual(
    skip.map(({ id }) => id),
    ['card-41-t0-card-image'],
  );
  assert.ok(cases.every((one) => Object.keys(one.expected.facts as object).length > 0));
});

for (const one of cases) {
  test(`${one.id}: guessed as ${one.kind}, every restated field right`, () => {
    assert.deepEqual(caseDifferences(one, explain(nodeCiphers, pasted(one.input))), []);
  });
}

test('a named kind gives the same answer as the guessed one', () => {
  for (const one of cases) {
    const named = explain(nodeCiphers, pasted(one.input), { as: one.kind });
    assert.deepEqual(caseDifferences(one, named), [], one.id);
    assert.equal(named.confidence, 1);
  }
});

test('ten spoilt copies of every input never get the verdict of the input', () => {
  for (const [index, one] of cases.entries()) {
    const right = verdictOf(one.input, undefined);
    const below = randomBelow(0x51ab + 977 * index);
    for (const how of COPIES) {
      const copy = spoilt(one.input, how, below);
      assert.notDeepEqual(copy, one.input, `${one.id} ${how}`);
      assert.notEqual(verdictOf(copy, undefined), right, `${one.id} ${how} ${pasted(copy)}`);
    }
  }
});

test('a spoilt copy of what is sealed by cryptography does not keep its answer', () => {
  for (const one of cases.filter(({ id }) => SEALED.includes(id))) {
    const below = randomBelow(0x77e1 + one.id.length);
    for (const how of COPIES) {
      const copy = spoilt(one.input, how, below);
      let wrong: readonly string[];
      try {
        wrong = caseDifferences(one, explain(nodeCiphers, pasted(copy), { as: one.kind }));
      } catch (thrown) {
        assert.ok(thrown instanceof TapError);
        wrong = [thrown.code];
      }
      assert.notDeepEqual(wrong, [], `${one.id} ${how} ${pasted(copy)}`);
    }
  }
});

test('the comparison itself sees a changed, a missing and a surplus value', () => {
  assert.deepEqual(differences({ a: [1, { b: '2' }] }, { a: [1, { b: '2', c: 3 }], d: 4 }), []);
  assert.equal(differences({ a: [1] }, { a: [1, 2] }).length, 1);
  assert.equal(differences({ a: '1' }, { a: 1 }).length, 1);
  assert.equal(differences({ a: null }, {}).length, 1);
  assert.equal(differences({ $tags: { '95': { value: '00' } } }, [{ tag: '95' }]).length, 1);
  assert.equal(differences({ $tags: { '95': {} } }, []).length, 1);
  assert.equal(differences({ $set: ['a', 'b'] }, ['b', 'a']).length, 0);
  assert.equal(differences({ $has: ['c'] }, ['b', 'a']).length, 1);
  assert.equal(differences({ $starts: '12' }, '21').length, 1);
});
