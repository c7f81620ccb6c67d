/**
 * Shows electronic cash on the card: payments from the purse by contact and by tap, both
 * currencies, limits, the balance in 9F10, and loads with their log. @see PBOC3 P13
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, flattenTlv } from '../../iso7816/index.ts';
import { decodeEcBalanceData, decodeIad, isEcBalanceAuthentic } from '../data/index.ts';
import {
  type Ac,
  CardSession,
  type Change,
  cardOf,
  commandOf,
  cvrNames,
  imageOf,
  send,
  TERMINAL,
} from './icc.test-kit.ts';
import type { VirtualIcc } from './index.ts';

const SECOND = {
  currencyCode: '0344',
  balanceMinor: '5000',
  balanceLimitMinor: '50000',
  singleTransactionLimitMinor: '4000',
  resetThresholdMinor: '100',
};
/** 100.00 in the purse, single limit 80.00. */
const CASH: Change = {
  request: { electronicCash: { singleTransactionLimitMinor: '8000', second: SECOND } },
};
const EC = { '9F7A': '01' } as const;

function cashSession(change: Change = {}): CardSession {
  return new CardSession({ ...CASH, ...change });
}
const balances = (session: CardSession) => {
  const { balanceMinor, secondBalanceMinor } = session.state.electronicCash ?? {};
  return [balanceMinor, secondBalanceMinor];
};
/** The balance that 9F10 tells, its MAC checked as the issuer does. */
function toldBalance(session: CardSession, ac: Ac): bigint | undefined {
  const iad = decodeIad(ac.iad);
  const found = decodeEcBalanceData(iad.discretionary);
  if (!found) return undefined;
  const keys = { algorithm: iad.algorithm, sessionKeyMac: session.key('mac'), atc: session.atc };
  assert.equal(isEcBalanceAuthentic(nodeCiphers, found, keys), true);
  return found.balanceMinor;
}

test('a TC takes the amount from the purse, and 9F10 tells what is left', () => {
  const session = cashSession().start(EC);
  const tc = session.generate('40');
  assert.equal(tc.cid, 0x40, 'although the card is new');
  assert.equal(tc.cvr, '03900000', 'no check that e-cash skips is told');
  assert.deepEqual(balances(session), ['8766', '5000']);
  assert.equal(toldBalance(session, tc), 8766n);
  assert.equal(session.state.cumulativeOfflineAmountMinor, '0', 'the account is not touched');
  assert.equal(session.state.log.length, 1);
  assert.equal(session.send('80CA9F7900').data, '9F7906000000008766');
});

test('the AFL of a payment from the purse names the record with 9F74', () => {
  const session = cashSession().start(EC);
  assert.match(session.send('00B2013C00').data, /9F7406/);
  const plain = cashSession();
  plain.send(commandOf('00A40400', plain.application.aid));
  const withPurse = plain.send(plain.gpo(EC)).data;
  plain.send(commandOf('00A40400', plain.application.aid));
  const without = plain.send(plain.gpo({ '9F7A': '00' })).data;
  assert.equal(withPurse.length, without.length + 8);
});

test('velocity, new card, last online and PIN tries are not looked at; failures of last time are', () => {
  const state = {
    atc: 99,
    lastOnlineAtc: 0,
    lastOnlineNotCompleted: true,
    pinTryCounter: 0,
    cumulativeOfflineAmountMinor: '900000',
    lastSdaFailed: true,
    lastDdaFailed: true,
  };
  const tc = cashSession({ state, objects: { '9F52': 'E348' } })
    .start(EC)
    .generate('40');
  assert.equal(tc.cid, 0x40);
  assert.equal(tc.cvr, '03900104');
  const ordinary = cashSession({ state, objects: { '9F52': 'E308' } })
    .start()
    .generate('40');
  assert.equal(ordinary.cid, 0x80, 'the same card outside of e-cash');
});

for (const [why, cid, terminal, change] of [
  ['above the single limit', 0x80, { '9F02': '000000008001' }, {}],
  ['above the balance', 0x80, {}, { state: purseOf('1233') }],
  ['just the balance', 0x40, {}, { state: purseOf('1234') }],
  ['the terminal declines', 0x00, {}, {}],
  ['an amount that is no number', 0x80, { '9F02': '00000000000A' }, {}],
] as const) {
  test(`e-cash, ${why}: CID ${cid.toString(16)}, and money moves with a TC only`, () => {
    const session = new CardSession({ ...CASH, ...change }, terminal).start(EC);
    const before = balances(session);
    const p1 = why === 'the terminal declines' ? '00' : '40';
    assert.equal(session.generate(p1).cid, cid);
    if (cid !== 0x40) assert.deepEqual(balances(session), before);
    else assert.deepEqual(balances(session), ['0', '5000']);
  });
}

function purseOf(balanceMinor: string) {
  return { electronicCash: { balanceMinor, secondBalanceMinor: '5000' } };
}

test('the second currency has its own purse and limit; a third one is no e-cash', () => {
  const dollars = { '5F2A': '0344' };
  const session = new CardSession(CASH, dollars).start(EC);
  const tc = session.generate('40');
  assert.equal(tc.cid, 0x40);
  assert.deepEqual(balances(session), ['10000', '3766']);
  assert.equal(toldBalance(session, tc), 3766n);
  const large = new CardSession(CASH, { ...dollars, '9F02': '000000004001' }).start(EC);
  assert.equal(large.generate('40').cid, 0x80);
  const euros = new CardSession(CASH, { '5F2A': '0978' }).start(EC);
  assert.ok(cvrNames(euros.generate('40')).includes('New card'), 'an ordinary transaction');
  assert.deepEqual(balances(euros), ['10000', '5000']);
});

test('a currency that changes between GPO and GENERATE AC pays from no purse', () => {
  const session = cashSession({ state: { atc: 6, lastOnlineAtc: 5 } }).start(EC);
  assert.equal(session.generate('40', { '5F2A': '0344' }).cid, 0x40, 'an ordinary approval');
  assert.deepEqual(balances(session), ['10000', '5000']);
  assert.equal(session.state.internationalOfflineCount, 1);
});

test('the amount that counts is that of GENERATE AC, which the cryptogram covers', () => {
  const session = cashSession().start({ ...EC, '9F02': '000000000001' });
  assert.equal(session.generate('40', { '9F02': '000000005000' }).cid, 0x40);
  assert.deepEqual(balances(session), ['5000', '5000']);
});

test('an ARQC in e-cash takes nothing; what then cannot go online is an ordinary transaction', () => {
  const state = { atc: 6, lastOnlineAtc: 5 };
  const session = cashSession({ state }).start(EC);
  assert.equal(toldBalance(session, session.generate('80')), 10000n);
  assert.equal(session.generate('40', { '8A': '5933' }).cid, 0x40);
  assert.deepEqual(balances(session), ['10000', '5000']);
  assert.equal(session.state.cumulativeOfflineAmountMinor, '1234');
});

/** A tap's GPO with these values. */
const TTQ_BOTH = '36000080';
const TTQ_ONLINE = '36800080';
const TTQ_OFFLINE_ONLY = '2E000080';
type Tap = { ttq?: string; amount?: string; currency?: string; indicator?: string };
function tap(card: VirtualIcc, how: Tap = {}): ReadonlyMap<string, Uint8Array> {
  const { ttq = TTQ_BOTH, amount = '000000001234', currency = '0156', indicator = '01' } = how;
  assert.equal(send(card, '00A4040008A000000333010101').sw, '9000');
  const values = `${ttq}${amount}00000000000001560000000000${currency}260701007863AFC6${indicator}`;
  const { data, sw } = send(card, commandOf('80A80000', `8322${values}`, '00'));
  assert.equal(sw, '9000');
  return flattenTlv(decodeTlv(fromHex(data)));
}
const cashCard = (change: Change = {}) => cardOf(imageOf({ ...CASH, ...change }), 'contactless');
const balanceIn = (card: VirtualIcc) =>
  card.image().applications[0]?.state.electronicCash?.balanceMinor;
/** Kind of cryptogram that the CVR in 9F10 tells. */
function kindOf(values: ReadonlyMap<string, Uint8Array>): string {
  const byte = (values.get('9F10') ?? fromHex(''))[4] ?? 0;
  return { 0: 'AAC', 16: 'TC', 32: 'ARQC' }[byte & 0x30] ?? 'RFU';
}

test('a tap is paid with its last record: torn before, the money stays; read twice, it moves once', () => {
  const card = cashCard();
  const values = tap(card);
  assert.equal(kindOf(values), 'TC');
  assert.equal(toHex(values.get('9F5D') ?? fromHex('')), '000000008766');
  assert.equal(balanceIn(card), '10000');
  for (let record = 1; record <= 5; record++) send(card, `00B20${record}2400`);
  assert.equal(balanceIn(card), '10000', 'the AFL goes on with the record of 9F74');
  assert.equal(send(card, '00B2013C00').sw, '9000');
  assert.equal(balanceIn(card), '8766');
  send(card, '00B2013C00');
  assert.equal(balanceIn(card), '8766');
  assert.equal(card.image().applications[0]?.state.log.length, 1);
});

for (const [why, how, kind] of [
  ['the reader wants the issuer', { ttq: TTQ_ONLINE }, 'ARQC'],
  ['the reader takes no e-cash', { indicator: '00' }, 'ARQC'],
  ['above the single limit', { amount: '000000008001' }, 'ARQC'],
  ['another currency', { currency: '0978' }, 'ARQC'],
  [
    'too much, and a reader that is offline only',
    { ttq: TTQ_OFFLINE_ONLY, amount: '000000009999' },
    'AAC',
  ],
  ['enough, and a reader that is offline only', { ttq: TTQ_OFFLINE_ONLY }, 'TC'],
] as const) {
  test(`a tap, ${why}: ${kind}`, () => {
    const card = cashCard();
    const values = tap(card, how);
    assert.equal(kindOf(values), kind);
    assert.equal(values.has('9F5D'), kind === 'TC');
    for (let record = 1; record <= 5; record++) send(card, `00B20${record}2400`);
    send(card, '00B2013C00');
    assert.equal(balanceIn(card), kind === 'TC' ? '8766' : '10000');
  });
}

test('a blocked application pays no tap from its purse', () => {
  const card = cashCard({ state: { applicationBlocked: true } });
  assert.equal(send(card, '00A4040008A000000333010101').sw, '6283');
  const values = `${TTQ_BOTH}00000000123400000000000001560000000000015626070100${TERMINAL['9F37']}01`;
  const { data } = send(card, commandOf('80A80000', `8322${values}`, '00'));
  assert.equal(kindOf(flattenTlv(decodeTlv(fromHex(data)))), 'AAC');
});

/** A load: online, then the script with the new total. */
function loading(change: Change = {}): CardSession {
  const session = cashSession(change).start();
  session.generate('80');
  session.externalAuthenticate();
  session.generate('40');
  return session;
}

test('a load sets the new total and is in the load log, newest first (DF4D, DF4F)', () => {
  const session = loading();
  assert.equal(session.script('04DA9F79', '000000030000'), '9000');
  assert.deepEqual(balances(session), ['30000', '5000']);
  const { data } = session.send('00B2016400');
  assert.equal(data.slice(0, 28), '9F79000000010000000000030000');
  assert.equal(data.slice(28, 44), '2607011011120156');
  assert.equal(data.slice(-4), '0001');
  assert.equal(session.script('04DADF79', '000000006000'), '9000');
  assert.equal(session.send('00B2016400').data.slice(0, 4), 'DF79');
  assert.equal(session.send('00B2026400').data.slice(0, 4), '9F79');
  assert.equal(session.send('00B2036400').sw, '6A83');
});

test('a load log entry of 252 bytes is kept, a longer one is not written', () => {
  for (const [lengthBytes, entries] of [
    ['EE', 1],
    ['EF', 0],
  ] as const) {
    const session = loading({ objects: { DF4F: `9F4E${lengthBytes}` } });
    assert.equal(session.script('04DA9F79', '000000030000'), '9000');
    assert.equal(session.state.loadLog.length, entries);
  }
});

test('a total that does not rise is no load; one above the limit is refused', () => {
  const session = loading();
  assert.equal(session.script('04DA9F79', '000000005000'), '9000');
  assert.deepEqual(balances(session), ['5000', '5000']);
  assert.equal(session.state.loadLog.length, 0);
  assert.equal(session.script('04DA9F79', '000000100001'), '6A80');
  assert.equal(session.script('04DA9F77', '000000200000'), '9000');
  assert.equal(session.script('04DA9F79', '000000100001'), '9000');
  assert.deepEqual(balances(session), ['100001', '5000']);
});

test('limits of both purses are put and read; a wrong MAC loads nothing', () => {
  const session = loading();
  for (const [tag, value] of [
    ['9F77', '000000090000'],
    ['9F78', '000000002000'],
    ['9F6D', '000000000100'],
    ['DF76', '000000000200'],
    ['DF77', '000000060000'],
    ['DF78', '000000003000'],
  ] as const) {
    assert.equal(session.script(`04DA${tag}`, value), '9000');
    assert.equal(session.send(`80CA${tag}00`).data, `${tag}06${value}`);
  }
  assert.equal(session.brokenScript('04DA9F79', '000000030000'), '6988');
  assert.deepEqual(balances(session), ['10000', '5000']);
});

test('GET DATA gives what e-cash terminals ask for', () => {
  const session = cashSession();
  session.send(commandOf('00A40400', session.application.aid));
  for (const tag of [
    '9F79',
    '9F77',
    '9F78',
    '9F6D',
    '9F51',
    'DF71',
    'DF76',
    'DF77',
    'DF78',
    'DF79',
  ]) {
    assert.equal(session.send(`80CA${tag}00`).sw, '9000', tag);
  }
  assert.equal(session.send('80CADF4F00').data.slice(0, 4), 'DF4F');
  assert.equal(session.send('80CADF4F00').data.slice(6), '9A039F21039F1A029F4E149F3602');
  assert.equal(session.send('80CA800000').sw, '6A88', 'no key grouping');
});
