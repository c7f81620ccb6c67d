/** Application selection and initiation against scripted answers, right and wrong. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeCommand,
  encodeTlv,
  type ResponseApdu,
} from '../../iso7816/index.ts';
import {
  answer,
  TEST_AID,
  TEST_TERMINAL_AID,
  type TestCardOptions,
  testCard,
  testKeyOf,
  testTransaction,
} from './card.test-kit.ts';
import { contactTransaction } from './index.ts';
import { runKernel, type TestDriver } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const PSE = '00A404000E315041592E5359532E444446303100';
const PSE_FCI = '6F15840E315041592E5359532E4444463031A503880107';

type Change = Parameters<typeof testTransaction>[2];

/** Answers by wire text first, then by the test card. */
function run(
  table: Readonly<Record<string, ResponseApdu | readonly ResponseApdu[]>>,
  options: {
    readonly change?: Change;
    readonly card?: TestCardOptions;
    readonly driver?: Partial<TestDriver>;
  } = {},
) {
  const used = new Map<string, number>();
  const override = (command: CommandApdu): ResponseApdu | undefined => {
    const wire = toHex(encodeCommand(command));
    const found = table[wire];
    if (found === undefined || !Array.isArray(found)) return found as ResponseApdu | undefined;
    const index = used.get(wire) ?? 0;
    used.set(wire, index + 1);
    return found[Math.min(index, found.length - 1)];
  };
  const result = runKernel(contactTransaction(testTransaction(nodeCiphers, KEYS, options.change)), {
    transmit: testCard(nodeCiphers, KEYS, { ...options.card, override }),
    random: (length) => new Uint8Array(length).fill(0x5a),
    authorise: () => ({ result: 'answered', responseCode: '00', scripts: [] }),
    ...options.driver,
  });
  return { ...result, wires: result.commands.map((command) => toHex(encodeCommand(command))) };
}

/** A directory record of one application; `filler` follows inside the template. */
const directoryRecord = (aid: string, rest: string, filler = ''): ResponseApdu => {
  const entry = encodeTlv('61', concatBytes(encodeTlv('4F', fromHex(aid)), fromHex(rest)));
  return answer(toHex(encodeTlv('70', concatBytes(entry, fromHex(filler)))));
};
const selectText = (aid: string, p2 = '00'): string =>
  `00A404${p2}${(aid.length / 2).toString(16).padStart(2, '0').toUpperCase()}${aid}00`;
const fciOf = (aid: string, proprietary = '500454455354'): ResponseApdu => {
  const name = `84${(aid.length / 2).toString(16).padStart(2, '0')}${aid}`;
  const inner = `A5${(proprietary.length / 2).toString(16).padStart(2, '0')}${proprietary}`;
  const all = name + inner;
  return answer(`6F${(all.length / 2).toString(16).padStart(2, '0')}${all}`);
};

test('EMV 4.3 B1 §12.3.2: no directory, whatever the status word, means the list of AIDs', () => {
  // russss/python-emv #3 and #15, davidbarkhuizen/py_emv_utils #1; 6984 is a Java card's.
  for (const statusWord of [0x6a82, 0x6984, 0x6d00, 0x6283, 0x6999, 0x6f00, 0x6a81]) {
    const { outcome, wires } = run({ [PSE]: answer('', statusWord) });
    assert.equal(outcome.outcome, 'approved', statusWord.toString(16));
    assert.deepEqual(wires.slice(0, 3), [PSE, selectText(TEST_AID), selectText(TEST_AID)]);
  }
});

test('EMV 4.3 B1 §12.3.2: the directory gives the candidates, priority orders them', () => {
  const other = 'A000000333010102';
  const { outcome, offers, wires } = run(
    {
      [PSE]: answer(PSE_FCI),
      '00B2013C00': directoryRecord(TEST_AID, '500144870102', '00FF'),
      '00B2023C00': directoryRecord(other, '500143870101'),
      '00B2033C00': answer('', 0x6a83),
    },
    {
      driver: { selectApplication: () => 1 },
      change: {
        terminal: {
          aids: [{ ...TEST_TERMINAL_AID, aid: fromHex('A0000003330101') }],
        },
      },
    },
  );
  assert.deepEqual(
    offers[0]?.map(({ aid, label, priority }) => [toHex(aid), label, priority]),
    [
      [other, 'C', 1],
      [TEST_AID, 'D', 2],
    ],
  );
  assert.equal(wires[4], selectText(TEST_AID));
  assert.equal(outcome.outcome, 'approved');
});

test('a directory that is malformed or names nothing known falls back to the list', () => {
  const records = [
    '',
    '7003610100',
    '70',
    '7010610E4F08A0000000041010205002',
    '61074F05A000000333',
  ];
  for (const record of records) {
    const { outcome } = run({
      [PSE]: answer(PSE_FCI),
      '00B2013C00': answer(record),
      '00B2023C00': answer('', 0x6a83),
    });
    assert.equal(outcome.outcome, 'approved', record);
  }
  for (const fci of ['', '6F00', '6F0384', '6F15840E315041592E5359532E4444463031A50388010B']) {
    const { outcome, wires } = run({ [PSE]: answer(fci) });
    assert.equal(outcome.outcome, 'approved', fci);
    assert.ok(!wires.includes('00B2015C00'), 'there is no file 11');
  }
});

test('a directory without an end is read up to a limit', () => {
  const endless = answer('70006100');
  const { commands, outcome } = run(
    { [PSE]: answer(PSE_FCI) },
    {
      driver: {
        transmit: (command, index) => {
          if (index === 0) return answer(PSE_FCI);
          if (command.ins === 0xb2 && command.p2 === 0x3c) return endless;
          return answer('', 0x6a82);
        },
      },
    },
  );
  assert.ok(commands.length <= 34);
  assert.equal(outcome.outcome, 'notAccepted');
  assert.equal(outcome.reason, 'terminal:noApplication');
});

test('EMV 4.3 B1 §12.3.3: a partial name asks for the next occurrence until the card ends', () => {
  const terminal = { aids: [{ ...TEST_TERMINAL_AID, aid: fromHex('A0000003330101') }] };
  const short = 'A0000003330101';
  const { offers, wires } = run(
    {
      [selectText(short)]: fciOf('A000000333010102', '5001438701025F2D027A68'),
      [selectText(short, '02')]: [fciOf('A000000333010103', '500151870101'), answer('', 0x6a82)],
      [selectText('A000000333010103')]: answer('', 0x6a82),
      [selectText('A000000333010102')]: answer('', 0x6a82),
    },
    { change: { terminal } },
  );
  assert.deepEqual(
    offers[0]?.map(({ label }) => label),
    ['Q', 'C'],
  );
  assert.deepEqual(wires.slice(1, 4), [
    selectText(short),
    selectText(short, '02'),
    selectText(short, '02'),
  ]);
});

test('a card that has a further name for ever is asked for 16 of them, once each', () => {
  const terminal = { aids: [{ ...TEST_TERMINAL_AID, aid: fromHex('A0000003330101') }] };
  let given = 0;
  const { commands } = run(
    {},
    {
      change: { terminal },
      driver: {
        transmit: ({ ins, p2 }) => {
          if (ins !== 0xa4 || given > 60) return answer('', 0x6a82);
          if (given === 0 && p2 === 0x00) given += 1;
          else if (p2 !== 0x02 && given > 2) return answer('', 0x6a82);
          given += 1;
          const name = given.toString(16).padStart(2, '0').toUpperCase();
          return given === 2 ? answer('', 0x6a82) : fciOf(`A0000003330101${name}`);
        },
      },
    },
  );
  assert.equal(commands.filter(({ p2 }) => p2 === 0x02).length, 16);
});

test('exact selection does not take a longer name', () => {
  const aids = [{ ...TEST_TERMINAL_AID, aid: fromHex('A0000003330101'), partialSelection: false }];
  const { outcome } = run(
    { [selectText('A0000003330101')]: fciOf('A000000333010102') },
    { change: { terminal: { aids } } },
  );
  assert.equal(outcome.reason, 'terminal:noApplication');
});

test('EMV 4.3 B1 §12.3.3: a blocked application (6283) is no candidate, a blocked card ends it', () => {
  const blocked = { ...fciOf(TEST_AID), statusWord: answer('', 0x6283).statusWord };
  const one = run({ [selectText(TEST_AID)]: blocked });
  assert.equal(one.outcome.outcome, 'notAccepted');
  assert.equal(one.outcome.reason, 'terminal:noApplication');
  assert.equal(one.commands.length, 2);
  const card = run({ [PSE]: answer('', 0x6a81), [selectText(TEST_AID)]: answer('', 0x6a81) });
  assert.equal(card.outcome.reason, 'card:blocked');
  assert.equal(card.commands.length, 2);
});

test('EMV 4.3 B1 §12.4: 6985 to GPO, or a failing final SELECT, tries the next candidate', () => {
  // L1L1/cardpeek #76 (second SELECT fails), Next-Flip/Momentum #411 (FCI cannot be parsed).
  const other = 'A000000333010106';
  const terminal = {
    aids: [{ ...TEST_TERMINAL_AID, aid: fromHex(other) }, TEST_TERMINAL_AID],
  };
  const gpo = '80A8000002830000';
  const refusal = run(
    {
      [selectText(other)]: fciOf(other, '870101'),
      [gpo]: [answer('', 0x6985), answer('800E7C00080101001001020118010400')],
    },
    { change: { terminal } },
  );
  assert.equal(refusal.outcome.outcome, 'approved');
  assert.equal(toHex(refusal.outcome.aid ?? new Uint8Array(0)), TEST_AID);
  for (const second of [answer('', 0x6a82), answer('6F05'), fciOf('A000000004')]) {
    const { outcome } = run(
      { [selectText(other)]: [fciOf(other, '870101'), second] },
      { change: { terminal } },
    );
    assert.equal(toHex(outcome.aid ?? new Uint8Array(0)), TEST_AID);
  }
});

test('EMV 4.3 B1 §12.4: an application that wants confirmation is offered though it is alone', () => {
  const table = {
    [PSE]: answer(PSE_FCI),
    '00B2013C00': directoryRecord(TEST_AID, '500144870181'),
    '00B2023C00': answer('', 0x6a83),
  };
  const { outcome, offers } = run(table, { driver: { selectApplication: () => null } });
  assert.equal(offers[0]?.[0]?.confirmationRequired, true);
  assert.equal(outcome.outcome, 'cancelled');
  assert.equal(outcome.reason, 'cardholder:application');
  assert.throws(() => run(table, { driver: { selectApplication: () => 7 } }), {
    code: 'ERR_KERNEL_ANSWER',
  });
});

test('GPO refused with another status word is a clean end; devnied/EMV-NFC #80', () => {
  const { outcome } = run({ '80A8000002830000': answer('', 0x6d00) });
  assert.equal(outcome.outcome, 'notAccepted');
  assert.equal(outcome.reason, 'card:GPO:6D00');
});

test('EMV 4.3 B3 §5.4: a PDOL with the same tag twice gives it twice; russss/python-emv #22', () => {
  // 9A 03, 9F37 04, 9A 03, and 9F06 (davidbarkhuizen/py_emv_utils #1), a tag nobody knows last.
  const { wires, outcome } = run({}, { card: { pdol: '9A039F37049A039F0605DF7E02' } });
  const gpo = wires.find((wire) => wire.startsWith('80A8'));
  assert.equal(gpo, '80A80000138311' + '2612015A5A5A5A261201' + 'A000000333' + '000000');
  assert.equal(outcome.outcome, 'approved');
});

test('EMV 4.3 B3 §6.5.8.4: GPO format 2 is taken; without AFL or in another template it ends', () => {
  const gpo = '80A8000002830000';
  const format2 = answer('771282027C00940C080101001001020118010400');
  assert.equal(run({ [gpo]: format2 }).outcome.dataAuthentication, 'DDA');
  const cases = [
    ['770482027C00', 'ERR_CARD_MISSING_DATA'],
    ['7700', 'ERR_CARD_MISSING_DATA'],
    ['80017C', 'ERR_CARD_DATA'],
    ['80027C00', 'ERR_CARD_DATA'],
    ['80067C0008010100'.slice(0, -2), 'ERR_CARD_DATA'],
    ['', 'ERR_CARD_DATA'],
    ['810100', 'ERR_CARD_DATA'],
    ['77', 'ERR_CARD_DATA'],
    ['771083017C940C080101001001020118010400', 'ERR_CARD_DATA'],
    ['80067C0008020100', 'ERR_CARD_DATA'],
    ['80067C0000010100', 'ERR_CARD_DATA'],
  ] as const;
  for (const [data, code] of cases) {
    assert.throws(() => run({ [gpo]: answer(data) }), { code }, data);
  }
});

test('an AFL of more records than any card has is refused', () => {
  assert.throws(() => run({ '80A8000002830000': answer('80067C000801FF00') }), {
    code: 'ERR_CARD_LIMIT',
  });
});

test('EMV 4.3 B1 §12.4: the preferred name is shown where the terminal has its code table', () => {
  const names = '50034F4C44870101' + '9F1101019F12034E4557';
  const label = (proprietary: string, additionalCapabilities: string): string | null => {
    const terminal = { additionalCapabilities: fromHex(additionalCapabilities) };
    const table = { [selectText(TEST_AID)]: fciOf(TEST_AID, proprietary) };
    return run(table, { change: { terminal } }).outcome.label;
  };
  assert.equal(label(names, '6000F0A001'), 'NEW');
  assert.equal(label(names, '6000F0A000'), 'OLD');
  assert.equal(label(names.replace('9F110101', '9F110105'), '6000F0A001'), 'OLD');
  assert.equal(label('870101', '6000F0A001'), TEST_AID);
});

test('EMV 4.3 B1 §12.2.1: AIDs of 5 to 16 bytes are taken, others are not', () => {
  const long = `${TEST_AID}${'01'.repeat(8)}`;
  const offered = (aid: string): boolean => {
    const table = {
      [PSE]: answer(PSE_FCI),
      '00B2013C00': directoryRecord(aid, '870101'),
      '00B2023C00': answer('', 0x6a83),
      [selectText(aid)]: fciOf(aid),
    };
    return toHex(run(table).outcome.aid ?? new Uint8Array(0)) === aid;
  };
  assert.equal(offered(long), true);
  assert.equal(offered(`${long}01`), false);
});
