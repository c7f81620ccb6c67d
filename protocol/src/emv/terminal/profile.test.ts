/** Terminal profile, CA keys and transaction data are checked before any command. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { TEST_TERMINAL_AID, testCaKey, testKeyOf, testTransaction } from './card.test-kit.ts';
import {
  assertTerminalProfile,
  contactTransaction,
  loadCaPublicKeys,
  type TerminalParameters,
  type TransactionAmountLog,
  terminalProfileOf,
} from './index.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const CA_KEY = testCaKey(nodeCiphers, KEY);
type Change = Parameters<typeof testTransaction>[2];

const PARAMETERS: TerminalParameters = {
  terminalTransactionQualifiers: '36000080',
  countryCode: '0156',
  terminalType: '22',
  terminalCapabilities: 'E068C0',
  additionalTerminalCapabilities: '6000F0A001',
  aids: [
    {
      aid: 'A000000333010101',
      applicationVersion: '0030',
      tacDefault: 'D84000A800',
      tacDenial: '0010000000',
      tacOnline: 'D84004F800',
      floorLimitMinor: '0',
      defaultDdol: '9F3704',
      contactless: null,
    },
  ],
  caPublicKeys: [
    {
      rid: toHex(CA_KEY.rid),
      index: 'F0',
      modulus: toHex(CA_KEY.modulus),
      exponent: toHex(CA_KEY.exponent),
      sha1: toHex(CA_KEY.sha1),
      expiryYymmdd: '351231',
    },
  ],
};
const OPTIONS = {
  ciphers: nodeCiphers,
  currency: '156',
  currencyExponent: 2,
  interfaceDeviceSerialNumber: 'TAPNPAY1',
};

test('managed parameters become a profile', () => {
  const profile = terminalProfileOf(PARAMETERS, OPTIONS);
  assert.equal(profile.countryCode, '156');
  assert.equal(profile.terminalType, 0x22);
  assert.equal(profile.aids[0]?.floorLimitMinor, 0n);
  assert.ok(profile.caPublicKeys.find(fromHex('A000000333'), 0xf0));
  assert.equal(profile.caPublicKeys.find(fromHex('A000000333'), 0xf0)?.expiryYymmdd, '351231');
  assert.equal(profile.caPublicKeys.find(fromHex('A000000334'), 0xf0), undefined);
  const caPublicKeys = PARAMETERS.caPublicKeys.map((key) => ({ ...key, expiryYymmdd: '' }));
  const endless = terminalProfileOf({ ...PARAMETERS, caPublicKeys }, OPTIONS);
  assert.equal(endless.caPublicKeys.find(fromHex('A000000333'), 0xf0)?.expiryYymmdd, null);
});

test('managed parameters may name random selection, e-cash, revocations, SM and what to ask', () => {
  const [aid] = PARAMETERS.aids;
  assert.ok(aid);
  const randomSelection = { targetPercentage: 10, maximumTargetPercentage: 40 };
  const asked: string[] = [];
  const profile = terminalProfileOf(
    {
      ...PARAMETERS,
      supportsSmAlgorithms: true,
      revokedCertificates: [{ rid: 'A000000333', index: 'F0', serialNumber: '000001' }],
      aids: [
        {
          ...aid,
          floorLimitMinor: '50000',
          defaultTdol: '9F0206',
          electronicCash: { transactionLimitMinor: '100000' },
          randomSelection: { ...randomSelection, thresholdMinor: '20000' },
        },
      ],
    },
    {
      ...OPTIONS,
      isOnExceptionFile: () => true,
      amountLog: { amountMinorOf: (pan) => BigInt(asked.push(pan.expose())) },
    },
  );
  assert.deepEqual(profile.aids[0]?.randomSelection, {
    ...randomSelection,
    thresholdMinor: 20_000n,
  });
  assert.deepEqual(profile.aids[0]?.electronicCash, { transactionLimitMinor: 100_000n });
  assert.equal(toHex(profile.aids[0]?.defaultTdol ?? new Uint8Array(0)), '9F0206');
  assert.deepEqual(profile.revokedCertificates, [REVOKED]);
  assert.equal(profile.supportsSmAlgorithms, true);
  assert.ok(profile.isOnExceptionFile && profile.amountLog);
  const plain = terminalProfileOf(PARAMETERS, OPTIONS);
  assert.deepEqual(
    [plain.supportsSmAlgorithms, plain.revokedCertificates, plain.amountLog],
    [false, [], undefined],
  );
});

test('parameters that are wrong name their member', () => {
  const [aid] = PARAMETERS.aids;
  const [key] = PARAMETERS.caPublicKeys;
  assert.ok(aid && key);
  const wrong: readonly (readonly [Partial<TerminalParameters>, string])[] = [
    [{ countryCode: 'CN' }, 'countryCode'],
    [{ terminalType: '2' }, 'terminalType'],
    [{ terminalType: '27' }, 'terminalType'],
    [{ terminalCapabilities: 'E068' }, 'terminalCapabilities'],
    [{ additionalTerminalCapabilities: '' }, 'additional'],
    [{ aids: [] }, 'aids'],
    [{ aids: [{ ...aid, aid: 'A0' }] }, 'aid'],
    [{ aids: [{ ...aid, tacDenial: '00' }] }, 'tacDenial'],
    [{ aids: [{ ...aid, floorLimitMinor: '1.5' }] }, 'floorLimitMinor'],
    [{ aids: [{ ...aid, floorLimitMinor: '99999999999' }] }, 'floorLimitMinor'],
    [{ aids: [{ ...aid, defaultDdol: '9F' }] }, 'defaultDdol'],
    [{ caPublicKeys: [{ ...key, index: 'XX' }] }, 'caPublicKeys.index'],
  ];
  for (const [change, member] of wrong) {
    assert.throws(
      () => terminalProfileOf({ ...PARAMETERS, ...change }, OPTIONS),
      (fault: { code: string; data: { member: string } }) => {
        assert.deepEqual([fault.code, fault.data.member], ['ERR_KERNEL_PROFILE', member]);
        return true;
      },
    );
  }
});

test('offline PIN of both kinds and CDA may be among the capabilities', () => {
  for (const capabilities of ['E0E8C0', 'E078C0', 'E068C8', 'E0F8C8']) {
    const terminal = { capabilities: fromHex(capabilities) };
    const kernel = contactTransaction(testTransaction(nodeCiphers, KEYS, { terminal }));
    assert.equal(kernel.next(undefined).done, false, capabilities);
  }
});

test('EMV 4.3 B4 §A1: the terminal types that exist, and no others', () => {
  const types = Array.from({ length: 256 }, (_, type) => type).filter((terminalType) => {
    const { terminal } = testTransaction(nodeCiphers, KEYS, { terminal: { terminalType } });
    try {
      assertTerminalProfile(terminal);
      return true;
    } catch {
      return false;
    }
  });
  assert.deepEqual(
    types.map((type) => type.toString(16)).join(' '),
    '11 12 13 14 15 16 21 22 23 24 25 26 34 35 36',
  );
});

test('a CA key that fails its check value, is empty or doubled is refused; EMV 4.3 B2 §11.2.2', () => {
  const bad = [
    [{ ...CA_KEY, sha1: CA_KEY.sha1.map((value) => value ^ 1) }],
    [{ ...CA_KEY, index: 0xf1 }],
    [{ ...CA_KEY, exponent: fromHex('010001') }],
    [{ ...CA_KEY, modulus: new Uint8Array(0) }],
    [{ ...CA_KEY, rid: fromHex('A0000003') }],
    [CA_KEY, CA_KEY],
  ];
  for (const keys of bad) {
    assert.throws(() => loadCaPublicKeys(nodeCiphers, keys), { code: 'ERR_KERNEL_CA_KEY' });
  }
});

test('transaction data out of range end before any command', () => {
  const wrong: readonly Change[] = [
    { input: { amountMinor: -1n } },
    { input: { amountMinor: 1_000_000_000_000n } },
    { input: { otherAmountMinor: -5n } },
    { input: { transactionType: 256 } },
    { input: { dateYymmdd: '261301' } },
    { input: { dateYymmdd: '26120' } },
    { input: { timeHhmmss: '240000' } },
    { input: { sequenceCounter: 1.5 } },
    { input: { sequenceCounter: 100_000_000 } },
    { input: { merchant: { merchantId: '1234567890123456' } } },
    { input: { merchant: { terminalId: '终端' } } },
    { input: { merchant: { categoryCode: '59A1' } } },
  ];
  for (const change of wrong) {
    const kernel = contactTransaction(testTransaction(nodeCiphers, KEYS, change));
    assert.throws(() => kernel.next(undefined), { code: 'ERR_KERNEL_INPUT' });
  }
});

const REVOKED = { rid: fromHex('A000000333'), caIndex: 0xf0, serialNumber: fromHex('000001') };
const NO_CONTACTLESS = { floorLimitMinor: 0n, transactionLimitMinor: 0n, cvmLimitMinor: 0n };

test('EMV 4.3 B3 §10.6.2: the threshold of biased selection is below the floor limit', () => {
  const accepted = (floorLimitMinor: bigint, thresholdMinor: bigint, percentage: number) => () => {
    const randomSelection = {
      targetPercentage: percentage,
      maximumTargetPercentage: percentage,
      thresholdMinor,
    };
    const change = { aid: { floorLimitMinor, randomSelection } };
    assertTerminalProfile(testTransaction(nodeCiphers, KEYS, change).terminal);
  };
  assert.doesNotThrow(accepted(1000n, 999n, 50));
  assert.throws(accepted(1000n, 1000n, 50), { code: 'ERR_KERNEL_PROFILE' });
  // Nothing to select: no floor limit, or no percentage.
  assert.doesNotThrow(accepted(0n, 500n, 50));
  assert.doesNotThrow(accepted(1000n, 5000n, 0));
});

test('profile rules of one application', () => {
  const { randomSelection } = TEST_TERMINAL_AID;
  const wrong: readonly Change[] = [
    { aid: { applicationVersion: fromHex('30') } },
    { aid: { floorLimitMinor: -1n } },
    { aid: { randomSelection: { ...randomSelection, targetPercentage: 100 } } },
    { aid: { randomSelection: { ...randomSelection, targetPercentage: 5 } } },
    { aid: { randomSelection: PERCENT(100) } },
    { aid: { randomSelection: PERCENT(0.5) } },
    { aid: { floorLimitMinor: 1n, randomSelection: { ...PERCENT(1), thresholdMinor: 1n } } },
    { aid: { aid: fromHex('A0000003') } },
    { aid: { aid: new Uint8Array(17).fill(0xa0) } },
    { aid: { defaultTdol: fromHex('9F') } },
    { aid: { electronicCash: { transactionLimitMinor: -1n } } },
    { aid: { electronicCash: { transactionLimitMinor: 1_000_000_000_000n } } },
    { aid: { contactless: { ...NO_CONTACTLESS, zeroAmount: 'never' as 'online' } } },
    { terminal: { revokedCertificates: [{ ...REVOKED, rid: fromHex('A0000003') }] } },
    { terminal: { revokedCertificates: [{ ...REVOKED, serialNumber: fromHex('0001') }] } },
    { terminal: { revokedCertificates: [{ ...REVOKED, caIndex: 256 }] } },
    { terminal: { revokedCertificates: [{ ...REVOKED, caIndex: -1 }] } },
    { terminal: { revokedCertificates: new Array(1025).fill(REVOKED) } },
    { aid: { contactless: { ...NO_CONTACTLESS, floorLimitMinor: 0x100000000n } } },
    { aid: { contactless: { ...NO_CONTACTLESS, cvmLimitMinor: -1n } } },
    { terminal: { amountLog: {} as TransactionAmountLog } },
    { terminal: { isOnExceptionFile: true as unknown as () => boolean } },
    { terminal: { supportsSmAlgorithms: 1 as unknown as boolean } },
    { terminal: { currency: 'CNY' } },
    { terminal: { currencyExponent: -1 } },
    { terminal: { interfaceDeviceSerialNumber: 'SHORT' } },
  ];
  for (const change of wrong) {
    const kernel = contactTransaction(testTransaction(nodeCiphers, KEYS, change));
    assert.throws(() => kernel.next(undefined), { code: 'ERR_KERNEL_PROFILE' });
  }
});

/** Random selection of so many in a hundred. */
const PERCENT = (percentage: number) => ({
  targetPercentage: percentage,
  maximumTargetPercentage: percentage,
  thresholdMinor: 0n,
});

test('at its limits a profile is taken: 1024 revocations, names of 5 and 16 bytes, 99 percent', () => {
  const revokedCertificates = new Array(1024).fill({ ...REVOKED, caIndex: 255 });
  const contactless = { ...NO_CONTACTLESS, floorLimitMinor: 0xffffffffn };
  const right: readonly Change[] = [
    { terminal: { revokedCertificates }, aid: { contactless } },
    { aid: { aid: fromHex('A000000333') } },
    { aid: { aid: new Uint8Array(16).fill(0xa0) } },
    { terminal: { revokedCertificates: [{ ...REVOKED, caIndex: 0 }] } },
    { aid: { randomSelection: PERCENT(99) } },
    { aid: { floorLimitMinor: 2n, randomSelection: { ...PERCENT(1), thresholdMinor: 1n } } },
  ];
  for (const change of right) {
    const kernel = contactTransaction(testTransaction(nodeCiphers, KEYS, change));
    assert.equal(kernel.next(undefined).done, false);
  }
});

const LIMITS = { floorLimitMinor: '0', transactionLimitMinor: '500000', cvmLimitMinor: '30000' };
const withReader = (
  ttq: string,
  limits: TerminalParameters['aids'][number]['contactless'],
): TerminalParameters => ({
  ...PARAMETERS,
  terminalTransactionQualifiers: ttq,
  aids: PARAMETERS.aids.map((aid) => ({ ...aid, contactless: limits })),
});

test('contactless parameters become qualifiers and limits', () => {
  const profile = terminalProfileOf(withReader('34000080', LIMITS), OPTIONS);
  assert.equal(toHex(profile.terminalTransactionQualifiers), '34000080');
  assert.deepEqual(profile.aids[0]?.contactless, {
    floorLimitMinor: 0n,
    transactionLimitMinor: 500_000n,
    cvmLimitMinor: 30_000n,
  });
  assert.equal(terminalProfileOf(PARAMETERS, OPTIONS).aids[0]?.contactless, null);
});

for (const [what, ttq, limits] of [
  ['qualifiers of 3 bytes', '340000', LIMITS],
  ['qualifiers that are no hex', '3400008x', LIMITS],
  ['a reader without qPBOC', '14000080', LIMITS],
  ['a reader without fDDA version 01', '34000000', LIMITS],
  ['magnetic stripe mode', 'B4000080', LIMITS],
  ['a negative limit', '34000080', { ...LIMITS, cvmLimitMinor: '-1' }],
  ['a limit that is no number', '34000080', { ...LIMITS, transactionLimitMinor: '5000.00' }],
  ['a floor limit beyond 9F1B', '34000080', { ...LIMITS, floorLimitMinor: '4294967296' }],
] as const) {
  test(`${what} is ERR_KERNEL_PROFILE`, () => {
    assert.throws(() => terminalProfileOf(withReader(ttq, limits), OPTIONS), {
      code: 'ERR_KERNEL_PROFILE',
    });
  });
}

test('an offline-only reader is taken', () => {
  const profile = terminalProfileOf(withReader('3C000080', LIMITS), OPTIONS);
  assert.equal(toHex(profile.terminalTransactionQualifiers), '3C000080');
});

test('a terminal without a reader may have any qualifiers', () => {
  assert.ok(terminalProfileOf(withReader('00000000', null), OPTIONS));
});
