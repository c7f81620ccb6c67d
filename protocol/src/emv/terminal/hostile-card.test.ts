/**
 * A card that wants to do harm. Any status word, endless chains, megabytes of records, locators and
 * lists without sense. Each transaction ends in a coded fault or an outcome, within seconds and
 * within the kernel's limits, and never charged.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import { answer, TEST_AID } from './card.test-kit.ts';
import { cvm, run } from './case.test-kit.ts';
import { KernelError } from './index.ts';
import { tap } from './tap.test-kit.ts';

const END_MS_MAX = 5_000;
type Override = (command: CommandApdu, index: number) => ResponseApdu | undefined;

/** Runs by contact and by tap; the word on the end, or the code of the fault. */
function ends(override: Override): { readonly contact: string; readonly tap: string } {
  const started = performance.now();
  const word = (play: () => { outcome: { outcome: string; online: string } }): string => {
    try {
      const { outcome } = play();
      assert.equal(outcome.online, 'notSent', 'nothing was sent to the issuer');
      return outcome.outcome;
    } catch (fault) {
      assert.ok(fault instanceof KernelError, String(fault));
      return fault.code;
    }
  };
  const result = {
    contact: word(() => run({ card: { ...cvm('1F00'), override } })),
    tap: word(() => tap({ card: { override: (index, command) => override(command, index) } })),
  };
  assert.ok(performance.now() - started < END_MS_MAX, 'ends within 5 s');
  return result;
}

test('one status word to everything, each there is: no transaction goes on', () => {
  for (let value = 0x6000; value <= 0x9fff; value += 1) {
    // What the transport follows is bounded beside it, once a second byte is enough.
    if ([0x61, 0x6c].includes(value >> 8) && (value & 0xff) > 4) continue;
    if (value >> 12 === 0x7 || value >> 12 === 0x8) continue;
    const override: Override = () => ({ data: new Uint8Array(0), statusWord: StatusWord(value) });
    const { contact } = ends(override);
    assert.match(contact, /^(notAccepted|ERR_CARD_)/, value.toString(16));
  }
});

test('61xx without end, and 6Cxx to everything, are cut off', () => {
  for (const statusWord of [0x6100, 0x6101, 0x61ff]) {
    const { contact, tap: tapped } = ends(() => answer('00', statusWord));
    assert.equal(contact, 'ERR_CARD_LIMIT');
    assert.equal(tapped, 'ERR_CARD_LIMIT');
  }
  assert.equal(ends(() => answer('', 0x6c10)).contact, 'notAccepted');
});

test('a hundred records of 64 kilobytes each are read and end with the missing data', () => {
  const filler = encodeTlv('9F1F', new Uint8Array(65_000).fill(0x41));
  const record = encodeTlv('70', filler);
  const { contact } = ends(({ ins, p1, p2 }) => {
    if (ins === 0xa8) return answer('80067C0008016400');
    if (ins !== 0xb2 || p2 >> 3 !== 1) return undefined;
    return p1 === 1 ? { data: record, statusWord: StatusWord(0x9000) } : answer('7000');
  });
  assert.equal(contact, 'ERR_CARD_MISSING_DATA');
});

test('megabytes of signed records that are all different end, too', () => {
  const { contact } = ends(({ ins, p1, p2 }) => {
    if (ins === 0xa8) return answer('80067C00B8016464');
    if (ins !== 0xb2 || p2 >> 3 !== 23) return undefined;
    const value = new Uint8Array(65_000).fill(p1);
    return { data: encodeTlv('70', encodeTlv('DF01', value)), statusWord: StatusWord(0x9000) };
  });
  assert.equal(contact, 'ERR_CARD_MISSING_DATA');
});

test('a locator of the most entries, of too many records, of nonsense', () => {
  const locator = (afl: string) =>
    ends(({ ins }) =>
      ins === 0xa8 ? answer(toHex(encodeTlv('80', fromHex(`7C00${afl}`)))) : undefined,
    );
  const most = Array.from(
    { length: 62 },
    (_, at) => `${toHex(Uint8Array.of(((at % 30) + 1) << 3))}010200`,
  );
  assert.equal(locator(most.join('')).contact, 'ERR_CARD_LIMIT');
  assert.equal(locator('0801FF00').contact, 'ERR_CARD_LIMIT');
  for (const afl of [
    '00010100',
    'F8010100',
    '08000100',
    '08020100',
    '08010102',
    '080101',
    '09010100',
  ]) {
    assert.equal(locator(afl).contact, 'ERR_CARD_DATA', afl);
  }
});

test('an FCI, a directory and a record nested without end are refused or passed over', () => {
  let nested: Uint8Array = new Uint8Array(0);
  for (let level = 0; level < 60; level++) nested = encodeTlv('70', nested);
  const deep = toHex(nested);
  assert.equal(
    ends(({ ins }) => (ins === 0xb2 ? answer(deep) : undefined)).contact,
    'ERR_CARD_DATA',
  );
  const everywhere = ends(() => answer(deep));
  assert.deepEqual(everywhere, { contact: 'notAccepted', tap: 'notAccepted' });
});

test('a directory that never ends and one with a thousand applications are bounded', () => {
  const entry = (at: number) =>
    encodeTlv('61', encodeTlv('4F', concatBytes(fromHex(TEST_AID), Uint8Array.of(at >> 8, at))));
  const many = toHex(
    encodeTlv('70', concatBytes(...Array.from({ length: 1_000 }, (_, at) => entry(at)))),
  );
  let commands = 0;
  const { contact } = ends(({ ins, p2, data }) => {
    commands += 1;
    const name = toHex(data ?? new Uint8Array(0));
    if (ins === 0xa4 && name.startsWith('3150')) {
      return answer('6F15840E315041592E5359532E4444463031A503880107');
    }
    if (ins === 0xa4) return answer('', 0x6a82);
    return ins === 0xb2 && p2 >> 3 === 7 ? answer(many) : undefined;
  });
  assert.equal(contact, 'notAccepted');
  assert.ok(commands < 200, `${commands} commands`);
});

test('a partial name that has a next occurrence for ever is bounded', () => {
  let commands = 0;
  const fci = '6F0E8408A000000333010101A502500100';
  const { contact } = ends(({ ins, p2, data }) => {
    commands += 1;
    const name = toHex(data ?? new Uint8Array(0));
    if (ins !== 0xa4) return answer('', 0x6985);
    return name === TEST_AID || p2 === 2 ? answer(fci) : answer('', 0x6a82);
  });
  assert.equal(contact, 'notAccepted');
  assert.ok(commands < 100, `${commands} commands`);
});
