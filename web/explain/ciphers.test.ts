/** The browser's ciphers give what Node's give, over random data, and refuse what those refuse. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { browserCiphers } from './ciphers.ts';

const random = (lengthBytes: number): Uint8Array => new Uint8Array(randomBytes(lengthBytes));

test('digests and HMAC agree for every length around the block sizes', () => {
  for (const length of [0, 1, 3, 55, 56, 63, 64, 65, 127, 128, 500]) {
    const data = random(length);
    for (const name of ['sha1', 'sha256', 'sm3'] as const) {
      assert.deepEqual(browserCiphers[name](data), nodeCiphers[name](data), `${name} ${length}`);
    }
    const key = random(length % 100);
    assert.deepEqual(browserCiphers.hmacSha256(key, data), nodeCiphers.hmacSha256(key, data));
  }
});

test('AES and SM4 in ECB agree in both directions', () => {
  for (const blocks of [16, 32, 160]) {
    const data = random(blocks);
    for (const size of [16, 24, 32]) {
      const key = random(size);
      const sealed = nodeCiphers.aesEcbEncrypt(key, data);
      assert.deepEqual(browserCiphers.aesEcbEncrypt(key, data), sealed);
      assert.deepEqual(browserCiphers.aesEcbDecrypt(key, sealed), data);
    }
    const key = random(16);
    const sealed = nodeCiphers.sm4EcbEncrypt(key, data);
    assert.deepEqual(browserCiphers.sm4EcbEncrypt(key, data), sealed);
    assert.deepEqual(browserCiphers.sm4EcbDecrypt(key, sealed), data);
  }
});

test('wrong sizes are refused with the same codes', () => {
  for (const [key, data] of [
    [15, 16],
    [16, 15],
    [16, 0],
  ] as const) {
    for (const name of ['aesEcbEncrypt', 'sm4EcbDecrypt'] as const) {
      const codeOf = (ciphers: typeof nodeCiphers): unknown => {
        try {
          ciphers[name](random(key), random(data));
        } catch (thrown) {
          return (thrown as { readonly code?: unknown }).code;
        }
        return null;
      };
      assert.equal(codeOf(browserCiphers), codeOf(nodeCiphers));
      assert.notEqual(codeOf(browserCiphers), null);
    }
  }
});
