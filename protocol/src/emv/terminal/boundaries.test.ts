/** The last value that is allowed, and the first that is not, of what the kernel limits. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { encodeCommand, encodeTlv } from '../../iso7816/index.ts';
import {
  answer,
  TEST_AID,
  TEST_TERMINAL_AID,
  type TestCardOptions,
  testCard,
} from './card.test-kit.ts';
import { cvm, KEYS, refuses, run } from './case.test-kit.ts';
import { countCommand } from './context.ts';
import { COMMANDS_MAX } from './index.ts';
import { processingOptions } from './initiate.ts';
import { SCRIPTS_MAX } from './issuer-response.ts';

const NONE = '00000000000000001F00';

test('a currency may have no minor unit and at most nine digits of it', () => {
  for (const currencyExponent of [0, 9]) {
    assert.equal(
      run({ card: cvm('1F00'), change: { terminal: { currencyExponent } } }).tvr,
      '0000008000',
    );
  }
  for (const currencyExponent of [-1, 10]) {
    refuses('ERR_KERNEL_PROFILE', { change: { terminal: { currencyExponent } } });
  }
});

test('9F7B goes up to twelve digits', () => {
  const withLimit = (transactionLimitMinor: bigint) => ({
    card: cvm('1F00'),
    change: { aid: { electronicCash: { transactionLimitMinor } } },
  });
  assert.equal(run(withLimit(999_999_999_999n)).outcome.outcome, 'approved');
  refuses('ERR_KERNEL_PROFILE', withLimit(1_000_000_000_000n));
});

test('EMV 4.3 B4 §A3: only the bit for cash makes types 14 to 16 an ATM', () => {
  const noAtm = { elements: { '8E': NONE, '9F07': 'FD00', '9F0E': '0000000000' } };
  const tvrOf = (additional: string) =>
    run({
      card: noAtm,
      change: {
        terminal: { terminalType: 0x14, additionalCapabilities: fromHex(additional) },
        aid: { tacDenial: new Uint8Array(5) },
      },
    }).tvr.slice(2, 4);
  assert.equal(tvrOf('6100F0A001'), '00');
  assert.equal(tvrOf('E000F0A001'), '10');
});

test(`${COMMANDS_MAX} commands are allowed, one more is not`, () => {
  const context = { commandsLeft: COMMANDS_MAX } as Parameters<typeof countCommand>[0];
  for (let count = 0; count < COMMANDS_MAX; count++) countCommand(context);
  assert.throws(() => countCommand(context), { code: 'ERR_CARD_LIMIT' });
});

test('9F10 has at most 32 bytes', () => {
  const withIad = (bytes: number): TestCardOptions => ({
    ...cvm('1F00'),
    override: ({ ins }) => {
      if (ins !== 0xae) return undefined;
      const value = fromHex(`8000061111111111111111${'07'.repeat(bytes)}`);
      return answer(toHex(encodeTlv('80', value)));
    },
  });
  const { requests } = run({
    card: withIad(32),
    driver: { authorise: () => ({ result: 'unknown' }) },
  });
  assert.equal(requests[0]?.values.get('9F10')?.length, 32);
  refuses('ERR_CARD_DATA', { card: withIad(33) });
});

test('EMV 4.3 B3 §6.5.8.4: format 1 has two bytes of AIP at least; files may be missing', () => {
  const objects = processingOptions(fromHex('80027C00'));
  assert.deepEqual(
    objects.map(([tag, value]) => `${tag} ${toHex(value)}`),
    ['82 7C00', '94 '],
  );
  assert.throws(() => processingOptions(fromHex('80017C')), { code: 'ERR_CARD_DATA' });
});

test('a PAN has 8 to 19 digits', () => {
  const withPan = (pan: string) => {
    const elements = {
      '5A': pan.length % 2 === 0 ? pan : `${pan}F`,
      '57': null,
      '8E': NONE,
    };
    return { card: { elements, iccPan: pan } };
  };
  for (const pan of ['62999900', '6299990000000000001']) {
    assert.equal(run(withPan(pan)).requests[0]?.pan.expose(), pan);
  }
  refuses('ERR_CARD_DATA', withPan('6299990'));
  refuses('ERR_CARD_DATA', withPan('62999900000000000012'));
});

test('EMV 4.3 B3 §10.3: the template of a signed record is left out in file 10 as in file 2', () => {
  let seen = '';
  // The card signs what stands in its file 2; here the same record is read from another file.
  const inFile = (sfi: number): TestCardOptions => ({
    ...cvm('1F00'),
    override: ({ ins, p1, p2 }) => {
      const first = toHex(Uint8Array.of(sfi << 3));
      if (ins === 0xa8) return answer(`80127C0008010100${first}0101011002020018010400`);
      if (ins === 0xb2 && p2 >> 3 === sfi && p1 === 1) return answer(seen);
      return undefined;
    },
  });
  const plain = run({ card: cvm('1F00') });
  const table = testCard(nodeCiphers, KEYS, cvm('1F00'));
  const command = plain.commands.find(({ ins, p1, p2 }) => ins === 0xb2 && p1 === 1 && p2 === 0x14);
  assert.ok(command);
  seen = toHex(table(command, 0).data);
  assert.equal(run({ card: inFile(10) }).outcome.dataAuthentication, 'DDA');
  assert.equal(run({ card: inFile(11) }).outcome.dataAuthentication, 'failed');
});

test(`${SCRIPTS_MAX} scripts of an answer run; what is beyond them counts as not performed`, () => {
  const resultsOf = (count: number) => {
    const scripts = Array.from({ length: count }, () =>
      encodeTlv('72', encodeTlv('86', fromHex('0016000000'))),
    );
    const { outcome } = run({
      card: { ...cvm('1F00'), override: ({ ins }) => (ins === 0x16 ? answer('') : undefined) },
      driver: { authorise: () => ({ result: 'answered', responseCode: '00', scripts }) },
    });
    return outcome.scriptResults.map((result) => toHex(result).slice(0, 2));
  };
  assert.deepEqual(
    resultsOf(SCRIPTS_MAX),
    Array.from({ length: SCRIPTS_MAX }, () => '20'),
  );
  const more = resultsOf(SCRIPTS_MAX + 1);
  assert.equal(more.filter((result) => result === '00').length, 1);
});

test('GET CHALLENGE asks with Le 00 in one short command', () => {
  const { commands } = run({
    card: {
      ...cvm('0400'),
      override: ({ ins }) => (ins === 0x84 ? answer('0102030405060708') : undefined),
    },
    change: { terminal: { capabilities: fromHex('E0F8C0') } },
    driver: { verifyPin: () => answer('') },
  });
  const wire = commands.filter(({ ins }) => ins === 0x84).map((one) => toHex(encodeCommand(one)));
  assert.deepEqual(wire, ['0084000000']);
});

test('EMV 4.3 B1 §12.3.1: a partial AID takes what begins with it, nothing that is only longer', () => {
  const foreign = 'A00000000410100001';
  const entry = (aid: string) => encodeTlv('61', encodeTlv('4F', fromHex(aid)));
  const record = toHex(encodeTlv('70', concatBytes(entry(foreign), entry(TEST_AID))));
  const { offers, commands } = run({
    card: {
      ...cvm('1F00'),
      override: ({ ins, p1, p2, data }) => {
        if (ins === 0xa4 && toHex(data ?? new Uint8Array(0)).startsWith('315041')) {
          return answer('6F15840E315041592E5359532E4444463031A503880107');
        }
        if (ins !== 0xb2 || p2 >> 3 !== 7) return undefined;
        return p1 === 1 ? answer(record) : answer('', 0x6a83);
      },
    },
    change: { terminal: { aids: [{ ...TEST_TERMINAL_AID, aid: fromHex('A000000333') }] } },
  });
  assert.deepEqual(offers, [], 'one candidate needs no choice');
  const names = commands
    .filter(({ ins }) => ins === 0xa4)
    .map(({ data }) => toHex(data ?? new Uint8Array(0)));
  assert.ok(!names.includes(foreign));
});

test('what a record says of a cryptogram is no advice of the card', () => {
  const card: TestCardOptions = {
    ...cvm('0200'),
    override: ({ ins, p1, p2 }) =>
      ins === 0xb2 && p2 === 0x0c && p1 === 1
        ? answer(toHex(encodeTlv('70', fromHex('9F080200309F42020156' + '9F270108'))))
        : undefined,
  };
  const { outcome } = run({ card, driver: { enterPin: () => 'cancelled' } });
  assert.equal(outcome.outcome, 'cancelled');
  assert.equal(outcome.cardAdvice, null);
});
