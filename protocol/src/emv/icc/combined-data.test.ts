/**
 * Shows CDA and the two answer formats: the signature inside GENERATE AC, opened and hashed as a
 * terminal does it, over everything that both sides said.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import { type Ac, CardSession, cvrNames, KEYS, TERMINAL } from './icc.test-kit.ts';

const CDA = { request: { dataAuthentication: ['DDA', 'CDA'] } } as const;
const KNOWN = { atc: 6, lastOnlineAtc: 5 } as const;
const CDOL1 = '9F02069F03069F1A0295055F2A029A039C019F37049F21039F4E14';
const CDOL2 = '8A029F02069F03069F1A0295055F2A029A039C019F3704';

/** ICC dynamic data of a signature, its own hash checked. @see EMV 4.3 B2 §6.6.2 */
function opened(signature: Uint8Array): Uint8Array {
  const plain = rsaRaw(KEYS.icc.modulus, KEYS.icc.publicExponent, signature);
  assert.equal(toHex(plain.slice(0, 3)), '6A0501');
  assert.equal(plain.at(-1), 0xbc);
  const covered = concatBytes(plain.slice(1, -21), fromHex(TERMINAL['9F37'] ?? ''));
  assert.deepEqual(plain.slice(-21, -1), nodeCiphers.sha1(covered));
  return plain.slice(4, 4 + (plain[3] ?? 0));
}

/** The hash over lists and answer that CDA signs. @see EMV 4.3 B2 §6.6.1 */
function transactionHash(session: CardSession, ac: Ac, lists: readonly string[]): string {
  const said = lists.map((list) => session.dol(list, TERMINAL)).join('');
  const answered = ['9F27', '9F36', '9F10'].map((tag) =>
    encodeTlv(tag, ac.objects.get(tag) ?? new Uint8Array(0)),
  );
  return toHex(nodeCiphers.sha1(concatBytes(fromHex(said), ...answered)));
}

test('CDA of both calls: number, CID, cryptogram and hash inside 9F4B (EMV 4.3 B2 §6.6.1)', () => {
  const session = new CardSession(CDA).start();
  const first = session.generate('90');
  assert.deepEqual([...first.objects.keys()], ['9F27', '9F36', '9F4B', '9F10']);
  const inside = opened(first.objects.get('9F4B') ?? fromHex(''));
  assert.equal(inside[0], 8);
  assert.equal(inside[9], 0x80);
  const arqc = inside.slice(10, 18);
  assert.equal(toHex(arqc), session.issuerCryptogram(first));
  assert.equal(toHex(inside.slice(18)), transactionHash(session, first, ['9F1A025F2A02', CDOL1]));
  assert.ok(cvrNames(first).includes('Offline dynamic data authentication performed'));
  session.arqc = arqc;
  assert.equal(session.externalAuthenticate(), '9000');
  const second = session.generate('50');
  assert.equal(second.cid, 0x40);
  const tc = opened(second.objects.get('9F4B') ?? fromHex(''));
  assert.equal(toHex(tc.slice(10, 18)), session.issuerCryptogram(second));
  const lists = ['9F1A025F2A02', CDOL1, CDOL2];
  assert.equal(toHex(tc.slice(18)), transactionHash(session, second, lists));
});

test('an offline approval is signed too, a decline never (EMV 4.3 B2 §6.6.1)', () => {
  const approved = new CardSession({ ...CDA, state: KNOWN }).start().generate('50');
  assert.equal(approved.cid, 0x40);
  assert.ok(approved.objects.has('9F4B'));
  const declined = new CardSession({ ...CDA, state: KNOWN }).start().generate('10');
  assert.equal(declined.cid, 0x00);
  assert.equal(declined.objects.has('9F4B'), false);
  assert.equal(declined.ac.length, 8);
});

test('a card of CDA that is not asked for it answers as ever', () => {
  const session = new CardSession(CDA).start();
  const first = session.generate('80');
  assert.equal(toHex(first.ac), session.issuerCryptogram(first));
});

test('a card without CDA, or without its key, refuses the request: 6A86', () => {
  assert.equal(new CardSession().start().generate('90').sw, '6A86');
  const keyless = { ...CDA, dgis: { '8103': '' } };
  assert.equal(new CardSession(keyless).start().generate('90').sw, '6A86');
  assert.equal(new CardSession(keyless).start().send('00880000047863AFC600').sw, '6985');
});

test('personalised with template 77, GPO, INTERNAL AUTHENTICATE and GENERATE AC answer in it', () => {
  const afl = '080101001001020118010400';
  const options = `771282027800940C${afl}`;
  const session = new CardSession({ dgis: { '9104': options } });
  session.send('00A4040008A000000333010101');
  assert.equal(session.send(session.gpo()).data, options);
  const signed = session.send('00880000047863AFC600').data;
  assert.match(signed, /^7781849F4B8180/);
  const first = session.generate('80');
  assert.deepEqual([...first.objects.keys()], ['9F27', '9F36', '9F26', '9F10']);
  assert.equal(first.ac.length, 8);
});

test('personalised with template 80, GPO answers the same as bare', () => {
  const bare = new CardSession().application.dgis['9104'] ?? '';
  const length = (bare.length / 2).toString(16).padStart(2, '0').toUpperCase();
  const session = new CardSession({ dgis: { '9104': `80${length}${bare}` } });
  session.send('00A4040008A000000333010101');
  assert.equal(session.send(session.gpo()).data, `80${length}${bare}`);
});
