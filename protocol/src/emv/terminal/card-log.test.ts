/**
 * Shows the readings that pay nothing: purses, transaction log and load log over both interfaces,
 * the commands they send (no GET PROCESSING OPTIONS among them), and every odd record a card has.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeCommand,
  encodeTlv,
  type ResponseApdu,
  StatusWord,
} from '../../iso7816/index.ts';
import { answer, TEST_AID, TEST_TERMINAL_AID, testTransaction } from './card.test-kit.ts';
import {
  type CardReading,
  COMMANDS_MAX,
  driveKernel,
  type Kernel,
  KernelError,
  LOG_RECORDS_MAX,
  readElectronicCashBalance,
  readLoadLog,
  readTransactionLog,
} from './index.ts';

const NO_KEY = {
  modulus: new Uint8Array(128).fill(0xff),
  exponent: Uint8Array.of(3),
  privateExponent: new Uint8Array(0),
};
const PPSE = '325041592E5359532E4444463031';
const SECOND_AID = 'A000000333010106';

/** What a card answers. */
type Card = {
  readonly getData?: Readonly<Record<string, string>>;
  readonly records?: readonly (string | number)[];
  /** FCI discretionary data (BF0C) of the application. */
  readonly discretionary?: string;
  readonly aids?: readonly string[];
};

/** Log in file 11, ten records; load log in file 12, ten records. */
const LOGS = '9F4D020B0ADF4D020C0A';

function cardOf(card: Card): (command: CommandApdu) => ResponseApdu {
  const { aids = [TEST_AID], discretionary = LOGS, getData = {}, records = [] } = card;
  let selected = '';
  return (command) => {
    const name = toHex(command.data ?? new Uint8Array(0));
    if (command.ins === 0xa4 && name === PPSE) {
      const entries = aids.map((aid) => toHex(encodeTlv('61', fromHex(`4F08${aid}`)))).join('');
      return answer(fci(PPSE, entries));
    }
    if (command.ins === 0xa4) {
      // A partial name selects the first application that begins so, P2 02 the next one.
      const matching = aids.filter((aid) => aid.startsWith(name));
      const next = command.p2 === 0x02 ? matching.indexOf(selected) + 1 : 0;
      const found = matching[next];
      if (found === undefined) return answer('', 0x6a82);
      selected = found;
      return answer(fci(found, discretionary));
    }
    if (command.ins === 0xca) {
      const tag = toHex(Uint8Array.of(command.p1, command.p2));
      const value = getData[`${selected}.${tag}`] ?? getData[tag];
      return value === undefined
        ? answer('', 0x6a88)
        : answer(toHex(encodeTlv(tag, fromHex(value))));
    }
    assert.equal(command.ins, 0xb2, 'nothing else is asked');
    const record = records[command.p1 - 1] ?? 0x6a83;
    return typeof record === 'number' ? answer('', record) : answer(record);
  };
}

function fci(name: string, discretionary: string): string {
  const label = encodeTlv('50', fromHex('50424F43'));
  const list = encodeTlv('BF0C', fromHex(discretionary));
  const proprietary = encodeTlv('A5', concatBytes(label, list));
  return toHex(encodeTlv('6F', concatBytes(encodeTlv('84', fromHex(name)), proprietary)));
}

/** Runs a reading; its commands as text, and how often the card was let go. */
async function read<Value>(
  reader: (reading: CardReading) => Kernel<Value>,
  card: Card | ((command: CommandApdu) => ResponseApdu),
  way: CardReading['interface'] = 'contact',
): Promise<{ value: Value; wires: string[]; releases: number }> {
  const { terminal } = testTransaction(nodeCiphers, { ca: NO_KEY, issuer: NO_KEY, icc: NO_KEY });
  const aids = [{ ...TEST_TERMINAL_AID, aid: fromHex('A000000333') }];
  const wires: string[] = [];
  let releases = 0;
  const transmit = typeof card === 'function' ? card : cardOf(card);
  const never = (): never => assert.fail('a reading asks nobody');
  const value = await driveKernel(
    reader({ ciphers: nodeCiphers, terminal: { ...terminal, aids }, interface: way }),
    {
      transmit: (command) => {
        wires.push(toHex(encodeCommand(command)));
        return transmit(command);
      },
      random: never,
      selectApplication: never,
      enterPin: never,
      authorise: never,
      releaseCard: () => {
        releases += 1;
      },
    },
  );
  return { value, wires, releases };
}

const PURSE = {
  '9F79': '000000012345',
  '9F51': '0156',
  '9F77': '000000100000',
  '9F78': '000000050000',
  '9F6D': '000000001000',
};

test('the balance is read after SELECT by GET DATA, without GPO (PBOC3 P13)', async () => {
  const { value, wires, releases } = await read(
    readElectronicCashBalance,
    { getData: PURSE },
    'contactless',
  );
  assert.deepEqual(wires.slice(1), [
    `00A4040008${TEST_AID}00`,
    '80CA9F7900',
    '80CA9F5100',
    '80CA9F7700',
    '80CA9F7800',
    '80CA9F6D00',
    '80CADF7900',
  ]);
  assert.equal(releases, 1);
  assert.ok(value.result === 'read');
  assert.equal(toHex(value.aid), TEST_AID);
  assert.deepEqual(value.purses, [
    {
      currency: '156',
      balanceMinor: 12_345n,
      balanceLimitMinor: 100_000n,
      singleTransactionLimitMinor: 50_000n,
      resetThresholdMinor: 1000n,
    },
  ]);
});

test('two purses; what a card does not tell is null', async () => {
  const getData = { '9F79': '000000000001', DF79: '000000000002', DF71: '0840' };
  const { value } = await read(readElectronicCashBalance, { getData });
  assert.ok(value.result === 'read');
  assert.deepEqual(
    value.purses.map(({ currency, balanceMinor }) => [currency, balanceMinor]),
    [
      [null, 1n],
      ['840', 2n],
    ],
  );
  assert.equal(value.purses[0]?.resetThresholdMinor, null);
});

test('the first application that has a purse is read', async () => {
  const aids = [TEST_AID, SECOND_AID];
  const getData = { [`${SECOND_AID}.9F79`]: '000000000099' };
  for (const way of ['contact', 'contactless'] as const) {
    const { value } = await read(readElectronicCashBalance, { aids, getData }, way);
    assert.ok(value.result === 'read');
    assert.equal(toHex(value.aid), SECOND_AID);
  }
});

test('no purse, no application, a blocked card: a reason, and the card is let go', async () => {
  const word = async (card: Card | ((command: CommandApdu) => ResponseApdu)) => {
    const { value, releases } = await read(readElectronicCashBalance, card);
    assert.equal(releases, 1);
    return value.result === 'none' ? value.reason : 'read';
  };
  assert.equal(await word({}), 'card:noElectronicCash');
  assert.equal(await word({ getData: { '9F79': '0000' } }), 'card:noElectronicCash');
  assert.equal(await word({ getData: { '9F79': 'AAAAAAAAAAAA' } }), 'card:noElectronicCash');
  assert.equal(await word({ aids: [] }), 'terminal:noApplication');
  assert.equal(await word(() => answer('', 0x6a81)), 'card:blocked');
});

const FORMAT = '9A039F21039F02069F03069F1A025F2A029F4E149C019F3602';
const SHOP = 'B1B1BEA9B2E8B9DD202020202020202020202020';
const ENTRY = `26113010111200000000123400000000000001560156${SHOP}000007`;

test('the transaction log by the card format (9F4D, 9F4F), newest first', async () => {
  const records = [ENTRY, ENTRY.replace('000000001234', '000000000005').replace(/0007$/, '0006')];
  const card = { getData: { '9F4F': FORMAT }, records };
  const { value, wires, releases } = await read(readTransactionLog, card, 'contactless');
  assert.deepEqual(wires.slice(2), ['80CA9F4F00', '00B2015C00', '00B2025C00', '00B2035C00']);
  assert.equal(releases, 1);
  assert.ok(value.result === 'read');
  assert.equal(value.format, 'card');
  assert.deepEqual(value.entries[0], {
    record: 1,
    isEmpty: false,
    raw: fromHex(ENTRY),
    dateYymmdd: '261130',
    timeHhmmss: '101112',
    countryCode: '156',
    merchantName: fromHex(SHOP),
    applicationTransactionCounter: 7,
    amountMinor: 1234n,
    otherAmountMinor: 0n,
    currency: '156',
    transactionType: 0,
  });
  assert.deepEqual(
    value.entries.map((entry) => [entry.record, entry.amountMinor]),
    [
      [1, 1234n],
      [2, 5n],
    ],
  );
});

test('a record of FF or 00, a short one, one without amount: nulls, no crash (EMV-NFC #35)', async () => {
  const records = ['FF'.repeat(45), '00'.repeat(45), '261130', '', ENTRY.slice(0, 40), ENTRY];
  const { value } = await read(readTransactionLog, { getData: { '9F4F': FORMAT }, records });
  assert.ok(value.result === 'read');
  assert.deepEqual(
    value.entries.map(({ isEmpty, dateYymmdd, amountMinor, applicationTransactionCounter }) => [
      isEmpty,
      dateYymmdd,
      amountMinor,
      applicationTransactionCounter,
    ]),
    [
      [true, null, null, null],
      [true, null, null, null],
      [false, '261130', null, null],
      [true, null, null, null],
      [false, '261130', 1234n, null],
      [false, '261130', 1234n, 7],
    ],
  );
  const without = await read(readTransactionLog, {
    getData: { '9F4F': '9A039F3602' },
    records: ['2611300007'],
  });
  assert.ok(without.value.result === 'read');
  assert.equal(without.value.entries[0]?.amountMinor, null);
  assert.equal(without.value.entries[0]?.applicationTransactionCounter, 7);
});

test('values that are none are null: month 13, hour 24, letters, a currency of 4 digits', async () => {
  const records = [
    `26133024000000000000AAAA00000000000099991156${SHOP}000007`,
    `AB11301011FF0000000012340000000000000156015A${SHOP}000007`,
  ];
  const { value } = await read(readTransactionLog, { getData: { '9F4F': FORMAT }, records });
  assert.ok(value.result === 'read');
  for (const entry of value.entries) {
    assert.equal(entry.dateYymmdd, null);
    assert.equal(entry.timeHhmmss, null);
    assert.equal(entry.currency, null);
  }
  assert.equal(value.entries[0]?.amountMinor, null);
  assert.equal(value.entries[0]?.countryCode, null);
  assert.equal(value.entries[1]?.countryCode, '156');
});

test('without a format, or with one that is cut, the usual one is assumed and said so', async () => {
  const own = await read(readTransactionLog, { getData: { '9F4F': FORMAT }, records: [ENTRY] });
  for (const getData of [{}, { '9F4F': '' }, { '9F4F': '9A' }, { '9F4F': '9F02FF9F03FF' }]) {
    const { value } = await read(readTransactionLog, { getData, records: [ENTRY] });
    assert.ok(value.result === 'read');
    assert.equal(value.format, 'assumed');
    assert.deepEqual(value.entries, own.value.result === 'read' ? own.value.entries : []);
  }
});

test('a record that is refused ends the log; the entry of the FCI bounds it', async () => {
  const of = async (card: Card) => {
    const { value } = await read(readTransactionLog, card);
    return value.result === 'read' ? value.entries.length : value.reason;
  };
  const records = Array.from({ length: 255 }, () => ENTRY);
  assert.equal(await of({ records: [ENTRY, 0x6985, ENTRY] }), 1);
  assert.equal(await of({ records, discretionary: '9F4D020B03' }), 3);
  assert.equal(LOG_RECORDS_MAX, 30);
  assert.equal(await of({ records, discretionary: '9F4D020BFF' }), 30);
  assert.equal(await of({ records, discretionary: '9F4D021E0A' }), 10, 'file 30 is the last');
  assert.equal(await of({ records, discretionary: '9F4D020B00' }), 0);
  assert.equal(await of({ records, discretionary: '9F4D02000A' }), 'card:noLog');
  assert.equal(await of({ records, discretionary: '9F4D021F0A' }), 'card:noLog');
  assert.equal(await of({ records, discretionary: '9F4D010B' }), 'card:noLog');
  assert.equal(await of({ records, discretionary: 'DF4D020C0A' }), 'card:noLog');
});

const LOAD = `9F790000000010000000000110002611301011120156${SHOP}0008`;

test('the load log: what was put, balance before and after, then its format (DF4D, DF4F)', async () => {
  const getData = { DF4F: '9A039F21039F1A029F4E149F3602' };
  const card = { getData, records: [LOAD, 'FF'.repeat(44), LOAD.slice(0, 10)] };
  const { value, wires } = await read(readLoadLog, card, 'contactless');
  assert.deepEqual(wires.slice(2, 4), ['80CADF4F00', '00B2016400']);
  assert.ok(value.result === 'read');
  assert.deepEqual(value.entries[0], {
    record: 1,
    isEmpty: false,
    raw: fromHex(LOAD),
    tag: '9F79',
    balanceBeforeMinor: 1000n,
    balanceAfterMinor: 11_000n,
    dateYymmdd: '261130',
    timeHhmmss: '101112',
    countryCode: '156',
    merchantName: fromHex(SHOP),
    applicationTransactionCounter: 8,
  });
  assert.deepEqual(
    value.entries
      .slice(1)
      .map(({ isEmpty, tag, balanceBeforeMinor }) => [isEmpty, tag, balanceBeforeMinor]),
    [
      [true, null, null],
      [false, '9F79', null],
    ],
  );
  const none = await read(readLoadLog, { discretionary: '9F4D020B0A' });
  assert.deepEqual(none.value, { result: 'none', reason: 'card:noLoadLog' });
});

test('any card: a reading ends in a value or the kernel own fault, in bounded steps', async () => {
  const data = fc
    .tuple(
      fc.constantFrom('', '6F', '70', '9F4F', '9F79', 'DF4F'),
      fc.uint8Array({ maxLength: 60 }),
    )
    .map(([head, rest]) => Uint8Array.from([...fromHex(head), rest.length, ...rest]));
  const statusWord = fc
    .oneof(fc.constant(0x9000), fc.integer({ min: 0x6000, max: 0x6fff }))
    .map((value) => StatusWord(value));
  const answers = fc.array(fc.record({ data, statusWord }), { minLength: 1, maxLength: 20 });
  const logs = cardOf({ getData: PURSE, records: [ENTRY, LOAD] });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(readElectronicCashBalance, readTransactionLog, readLoadLog),
      fc.constantFrom('contact' as const, 'contactless' as const),
      answers,
      fc.nat(8),
      async (reader, way, junk, honest) => {
        let index = 0;
        const card = (command: CommandApdu): ResponseApdu => {
          index += 1;
          const given = junk[index % junk.length];
          return index <= honest || given === undefined ? logs(command) : given;
        };
        try {
          const { wires } = await read<unknown>(reader, card, way);
          assert.ok(wires.length <= COMMANDS_MAX);
        } catch (fault) {
          assert.ok(fault instanceof KernelError, String(fault));
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('the usual load log format is assumed likewise; a head alone has its balances', async () => {
  const own = await read(readLoadLog, {
    getData: { DF4F: '9A039F21039F1A029F4E149F3602' },
    records: [LOAD],
  });
  const { value } = await read(readLoadLog, { records: [LOAD, LOAD.slice(0, 28), '9F79'] });
  assert.ok(value.result === 'read' && own.value.result === 'read');
  assert.equal(value.format, 'assumed');
  assert.deepEqual(value.entries[0], own.value.entries[0]);
  assert.equal(value.entries[1]?.balanceAfterMinor, 11_000n);
  assert.equal(value.entries[1]?.dateYymmdd, null);
  assert.equal(value.entries[2]?.tag, '9F79');
});

test('what an empty record would mean to its format is not believed', async () => {
  const { value } = await read(readTransactionLog, {
    getData: { '9F4F': '9C019A03' },
    records: ['00000000'],
  });
  assert.ok(value.result === 'read');
  assert.deepEqual([value.entries[0]?.isEmpty, value.entries[0]?.transactionType], [true, null]);
});

test('a field that does not fit ends the record: no later one is read in its place', async () => {
  const { value } = await read(readTransactionLog, {
    getData: { '9F4F': '9A039F4E149C01' },
    records: ['26113001'],
  });
  assert.ok(value.result === 'read');
  assert.equal(value.entries[0]?.dateYymmdd, '261130');
  assert.equal(value.entries[0]?.transactionType, null);
});

test('an application that is listed but not selected gives way to the next', async () => {
  const whole = cardOf({ aids: [TEST_AID, SECOND_AID], getData: PURSE });
  const card = (command: CommandApdu): ResponseApdu =>
    toHex(command.data ?? new Uint8Array(0)) === TEST_AID ? answer('', 0x6a82) : whole(command);
  const { value } = await read(readElectronicCashBalance, card, 'contactless');
  assert.ok(value.result === 'read');
  assert.equal(toHex(value.aid), SECOND_AID);
});

test('a contact card without applications is not taken for a blocked one', async () => {
  const { value } = await read(readTransactionLog, () => answer('', 0x6a82), 'contactless');
  assert.deepEqual(value, { result: 'none', reason: 'terminal:noApplication' });
});
