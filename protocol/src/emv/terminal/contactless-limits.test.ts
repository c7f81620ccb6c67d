/**
 * Shows the entry point of a tap: which amounts are taken, which bits of 9F66 they set, each limit
 * exactly and one minor unit over it, and how directory entries are chosen. A refusal here touches
 * no card.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu } from '../../iso7816/index.ts';
import { answer, TEST_AID, TEST_TERMINAL_AID } from './card.test-kit.ts';
import { KernelError } from './index.ts';
import { OFFLINE_LIMITS, TAP_LIMITS, type Tap, TC_CARD, tap, tapCard } from './tap.test-kit.ts';

type Change = NonNullable<Tap['change']>;
type Limits = Partial<typeof TAP_LIMITS> & { zeroAmount?: 'online' | 'refused' };
const ttqOf = (run: ReturnType<typeof tap>): string => run.wires[2]?.slice(14, 22) ?? '';
const offlineReader = { terminal: { terminalTransactionQualifiers: fromHex('3E000080') } };

/** A tap of this amount within these limits; the card goes online or approves as it is asked to. */
function at(amountMinor: bigint, limits: Limits = {}, change: Change = {}) {
  return tap({
    change: {
      ...change,
      input: { amountMinor, ...change.input },
      aid: { contactless: { ...TAP_LIMITS, ...limits } },
    },
  });
}

test('9F66 byte 2 bit 8: above the floor limit, not at it (EMV C-7 §3.1)', () => {
  assert.equal(ttqOf(at(100n, { floorLimitMinor: 100n })), '36000080');
  assert.equal(ttqOf(at(101n, { floorLimitMinor: 100n })), '36800080');
  assert.equal(ttqOf(at(99n, { floorLimitMinor: 100n })), '36000080');
});

test('9F66 byte 2 bit 7: above the CVM limit, not at it (EMV C-7 §3.1)', () => {
  const limits = { floorLimitMinor: 500_000n };
  assert.equal(ttqOf(at(30_000n, limits)), '36000080');
  assert.equal(ttqOf(at(30_001n, limits)), '37400080');
  assert.equal(ttqOf(at(30_001n)), '37C00080');
});

test('the transaction limit itself is taken, one minor unit more is not', () => {
  const limits = { cvmLimitMinor: 500_000n };
  assert.deepEqual(at(500_000n, limits).word, ['approved', 'issuer:00']);
  const above = at(500_001n, limits);
  assert.deepEqual(above.word, ['tryAnotherInterface', 'terminal:contactlessLimit']);
  assert.equal(above.commands.length, 0);
});

test('bits that the profile has set in byte 2 do not count', () => {
  const terminal = { terminalTransactionQualifiers: fromHex('36C00080') };
  assert.equal(ttqOf(at(1n, { floorLimitMinor: 100n }, { terminal })), '36000080');
});

test('forced online: the bit is set whatever the floor limit', () => {
  const run = at(1n, { floorLimitMinor: 100n }, { input: { forceOnline: true } });
  assert.equal(ttqOf(run), '36800080');
});

test('no e-cash wanted: a card that would pay from its purse is asked for an online cryptogram', () => {
  const change = (electronicCash: boolean) => ({ input: { electronicCash } });
  assert.equal(ttqOf(at(1n, { floorLimitMinor: 100n }, change(false))), '36800080');
  assert.equal(ttqOf(at(1n, { floorLimitMinor: 100n }, change(true))), '36000080');
});

test('amount zero: online by default, refused where the limits say so, never at an offline reader', () => {
  assert.equal(ttqOf(at(0n, { floorLimitMinor: 100n })), '36800080');
  assert.equal(ttqOf(at(0n, { floorLimitMinor: 100n, zeroAmount: 'online' })), '36800080');
  for (const run of [at(0n, { zeroAmount: 'refused' }), at(0n, {}, offlineReader)]) {
    assert.deepEqual(run.word, ['tryAnotherInterface', 'terminal:zeroAmount']);
    assert.equal(run.commands.length, 0);
  }
});

test('an offline-only reader says so, takes the floor limit itself and nothing above it', () => {
  const tapAt = (amountMinor: bigint, change: Change) =>
    tap({
      card: TC_CARD,
      change: { ...change, input: { amountMinor }, aid: { contactless: OFFLINE_LIMITS } },
    });
  const run = tapAt(20_000n, offlineReader);
  assert.equal(ttqOf(run), '3E000080');
  assert.deepEqual(run.word, ['approved', 'card:TC']);
  const above = tapAt(20_001n, offlineReader);
  assert.deepEqual(above.word, ['tryAnotherInterface', 'terminal:contactlessFloorLimit']);
  assert.equal(above.commands.length, 0);
  // A terminal without a line is an offline reader, whatever its qualifiers forgot.
  assert.equal(ttqOf(tapAt(20_000n, { terminal: { terminalType: 0x23 } })), '3E000080');
});

test('an offline-only reader does not take what must go online', () => {
  const run = at(1n, { floorLimitMinor: 100n }, { ...offlineReader, input: { forceOnline: true } });
  assert.deepEqual(run.word, ['tryAnotherInterface', 'terminal:contactlessFloorLimit']);
});

test('no application with reader limits: no tap', () => {
  const run = tap({ change: { aid: { contactless: null } } });
  assert.deepEqual(run.word, ['tryAnotherInterface', 'terminal:contactlessNotTaken']);
});

test('each application has its own limits: the one that takes the amount stays', () => {
  const entry = { ...TEST_TERMINAL_AID, contactless: TAP_LIMITS };
  const plain = { ...entry, contactless: { ...TAP_LIMITS, transactionLimitMinor: 1n } };
  const generous = { ...entry, aid: fromHex('A000000333') };
  const run = tap({ change: { terminal: { aids: [plain, generous] } } });
  assert.deepEqual(run.word, ['approved', 'issuer:00']);
  const none = tap({ change: { terminal: { aids: [plain] } } });
  assert.deepEqual(none.word, ['tryAnotherInterface', 'terminal:contactlessLimit']);
});

/** A PPSE of these entries (61), as hex of their contents. */
function ppse(entries: readonly string[], head = '325041592E5359532E4444463031'): ResponseApdu {
  const list = entries.map((contents) => toHex(encodeTlv('61', fromHex(contents)))).join('');
  const proprietary = toHex(encodeTlv('A5', encodeTlv('BF0C', fromHex(list))));
  const name = toHex(encodeTlv('84', fromHex(head)));
  return answer(toHex(encodeTlv('6F', fromHex(name + proprietary))));
}
const OWN = `4F08${TEST_AID}`;
/** The run over this directory, and the AIDs that were selected. */
function over(directory: ResponseApdu, change: Change = {}) {
  const run = tap({ card: { override: (index) => (index === 0 ? directory : undefined) }, change });
  const selected = run.wires.filter((wire) => wire.startsWith('00A4040008'));
  return { word: run.word.join(' '), selected: selected.map((wire) => wire.slice(10, 26)) };
}
const TAKEN = { word: 'approved issuer:00', selected: [TEST_AID] };
const NONE = { word: 'notAccepted terminal:noApplication', selected: [] };

test('directory entries that are odd are left out, the good one beside them is taken', () => {
  for (const odd of [
    '5004454D5054',
    '4F04A0000003',
    `4F11${'A0'.repeat(17)}`,
    '4F00',
    '',
    `4F07A0000000041010`,
    `${OWN}8700`,
    '500A50424F4320444542495487010187010287',
  ]) {
    // The last one cannot be parsed at all, which spoils the directory.
    const expected = odd.endsWith('87') ? NONE : TAKEN;
    assert.deepEqual(over(ppse([odd, OWN])), expected, odd);
  }
});

test('a directory without a list, of another template or with nothing in it ends cleanly', () => {
  assert.deepEqual(over(ppse([])), NONE);
  assert.deepEqual(over(answer('')), NONE);
  assert.deepEqual(over(answer(`70${toHex(ppse([OWN]).data).slice(2)}`)), NONE);
  assert.deepEqual(over(answer('6F8281')), NONE);
  assert.deepEqual(over(answer(toHex(encodeTlv('6F', fromHex(`61${'0A'}${OWN}`))))), NONE);
  for (const statusWord of [0x6a82, 0x6a81, 0x6d00, 0x6e00, 0x6985, 0x6984, 0x6283, 0x6999]) {
    assert.deepEqual(over(answer('', statusWord)), NONE, statusWord.toString(16));
  }
});

test('40 entries: the first 32 may be candidates, and no more than one of an AID', () => {
  const many = Array.from(
    { length: 40 },
    (_, index) => `4F08A00000033301${(0x1000 + index).toString(16).toUpperCase()}`,
  );
  const change = { aid: { aid: fromHex('A000000333') } };
  const directory = ppse([...many, ...many]);
  const gone = (at: number) => (at === 0 ? directory : answer('', 0x6a82));
  const run = tap({ card: { override: gone }, change });
  assert.equal(run.wires.length, 33);
  assert.deepEqual(run.word, ['notAccepted', 'terminal:noApplication']);
});

test('9F2A: kernel 7 or none is ours; another, or a domestic one, is not (EMV C-7 §3.2)', () => {
  for (const identifier of ['07', '00', '', '070000', '0700000000000000']) {
    const length = (identifier.length / 2).toString(16).padStart(2, '0');
    assert.deepEqual(over(ppse([`${OWN}9F2A${length}${identifier}`])), TAKEN, identifier);
  }
  for (const identifier of ['02', '03', '87', 'C7', '47', '875544']) {
    const length = (identifier.length / 2).toString(16).padStart(2, '0');
    assert.deepEqual(over(ppse([`${OWN}9F2A${length}${identifier}`])), NONE, identifier);
  }
});

test('priority chooses among the entries of this kernel only', () => {
  const first = '4F08A0000003330101029F2A0103870101';
  const change = { aid: { aid: fromHex('A000000333') } };
  assert.deepEqual(over(ppse([first, `${OWN}870102`]), change), TAKEN);
});

test('without 9F2A the RID names the kernel: an application of another scheme is not run here', () => {
  const visa = 'A0000000031010';
  const change = { aid: { aid: fromHex('A000000003') } };
  assert.deepEqual(over(ppse([`4F07${visa}`]), change), NONE);
  // A RID that nobody has given a kernel is the reader's own to choose: a closed-loop card.
  const own = 'F00000000101010A';
  const override = (index: number) => (index === 0 ? ppse([`4F08${own}`]) : answer('', 0x6a82));
  const closed = tap({ card: { override }, change: { aid: { aid: fromHex('F000000001') } } });
  assert.equal(closed.wires[1], `00A4040008${own}00`);
});

test('SELECT 6984 asks for insertion only when no other application is left (EMV C-7 §3.2)', () => {
  const other = 'A000000333010102';
  const directory = [
    [other, 1],
    [TEST_AID, 2],
  ] as const;
  const plain = tapCard({ directory });
  const transmit = (command: CommandApdu, index: number) => {
    if (index === 0) return plain(command, 0);
    return index === 1 ? answer('', 0x6984) : plain(command, index - 1);
  };
  const change = { aid: { aid: fromHex('A000000333') } };
  assert.deepEqual(tap({ change, driver: { transmit } }).word, ['approved', 'issuer:00']);
  const both = (command: CommandApdu, index: number) =>
    index === 0 ? plain(command, 0) : answer('', index === 1 ? 0x6984 : 0x6a82);
  const gone = tap({ change, driver: { transmit: both } });
  assert.deepEqual(gone.word, ['tryAnotherInterface', 'card:useContact']);
});

test('several cards in the field: one is asked for, at any command, and nothing was charged', () => {
  for (let index = 0; index < 8; index++) {
    const override = (position: number): undefined => {
      if (position === index) throw codedFault('ERR_CARD_COLLISION');
    };
    const run = tap({ card: { override } });
    assert.deepEqual(run.word, ['notAccepted', 'terminal:presentOneCard'], `command ${index}`);
    assert.equal(run.requests.length, 0);
  }
});

test('any other fault of the reader is thrown as it came', () => {
  const override = (): never => {
    throw codedFault('ERR_CARD_TRANSPORT');
  };
  assert.throws(() => tap({ card: { override } }), { code: 'ERR_CARD_TRANSPORT' });
  // After the card was let go a collision means nothing.
  const releaseCard = (): never => {
    throw codedFault('ERR_CARD_COLLISION');
  };
  assert.throws(() => tap({ driver: { releaseCard } }), { code: 'ERR_CARD_COLLISION' });
});

function codedFault(code: string): KernelError {
  return new KernelError(code as 'ERR_CARD_STATUS', 'the reader says so');
}
