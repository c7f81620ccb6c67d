/** UUID version 7 by RFC 9562 §5.7, from given time and randomness; configuration faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { commonConfigShape, parseConfig } from './config.ts';
import { uuidv7 } from './ids.ts';

test('RFC 9562 Appendix A.6: the example of version 7', () => {
  const clock = { nowMs: () => 0x017f22e279b0, startTimer: () => () => undefined };
  const random = {
    bytes: () => Uint8Array.of(0xcc, 0x31, 0x8c, 0x4d, 0xc0, 0xc0, 0xc0, 0x73, 0x98, 0x8f),
  };
  const id = uuidv7(clock, random);
  assert.match(id, /^017f22e2-79b0-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('identifiers of later milliseconds sort later', () => {
  const random = { bytes: (lengthBytes: number) => new Uint8Array(lengthBytes).fill(0xff) };
  const at = (nowMs: number) =>
    uuidv7({ nowMs: () => nowMs, startTimer: () => () => undefined }, random);
  const ids = [1, 2, 255, 256, 1_700_000_000_000, 1_700_000_000_001].map(at);
  assert.deepEqual([...ids].sort(), ids);
});

test('a configuration names its wrong fields and none of its values', () => {
  const schema = z.object(commonConfigShape);
  const good = {
    databaseUrl: 'postgres://tapnpay:x@127.0.0.1:1/postgres',
    schema: 'issuer',
    hsm: { port: 1, tokenHex: '00'.repeat(32) },
    dataDir: '/tmp',
  };
  assert.equal(parseConfig(schema, good).schema, 'issuer');
  const bad = { ...good, databaseUrl: 'mysql://secret', schema: 'Issuer; DROP', hsm: { port: 0 } };
  assert.throws(
    () => parseConfig(schema, bad),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_CONFIG');
      assert.match(error.message, /databaseUrl: .*schema: .*hsm\.port: .*hsm\.tokenHex: /s);
      assert.doesNotMatch(error.message, /secret|DROP/);
      return true;
    },
  );
});
