/**
 * Shows our kernels on our card beyond the plain online purchase: CDA, offline PIN clear and
 * enciphered, electronic cash by both interfaces, a load, and the SM algorithms end to end. Card
 * and kernel know nothing of each other; what they agree on is the standard.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { asciiToBytes, concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  scriptMac4,
  sm4Arpc,
} from '../../crypto/index.ts';
import {
  decodeResponse,
  decodeTlv,
  encodeCommand,
  encodeTlv,
  flattenTlv,
} from '../../iso7816/index.ts';
import { decodeEcBalanceData, decodeIad } from '../data/index.ts';
import {
  type ContactlessOutcome,
  type ContactOutcome,
  contactlessTransaction,
  contactTransaction,
  driveKernel,
  type KernelDriver,
  loadCaPublicKeys,
  type OfflineApproval,
  type OnlineAnswer,
  type OnlineRequest,
  type TerminalProfile,
  terminalProfileOf,
  verifyCommand,
} from '../terminal/index.ts';
import { type Change, cardOf, imageOf, KEYS, rsaKey } from './icc.test-kit.ts';
import type { IccInterface, VirtualIcc } from './index.ts';
import {
  SAMPLE_IMK_AC,
  SAMPLE_IMK_MAC,
  SAMPLE_PAN,
  SAMPLE_PSN,
  SM_CA_PUBLIC_KEY,
  sampleCard,
  smRequest,
} from './sample.test-card.ts';

const { caKey } = sampleCard(nodeCiphers, KEYS);
const HOLDER = { pan: SAMPLE_PAN, panSequenceNumber: SAMPLE_PSN };
let counter = 0;
const fresh = (length: number) => new Uint8Array(length).map((_, at) => at + 3 * counter++);

/** A shop's terminal: offline and online, PIN pad, e-cash, both algorithms. */
function terminal(change: Partial<TerminalProfile> = {}): TerminalProfile {
  const limits = {
    floorLimitMinor: '100000',
    transactionLimitMinor: '500000',
    cvmLimitMinor: '100000',
  };
  const profile = terminalProfileOf(
    {
      terminalTransactionQualifiers: '37000080',
      countryCode: '0156',
      terminalType: '22',
      terminalCapabilities: 'E0F8C8',
      additionalTerminalCapabilities: 'F000F0A001',
      aids: [
        {
          aid: 'A000000333',
          applicationVersion: '0030',
          tacDefault: 'D84000A800',
          tacDenial: '0010000000',
          tacOnline: 'D84004F800',
          floorLimitMinor: '100000',
          defaultDdol: '9F3704',
          contactless: limits,
          electronicCash: { transactionLimitMinor: '100000' },
        },
      ],
      caPublicKeys: [caKey],
      supportsSmAlgorithms: true,
    },
    {
      ciphers: nodeCiphers,
      currency: '156',
      currencyExponent: 2,
      interfaceDeviceSerialNumber: 'TAPNPAY1',
    },
  );
  return { ...profile, ...change };
}

/** The same terminal that knows the CA's SM2 key beside the RSA one. */
function smTerminal(): TerminalProfile {
  const rsa = terminal().caPublicKeys.find(fromHex('A000000333'), 0xf0);
  assert.ok(rsa);
  const sm = {
    algorithm: 'SM2',
    rid: fromHex('A000000333'),
    index: 0x18,
    publicKey: SM_CA_PUBLIC_KEY,
    sm3: null,
    expiryYymmdd: null,
  } as const;
  return terminal({ caPublicKeys: loadCaPublicKeys(nodeCiphers, [rsa, sm]) });
}

type Payment = {
  readonly amountMinor?: bigint;
  readonly terminal?: TerminalProfile;
  readonly pins?: readonly string[];
  readonly authorise?: (request: OnlineRequest) => OnlineAnswer;
  readonly approvals?: OfflineApproval[];
  readonly electronicCash?: boolean;
};

function driverOf(card: VirtualIcc, how: Payment): KernelDriver {
  const pins = [...(how.pins ?? [])];
  let pin = '';
  return {
    transmit: (command) => decodeResponse(card.transmit(encodeCommand(command))),
    random: fresh,
    selectApplication: () => 0,
    enterPin: () => {
      pin = pins.shift() ?? pin;
      return pin === '' ? 'unavailable' : 'entered';
    },
    verifyPin: (verification) => {
      const command = verifyCommand(verification, { pin, random: fresh });
      return decodeResponse(card.transmit(encodeCommand(command)));
    },
    authorise: how.authorise ?? (() => assert.fail('asked the issuer')),
    storeOfflineApproval: (approval) => {
      how.approvals?.push(approval);
    },
  };
}

const inputOf = (how: Payment) => ({
  ciphers: nodeCiphers,
  terminal: how.terminal ?? terminal(),
  amountMinor: how.amountMinor ?? 1234n,
  otherAmountMinor: 0n,
  transactionType: 0x00,
  dateYymmdd: '260701',
  timeHhmmss: '101112',
  sequenceCounter: 1,
  merchant: { nameAndLocation: 'TEST SHOP' },
  ...(how.electronicCash === undefined ? {} : { electronicCash: how.electronicCash }),
});

async function insert(card: VirtualIcc, how: Payment = {}): Promise<ContactOutcome> {
  card.reset();
  return await driveKernel(contactTransaction(inputOf(how)), driverOf(card, how));
}

async function tap(card: VirtualIcc, how: Payment = {}): Promise<ContactlessOutcome> {
  card.reset();
  return await driveKernel(contactlessTransaction(inputOf(how)), driverOf(card, how));
}

const newCard = (change: Change, by: IccInterface = 'contact') => cardOf(imageOf(change), by);
/** A card that its issuer knows, so that nothing sends it online. */
const KNOWN = { atc: 6, lastOnlineAtc: 5 } as const;
const balanceOf = (card: VirtualIcc) =>
  card.image().applications[0]?.state.electronicCash?.balanceMinor;

/** An issuer that approves; its scripts see the request and the session key for MACs. */
function approving(
  scripts: (facts: {
    atc: Uint8Array;
    arqc: Uint8Array;
    key: Uint8Array;
  }) => readonly Uint8Array[] = () => [],
) {
  return (request: OnlineRequest): OnlineAnswer => {
    const atc = flattenTlv(decodeTlv(request.field55)).get('9F36') ?? new Uint8Array(0);
    const keyOf = (master: Uint8Array) =>
      deriveSessionKey(deriveIccMasterKey(master, SAMPLE_PAN, SAMPLE_PSN), atc);
    const arpc = arpcMethod1(keyOf(SAMPLE_IMK_AC), request.arqc.value, asciiToBytes('00'));
    return {
      result: 'answered',
      responseCode: '00',
      issuerAuthenticationData: concatBytes(arpc, asciiToBytes('00')),
      scripts: scripts({ atc, arqc: request.arqc.value, key: keyOf(SAMPLE_IMK_MAC) }),
    };
  };
}

/** An issuer of an SM card that approves. */
function approvingSm(request: OnlineRequest): OnlineAnswer {
  const atc = flattenTlv(decodeTlv(request.field55)).get('9F36') ?? new Uint8Array(0);
  const udk = deriveSm4IccMasterKey(nodeCiphers, SAMPLE_IMK_AC, HOLDER);
  const key = deriveSm4SessionKey(nodeCiphers, udk, atc);
  const authorisationResponseCode = asciiToBytes('00');
  const cryptogram = request.arqc.value;
  const arpc = sm4Arpc(nodeCiphers, key, { cryptogram, authorisationResponseCode });
  const issuerAuthenticationData = concatBytes(arpc, authorisationResponseCode);
  return { result: 'answered', responseCode: '00', issuerAuthenticationData, scripts: [] };
}

test('CDA: the ARQC and the TC come signed, and the kernel says CDA', async () => {
  const card = newCard({ request: { dataAuthentication: ['DDA', 'CDA'] } });
  const outcome = await insert(card, { authorise: approving(), pins: ['123456'] });
  assert.equal(outcome.dataAuthentication, 'CDA');
  assert.deepEqual([outcome.outcome, outcome.second?.type], ['approved', 'TC']);
  assert.equal(toHex(outcome.tvr).slice(0, 2), '00');
});

test('CDA with another key than the certified one: TVR byte 1 bit 3, no approval', async () => {
  const request = { dataAuthentication: ['DDA', 'CDA'], troubles: ['wrong-sdad'] } as const;
  const outcome = await insert(newCard({ request }), { authorise: approving(), pins: ['123456'] });
  assert.equal(outcome.dataAuthentication, 'failed');
  assert.equal(toHex(outcome.tvr).slice(0, 2), '04');
  assert.notEqual(outcome.outcome, 'approved');
});

/** Both forms of offline PIN; the card's own key serves where it has no PIN key. */
for (const [what, cvmList, request] of [
  ['clear', '00000000000000004103', {}],
  ['enciphered under the card key', '00000000000000004403', {}],
  ['enciphered under a PIN key', '00000000000000004403', { pinKey: rsaKey(1024) }],
] as const) {
  test(`offline PIN, ${what}: wrong, then right, and the card confirms it in its CVR`, async () => {
    const profile = { cvmList };
    const card = newCard({ request: { pin: '123456', profile, ...request }, state: KNOWN });
    const outcome = await insert(card, { pins: ['654321', '123456'] });
    assert.deepEqual([outcome.outcome, outcome.reason], ['approved', 'card:TC']);
    assert.equal(toHex(outcome.cvmResults).slice(-2), '02');
    const iad = decodeIad(outcome.values.get('9F10') ?? new Uint8Array(0));
    assert.equal((iad.cvr[1] ?? 0) & 0x06, 0x04, 'performed, not failed');
    assert.equal(card.image().applications[0]?.state.pinTryCounter, 3);
  });

  test(`offline PIN, ${what}: three wrong ones, and by 9F52 the card blocks itself`, async () => {
    const profile = { cvmList };
    const card = newCard({
      request: { pin: '123456', profile, ...request },
      state: KNOWN,
      objects: { '9F52': 'EB88' },
    });
    const outcome = await insert(card, { pins: ['000000', '111111', '222222'] });
    assert.equal((outcome.tvr[2] ?? 0) & 0xa0, 0xa0, 'CVM failed, PIN try limit exceeded');
    assert.deepEqual([outcome.outcome, outcome.reason], ['declined', 'card:AAC']);
    assert.deepEqual(outcome.cardAdvice, { isRequired: true, reason: 'pinTryLimitExceeded' });
    const { state } = card.image().applications[0] ?? {};
    assert.deepEqual([state?.pinTryCounter, state?.applicationBlocked], [0, true]);
  });
}

const CASH: Change = { request: { electronicCash: {} } };

test('e-cash by contact: paid from the purse, no PIN, nobody asked, proof stored', async () => {
  const card = newCard(CASH);
  const approvals: OfflineApproval[] = [];
  const outcome = await insert(card, { approvals });
  assert.deepEqual([outcome.outcome, outcome.reason], ['approved', 'card:TC']);
  assert.equal(outcome.electronicCash?.isUsed, true);
  assert.equal(outcome.electronicCash?.balanceAfterMinor, 8766n);
  assert.equal(balanceOf(card), '8766');
  assert.deepEqual(
    approvals.map(({ kind, amountMinor }) => [kind, amountMinor]),
    [['electronicCash', 1234n]],
  );
});

test('e-cash by contact, below the reset threshold: online, and the purse keeps its money', async () => {
  const card = newCard(CASH);
  const outcome = await insert(card, {
    amountMinor: 9500n,
    authorise: approving(),
    pins: ['1234'],
  });
  assert.deepEqual([outcome.outcome, outcome.second?.type], ['approved', 'TC']);
  assert.equal(balanceOf(card), '10000');
});

test('e-cash by tap: paid from the purse with the last record; the balance of 9F10 agrees', async () => {
  const card = newCard(CASH, 'contactless');
  const approvals: OfflineApproval[] = [];
  const outcome = await tap(card, { approvals });
  assert.deepEqual([outcome.outcome, outcome.reason], ['approved', 'card:TC']);
  assert.equal(outcome.dataAuthentication, 'fDDA');
  assert.equal(balanceOf(card), '8766');
  const iad = decodeIad(outcome.values.get('9F10') ?? new Uint8Array(0));
  assert.equal(decodeEcBalanceData(iad.discretionary)?.balanceMinor, 8766n);
  assert.equal(approvals.length, 1);
});

test('one purse, both interfaces: two taps, an insertion, and a log that tells of all', async () => {
  const tapped = newCard(CASH, 'contactless');
  await tap(tapped, { approvals: [] });
  await tap(tapped, { amountMinor: 1000n, approvals: [] });
  const inserted = cardOf(tapped.image());
  await insert(inserted, { amountMinor: 500n, approvals: [] });
  assert.equal(balanceOf(inserted), String(10000 - 1234 - 1000 - 500));
  const log = inserted.image().applications[0]?.state.log ?? [];
  assert.deepEqual(
    log.map((entry) => [Number(entry.slice(12, 24)), entry.slice(-4)]),
    [
      [500, '0003'],
      [1000, '0002'],
      [1234, '0001'],
    ],
  );
});

test('a load: the script after the TC sets the new total, and the kernel reports it done', async () => {
  const card = newCard(CASH);
  const outcome = await insert(card, {
    electronicCash: false,
    pins: ['1234'],
    authorise: approving(({ atc, arqc, key }) => {
      const header = fromHex('04DA9F790A');
      const total = fromHex('000000030000');
      const mac = scriptMac4(key, header, atc, arqc, total);
      return [encodeTlv('72', encodeTlv('86', concatBytes(header, total, mac)))];
    }),
  });
  assert.equal(outcome.second?.type, 'TC');
  assert.equal(outcome.scriptResults.length, 1);
  assert.equal((outcome.scriptResults[0]?.[0] ?? 0) >> 4, 2, 'script successful');
  assert.equal(balanceOf(card), '30000');
  assert.equal(card.image().applications[0]?.state.loadLog.length, 1);
});

test('an SM card by contact: SM2 chain checked, SM4 cryptograms accepted by both sides', async () => {
  const request = smRequest(nodeCiphers, { isOnly: true });
  const card = newCard({ request });
  const outcome = await insert(card, {
    terminal: smTerminal(),
    pins: ['1234'],
    authorise: approvingSm,
  });
  assert.equal(outcome.dataAuthentication, 'DDA');
  assert.equal(outcome.issuerAuthentication, 'passed');
  assert.deepEqual([outcome.outcome, outcome.second?.type], ['approved', 'TC']);
  assert.equal(decodeIad(outcome.values.get('9F10') ?? new Uint8Array(0)).algorithm, 0x04);
});

test('a card of both algorithms at a terminal of both goes by SM; at one of RSA by RSA', async () => {
  const request = smRequest(nodeCiphers, { isOnly: false });
  const sm = await insert(newCard({ request }), {
    terminal: smTerminal(),
    pins: ['1234'],
    authorise: approvingSm,
  });
  const rsaOnly = terminal({ supportsSmAlgorithms: false });
  const rsa = await insert(newCard({ request }), {
    terminal: rsaOnly,
    pins: ['1234'],
    authorise: approving(),
  });
  for (const [outcome, algorithm] of [
    [sm, 0x04],
    [rsa, 0x01],
  ] as const) {
    assert.equal(outcome.dataAuthentication, 'DDA');
    assert.equal(outcome.issuerAuthentication, 'passed');
    const iad = decodeIad(outcome.values.get('9F10') ?? new Uint8Array(0));
    assert.equal(iad.algorithm, algorithm);
  }
});

test('e-cash by tap under SM: SM2 fDDA, TC, money moved', async () => {
  const request = smRequest(nodeCiphers, { isOnly: true, electronicCash: {} });
  const card = newCard({ request }, 'contactless');
  const outcome = await tap(card, { terminal: smTerminal(), approvals: [] });
  assert.equal(outcome.dataAuthentication, 'fDDA');
  assert.deepEqual([outcome.outcome, outcome.reason], ['approved', 'card:TC']);
  assert.equal(balanceOf(card), '8766');
});
