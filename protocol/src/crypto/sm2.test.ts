/**
 * SM2 against the example of the standard on the recommended curve, and every way a key or a
 * signature can be wrong; what Node's own signing gives is shown to be something else.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, sign as nodeSign } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers, systemRandom } from '../../node/index.ts';
import { asciiToBytes, concatBytes, fromHex, TapError, toHex } from '../bytes/index.ts';
import {
  isSm2PublicKey,
  sm2Digest,
  sm2KeyPair,
  sm2PublicKey,
  sm2Sign,
  sm2Verify,
  sm2Z,
} from './index.ts';

/** @see GM/T 0003 part 5, annex A */
const EXAMPLE = {
  privateKey: fromHex('3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8'),
  publicKey: fromHex(
    '09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020' +
      'CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13',
  ),
  message: asciiToBytes('message digest'),
  z: 'B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3',
  digest: 'F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640',
  nonce: '59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21',
  signature:
    'F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3' +
    'B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA',
};
const ORDER = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;
const bytes32 = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0'));
const fixed = (...values: readonly string[]) => {
  const left = [...values];
  return { bytes: () => fromHex(left.length > 1 ? `${left.shift()}` : `${left[0]}`) };
};
const isSm2Error = (thrown: unknown): boolean =>
  thrown instanceof TapError && thrown.code === 'ERR_CRYPTO_SM2';

test('GM/T 0003 part 5 annex A: public key, Z, digest and signature of the example', () => {
  const { privateKey, publicKey, message } = EXAMPLE;
  assert.deepEqual(sm2PublicKey(privateKey), publicKey);
  assert.equal(toHex(sm2Z(nodeCiphers, { publicKey })), EXAMPLE.z);
  assert.equal(toHex(sm2Digest(nodeCiphers, { publicKey, message })), EXAMPLE.digest);
  const random = fixed(EXAMPLE.nonce);
  const signature = sm2Sign(nodeCiphers, { privateKey, message, random });
  assert.equal(toHex(signature), EXAMPLE.signature);
  assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature }), true);
});

test('GM/T 0003 part 2 §7.1: one bit of message, key, r, s or another user refuses', () => {
  const { publicKey, message } = EXAMPLE;
  const signature = fromHex(EXAMPLE.signature);
  const right = { publicKey, message, signature };
  const flip = (bytes: Uint8Array, at: number) =>
    bytes.map((value, index) => (index === at ? value ^ 0x01 : value));
  for (const wrong of [
    { message: flip(message, 3) },
    { message: new Uint8Array(0) },
    { publicKey: flip(publicKey, 63) },
    { publicKey: sm2PublicKey(bytes32(7n)) },
    { signature: flip(signature, 0) },
    { signature: flip(signature, 40) },
    { userId: 'ALICE123@YAHOO.COM' },
  ]) {
    assert.equal(sm2Verify(nodeCiphers, { ...right, ...wrong }), false, JSON.stringify(wrong));
  }
});

test('GM/T 0003 part 2 §7.1: what is no signature is refused and nothing is thrown', () => {
  const { publicKey, message } = EXAMPLE;
  const whole = fromHex(EXAMPLE.signature);
  const r = whole.slice(0, 32);
  const rNumber = BigInt(`0x${toHex(r)}`);
  for (const signature of [
    new Uint8Array(0),
    whole.slice(1),
    concatBytes(whole, Uint8Array.of(0)),
    concatBytes(bytes32(0n), whole.slice(32)),
    concatBytes(r, bytes32(0n)),
    concatBytes(bytes32(ORDER), whole.slice(32)),
    concatBytes(r, bytes32(ORDER)),
    concatBytes(r, bytes32(ORDER - rNumber)),
    new Uint8Array(64).fill(0xff),
  ]) {
    assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature }), false);
  }
  for (const key of [new Uint8Array(64), new Uint8Array(64).fill(0xff), publicKey.slice(1)]) {
    assert.equal(isSm2PublicKey(key), false);
    assert.equal(sm2Verify(nodeCiphers, { publicKey: key, message, signature: whole }), false);
  }
  assert.equal(isSm2PublicKey(publicKey), true);
});

test('GM/T 0003 part 1 §6.1: a private key is 1 to n - 2', () => {
  for (const value of [0n, ORDER - 1n, ORDER]) {
    assert.throws(() => sm2PublicKey(bytes32(value)), isSm2Error);
  }
  assert.throws(() => sm2PublicKey(new Uint8Array(31).fill(1)), isSm2Error);
  assert.equal(isSm2PublicKey(sm2PublicKey(bytes32(ORDER - 2n))), true);
});

test('a random number outside its range is thrown away, a broken source is told', () => {
  const { privateKey, message } = EXAMPLE;
  const random = fixed(toHex(bytes32(ORDER)), '00'.repeat(32), EXAMPLE.nonce);
  const signature = sm2Sign(nodeCiphers, { privateKey, message, random });
  assert.equal(toHex(signature), EXAMPLE.signature);
  const broken = fixed('00'.repeat(32));
  assert.throws(() => sm2Sign(nodeCiphers, { privateKey, message, random: broken }), isSm2Error);
  assert.throws(() => sm2KeyPair(broken), isSm2Error);
});

test('a fresh key signs and is verified, with its own user identity too', () => {
  const { privateKey, publicKey } = sm2KeyPair(systemRandom);
  const message = systemRandom.bytes(200);
  const userId = 'bank';
  const signature = sm2Sign(nodeCiphers, { privateKey, message, random: systemRandom, userId });
  assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature, userId }), true);
  assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature }), false);
  const endless = { publicKey, message, signature, userId: 'x'.repeat(8192) };
  assert.throws(() => sm2Verify(nodeCiphers, endless), isSm2Error);
});

test("Node's sign('sm3') is ECDSA with a key made by Node: no user identity verifies it", () => {
  const made = generateKeyPairSync('ec', { namedCurve: 'SM2' });
  const spki = new Uint8Array(made.publicKey.export({ format: 'der', type: 'spki' }));
  const publicKey = spki.slice(-64);
  assert.equal(isSm2PublicKey(publicKey), true);
  const { message } = EXAMPLE;
  const signature = plainSignature(new Uint8Array(nodeSign('sm3', message, made.privateKey)));
  for (const userId of ['1234567812345678', '']) {
    assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature, userId }), false);
  }
});

test("Node's sign('sm3') with an imported key is SM2 of an empty user, not of the default one", () => {
  const { privateKey, publicKey, message } = EXAMPLE;
  // SEC 1 key of curve 1.2.156.10197.1.301.
  const sec1 = concatBytes(
    fromHex('30770201010420'),
    privateKey,
    fromHex('A00A06082A811CCF5501822DA14403420004'),
    publicKey,
  );
  const key = createPrivateKey({ key: Buffer.from(sec1), format: 'der', type: 'sec1' });
  const signature = plainSignature(new Uint8Array(nodeSign('sm3', message, key)));
  assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature }), false);
  // OpenSSL as the second implementation.
  assert.equal(sm2Verify(nodeCiphers, { publicKey, message, signature, userId: '' }), true);
});

/** r ‖ s of a DER sequence of two integers. */
function plainSignature(der: Uint8Array): Uint8Array {
  const rLength = der[3] ?? 0;
  const integer = (at: number, length: number) => toHex(der.slice(at, at + length));
  const s = 4 + rLength + 2;
  const parts = [integer(4, rLength), integer(s, der[s - 1] ?? 0)];
  return fromHex(parts.map((part) => part.slice(-64).padStart(64, '0')).join(''));
}
