/**
 * Shows the virtual card from outside, APDU by APDU: selection, reading, dynamic signature, both
 * cryptograms against the issuer's own computation, issuer authentication, scripts and counters.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { asciiToBytes, concatBytes, fromHex, TapError, toHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import { decodeTlv, findTlv, flattenTlv } from '../../iso7816/index.ts';
import { decodeAfl, type IccApplicationState, type IccImage } from '../data/index.ts';
import {
  AID,
  CardSession,
  cardOf,
  cvrNames,
  GPO,
  IMAGE,
  imageOf,
  KEYS,
  SELECT,
  takeApart,
} from './icc.test-kit.ts';

/** First GENERATE AC that asks for an ARQC, all data zero. */
const GENERATE_AC = `80AE800034${'00'.repeat(52)}`;

test('PSE: directory with one application (EMV 4.3 B1 §12.2.3)', () => {
  const session = new CardSession();
  const { data, sw } = session.send(`00A404000E${toHex(asciiToBytes('1PAY.SYS.DDF01'))}00`);
  assert.equal(sw, '9000');
  assert.equal(toHex(flattenTlv(decodeTlv(fromHex(data))).get('88') ?? fromHex('')), '01');
  const record = flattenTlv(decodeTlv(fromHex(session.send('00B2010C00').data)));
  assert.equal(toHex(record.get('4F') ?? fromHex('')), 'A000000333010101');
  assert.equal(session.send('00B2020C00').sw, '6A83');
  assert.equal(session.send('00B2011400').sw, '6A82');
  assert.equal(session.send(GPO).sw, '6985');
});

test('SELECT: full and partial name, next occurrence, unknown (EMV 4.3 B1 §11.3, §12.3)', () => {
  const session = new CardSession();
  const fci = flattenTlv(decodeTlv(fromHex(session.send(SELECT).data)));
  assert.equal(toHex(fci.get('84') ?? fromHex('')), AID);
  assert.equal(toHex(fci.get('9F38') ?? fromHex('')), '9F1A025F2A02');
  assert.equal(toHex(fci.get('9F4D') ?? fromHex('')), '0B0A');
  assert.equal(session.send('00A4040005A00000033300').sw, '9000');
  assert.equal(session.send('00A4040205A00000033300').sw, '6A82');
  assert.equal(session.send('00A4040007A000000003101000').sw, '6A82');
  assert.equal(session.send('00A4040009A00000033301010101').sw, '6A82');
});

test('GPO counts the transaction and gives AIP and AFL (EMV 4.3 B3 §6.5.8)', () => {
  const session = new CardSession();
  session.send(SELECT);
  const { data } = session.send(GPO);
  assert.equal(data.slice(0, 8), `800E7C00`);
  assert.equal(decodeAfl(fromHex(data.slice(8))).length, 3);
  assert.equal(session.state.atc, 1);
  assert.equal(session.send(GPO).sw, '6985', 'once per selection');
  session.start();
  assert.equal(session.state.atc, 2);
});

test('GPO without PDOL takes 8300 (EMV 4.3 B3 §10.1)', () => {
  const session = new CardSession({ request: { profile: { pdol: '' } } });
  session.send(SELECT);
  assert.equal(session.send('80A8000002830000').sw, '9000');
});

for (const [why, command, sw] of [
  ['a list of another length', '80A80000048302015600', '6700'],
  ['no template 83', '80A8000006840401560156', '6A80'],
  ['a wrong inner length', '80A8000006830501560156', '6A80'],
  ['no data', '80A80000', '6700'],
  ['wrong P1', '80A8010006830401560156', '6A86'],
] as const) {
  test(`GPO refuses ${why} with ${sw} and counts nothing`, () => {
    const session = new CardSession();
    session.send(SELECT);
    assert.equal(session.send(command).sw, sw);
    assert.equal(session.state.atc, 0);
  });
}

test('a card at its last counter does no more transactions', () => {
  const session = new CardSession({ state: { atc: 0xffff } });
  session.send(SELECT);
  assert.equal(session.send(GPO).sw, '6985');
  assert.equal(session.state.atc, 0xffff);
});

test('READ RECORD: all records of the AFL, and nothing else (EMV 4.3 B3 §6.5.11)', () => {
  const session = new CardSession();
  session.send(SELECT);
  assert.equal(session.send('00B2010C00').sw, '6985', 'not before GPO');
  session.send(GPO);
  for (const command of ['00B2010C00', '00B2011400', '00B2021400', '00B2041C00']) {
    assert.equal(session.send(command).sw, '9000', command);
  }
  assert.equal(session.send('00B2031400').sw, '6A83');
  assert.equal(session.send('00B2012400').sw, '6A82');
  assert.equal(session.send('00B2000C00').sw, '6A83');
  assert.equal(session.send('00B2010D00').sw, '6A86');
  assert.equal(session.send('00B2010400').sw, '6A86');
  assert.equal(session.send('00B2010C0100').sw, '6700');
});

test('GET DATA: counters and log format (EMV 4.3 B3 §6.5.7)', () => {
  const session = new CardSession({ state: { atc: 0x1ff, lastOnlineAtc: 0x1f0 } }).start();
  assert.equal(session.send('80CA9F3600').data, '9F36020200');
  assert.equal(session.send('80CA9F1300').data, '9F130201F0');
  assert.equal(session.send('80CA9F1700').data, '9F170103');
  assert.equal(session.send('80CA9F4F00').data.slice(0, 4), '9F4F');
  assert.equal(session.send('80CA9F7900').sw, '6A88');
  assert.equal(session.send('80CA9F360100').sw, '6700');
});

test('DDA: the signature opens under the card key and covers the number (EMV 4.3 B2 §6.5)', () => {
  const session = new CardSession().start();
  const { data, sw } = session.send('00880000047863AFC600');
  assert.equal(sw, '9000');
  const signature = findTlv(decodeTlv(fromHex(data)), '80')?.value ?? fromHex('');
  const recovered = rsaRaw(KEYS.icc.modulus, KEYS.icc.publicExponent, signature);
  assert.equal(toHex(recovered.slice(0, 5)), '6A05010908');
  assert.equal(recovered.at(-1), 0xbc);
  const hashed = concatBytes(recovered.slice(1, -21), fromHex('7863AFC6'));
  assert.deepEqual(recovered.slice(-21, -1), nodeCiphers.sha1(hashed));
  assert.ok(
    cvrNames(session.generate('80')).includes('Offline dynamic data authentication performed'),
  );
});

test('INTERNAL AUTHENTICATE: only between GPO and GENERATE AC, with the DDOL length', () => {
  const session = new CardSession();
  session.send(SELECT);
  assert.equal(session.send('00880000047863AFC600').sw, '6985');
  session.send(GPO);
  assert.equal(session.send('00880000037863AF00').sw, '6700');
  assert.equal(session.send('00880100047863AFC600').sw, '6A86');
  session.generate('80');
  assert.equal(session.send('00880000047863AFC600').sw, '6985');
  const without = new CardSession({ request: { profile: { aip: '5C00' } } }).start();
  assert.equal(without.send('00880000047863AFC600').sw, '6985');
});

test('a card without DDOL signs what the default list of the terminal gives (EMV 4.3 B2 §6.5)', () => {
  const [application] = IMAGE.applications;
  const lists = application?.dgis['0202'] ?? '';
  const session = new CardSession({
    dgis: { '0202': lists.replace('9F49039F3704', '9F7D039F3704') },
  });
  session.start();
  assert.equal(session.send('00880000').sw, '6700', 'nothing to sign');
  assert.equal(session.send('00880000047863AFC600').sw, '9000');
});

test('a private key without exponent signs nothing', () => {
  const session = new CardSession({ dgis: { '8101': '' } }).start();
  assert.equal(session.send('00880000047863AFC600').sw, '6985');
});

test('a command of 256 data bytes is longer than the card takes', () => {
  const session = new CardSession().start();
  assert.equal(session.send(`80AE8000000100${'00'.repeat(256)}0000`).sw, '6700');
});

test('an online purchase: ARQC, ARPC, TC, each as the issuer computes it (PBOC3 P5 §10)', () => {
  const session = new CardSession().start();
  const first = session.generate('80');
  assert.equal(first.cid, 0x80);
  assert.equal(first.cvr, '03A01000', 'ARQC, second not requested, new card');
  assert.equal(toHex(first.iad), '07010103A0100001');
  assert.equal(toHex(first.ac), session.issuerCryptogram(first));
  assert.equal(session.state.lastOnlineNotCompleted, true);
  assert.equal(session.externalAuthenticate(), '9000');
  const second = session.generate('40');
  assert.equal(second.cid, 0x40);
  assert.equal(second.cvr, '03601000', 'ARQC, then TC');
  assert.equal(toHex(second.ac), session.issuerCryptogram(second));
  const { lastOnlineAtc, lastOnlineNotCompleted, log } = session.state;
  assert.deepEqual([lastOnlineAtc, lastOnlineNotCompleted, log.length], [1, false, 1]);
  assert.equal(session.generate('40').sw, '6985', 'third GENERATE AC');
});

test('the second transaction is of no new card and reads its log', () => {
  const session = new CardSession().start();
  session.generate('80');
  session.externalAuthenticate();
  session.generate('40');
  session.start();
  const log = session.send('00B2015C00').data;
  assert.ok(log.startsWith('260701101112000000001234'));
  assert.ok(log.endsWith('0001'));
  assert.equal(session.send('00B2025C00').sw, '6A83');
  assert.equal(session.generate('80').cvr, '03A00000');
});

test('ARPC wrong by any one bit: 6300, CVR bit, AAC, and the next transaction knows', () => {
  for (let bit = 0; bit < 80; bit += 7) {
    const session = new CardSession().start();
    session.generate('80');
    const data = fromHex(session.arpc());
    data[bit >> 3] = (data[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(session.externalAuthenticate(toHex(data)), '6300');
    const second = session.generate('40');
    assert.equal(second.cid, 0x00);
    assert.ok(cvrNames(second).includes('Issuer authentication performed and failed'));
    assert.equal(session.state.lastIssuerAuthenticationFailed, true);
    assert.equal(session.state.lastOnlineNotCompleted, true);
    assert.equal(session.state.lastOnlineAtc, 0);
  }
});

test('EXTERNAL AUTHENTICATE: once, after an ARQC, 10 bytes (EMV 4.3 B3 §6.5.4)', () => {
  const session = new CardSession().start();
  assert.equal(session.send('008200000A00000000000000003030').sw, '6985', 'before the ARQC');
  session.generate('80');
  assert.equal(session.send('00820000080000000000000000').sw, '6700');
  assert.equal(session.send('008201000A00000000000000003030').sw, '6A86');
  assert.equal(session.externalAuthenticate(), '9000');
  assert.equal(session.externalAuthenticate(), '6985', 'second');
  const failed = new CardSession().start();
  failed.generate('80');
  assert.equal(failed.externalAuthenticate('00000000000000003030'), '6300');
  assert.equal(failed.externalAuthenticate(), '6985', 'no second guess');
});

test('no ARPC where it is mandatory: AAC, although the terminal says approved', () => {
  const session = new CardSession().start();
  session.generate('80');
  const second = session.generate('40');
  assert.equal(second.cid, 0x00);
  assert.ok(
    cvrNames(second).includes('Issuer authentication not performed after online authorization'),
  );
  assert.equal(session.state.lastOnlineAtc, 0);
});

test('no ARPC where it is optional: TC, and the counters start anew', () => {
  const session = new CardSession({ objects: { '9F56': '00' } }).start();
  session.generate('80');
  assert.equal(session.generate('40').cid, 0x40);
  assert.equal(session.state.lastOnlineAtc, 1);
});

test('an authentic decline cannot be turned into an approval by tag 8A', () => {
  const session = new CardSession().start();
  session.generate('80');
  assert.equal(session.externalAuthenticate(session.arpc('05')), '9000');
  assert.equal(session.generate('40', { '8A': '3030' }).cid, 0x00);
  assert.equal(session.state.lastOnlineAtc, 1);
});

test('issuer authentication inside the second GENERATE AC when CDOL2 asks for 91', () => {
  const cdol2 = '910A8A029F02069F03069F1A0295055F2A029A039C019F3704';
  const change = { request: { profile: { aip: '7800', cdol2 } } };
  const sound = new CardSession(change).start();
  sound.generate('80');
  assert.equal(sound.externalAuthenticate(), '6985', 'AIP does not offer it');
  assert.equal(sound.generate('40', { '91': sound.arpc() }).cid, 0x40);
  const wrong = new CardSession(change).start();
  wrong.generate('80');
  const second = wrong.generate('40', { '91': '11111111111111113030' });
  assert.equal(second.cid, 0x00);
  assert.ok(cvrNames(second).includes('Issuer authentication performed and failed'));
});

test('tag 91 of zeros in the second GENERATE AC is no answer of the issuer', () => {
  const cdol2 = '910A8A029F02069F03069F1A0295055F2A029A039C019F3704';
  const session = new CardSession({ request: { profile: { aip: '7800', cdol2 } } }).start();
  session.generate('80');
  const second = session.generate('40', { '91': '00000000000000000000' });
  assert.ok(!cvrNames(second).includes('Issuer authentication performed and failed'));
  assert.equal(session.state.lastIssuerAuthenticationFailed, false);
  assert.equal(second.cid, 0x00, 'mandatory, and missing');
});

test('unable to go online: a new card declines, a known one approves within its limits', () => {
  const fresh = new CardSession().start();
  fresh.generate('80');
  assert.equal(fresh.generate('40', { '8A': '5933' }).cid, 0x00);
  const known = new CardSession({ state: { atc: 6, lastOnlineAtc: 5 } }).start();
  known.generate('80');
  const second = known.generate('40', { '8A': '5933' });
  assert.equal(second.cid, 0x40);
  assert.ok(cvrNames(second).includes('Unable to go online'));
  assert.equal(known.state.cumulativeOfflineAmountMinor, '1234');
  assert.equal(known.state.lastOnlineAtc, 5);
  const spent = new CardSession({ state: { atc: 16, lastOnlineAtc: 5 } }).start();
  spent.generate('80');
  assert.equal(spent.generate('40', { '8A': '5933' }).cid, 0x00, 'upper limit');
});

test('asked for a TC, the card goes online or approves by its own rules', () => {
  const known = { atc: 6, lastOnlineAtc: 5 };
  const ask = (state: Partial<IccApplicationState>) =>
    new CardSession({ state }).start().generate('40').cid;
  assert.equal(ask(known), 0x40);
  assert.equal(ask({}), 0x80, 'new card');
  assert.equal(ask({ ...known, lastOnlineNotCompleted: true }), 0x80);
  assert.equal(ask({ ...known, lastIssuerAuthenticationFailed: true }), 0x80);
  assert.equal(ask({ ...known, lastScriptFailed: true }), 0x80);
  assert.equal(ask({ atc: 20, lastOnlineAtc: 5 }), 0x80, 'consecutive transactions');
  assert.equal(ask({ ...known, cumulativeOfflineAmountMinor: '99000' }), 0x80, 'amount');
});

test('asked for anything, the card declines when the TVR meets its denial code', () => {
  for (const p1 of ['00', '40', '80']) {
    const session = new CardSession().start();
    const first = session.generate(p1, { '95': '0010000000' });
    assert.equal(first.cid, 0x00);
    assert.equal(toHex(first.ac), session.issuerCryptogram(first, { '95': '0010000000' }));
    assert.equal(session.generate('40').sw, '6985');
  }
});

test('a failed data authentication, declined offline, is told next time (PBOC3 P5 CVR)', () => {
  const session = new CardSession().start();
  session.generate('00', { '95': '4800000000' });
  const names = cvrNames(session.start().generate('80'));
  assert.ok(names.some((name) => name.startsWith('Offline static data authentication failed')));
  assert.ok(names.some((name) => name.startsWith('Offline dynamic data authentication failed')));
});

test('every memory of the card has its bit in the CVR', () => {
  const session = new CardSession({
    state: {
      atc: 9,
      lastOnlineAtc: 2,
      pinTryCounter: 0,
      lastOnlineNotCompleted: true,
      lastIssuerAuthenticationFailed: true,
      issuerAuthenticationNotPerformed: true,
      lastSdaFailed: true,
      lastDdaFailed: true,
      lastScriptFailed: true,
      scriptCounter: 5,
    },
  }).start();
  session.send('00880000047863AFC600');
  assert.equal(session.generate('80').cvr, '03A0ED5E');
});

for (const [why, command, sw] of [
  ['reserved type', '80AEC0001D', '6A86'],
  ['CDA on a card without it', '80AE900000', '6A86'],
  ['P2', '80AE800100', '6A86'],
  ['wrong length', '80AE80000400000000', '6700'],
  ['no data', '80AE8000', '6700'],
  ['class', '00AE800000', '6E00'],
] as const) {
  test(`GENERATE AC refuses: ${why} with ${sw}, and may be asked again`, () => {
    const session = new CardSession().start();
    const full = command === '80AEC0001D' ? `80AEC0001D${'00'.repeat(29)}` : command;
    assert.equal(session.send(full).sw, sw);
    assert.equal(session.generate('80').cid, 0x80);
  });
}

test('GENERATE AC: not before GPO, and no second ARQC', () => {
  const session = new CardSession();
  session.send(SELECT);
  assert.equal(session.generate('80').sw, '6985');
  session.start().generate('80');
  assert.equal(session.generate('80').sw, '6985');
});

test('script: APPLICATION BLOCK in a payment ends it with AAC; SELECT then says 6283', () => {
  const session = new CardSession().start();
  session.generate('80');
  session.externalAuthenticate();
  assert.equal(session.script('841E0000'), '9000');
  assert.equal(session.generate('40').cid, 0x00);
  session.card.reset();
  assert.equal(session.send(SELECT).sw, '6283');
});

test('script: UNBLOCK under the AAC of a blocked application', () => {
  const session = new CardSession({ state: { applicationBlocked: true } }).start();
  assert.equal(session.generate('80').cid, 0x00);
  assert.equal(session.script('84180000'), '9000');
  assert.equal(session.send(SELECT).sw, '9000');
});

test('script: CARD BLOCK ends everything with 6A81', () => {
  const session = new CardSession().start();
  session.generate('80');
  assert.equal(session.script('84160000'), '9000');
  session.card.reset();
  assert.equal(session.send(SELECT).sw, '6A81');
  assert.equal(session.send('80CA9F3600').sw, '6A81');
});

test('script: PIN UNBLOCK and PUT DATA change what they name', () => {
  const session = new CardSession({ state: { pinTryCounter: 0 } }).start();
  session.generate('80');
  session.externalAuthenticate();
  session.generate('40');
  assert.equal(session.script('84240000'), '9000');
  assert.equal(session.script('04DA9F58', '09'), '9000');
  assert.equal(session.script('04DA9F54', '000000050000'), '9000');
  assert.equal(session.state.pinTryCounter, 3);
  assert.equal(session.object('9F58'), '09');
  assert.equal(session.object('9F54'), '000000050000');
  assert.equal(session.state.scriptCounter, 3);
  assert.equal(session.start().generate('80').cvr, '03A00030', 'three scripts counted');
});

test('script: a MAC wrong by one bit changes nothing but the memory of it', () => {
  const session = new CardSession().start();
  session.generate('80');
  assert.equal(session.brokenScript('841E0000'), '6988');
  assert.equal(session.state.applicationBlocked, false);
  assert.equal(session.state.lastScriptFailed, true);
  session.externalAuthenticate();
  session.generate('40');
  const names = cvrNames(session.start().generate('80'));
  assert.ok(names.includes('Issuer script processing failed on last transaction'));
});

for (const [why, header, plain, sw] of [
  ['unknown tag', '04DA9F79', '000000001000', '6A88'],
  ['wrong length of a value', '04DA9F58', '0909', '6700'],
  ['an amount that is not numeric', '04DA9F54', '00000000000A', '6A80'],
  ['wrong P1', '841E0100', '', '6A86'],
  ['changing a PIN', '84240001', '', '6A86'],
  ['data where none belongs', '841E0000', '00', '6700'],
] as const) {
  test(`script refuses: ${why} with ${sw}`, () => {
    const session = new CardSession().start();
    session.generate('80');
    assert.equal(session.script(header, plain), sw);
    assert.equal(session.state.lastScriptFailed, true);
  });
}

test('script: not before an ARQC, and never without MAC', () => {
  const session = new CardSession().start();
  assert.equal(session.send('841E00000400000000').sw, '6985');
  session.generate('80');
  assert.equal(session.send('841E0000').sw, '6987');
});

test('script: a MAC of an earlier transaction does not serve again', () => {
  const session = new CardSession().start();
  session.generate('80');
  const old = session.arqc;
  session.start().generate('80');
  session.arqc = old;
  assert.equal(session.script('841E0000'), '6988');
});

for (const [why, command, sw] of [
  ['VERIFY, as offline PIN is not supported', '0020008008241234FFFFFFFFFF', '6D00'],
  ['GET CHALLENGE', '0084000000', '6D00'],
  ['unknown instruction', '80FE0000', '6D00'],
  ['foreign class', 'A0A4000002', '6E00'],
  ['SELECT in the proprietary class', '80A4040008A000000333010101', '6E00'],
  ['SELECT by file identifier', '00A40000023F00', '6A86'],
  ['SELECT without a name', '00A4040000', '6700'],
  ['half a command', '00A4', '6700'],
  ['Lc beyond the data', '00A4040008A0', '6700'],
  ['nothing', '', '6700'],
] as const) {
  test(`${why}: ${sw}`, () => {
    assert.equal(new CardSession().start().send(command).sw, sw);
  });
}

test('reset forgets the session, not the image', () => {
  const session = new CardSession().start();
  session.card.reset();
  assert.equal(session.send('80CA9F3600').sw, '6985');
  assert.equal(session.state.atc, 1);
});

test('the image after any command starts a card in the same state', () => {
  const session = new CardSession().start();
  session.generate('80');
  const stored: IccImage = JSON.parse(JSON.stringify(session.card.image()));
  const again = cardOf(stored);
  assert.deepEqual(again.image(), session.card.image());
});

test('a broken image is refused before any command', () => {
  for (const broken of [
    { dgis: { '0D02': '01' } },
    { dgis: { '0D02': '0102170100' } },
    { dgis: { '8000': '00' } },
    { dgis: { '8010': '24' } },
    { dgis: { '9010': '0403' } },
    { dgis: { '0201': '00'.repeat(255) } },
    { dgis: { '0201': '7' } },
    { state: { lastOnlineAtc: 9 } },
    { state: { atc: 1.5 } },
    { state: { pinTryCounter: 4 } },
    { state: { cumulativeOfflineAmountMinor: '-1' } },
    { state: { electronicCash: { balanceMinor: '1000000000000', secondBalanceMinor: '0' } } },
    { dgis: { '9010': '1010' }, state: { pinTryCounter: 0 } },
    { image: { life: 'sold' as never } },
    { image: { lab: undefined as never } },
  ] as const) {
    assert.throws(
      () => cardOf(imageOf(broken)),
      (thrown) => thrown instanceof TapError && thrown.code === 'ERR_EMV_IMAGE',
      JSON.stringify(broken),
    );
  }
  const [application] = IMAGE.applications;
  assert.ok(application);
  const { '8000': _keys, ...keyless } = application.dgis;
  const image = { ...IMAGE, applications: [{ ...application, dgis: keyless }] };
  assert.throws(() => cardOf(image), { code: 'ERR_EMV_IMAGE' });
  assert.ok(cardOf(imageOf({ dgis: { '9010': '0F0F' } })), 'the most tries that an image holds');
  const old = { ...IMAGE, version: 1 as never };
  assert.throws(() => cardOf(old), { code: 'ERR_EMV_IMAGE_VERSION' });
});

/** Commands that mean something, then bent, or pure junk. */
const known = fc.constantFrom(
  SELECT,
  GPO,
  '00B2010C00',
  '80CA9F3600',
  GENERATE_AC,
  `80AE40001F${'00'.repeat(31)}`,
  '008200000A00000000000000003030',
  '841E00000400000000',
  '04DA9F58050900000000',
);
const bent = fc.tuple(known, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([hex, at, value]) => {
  const bytes = fromHex(hex);
  bytes[at % bytes.length] = value;
  return bytes;
});
const command = fc.oneof(
  known.map((hex) => fromHex(hex)),
  bent,
  fc.uint8Array({ maxLength: 270 }),
);

test('any sequence of bytes gets status words, never an exception nor 6F00', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 12 }), (commands) => {
      const session = new CardSession();
      let atc = 0;
      for (const bytes of commands) {
        const answer = session.card.transmit(bytes);
        assert.ok(answer.length >= 2 && answer.length <= 258);
        assert.match(toHex(answer.slice(-2)), /^(9000|6[0-9A-E][0-9A-F]{2})$/);
        assert.ok(session.state.atc - atc === 0 || session.state.atc - atc === 1);
        atc = session.state.atc;
      }
    }),
    { numRuns: 150 },
  );
});

test('no counter ever gives two first cryptograms', () => {
  let cryptograms = 0;
  fc.assert(
    fc.property(fc.array(command, { maxLength: 25 }), (commands) => {
      const session = new CardSession();
      const first = new Map<string, string>();
      const start = [fromHex(SELECT), fromHex(GPO)];
      // The last one is a whole transaction, so that each sequence reaches a cryptogram.
      for (const bytes of [...start, ...commands, ...start, fromHex(GENERATE_AC)]) {
        const answer = session.card.transmit(bytes);
        if (answer.length !== 23 || bytes[1] !== 0xae) continue;
        const ac = takeApart(answer.slice(0, -2));
        const isFirst = (fromHex(ac.cvr)[1] ?? 0) >> 6 === 2;
        if (!isFirst) continue;
        assert.equal(first.has(ac.atc), false);
        first.set(ac.atc, toHex(ac.ac));
        cryptograms += 1;
      }
    }),
    { numRuns: 100 },
  );
  assert.ok(cryptograms >= 100, 'the sequences do reach GENERATE AC');
});
