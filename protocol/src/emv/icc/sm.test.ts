/**
 * Shows the SM path: SM4 cryptograms, answers and scripts, SM2 signatures of DDA, CDA and a tap, and
 * how a card with both algorithms chooses by DF69. @see PBOC3 P17
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { sm4ApplicationCryptogram, sm4CbcMac } from '../../crypto/index.ts';
import { decodeTlv, encodeTlv, findTlv, flattenTlv } from '../../iso7816/index.ts';
import {
  decodeIad,
  type IccImage,
  verifySmCombinedDynamicData,
  verifySmDynamicData,
} from '../data/index.ts';
import { CardSession, cardOf, commandOf, imageOf, send, TERMINAL } from './icc.test-kit.ts';
import { SM_CARD_PUBLIC_KEY, smRequest } from './sample.test-card.ts';

const ONLY = {
  request: smRequest(nodeCiphers, {
    isOnly: true,
    dataAuthentication: ['DDA', 'CDA'],
    pin: '123456',
  }),
};
const BOTH = { request: smRequest(nodeCiphers, { isOnly: false, dataAuthentication: ['DDA'] }) };
const NUMBER = fromHex(TERMINAL['9F37'] ?? '');
const CDOL1 = '9F02069F03069F1A0295055F2A029A039C019F37049F21039F4E14';

test('an online purchase under SM4: ARQC, ARPC and TC as the issuer computes them', () => {
  const session = new CardSession(ONLY).start();
  const first = session.generate('80');
  assert.equal(first.cid, 0x80);
  assert.equal(decodeIad(first.iad).algorithm, 0x04);
  assert.equal(toHex(first.ac), session.issuerCryptogram(first));
  assert.equal(session.externalAuthenticate(), '9000');
  const second = session.generate('40');
  assert.equal(second.cid, 0x40);
  assert.equal(toHex(second.ac), session.issuerCryptogram(second));
});

test('an ARPC under SM4 that is wrong by one bit: 6300', () => {
  const session = new CardSession(ONLY).start();
  session.generate('80');
  const wrong = fromHex(session.arpc());
  assert.equal(session.externalAuthenticate(toHex(wrong.with(7, (wrong[7] ?? 0) ^ 1))), '6300');
});

test('scripts under SM4: MAC, PIN change; one wrong bit is 6988', () => {
  const session = new CardSession(ONLY).start();
  session.generate('80');
  assert.equal(session.brokenScript('04DA9F58', '09'), '6988');
  assert.equal(session.script('04DA9F58', '09'), '9000');
  assert.equal(session.script('84240002', session.pinChangeData('241357FFFFFFFFFF')), '9000');
  assert.equal(session.application.dgis['8010'], '241357FFFFFFFFFF');
});

test('DDA under SM2 covers the terminal number', () => {
  const session = new CardSession(ONLY).start();
  const { data, sw } = session.send('00880000047863AFC600');
  assert.equal(sw, '9000');
  const signature = findTlv(decodeTlv(fromHex(data)), '80')?.value ?? fromHex('');
  const facts = { iccKey: SM_CARD_PUBLIC_KEY, signature };
  const opened = verifySmDynamicData(nodeCiphers, { ...facts, terminalData: NUMBER });
  assert.equal(opened.ok, true);
  const other = verifySmDynamicData(nodeCiphers, { ...facts, terminalData: fromHex('00000000') });
  assert.equal(other.ok, false);
});

test('CDA under SM2 holds cryptogram and SM3 hash', () => {
  const session = new CardSession(ONLY).start();
  const first = session.generate('90');
  const signature = first.objects.get('9F4B') ?? fromHex('');
  const answered = ['9F27', '9F36', '9F10'].map((tag) =>
    encodeTlv(tag, first.objects.get(tag) ?? fromHex('')),
  );
  const said = fromHex(
    session.dol(session.object('9F38'), TERMINAL) + session.dol(CDOL1, TERMINAL),
  );
  const opened = verifySmCombinedDynamicData(nodeCiphers, {
    iccKey: SM_CARD_PUBLIC_KEY,
    signature,
    unpredictableNumber: NUMBER,
    transactionData: concatBytes(said, ...answered),
    cryptogramInformationData: 0x80,
  });
  assert.equal(opened.ok, true);
  assert.equal(opened.ok && toHex(opened.applicationCryptogram), session.issuerCryptogram(first));
});

/** GPO values of a tap, DF69 last. */
function tap(image: IccImage, sm: '00' | '01'): ReadonlyMap<string, Uint8Array> {
  const card = cardOf(image, 'contactless');
  assert.equal(send(card, '00A4040008A000000333010101').sw, '9000');
  const values = `37800080000000001234000000000000015600000000000156260701007863AFC6${sm}`;
  const { data, sw } = send(card, commandOf('80A80000', `8322${values}`, '00'));
  assert.equal(sw, '9000');
  const objects = flattenTlv(decodeTlv(fromHex(data)));
  const afl = objects.get('94') ?? fromHex('');
  const sfi = (afl[0] ?? 0) >> 3;
  const records = [1, 2, 3, 4, 5].map((record) => {
    const p2 = ((sfi << 3) | 4).toString(16).padStart(2, '0');
    return [...flattenTlv(decodeTlv(fromHex(send(card, `00B20${record}${p2}00`).data)))];
  });
  return new Map([...objects, ...records.flat()]);
}

test('a card with both: DF69 chooses keys, AFL and signature; nothing said, 3DES and RSA', () => {
  const image = imageOf(BOTH);
  const rsa = tap(image, '00');
  assert.equal(decodeIad(rsa.get('9F10') ?? fromHex('')).algorithm, 0x01);
  assert.equal(rsa.get('9F4B')?.length, 128);
  const sm = tap(image, '01');
  assert.equal(decodeIad(sm.get('9F10') ?? fromHex('')).algorithm, 0x04);
  assert.notDeepEqual(sm.get('94'), rsa.get('94'));
  const signature = sm.get('9F4B') ?? fromHex('');
  const related = sm.get('9F69') ?? fromHex('');
  const terminalData = concatBytes(NUMBER, fromHex('0000000012340156'), related);
  const opened = verifySmDynamicData(nodeCiphers, {
    iccKey: SM_CARD_PUBLIC_KEY,
    signature,
    terminalData,
  });
  assert.equal(opened.ok, true);
});

test('a card with both, by contact: SM4 or 3DES in 9F10', () => {
  for (const [indicator, algorithm] of [
    ['01', 0x04],
    ['00', 0x01],
  ] as const) {
    const session = new CardSession(BOTH).start({ DF69: indicator });
    assert.equal(decodeIad(session.generate('80').iad).algorithm, algorithm);
  }
});

test('the SM4 cryptogram of a tap covers what CVN 17 says', () => {
  const values = tap(imageOf(ONLY), '01');
  const { dgis } = imageOf(ONLY).applications[0] ?? { dgis: {} };
  const udk = fromHex((dgis as Record<string, string>)['8001'] ?? '').slice(0, 16);
  const block = fromHex('0000000000000001000000000000FFFE');
  const key = nodeCiphers.sm4EcbEncrypt(udk, block);
  const cvr = toHex(values.get('9F10') ?? fromHex('')).slice(8, 10);
  const input = fromHex(`0000000012347863AFC60001${cvr}`);
  assert.equal(
    toHex(values.get('9F26') ?? fromHex('')),
    toHex(sm4ApplicationCryptogram(nodeCiphers, key, input)),
  );
  assert.equal(
    toHex(sm4CbcMac(nodeCiphers, key, input)).slice(0, 16),
    toHex(values.get('9F26') ?? fromHex('')),
  );
});
