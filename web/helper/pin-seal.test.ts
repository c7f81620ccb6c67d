/** Shows that only the holder of the payment's key opens the PIN, and that no digit stays behind. */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, type KeyObject, privateDecrypt } from 'node:crypto';
import { test } from 'node:test';
import { createPinEntry, type PinEntry, pressPinKey } from './pin-entry.ts';
import { PinSealError, sealPin } from './pin-seal.ts';

function typed(text: string): PinEntry {
  const entry = createPinEntry();
  for (const digit of text) pressPinKey(entry, { key: 'digit', digit: Number(digit) });
  return entry;
}

function spkiOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('hex').toUpperCase();
}

test('the element opens the seal with OAEP SHA-256 and finds the digits alone', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  for (const pin of ['1234', '123456', '000000000000']) {
    const entry = typed(pin);
    const sealed = await sealPin(entry, spkiOf(publicKey));
    assert.match(sealed, /^[0-9A-F]{512}$/);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const options = { key: privateKey, padding, oaepHash: 'sha256' };
    assert.equal(privateDecrypt(options, Buffer.from(sealed, 'hex')).toString('latin1'), pin);
    assert.ok(entry.digits.every((byte) => byte === 0) && entry.length === 0);
  }
});

test('two seals of one PIN differ', async () => {
  const spki = spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey);
  assert.notEqual(await sealPin(typed('123456'), spki), await sealPin(typed('123456'), spki));
});

test('a key that is none, another kind, or too short seals nothing and the digits are wiped', async () => {
  const short = spkiOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey);
  const curve = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
  for (const spki of ['', 'zz', '3000', curve, short]) {
    const entry = typed('123456');
    await assert.rejects(sealPin(entry, spki), PinSealError);
    assert.ok(entry.digits.every((byte) => byte === 0) && entry.length === 0);
  }
});
