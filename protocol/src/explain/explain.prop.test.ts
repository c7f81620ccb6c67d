/**
 * Shows that whatever is pasted, the explainer answers or gives its own coded error, soon and in
 * plain JSON; and that data objects encoded and read again are the same.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import { encodeTlv } from '../iso7816/index.ts';
import type { DolFacts, TlvFacts } from './facts.ts';
import {
  EXPLAIN_CHARACTERS_MAX,
  EXPLAIN_KINDS,
  ExplainError,
  explain,
  guessKinds,
} from './index.ts';

/** Longest time for the largest input, on a slow machine. */
const TIME_MS_MAX = 5_000;
/** Longest answer as JSON. */
const ANSWER_CHARACTERS_MAX = 40_000_000;

/** Answers in JSON or throws its own error; anything else fails the property. */
function holds(run: () => unknown): void {
  try {
    const text = JSON.stringify(run());
    assert.ok(text.length <= ANSWER_CHARACTERS_MAX);
  } catch (thrown) {
    if (!(thrown instanceof ExplainError)) throw thrown;
    assert.match(thrown.code, /^ERR_EXPLAIN_[A-Z]+$/);
  }
}

const tags = fc.constantFrom(
  '9F02',
  '5A',
  '9F10',
  '8C',
  '94',
  '8E',
  '70',
  '6F',
  '9F26',
  '57',
  '90',
);
const names = fc.constantFrom(
  'pdol',
  'cdol1',
  'imk_ac',
  'pan',
  '9F36',
  '90',
  '9F46',
  'command',
  'tag',
  'cvn',
);
const hex = fc.uint8Array({ maxLength: 80 }).map(toHex);
const objects = fc
  .array(fc.tuple(tags, fc.uint8Array({ maxLength: 40 })), { maxLength: 8 })
  .map((list) => concatBytes(...list.map(([tag, value]) => encodeTlv(tag, value))));
const log = fc
  .array(fc.tuple(fc.constantFrom('=> ', '<= ', 'A>> ', ''), hex), { maxLength: 12 })
  .map((lines) => lines.map(([prefix, text]) => prefix + text).join('\n'));
const named = fc
  .dictionary(names, fc.oneof(hex, fc.string()), { maxKeys: 6 })
  .map((each) => JSON.stringify(each));
const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  hex,
  objects.map(toHex),
  log,
  named,
);

test('any text is answered or refused by a coded error', () => {
  fc.assert(
    fc.property(anything, (text) => holds(() => explain(nodeCiphers, text))),
    { numRuns: 400 },
  );
});

test('bytes as each kind are answered or refused by a coded error', () => {
  const kind = fc.constantFrom(...EXPLAIN_KINDS);
  fc.assert(
    fc.property(kind, fc.oneof(fc.uint8Array({ maxLength: 200 }), objects), (as, bytes) =>
      holds(() => explain(nodeCiphers, bytes, { as })),
    ),
    { numRuns: 600 },
  );
});

test('texts with keys as each kind is answered or refused by a coded error', () => {
  const kind = fc.constantFrom(...EXPLAIN_KINDS);
  const keys = fc.dictionary(names, fc.oneof(hex, fc.string()), { maxKeys: 4 });
  fc.assert(
    fc.property(kind, anything, keys, (as, text, given) =>
      holds(() => explain(nodeCiphers, text, { as, keys: given })),
    ),
    { numRuns: 600 },
  );
});

test('scores lie between 0 and 1 and come in order', () => {
  fc.assert(
    fc.property(fc.oneof(hex, objects.map(toHex), log), (text) => {
      let scores: readonly number[];
      try {
        scores = guessKinds(text).map((guess) => guess.score);
      } catch (thrown) {
        assert.ok(thrown instanceof ExplainError);
        return;
      }
      assert.ok(scores.every((score) => score > 0 && score <= 1));
      assert.deepEqual(
        scores,
        [...scores].sort((left, right) => right - left),
      );
    }),
    { numRuns: 200 },
  );
});

test('the largest inputs are answered in bounded time', () => {
  const half = EXPLAIN_CHARACTERS_MAX / 2;
  const largest = [
    'FF',
    '70',
    '7083FFFF',
    '9F02',
    '9C0100',
    '08010100',
    '(',
    '[',
    '"',
    '{"a":',
    '=> 00A40400\n',
  ];
  for (const piece of largest) {
    const text = piece.repeat(Math.floor((2 * half) / piece.length));
    const started = process.hrtime.bigint();
    holds(() => explain(nodeCiphers, text));
    const tookMs = Number(process.hrtime.bigint() - started) / 1e6;
    assert.ok(tookMs < TIME_MS_MAX, `${piece}: ${tookMs} ms`);
  }
});

test('data objects encoded and read again are the same, without a finding', () => {
  const primitive = fc.constantFrom('9F37', '9F1E', '9F4C', '9F01', '9F16');
  const list = fc.array(fc.tuple(primitive, fc.uint8Array({ minLength: 8, maxLength: 8 })), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(list, (each) => {
      const body = concatBytes(...each.map(([tag, value]) => encodeTlv(tag, value)));
      const bytes = encodeTlv('70', encodeTlv('70', body));
      const facts = explain(nodeCiphers, bytes, { as: 'tlv' }).facts as unknown as TlvFacts;
      const inner = facts.objects.filter((object) => object.depth === 2);
      assert.deepEqual(
        inner.map(({ tag, value }) => [tag, value]),
        each.map(([tag, value]) => [tag, toHex(value)]),
      );
      assert.equal(facts.complete, true);
    }),
  );
});

test('a DOL taken apart is the list that was written, and its data are the values', () => {
  const entry = fc.tuple(
    fc.constantFrom('9F02', '9A', '9C', '5F2A', '9F4E'),
    fc.integer({ min: 1, max: 20 }),
  );
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 10 }), (list) => {
      const bytes = concatBytes(
        ...list.map(([tag, length]) => concatBytes(fromHex(tag), Uint8Array.of(length))),
      );
      const facts = explain(nodeCiphers, bytes, { as: 'dol', keys: { '9C': '00' } })
        .facts as unknown as DolFacts;
      assert.deepEqual(
        facts.entries.map(({ tag, lengthBytes }) => [tag, lengthBytes]),
        list,
      );
      const total = list.reduce((sum, [, length]) => sum + length, 0);
      if (list.some(([tag]) => tag === '9C')) assert.equal(facts.data?.length, 2 * total);
    }),
  );
});
