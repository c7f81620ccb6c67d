/**
 * Shows the issuer scripts beyond blocking: PIN change under encryption, parameters, records, and
 * that a refused one changes nothing but the memory of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../../bytes/index.ts';
import { isPinBlockFormat2 } from '../data/index.ts';
import { CardSession, type Change, commandOf, cvrNames } from './icc.test-kit.ts';

const PIN_CARD: Change = { request: { pin: '123456' } };
const OLD_BLOCK = '26123456FFFFFFFF';
const NEW_BLOCK = '241357FFFFFFFFFF';

/** A card after the ARQC and the right ARPC. */
function online(change: Change = PIN_CARD): CardSession {
  const session = new CardSession(change).start();
  session.generate('80');
  assert.equal(session.externalAuthenticate(), '9000');
  return session;
}
const xored = (left: string, right: string) =>
  toHex(fromHex(left).map((value, at) => value ^ (fromHex(right)[at] ?? 0)));

test('PIN CHANGE: the new PIN verifies, the old one does not, tries are full (PBOC3 P5)', () => {
  const session = online({ ...PIN_CARD, state: { pinTryCounter: 1 } });
  assert.equal(session.script('84240002', session.pinChangeData(NEW_BLOCK)), '9000');
  assert.equal(session.state.pinTryCounter, 3);
  session.start();
  assert.equal(session.send(commandOf('00200080', OLD_BLOCK)).sw, '63C2');
  assert.equal(session.send(commandOf('00200080', NEW_BLOCK)).sw, '9000');
});

test('PIN CHANGE with the current PIN: the block comes mixed with it', () => {
  const session = online();
  const mixed = xored(NEW_BLOCK, OLD_BLOCK);
  assert.equal(session.script('84240001', session.pinChangeData(mixed)), '9000');
  assert.equal(session.application.dgis['8010'], NEW_BLOCK);
});

test('PIN UNBLOCK of a blocked PIN serves the next transaction', () => {
  const session = online({ ...PIN_CARD, state: { pinTryCounter: 0 } });
  assert.equal(session.script('84240000'), '9000');
  session.start();
  assert.equal(session.send(commandOf('00200080', OLD_BLOCK)).sw, '9000');
});

for (const [why, header, plain, sw] of [
  ['no block of format 2', '84240002', { block: '0412345678901234' }, '6A80'],
  ['a length that does not fit', '84240002', { block: '2612345FFFFFFFFF' }, '6A80'],
  ['the current PIN where none is mixed in', '84240001', { block: NEW_BLOCK }, '6A80'],
  ['data that is not enciphered', '84240002', { hex: '00'.repeat(16) }, '6988'],
  ['one block only', '84240002', { hex: '00'.repeat(8) }, '6700'],
  ['data with an unblock', '84240000', { hex: '00'.repeat(16) }, '6700'],
  ['another P2', '84240003', { hex: '' }, '6A86'],
  ['another P1', '84240102', { hex: '00'.repeat(16) }, '6A86'],
] as const) {
  test(`PIN CHANGE/UNBLOCK refuses ${why} with ${sw}, and the PIN stays`, () => {
    const session = online({ ...PIN_CARD, state: { pinTryCounter: 1 } });
    const body = 'hex' in plain ? plain.hex : session.pinChangeData(plain.block);
    assert.equal(session.script(header, body), sw);
    assert.equal(session.application.dgis['8010'], OLD_BLOCK);
    assert.equal(session.state.pinTryCounter, 1);
    assert.equal(session.state.lastScriptFailed, true);
  });
}

test('after an offline decline or approval no script is taken: nobody was asked', () => {
  const state = { atc: 6, lastOnlineAtc: 5 };
  for (const p1 of ['00', '40']) {
    const session = new CardSession({ state }).start();
    assert.ok([0x00, 0x40].includes(session.generate(p1).cid));
    assert.equal(session.script('04DA9F58', '09'), '6985');
    assert.equal(session.state.lastScriptFailed, false);
  }
});

test('a card without offline PIN has none to change', () => {
  const session = online({});
  assert.equal(session.script('84240002', session.pinChangeData(NEW_BLOCK)), '6A86');
});

test('UPDATE RECORD: the record reads anew, in the same length or another', () => {
  const session = online();
  assert.equal(session.script('04DC010C', '700A5F2007544553542F41'), '6A80', 'cut off');
  assert.equal(session.script('04DC010C', '70095F2006544553542F41'), '9000');
  assert.equal(session.send('00B2010C00').data, '70095F2006544553542F41');
  session.start();
  assert.equal(session.send('00B2010C00').data, '70095F2006544553542F41');
});

for (const [why, header, sw] of [
  ['a file that is not there', '04DC0154', '6A82'],
  ['a record that is not there', '04DC090C', '6A83'],
  ['the transaction log', '04DC015C', '6A82'],
  ['no record number', '04DC010D', '6A86'],
  ['file 0', '04DC0104', '6A86'],
] as const) {
  test(`UPDATE RECORD refuses ${why} with ${sw}`, () => {
    const session = online();
    const before = session.application.dgis;
    assert.equal(session.script(header, '70025A00'), sw);
    assert.deepEqual(session.application.dgis, before);
  });
}

test('PUT DATA works on what was personalised only, and the card then decides by it', () => {
  const session = online({ ...PIN_CARD, objects: { '9F53': '05' } });
  assert.equal(session.script('04DA9F53', '01'), '9000');
  assert.equal(session.script('04DA9F55', 'C0'), '6A88', 'never personalised');
  assert.equal(session.script('04DA9F36', '0000'), '6A88', 'a counter is no parameter');
  assert.equal(session.script('04DA9F52', '0040'), '9000');
  assert.equal(session.send('80CA9F5200').data, '9F52020040');
  assert.equal(session.send('80CA9F5300').data, '9F530101');
});

test('scripts before and after the final cryptogram: counted after it, to 15 at most', () => {
  const session = online();
  assert.equal(session.script('04DA9F58', '09'), '9000');
  assert.equal(session.state.scriptCounter, 0);
  session.generate('40');
  for (let count = 1; count <= 17; count++) {
    assert.equal(session.script('04DA9F58', '09'), '9000');
    assert.equal(session.state.scriptCounter, Math.min(count, 15));
  }
  assert.equal(session.start().generate('80').cvr.slice(-2), 'F0');
});

test('a script that failed is told until an online transaction without one', () => {
  const session = online();
  session.brokenScript('04DA9F58', '09');
  session.generate('40');
  const failed = 'Issuer script processing failed on last transaction';
  assert.ok(cvrNames(session.start().generate('80')).includes(failed));
  session.externalAuthenticate();
  session.generate('40');
  assert.ok(!cvrNames(session.start().generate('80')).includes(failed));
});

test('no byte of a script can be changed without 6987, 6988 or another word than 9000', () => {
  const session = online();
  const sound = fromHex(session.scriptCommand('04DA9F58', '09'));
  const before = session.card.image();
  fc.assert(
    fc.property(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const fresh = online();
      const bent = sound.with(at, (sound[at] ?? 0) ^ mask);
      assert.notEqual(fresh.send(toHex(bent)).sw, '9000');
      assert.deepEqual(fresh.application.dgis, before.applications[0]?.dgis);
    }),
    { numRuns: 60 },
  );
});

test('PIN blocks of format 2, and what looks like one (EMV 4.3 B3 §6.5.12 table 24)', () => {
  for (const block of ['241234FFFFFFFFFF', '2C123456789012FF', '26123456FFFFFFFF']) {
    assert.equal(isPinBlockFormat2(fromHex(block)), true, block);
  }
  for (const block of [
    '23123FFFFFFFFFFF',
    '2D1234567890123F',
    '24123AFFFFFFFFFF',
    '141234FFFFFFFFFF',
    '251234FFFFFFFFFF',
    '241234FFFFFF',
    '2412340FFFFFFFFF',
  ]) {
    assert.equal(isPinBlockFormat2(fromHex(block)), false, block);
  }
});
