/**
 * Shows offline PIN on the card: clear and enciphered, tries counted before the answer is out, both
 * words for a blocked PIN, and what the CVR and the issuer's orders make of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import type { RsaPrivateKey } from '../issuer/index.ts';
import { CardSession, type Change, commandOf, cvrNames, KEYS, rsaKey } from './icc.test-kit.ts';

const RIGHT = '26123456FFFFFFFF';
const WRONG = '26123457FFFFFFFF';
const PIN_CARD = { request: { pin: '123456' } } as const;
const PERFORMED = 'Offline PIN verification performed';
const FAILED = 'Offline PIN verification failed';
const known = { atc: 6, lastOnlineAtc: 5 } as const;

const clear = (block: string) => commandOf('00200080', block);
const pinSession = (change: Change = {}) => new CardSession({ ...PIN_CARD, ...change }).start();

/** VERIFY with data that the terminal enciphered after its GET CHALLENGE. */
function enciphered(
  session: CardSession,
  parts: { block?: string; header?: string; key?: RsaPrivateKey; spoilt?: boolean } = {},
): string {
  const { block = RIGHT, header = '7F', key = KEYS.icc } = parts;
  const { data, sw } = session.send('0084000000');
  assert.equal(sw, '9000');
  const challenge = fromHex(data);
  if (parts.spoilt) challenge[7] = (challenge[7] ?? 0) ^ 1;
  const head = concatBytes(fromHex(header), fromHex(block), challenge);
  const padding = new Uint8Array(key.modulus.length - head.length).fill(0x33);
  const value = rsaRaw(key.modulus, key.publicExponent, concatBytes(head, padding));
  return session.send(commandOf('00200088', toHex(value))).sw;
}

test('a right clear PIN: 9000, full tries again, and the CVR says so (EMV 4.3 B3 §6.5.12)', () => {
  const session = pinSession({ state: { ...known, pinTryCounter: 1 } });
  assert.equal(session.send(clear(RIGHT)).sw, '9000');
  assert.equal(session.state.pinTryCounter, 3);
  const names = cvrNames(session.generate('80'));
  assert.ok(names.includes(PERFORMED) && !names.includes(FAILED));
});

test('a wrong PIN costs a try in the image at once; a right one after it clears the failure', () => {
  const session = pinSession({ state: known });
  assert.equal(session.send(clear(WRONG)).sw, '63C2');
  assert.equal(session.state.pinTryCounter, 2);
  assert.equal(session.send('80CA9F1700').data, '9F170102');
  assert.equal(session.send(clear(RIGHT)).sw, '9000');
  assert.ok(!cvrNames(session.generate('80')).includes(FAILED));
});

test('the last try: 63C0, then 6983; in the next transaction 6984 (EMV 4.3 B3 §10.5.1)', () => {
  const session = pinSession({ state: known, objects: { '9F52': 'E308' } });
  const words = [WRONG, WRONG, WRONG, RIGHT].map((block) => session.send(clear(block)).sw);
  assert.deepEqual(words, ['63C2', '63C1', '63C0', '6983']);
  const names = cvrNames(session.generate('80'));
  assert.ok(names.includes(FAILED) && names.includes('PIN Try Limit exceeded'));
  assert.equal(session.state.applicationBlocked, false, 'not ordered');
  session.start();
  assert.equal(session.send(clear(RIGHT)).sw, '6984');
  assert.equal(session.state.pinTryCounter, 0);
  assert.ok(!cvrNames(session.generate('80')).includes(PERFORMED));
});

test('ordered by 9F52, the last try blocks the application and ends with an advice', () => {
  const change = { state: { ...known, pinTryCounter: 1 }, objects: { '9F52': '0880' } };
  const session = pinSession(change);
  assert.equal(session.send(clear(WRONG)).sw, '63C0');
  assert.equal(session.state.applicationBlocked, true);
  const first = session.generate('80');
  assert.equal(first.cid, 0x0a, 'AAC, advice because of the PIN try limit');
  assert.ok(cvrNames(first).some((name) => name.startsWith('Application blocked by card')));
});

for (const [what, orders, cid] of [
  ['nothing', '0000', 0x40],
  ['go online', '0020', 0x80],
  ['decline', '0040', 0x00],
  ['decline and block', '0004', 0x00],
  ['decline with advice', '1040', 0x08],
] as const) {
  test(`tries used up earlier, 9F52 orders ${what}`, () => {
    const session = pinSession({
      state: { ...known, pinTryCounter: 0 },
      objects: { '9F52': orders },
    });
    assert.equal(session.generate('40').cid, cid);
    assert.equal(session.state.applicationBlocked, orders === '0004');
  });
}

for (const [why, command, sw] of [
  ['another P1', `0020018008${RIGHT}`, '6A86'],
  ['another P2', `0020008108${RIGHT}`, '6A86'],
  ['seven bytes', '00200080072612345FFFFFFF', '6700'],
  ['no data', '00200080', '6700'],
  ['enciphered without challenge', commandOf('00200088', '00'.repeat(128)), '6985'],
] as const) {
  test(`VERIFY refuses ${why} with ${sw} and counts no try`, () => {
    const session = pinSession();
    assert.equal(session.send(command).sw, sw);
    assert.equal(session.state.pinTryCounter, 3);
  });
}

test('the orders for used-up tries touch no card that has some, whatever was tried', () => {
  const change = { state: known, objects: { '9F52': '1870' } };
  assert.equal(pinSession(change).generate('40').cid, 0x40);
  const tried = pinSession(change);
  tried.send(clear(WRONG));
  assert.equal(tried.generate('00').cid, 0x08, 'an offline decline, for no reason of the PIN');
  const exceeded = pinSession({ ...change, state: { ...known, pinTryCounter: 1 } });
  exceeded.send(clear(WRONG));
  assert.equal(exceeded.generate('00').cid, 0x0a);
  const before = pinSession({ ...change, state: { ...known, pinTryCounter: 0 } });
  assert.equal(before.generate('00').cid, 0x08, 'exceeded, but not in this transaction');
});

test('VERIFY: between GPO and the first GENERATE AC only', () => {
  const session = new CardSession(PIN_CARD);
  session.send(commandOf('00A40400', session.application.aid));
  assert.equal(session.send(clear(RIGHT)).sw, '6985');
  session.start().generate('80');
  assert.equal(session.send(clear(RIGHT)).sw, '6985');
});

test('an enciphered PIN under the card key, header, block and challenge (EMV 4.3 B2 §7.2)', () => {
  const session = pinSession({ state: known });
  assert.equal(enciphered(session), '9000');
  assert.ok(cvrNames(session.generate('80')).includes(PERFORMED));
});

test('a card with a PIN key takes nothing under another one', () => {
  const pinKey = rsaKey(1024);
  const request = { pin: '123456', pinKey };
  const session = new CardSession({ request }).start();
  assert.equal(enciphered(session, { key: pinKey }), '9000');
  assert.equal(enciphered(session), '63C2');
});

for (const [what, parts] of [
  ['a wrong PIN', { block: WRONG }],
  ['another header', { header: '6A' }],
  ['another challenge', { spoilt: true }],
] as const) {
  test(`enciphered, ${what}: 63C2, and nobody learns which it was`, () => {
    const session = pinSession();
    assert.equal(enciphered(session, parts), '63C2');
    assert.equal(session.state.pinTryCounter, 2);
  });
}

test('a datum above the modulus is a wrong PIN, one of another length is 6700', () => {
  const session = pinSession();
  session.send('0084000000');
  assert.equal(session.send(commandOf('00200088', 'FF'.repeat(128))).sw, '63C2');
  session.send('0084000000');
  assert.equal(session.send(commandOf('00200088', '00'.repeat(127))).sw, '6700');
});

test('a challenge serves the very next command only', () => {
  const session = pinSession();
  session.send('0084000000');
  session.send('80CA9F3600');
  assert.equal(session.send(commandOf('00200088', '00'.repeat(128))).sw, '6985');
  assert.equal(session.send('0084010000').sw, '6A86');
  assert.equal(session.send('008400000101').sw, '6700');
});
