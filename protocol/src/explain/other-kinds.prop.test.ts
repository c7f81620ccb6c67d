/**
 * Any bytes, any text and any named values end in an explanation or in a coded refusal, for every
 * kind of lines and keys; what is encoded is decoded to the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../node/index.ts';
import { luhnCheckDigit, toHex } from '../bytes/index.ts';
import { CUPS_DIALECT, encodeMessage, makeMessage } from '../iso8583/index.ts';
import { ExplainError, explain, maskExplanation, readInput } from './index.ts';
import { readMessage } from './iso8583-decode.ts';
import { OTHER_KINDS } from './other-kinds.ts';

/** Names that the kinds look for. */
const NAMES = [
  ...['tmk', 'mak', 'mab', 'frame', 'field62', 'pik', 'pin', 'pan', 'block', 'format', 'bdk'],
  ...['ksn', 'pvk', 'pvki', 'cvk', 'expiry', 'serviceCode', 'key', 'data', 'kcv', 'ascii'],
  ...['hostChallenge', 'response', 'sequence', 'cardChallenge', 'enc', 'mac', 'initUpdate'],
  ...['signature', 'publicKey', 'algorithm', 'filler', '84', '50', '8A', '9F34', 'kbpk'],
];

/** Runs every kind by name; anything but a value or a coded refusal fails. */
function runAll(input: string | Uint8Array): void {
  for (const { kind } of OTHER_KINDS) {
    try {
      const explanation = explain(nodeCiphers, input, { as: kind });
      assert.equal(explanation.kind, kind);
      JSON.stringify(maskExplanation(explanation, readInput(input)));
    } catch (thrown) {
      if (!(thrown instanceof ExplainError)) throw thrown;
      assert.match(thrown.code, /^ERR_EXPLAIN_/);
    }
  }
}

const hexText = fc.uint8Array({ maxLength: 48 }).map(toHex);
const value = fc.oneof(hexText, fc.stringMatching(/^[0-9]{0,20}$/), fc.string({ maxLength: 12 }));

test('any bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), runAll), { numRuns: 150 });
});

test("every single byte, and each kind's first bytes alone, are guessed or refused", () => {
  const starts = ['9F7F', '6673', 'E0C0', '0800', '6000', '30383030', '2E01', '0058', '8050'];
  const bytes = Array.from({ length: 256 }, (_, first) => toHex(Uint8Array.of(first)));
  for (const text of [...bytes, ...starts]) {
    try {
      assert.notEqual(explain(nodeCiphers, text).kind, undefined);
    } catch (thrown) {
      if (!(thrown instanceof ExplainError)) throw thrown;
      assert.match(thrown.code, /^ERR_EXPLAIN_/);
    }
  }
});

test('any text', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), runAll), { numRuns: 100 });
});

test('any named values, under the names that are looked for', () => {
  const named = fc.dictionary(fc.constantFrom(...NAMES), value, { minKeys: 1, maxKeys: 8 });
  fc.assert(
    fc.property(named, (values) => runAll(JSON.stringify(values))),
    { numRuns: 250 },
  );
});

test('texts that begin as a key block does', () => {
  const block = fc
    .tuple(
      fc.constantFrom('A', 'B', 'C', 'D'),
      fc.stringMatching(/^[0-9]{4}[A-Z0-9]{2}[TAHD][EBN][0-9]{2}[ENS][0-9]{2}00$/),
      fc.stringMatching(/^[0-9A-F]{0,80}$/),
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(block, hexText, (text, key) => {
      runAll(text);
      runAll(JSON.stringify({ keyBlock: text, kbpk: key === '' ? '00' : key }));
    }),
    { numRuns: 60 },
  );
});

test('an interbank message is read back field by field', () => {
  const digits = (size: number): fc.Arbitrary<string> =>
    fc.stringMatching(new RegExp(`^[0-9]{${size}}$`));
  const message = fc.record({
    pan: digits(15).map((payload) => `${payload}${luhnCheckDigit(payload)}`),
    amount: digits(12),
    stan: digits(6),
    terminal: digits(8),
    icc: fc.uint8Array({ minLength: 1, maxLength: 60 }),
  });
  fc.assert(
    fc.property(message, ({ pan, amount, stan, terminal, icc }) => {
      const made = makeMessage('0200', [
        [2, pan],
        [3, '000000'],
        [4, amount],
        [11, stan],
        [41, terminal],
        [55, icc],
        [128, new Uint8Array(8)],
      ]);
      const header = { destination: '00010000', source: '00020000' };
      const reading = readMessage(encodeMessage(CUPS_DIALECT, header, made));
      assert.equal(reading?.format.name, 'cups');
      assert.equal(reading?.stop, null);
      const read = new Map(reading?.fields.map((field) => [field.number, field.value]));
      assert.deepEqual(
        [2, 4, 11, 41, 55].map((number) => read.get(number)),
        [pan, amount, stan, terminal, toHex(icc)],
      );
    }),
    { numRuns: 60 },
  );
});

test('a PIN block is decoded to the PIN that was encoded, in every format', () => {
  const request = fc.record({
    pin: fc.stringMatching(/^[0-9]{4,12}$/),
    pan: fc.stringMatching(/^[0-9]{12,19}$/),
    format: fc.constantFrom('0', '1', '2', '3'),
    pik: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toHex),
  });
  fc.assert(
    fc.property(request, ({ pin, pan, format, pik }) => {
      const input = JSON.stringify({ pin, pan, format, pik, filler: 'ABCDEFABCDEFABCD' });
      const made = explain(nodeCiphers, input, { as: 'pinBlock' });
      const block = String(made.facts['encipheredBlock']);
      const back = explain(nodeCiphers, JSON.stringify({ block, pan, format, pik }));
      assert.equal(back.kind, 'pinBlock');
      assert.equal(back.facts['pin'], pin);
    }),
    { numRuns: 80 },
  );
});
