/**
 * Rules of the standard that need a card or terminal of their own to be seen: two terminal AIDs for
 * one application, names and priorities, what stays of an application that was left, signed records
 * of proprietary files, unpredictable numbers, transactions that no usage control names.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu } from '../../iso7816/index.ts';
import {
  answer,
  certify,
  TEST_AID,
  TEST_PAN,
  TEST_TERMINAL_AID,
  type TestCardOptions,
  testCaKey,
  testCard,
  testKeyOf,
} from './card.test-kit.ts';
import { type CaseResult, type Change, cvm, quiet, run } from './case.test-kit.ts';
import { loadCaPublicKeys } from './index.ts';
import { runCase } from './kernel.test-kit.ts';

const PSE_FCI = '6F15840E315041592E5359532E4444463031A503880107';
const NO_CVM = { '8E': '00000000000000001F00' };
const OTHER_AID = 'A000000333010102';

const object = (tag: string, ...values: readonly string[]): string =>
  toHex(encodeTlv(tag, fromHex(values.join(''))));
const nameOf = ({ data }: CommandApdu): string => toHex(data ?? new Uint8Array(0));
const fciOf = (aid: string, ...proprietary: readonly string[]): string =>
  object('6F', object('84', aid), object('A5', ...proprietary));
const entry = (aid: string, ...rest: readonly string[]): string =>
  object('61', object('4F', aid), ...rest);
const text = (bytes: Uint8Array | null | undefined): string => toHex(bytes ?? new Uint8Array(0));

/** A card with a directory of these records; every application of `fcis` selects. */
function directoryCard(
  records: readonly string[],
  fcis: Readonly<Record<string, string>> = {},
): TestCardOptions {
  return {
    elements: NO_CVM,
    override: (command) => {
      const { ins, p1, p2 } = command;
      if (ins === 0xb2 && p2 >> 3 === 7) {
        const found = records[p1 - 1];
        return found === undefined ? answer('', 0x6a83) : answer(found);
      }
      if (ins !== 0xa4) return undefined;
      if (nameOf(command).startsWith('315041')) return answer(PSE_FCI);
      const fci = fcis[nameOf(command)];
      return fci === undefined ? undefined : answer(fci);
    },
  };
}

const partial = (aid: string) => ({ ...TEST_TERMINAL_AID, aid: fromHex(aid) });
const taking = (...aids: readonly string[]): Change => ({ terminal: { aids: aids.map(partial) } });
const offered = ({ offers }: CaseResult): readonly string[] =>
  (offers[0] ?? []).map(({ aid }) => toHex(aid));

test('EMV 4.3 B1 §12.2.3: a record may list several applications; a directory in it is passed over', () => {
  const records = [
    object(
      '70',
      entry(OTHER_AID, object('87', '02')),
      object('61', object('9D', 'A00000033301')),
      entry(TEST_AID, object('87', '01')),
    ),
  ];
  const result = run({ card: directoryCard(records), change: taking('A0000003330101') });
  assert.deepEqual(offered(result), [TEST_AID, OTHER_AID]);
  assert.equal(text(result.outcome.aid), TEST_AID);
});

test('EMV 4.3 B1 §12.4: applications without priority come last, equal ones as the card lists them', () => {
  const aids = [1, 2, 3, 4].map((last) => `A00000033301010${last}`);
  const [first = '', second = '', third = '', fourth = ''] = aids;
  const records = [
    object('70', entry(first), entry(second, object('87', '03')), entry(third)),
    object('70', entry(fourth, object('87', '03'))),
  ];
  const driver = { selectApplication: () => null };
  const result = run({ card: directoryCard(records), change: taking('A0000003330101'), driver });
  assert.deepEqual(offered(result), [second, fourth, first, third]);
});

test('EMV 4.3 B1 §12.3: an application that two terminal AIDs name is one candidate, by the longer', () => {
  const aids = [
    { ...partial('A000000333'), floorLimitMinor: 1n },
    { ...partial(TEST_AID), floorLimitMinor: 100_000n, partialSelection: false },
  ];
  const records = [object('70', entry(TEST_AID, object('87', '01')))];
  // By the directory, and by the list: there the short name finds it first.
  const list: TestCardOptions = {
    elements: NO_CVM,
    override: (command) => {
      if (command.ins !== 0xa4 || nameOf(command) !== 'A000000333') return undefined;
      return command.p2 === 0x00 ? answer(fciOf(TEST_AID, object('87', '01'))) : answer('', 0x6a82);
    },
  };
  for (const card of [directoryCard(records), list]) {
    const result = run({ card, change: { terminal: { aids } } });
    assert.deepEqual(result.offers, [], 'the only one needs no choice');
    assert.equal(result.tvr, '0000000000', 'its floor limit is that of the longer name');
  }
});

test('EMV 4.3 B1 §12.3.3: a blocked occurrence of a partial name is left out, the next one taken', () => {
  const override = (command: CommandApdu): ResponseApdu | undefined => {
    if (command.ins !== 0xa4 || nameOf(command) !== 'A000000333') return undefined;
    if (command.p2 === 0x00) return answer(fciOf(OTHER_AID), 0x6283);
    return count++ === 0 ? answer(fciOf(TEST_AID)) : answer('', 0x6a82);
  };
  let count = 0;
  const { outcome, offers } = run({
    card: { elements: NO_CVM, override },
    change: taking('A000000333'),
  });
  assert.deepEqual(offers, []);
  assert.equal(text(outcome.aid), TEST_AID);
});

test('EMV 4.3 B1 §12.3.3: 6A81 to a later AID is no blocked card', () => {
  const override = (command: CommandApdu): ResponseApdu | undefined =>
    command.ins === 0xa4 && nameOf(command) === OTHER_AID ? answer('', 0x6a81) : undefined;
  const card = { elements: NO_CVM, override };
  assert.equal(run({ card, change: taking(TEST_AID, OTHER_AID) }).outcome.outcome, 'approved');
  const first = run({ card, change: taking(OTHER_AID, TEST_AID) });
  assert.equal(first.outcome.reason, 'card:blocked');
});

test('EMV 4.3 B1 §12.4: the terminal AID takes the name of the selected application', () => {
  const override = (command: CommandApdu): ResponseApdu | undefined => {
    if (command.ins !== 0xa4 || nameOf(command) !== 'A000000333') return undefined;
    return command.p2 === 0x00 ? answer(fciOf(TEST_AID)) : answer('', 0x6a82);
  };
  const { commands, outcome } = run({
    card: { elements: NO_CVM, override, pdol: '9F0608' },
    change: taking('A000000333'),
  });
  const gpo = commands.find(({ ins }) => ins === 0xa8);
  assert.equal(text(gpo?.data), `8308${TEST_AID}`);
  assert.equal(text(outcome.values.get('9F06')), TEST_AID);
});

test('EMV 4.3 B1 §12.4: nothing of an application that was left stays with the next one', () => {
  const records = [
    object('70', entry(OTHER_AID, object('87', '01')), entry(TEST_AID, object('87', '02'))),
  ];
  const left = fciOf(OTHER_AID, object('9F38', '9F0206'), object('5F2D', '7A68'));
  const listed = directoryCard(records, { [OTHER_AID]: left });
  let options = 0;
  const card: TestCardOptions = {
    ...listed,
    override: (command, index) => {
      if (command.ins !== 0xa8) return listed.override?.(command, index);
      options += 1;
      return options === 1 ? answer('', 0x6985) : undefined;
    },
  };
  const { commands, outcome } = run({ card, change: taking('A0000003330101') });
  assert.deepEqual(
    commands.filter(({ ins }) => ins === 0xa8).map(({ data }) => text(data)),
    ['8306000000001234', '8300'],
  );
  assert.equal(text(outcome.aid), TEST_AID);
  assert.deepEqual([outcome.values.has('5F2D'), outcome.values.has('9F38')], [false, false]);
});

test('EMV 4.3 B3 §10.2: an object of the FCI may come again in a record, and keeps its value', () => {
  const list = '9F0206';
  const again = object('70', object('9F38', '9A03'), object('9F08', '0030'));
  const { outcome, tvr } = run({
    card: {
      elements: NO_CVM,
      pdol: list,
      override: ({ ins, p1, p2 }) =>
        ins === 0xb2 && p1 === 1 && p2 === 0x0c ? answer(again) : undefined,
    },
  });
  assert.equal(text(outcome.values.get('9F38')), list);
  assert.equal(tvr, '0000008000');
});

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };

/** The record of file 11 that the card signs in front of its own. */
const PROPRIETARY = object('70', object('DF01', '0102030405'));

/** A card whose certificate covers what `cover` says of the two signed records and the AIP. */
function signedCard(
  cover: (parts: { proprietary: string; contents: string; aip: string }) => string,
): TestCardOptions {
  const aip = '7C00';
  const plain = testCard(nodeCiphers, KEYS, { aip, elements: NO_CVM });
  const record = plain({ cla: 0x00, ins: 0xb2, p1: 1, p2: 0x14, le: 256 }, 0).data;
  // Template 70 with a length of two bytes or of one.
  const contents = toHex(record.subarray(record[1] === 0x81 ? 3 : 2));
  const { certificate, remainder } = certify(nodeCiphers, KEY, {
    head: `04${TEST_PAN.padEnd(20, 'F')}1231000002`,
    key: KEY,
    staticData: fromHex(cover({ proprietary: PROPRIETARY, contents, aip })),
  });
  const afl = `58010101${'080101001001020118010400'}`;
  return {
    aip,
    elements: NO_CVM,
    forged: { '9F46': certificate, '9F48': remainder },
    override: ({ ins, p2 }) => {
      if (ins === 0xa8) return answer(object('80', aip, afl));
      return ins === 0xb2 && p2 >> 3 === 11 ? answer(PROPRIETARY) : undefined;
    },
  };
}
const methodOf = (card: TestCardOptions): string =>
  runCase({ ciphers: nodeCiphers, keys: KEYS }, { card }).outcome.dataAuthentication;

test('EMV 4.3 B3 §10.3: signed records in the order of the AFL; above file 10 with tag and length', () => {
  assert.equal(
    methodOf(signedCard(({ proprietary, contents, aip }) => proprietary + contents + aip)),
    'DDA',
  );
  const wrong: readonly Parameters<typeof signedCard>[0][] = [
    ({ proprietary, contents, aip }) => proprietary.slice(4) + contents + aip,
    ({ proprietary, contents, aip }) => contents + proprietary + aip,
    ({ proprietary, contents, aip }) => proprietary + object('70', contents) + aip,
    ({ proprietary, contents, aip }) => proprietary + aip + contents,
    ({ contents, aip }) => contents + aip,
  ];
  for (const [index, cover] of wrong.entries()) {
    assert.equal(methodOf(signedCard(cover)), 'failed', `cover ${index}`);
  }
});

test('EMV 4.3 B2 §5.2: a CA key serves the payment system of its RID only', () => {
  const own = testCaKey(nodeCiphers, KEY);
  const foreignOf = (rid: Uint8Array) => {
    const input = concatBytes(rid, Uint8Array.of(own.index), own.modulus, own.exponent);
    return { ...own, rid, sha1: nodeCiphers.sha1(input) };
  };
  const tvrWith = (...keys: readonly (typeof own)[]): string => {
    const terminal = { caPublicKeys: loadCaPublicKeys(nodeCiphers, keys) };
    return runCase({ ciphers: nodeCiphers, keys: KEYS }, { change: { terminal } }).tvr;
  };
  const foreign = foreignOf(fromHex('A000000004'));
  assert.equal(tvrWith(own, foreign), '0000008000');
  assert.equal(tvrWith(foreign), '0800008000');
});

test('EMV 4.3 B3 §10.4.2: a kind of transaction that usage control does not name asks the place only', () => {
  const at = (control: string, transactionType: number): string =>
    run({
      card: { elements: { ...NO_CVM, '9F07': control, '9F0E': '0000000000' } },
      change: {
        aid: { ...quiet.aid, tacDenial: new Uint8Array(5) },
        input: { transactionType },
      },
    }).tvr;
  for (const transactionType of [0x20, 0x30, 0x31]) {
    assert.equal(at('0100', transactionType), '0000000000');
    assert.equal(at('0200', transactionType), '0010000000');
  }
});

test('EMV 4.3 B3 §10.5, §C3: reserved codes and 3F are unrecognised; bit 7 goes on to the next rule', () => {
  for (const code of ['06', '1D', '30', '3F']) {
    const alone = run({ card: cvm(`${code}00`), change: quiet });
    assert.deepEqual([alone.cvm, alone.tvr], ['3F0001', '0000C00000'], code);
    const next = toHex(Uint8Array.of(Number.parseInt(code, 16) | 0x40));
    const followed = run({ card: cvm(`${next}001E00`), change: quiet });
    assert.deepEqual([followed.cvm, followed.tvr], ['1E0000', '0000400000'], next);
  }
});

test('EMV 4.3 B4 §6.3.4: signature and "no CVM" count only where the terminal has them', () => {
  const at = (rules: string, capabilities: string): string => {
    const terminal = { capabilities: fromHex(capabilities) };
    const result = run({ card: cvm(rules), change: { ...quiet, terminal } });
    return `${result.cvm} ${result.tvr}`;
  };
  // Neither is a missing PIN pad: the rule is passed over without a bit of its own.
  assert.equal(at('1F00', 'E060C0'), '3F0001 0000800000');
  assert.equal(at('5F001E00', 'E060C0'), '1E0000 0000000000');
  assert.equal(at('1E00', 'E048C0'), '3F0001 0000800000');
  assert.equal(at('5E031F03', 'E048C0'), '1F0302 0000000000');
});

test('EMV 4.3 B3 §10.6.2: above the floor limit nothing is drawn, below it the same card is selected', () => {
  const randomSelection = {
    targetPercentage: 99,
    maximumTargetPercentage: 99,
    thresholdMinor: 0n,
  };
  const at = (amountMinor: bigint): string => {
    const aid = { floorLimitMinor: 2000n, randomSelection };
    return run({ card: cvm('1F00'), change: { aid, input: { amountMinor } } }).tvr;
  };
  assert.deepEqual([at(1999n), at(2000n)], ['0000001000', '0000008000']);
});

test('EMV 4.3 B3 §9.2, §10.8: a fresh unpredictable number for GENERATE AC, the same in the second', () => {
  let drawn = 0;
  const random = (lengthBytes: number): Uint8Array => {
    drawn += 1;
    return new Uint8Array(lengthBytes).fill(drawn);
  };
  const { commands, requests } = run({
    card: { elements: NO_CVM, pdol: '9F3704' },
    driver: { random },
  });
  const data = (ins: number): readonly string[] =>
    commands.filter((command) => command.ins === ins).map((command) => text(command.data));
  const [first = '', second = ''] = data(0xae);
  // PDOL, DDOL and CDOL1 each have their own; CDOL2 ends in number and TSI.
  assert.deepEqual(data(0xa8), ['830401010101']);
  assert.deepEqual(data(0x88), ['02020202']);
  assert.equal(first.slice(-8), '03030303');
  assert.equal(second.slice(14, 22), '03030303');
  assert.equal(text(requests[0]?.values.get('9F37')), '03030303');
  assert.equal(drawn, 3);
});
