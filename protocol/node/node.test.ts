/** Node's ciphers, clock and randomness keep the contracts of their interfaces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, fromHex, toHex } from '../src/bytes/index.ts';
import { CIPHER_CONTEXTS_MAX, nodeCiphers, systemClock, systemRandom } from './index.ts';

const KEY = fromHex('000102030405060708090A0B0C0D0E0F');
const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;

test('FIPS 197 appendix C: AES of all three key lengths, and back', () => {
  const plain = fromHex('00112233445566778899AABBCCDDEEFF');
  const ciphers = [
    '69C4E0D86A7B0430D8CDB78070B4C55A',
    'DDA97CA4864CDFE06EAF70A0EC0D7191',
    '8EA2B7CA516745BFEAFC49904B496089',
  ];
  ciphers.forEach((cipher, index) => {
    const key = Uint8Array.from({ length: 16 + 8 * index }, (_, at) => at);
    for (let repeat = 0; repeat < 3; repeat++) {
      assert.equal(toHex(nodeCiphers.aesEcbEncrypt(key, plain)), cipher);
      assert.equal(toHex(nodeCiphers.aesEcbDecrypt(key, fromHex(cipher))), toHex(plain));
    }
  });
});

test('digests and HMAC of published messages', () => {
  const abc = asciiToBytes('abc');
  assert.equal(toHex(nodeCiphers.sha1(abc)), 'A9993E364706816ABA3E25717850C26C9CD0D89D');
  assert.equal(
    toHex(nodeCiphers.sha256(abc)),
    'BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD',
  );
  const hmac = nodeCiphers.hmacSha256(
    asciiToBytes('Jefe'),
    asciiToBytes('what do ya want for nothing?'),
  );
  assert.equal(toHex(hmac), '5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843');
});

test('a refused call leaves the kept context right, and more keys than contexts work', () => {
  const block = new Uint8Array(16);
  const before = nodeCiphers.aesEcbEncrypt(KEY, block);
  for (const lengthBytes of [0, 15, 17]) {
    const data = new Uint8Array(lengthBytes);
    assert.throws(() => nodeCiphers.aesEcbEncrypt(KEY, data), code('ERR_CRYPTO_DATA_LENGTH'));
    assert.throws(() => nodeCiphers.sm4EcbEncrypt(KEY, data), code('ERR_CRYPTO_DATA_LENGTH'));
  }
  const short = new Uint8Array(8);
  assert.throws(() => nodeCiphers.aesEcbDecrypt(short, block), code('ERR_CRYPTO_KEY_LENGTH'));
  const long = new Uint8Array(32);
  assert.throws(() => nodeCiphers.sm4EcbEncrypt(long, block), code('ERR_CRYPTO_KEY_LENGTH'));
  for (let index = 0; index <= CIPHER_CONTEXTS_MAX; index++) {
    const key = KEY.slice();
    new DataView(key.buffer).setUint16(0, index);
    nodeCiphers.aesEcbEncrypt(key, block);
  }
  assert.deepEqual(nodeCiphers.aesEcbEncrypt(KEY, block), before);
  assert.equal(before.constructor, Uint8Array);
});

test('the clock runs and cancels timers; randomness has the asked length', async () => {
  assert.ok(systemClock.nowMs() > 1_600_000_000_000);
  const fired: string[] = [];
  const cancel = systemClock.startTimer(1, () => fired.push('cancelled'));
  cancel();
  cancel();
  await new Promise<void>((resolve) => {
    systemClock.startTimer(-5, () => fired.push('at once'));
    systemClock.startTimer(5, resolve);
  });
  assert.deepEqual(fired, ['at once']);
  assert.equal(systemRandom.bytes(0).length, 0);
  assert.notDeepEqual(systemRandom.bytes(16), systemRandom.bytes(16));
});
