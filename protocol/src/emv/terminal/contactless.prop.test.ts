/**
 * Any tapped card: arbitrary answers, and right answers with a few bytes changed, never bring
 * anything but a coded fault of the kernel or an outcome, in bounded steps.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { fromHex } from '../../bytes/index.ts';
import { type CommandApdu, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import { COMMANDS_MAX, KernelError } from './index.ts';
import { type TapRun, tap, tapCard } from './tap.test-kit.ts';

const STEPS_MAX = COMMANDS_MAX + 40;

function end(
  transmit: (command: CommandApdu, index: number) => ResponseApdu,
): TapRun | KernelError {
  try {
    return tap({ driver: { transmit } });
  } catch (fault) {
    if (fault instanceof KernelError) return fault;
    throw fault;
  }
}

function assertEnds(result: TapRun | KernelError): void {
  if (result instanceof KernelError) {
    assert.match(result.code, /^ERR_(KERNEL|CARD)_/);
    return;
  }
  assert.ok(result.steps <= STEPS_MAX, `${result.steps} steps`);
  assert.ok(!result.outcome.reason.includes('ERR_INTERNAL'));
  // Nothing is approved but by the issuer, and only over an ARQC.
  if (result.outcome.outcome === 'approved') {
    assert.equal(result.outcome.reason, 'issuer:00');
    assert.equal(result.outcome.first?.type, 'ARQC');
  }
}

const statusWord = fc
  .oneof(
    fc.constantFrom(0x9000, 0x9000, 0x9000, 0x9000, 0x6a82, 0x6984, 0x6985, 0x6283),
    fc.integer({ min: 0x6100, max: 0x61ff }),
    fc.integer({ min: 0x6c00, max: 0x6cff }),
    fc.integer({ min: 0x6000, max: 0x6fff }),
  )
  .map((value) => StatusWord(value));
/** Junk, and junk behind the templates the kernel looks for. */
const data = fc
  .tuple(fc.constantFrom('', '6F', '70', '77', '80', '7781'), fc.uint8Array({ maxLength: 60 }))
  .map(([head, rest]) => {
    const start = fromHex(head);
    return Uint8Array.from([...start, rest.length, ...rest]);
  });
const response: fc.Arbitrary<ResponseApdu> = fc.record({ data, statusWord });

test('a card of junk ends in a coded fault or an outcome', () => {
  fc.assert(
    fc.property(fc.array(response, { minLength: 1, maxLength: 30 }), (answers) => {
      assertEnds(
        end(
          (_command, index) =>
            answers[index % answers.length] ?? {
              data: new Uint8Array(0),
              statusWord: StatusWord(0x9000),
            },
        ),
      );
    }),
    { numRuns: 500 },
  );
});

test('a right card with answers replaced or bytes changed does too', () => {
  const change = fc.record({
    index: fc.integer({ min: 0, max: 7 }),
    replace: fc.option(response, { freq: 4 }),
    at: fc.nat(400),
    value: fc.integer({ min: 1, max: 255 }),
    cut: fc.option(fc.nat(200), { freq: 4 }),
  });
  let outcomes = 0;
  let online = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
      const right = tapCard();
      const card = (command: CommandApdu, index: number): ResponseApdu => {
        let given: ResponseApdu;
        try {
          given = right(command, index);
        } catch (fault) {
          // The script expects the right card's commands; a bent one may lead elsewhere.
          if (fault instanceof assert.AssertionError)
            return { data: new Uint8Array(0), statusWord: StatusWord(0x6a83) };
          throw fault;
        }
        const found = changes.find((entry) => entry.index === index);
        if (!found) return given;
        if (found.replace) return found.replace;
        const bytes = given.data.map((byte, at) =>
          at === found.at % given.data.length ? byte ^ found.value : byte,
        );
        return { ...given, data: found.cut === null ? bytes : bytes.slice(0, found.cut) };
      };
      const result = end(card);
      if (!(result instanceof KernelError)) {
        outcomes += 1;
        online += result.requests.length;
      }
      assertEnds(result);
    }),
    { numRuns: 600 },
  );
  assert.ok(outcomes > 30, `the changed cards often get to an outcome: ${outcomes}`);
  assert.ok(online > 10, `and to the issuer: ${online}`);
});

test('a card that answers 61xx or 6Cxx for ever is left', () => {
  for (const endless of [0x6101, 0x6c01]) {
    assertEnds(end(() => ({ data: Uint8Array.of(1), statusWord: StatusWord(endless) })));
  }
});

test('one changed byte of what is signed fails fDDA or is a coded fault, never a pass', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(3, 5, 6, 7),
      fc.nat(400),
      fc.integer({ min: 1, max: 255 }),
      (index, where, value) => {
        const right = tapCard();
        const card = (command: CommandApdu, at: number): ResponseApdu => {
          const given = right(command, at);
          if (at !== index) return given;
          const bytes = given.data.map((byte, position) =>
            position === where % given.data.length ? byte ^ value : byte,
          );
          return { ...given, data: bytes };
        };
        const result = end(card);
        if (result instanceof KernelError) return;
        assert.notEqual(result.outcome.dataAuthentication, 'fDDA');
      },
    ),
    { numRuns: 300 },
  );
});
