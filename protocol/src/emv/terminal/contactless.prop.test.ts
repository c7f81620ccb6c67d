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
import {
  OFFLINE_LIMITS,
  TAP_PDOL,
  type Tap,
  type TapOptions,
  type TapRun,
  TC_CARD,
  tap,
  tapCard,
} from './tap.test-kit.ts';

const STEPS_MAX = COMMANDS_MAX + 40;

type Transmit = (command: CommandApdu, index: number) => ResponseApdu;

/** Readers: online for every amount; offline below a limit, with e-cash; offline only. */
const READERS: Readonly<Record<string, NonNullable<Tap['change']>>> = {
  online: {},
  offline: {
    aid: {
      contactless: OFFLINE_LIMITS,
      electronicCash: { transactionLimitMinor: 100_000n },
    },
  },
  offlineOnly: {
    aid: { contactless: OFFLINE_LIMITS },
    terminal: { terminalTransactionQualifiers: fromHex('3E000080') },
  },
};
/** A card that pays from its purse and tells its balance when asked. */
const PURSE_CARD: TapOptions = {
  ...TC_CARD,
  pdol: `${TAP_PDOL}9F7A01`,
  getData: { '9F51': '0156', '9F79': '000000008766' },
};

function end(transmit: Transmit, reader = 'online'): Ended {
  let stored = 0;
  const storeOfflineApproval = (): void => {
    stored += 1;
  };
  try {
    const change = READERS[reader] ?? {};
    return { run: tap({ change, driver: { transmit, storeOfflineApproval } }), stored };
  } catch (fault) {
    if (fault instanceof KernelError) return { fault, stored };
    throw fault;
  }
}

type Ended =
  | { readonly run: TapRun; readonly fault?: undefined; readonly stored: number }
  | { readonly run?: undefined; readonly fault: KernelError; readonly stored: number };

function assertEnds({ run, fault, stored }: Ended): void {
  if (fault !== undefined) {
    assert.match(fault.code, /^ERR_(KERNEL|CARD)_/);
    assert.equal(stored, 0);
    return;
  }
  const { outcome } = run;
  assert.ok(run.steps <= STEPS_MAX, `${run.steps} steps`);
  assert.ok(!outcome.reason.includes('ERR_INTERNAL'));
  assert.ok(run.requests.length === 0 || outcome.first?.type === 'ARQC', 'only an ARQC is sent');
  const isOffline = outcome.reason === 'card:TC' && outcome.outcome === 'approved';
  assert.equal(stored, isOffline ? 1 : 0);
  if (outcome.outcome !== 'approved') return;
  // Approved by the issuer over an ARQC, or by the card with a signature that was checked.
  assert.equal(outcome.reason, isOffline ? 'card:TC' : 'issuer:00');
  assert.equal(outcome.first?.type, isOffline ? 'TC' : 'ARQC');
  if (isOffline) assert.equal(outcome.dataAuthentication, 'fDDA');
}

const reader = fc.constantFrom(...Object.keys(READERS));

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
    fc.property(reader, fc.array(response, { minLength: 1, maxLength: 30 }), (where, answers) => {
      assertEnds(
        end(
          (_command, index) =>
            answers[index % answers.length] ?? {
              data: new Uint8Array(0),
              statusWord: StatusWord(0x9000),
            },
          where,
        ),
      );
    }),
    { numRuns: 500 },
  );
});

test('a right card with answers replaced or bytes changed does too', () => {
  const change = fc.record({
    index: fc.integer({ min: 0, max: 9 }),
    replace: fc.option(response, { freq: 4 }),
    at: fc.nat(400),
    value: fc.integer({ min: 1, max: 255 }),
    cut: fc.option(fc.nat(200), { freq: 4 }),
  });
  let outcomes = 0;
  let online = 0;
  let offline = 0;
  fc.assert(
    fc.property(reader, fc.array(change, { minLength: 1, maxLength: 2 }), (where, changes) => {
      const right = tapCard(where === 'online' ? {} : PURSE_CARD);
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
      const result = end(card, where);
      if (result.run) {
        outcomes += 1;
        online += result.run.requests.length;
        offline += result.stored;
      }
      assertEnds(result);
    }),
    { numRuns: 900 },
  );
  assert.ok(outcomes > 30, `the changed cards often get to an outcome: ${outcomes}`);
  assert.ok(online > 10, `and to the issuer: ${online}`);
  assert.ok(offline > 10, `and to an approval of the card: ${offline}`);
});

test('a card that answers 61xx or 6Cxx for ever is left', () => {
  for (const endless of [0x6101, 0x6c01]) {
    for (const where of Object.keys(READERS)) {
      assertEnds(end(() => ({ data: Uint8Array.of(1), statusWord: StatusWord(endless) }), where));
    }
  }
});

/** A TC without the purse's code: every byte of its last record is then signed. */
const UNSIGNED = { ...TC_CARD.elements, '9F74': null };

test('one changed byte of what is signed fails fDDA or is a coded fault, never a pass', () => {
  fc.assert(
    fc.property(
      reader,
      fc.constantFrom(3, 5, 6, 7),
      fc.nat(400),
      fc.integer({ min: 1, max: 255 }),
      (where, index, place, value) => {
        const right = tapCard(where === 'online' ? {} : { ...PURSE_CARD, elements: UNSIGNED });
        const card = (command: CommandApdu, at: number): ResponseApdu => {
          const given = right(command, at);
          if (at !== index) return given;
          const bytes = given.data.map((byte, position) =>
            position === place % given.data.length ? byte ^ value : byte,
          );
          return { ...given, data: bytes };
        };
        const result = end(card, where);
        if (!result.run) return;
        assert.notEqual(result.run.outcome.dataAuthentication, 'fDDA');
        assert.equal(result.stored, 0, 'nor an offline approval');
      },
    ),
    { numRuns: 300 },
  );
});
