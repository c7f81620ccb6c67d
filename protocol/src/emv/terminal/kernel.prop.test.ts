/**
 * Any card: arbitrary answers, and right answers with a few bytes changed, never bring anything but
 * a coded fault of the kernel or an outcome, in bounded steps.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex } from '../../bytes/index.ts';
import { type CommandApdu, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import { testCard, testKeyOf, testTransaction } from './card.test-kit.ts';
import { COMMANDS_MAX, contactTransaction, KernelError, type OnlineAnswer } from './index.ts';
import { runKernel, type TestRun } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
/** Commands, and phases and questions beside them. */
const STEPS_MAX = COMMANDS_MAX + 60;

/** Runs with any card and any issuer; the only exception allowed is the kernel's own. */
function end(
  transmit: (command: CommandApdu, index: number) => ResponseApdu,
  online: OnlineAnswer,
): TestRun | KernelError {
  try {
    return runKernel(contactTransaction(testTransaction(nodeCiphers, KEYS)), {
      transmit,
      authorise: () => online,
    });
  } catch (fault) {
    if (fault instanceof KernelError) return fault;
    throw fault;
  }
}

function assertEnds(result: TestRun | KernelError): void {
  if (result instanceof KernelError) {
    assert.match(result.code, /^ERR_(KERNEL|CARD)_/);
    return;
  }
  assert.ok(result.steps <= STEPS_MAX, `${result.steps} steps`);
  assert.notEqual(result.outcome.reason, 'ERR_INTERNAL');
  assert.ok(!result.outcome.reason.includes('ERR_INTERNAL'));
}

const statusWord = fc
  .oneof(
    fc.constantFrom(0x9000, 0x9000, 0x9000, 0x9000, 0x6a82, 0x6985, 0x6283, 0x6300),
    fc.integer({ min: 0x6100, max: 0x61ff }),
    fc.integer({ min: 0x6c00, max: 0x6cff }),
    fc.integer({ min: 0x6000, max: 0x6fff }),
  )
  .map((value) => StatusWord(value));
/** Junk, and junk behind the templates the kernel looks for. */
const data = fc
  .tuple(
    fc.constantFrom('', '6F', '70', '77', '80', '8081', '70819070'),
    fc.uint8Array({ maxLength: 40 }),
  )
  .map(([head, rest]) => {
    const bytes = new Uint8Array(head.length / 2 + 1 + rest.length);
    bytes.set(fromHex(head));
    bytes[head.length / 2] = rest.length;
    bytes.set(rest, head.length / 2 + 1);
    return bytes;
  });
const response: fc.Arbitrary<ResponseApdu> = fc.record({ data, statusWord });
const online: fc.Arbitrary<OnlineAnswer> = fc.oneof(
  fc.constantFrom<OnlineAnswer>({ result: 'unable' }, { result: 'unknown' }),
  fc.record({
    result: fc.constant('answered' as const),
    responseCode: fc.constantFrom('00', '51', '05'),
    issuerAuthenticationData: fc.uint8Array({ maxLength: 20 }),
    scripts: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 3 }),
  }),
);

test('a card of junk ends in a coded fault or an outcome', () => {
  fc.assert(
    fc.property(fc.array(response, { minLength: 1, maxLength: 30 }), online, (answers, issuer) => {
      const card = (_command: CommandApdu, index: number): ResponseApdu =>
        answers[index % answers.length] ?? {
          data: new Uint8Array(0),
          statusWord: StatusWord(0x9000),
        };
      assertEnds(end(card, issuer));
    }),
    { numRuns: 500 },
  );
});

test('a right card with answers replaced or bytes changed does too', () => {
  const change = fc.record({
    index: fc.integer({ min: 0, max: 20 }),
    replace: fc.option(response),
    at: fc.nat(400),
    value: fc.integer({ min: 1, max: 255 }),
    cut: fc.option(fc.nat(200)),
  });
  let outcomes = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), online, (changes, issuer) => {
      const right = testCard(nodeCiphers, KEYS);
      const card = (command: CommandApdu, index: number): ResponseApdu => {
        const found = changes.find((entry) => entry.index === index);
        const given = right(command, index);
        if (!found) return given;
        if (found.replace) return found.replace;
        const bytes = given.data.map((byte, at) =>
          at === found.at % given.data.length ? byte ^ found.value : byte,
        );
        return { ...given, data: found.cut === null ? bytes : bytes.slice(0, found.cut) };
      };
      const result = end(card, issuer);
      if (!(result instanceof KernelError)) outcomes += 1;
      assertEnds(result);
    }),
    { numRuns: 400 },
  );
  assert.ok(outcomes > 20, 'the changed cards often get to an outcome');
});

test('a card that answers 61xx or 6Cxx for ever is left', () => {
  for (const endless of [0x6101, 0x6c01]) {
    assertEnds(
      end(() => ({ data: Uint8Array.of(1), statusWord: StatusWord(endless) }), {
        result: 'unable',
      }),
    );
  }
});
