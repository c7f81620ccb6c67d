/** The issuer's door for tokens: who may ask, what is no question, and that no card number leaks. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TapError } from '@tapnpay/protocol/bytes';
import { countingRandom, panOf } from './issuer.test-kit.ts';
import type { TokenQuestion, TokenVerdict } from './token.ts';
import { openTokenKey, serveTokens, TOKEN_PATH } from './token-server.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-token-'));
const key = openTokenKey(dataDir, countingRandom());
const asked: TokenQuestion[] = [];
const log: unknown[] = [];
let next: TokenVerdict | TapError = { verdict: 'refused' };
const server = await serveTokens({
  ...{ port: 0, key },
  verifier: {
    verify: async (question) => {
      asked.push(question);
      if (next instanceof TapError) throw next;
      return next;
    },
  },
  log: (record) => log.push(record),
});
after(async () => {
  await server.close();
  rmSync(dataDir, { recursive: true });
});

const good = { pan: panOf(1), token: '12345678901234', mode: { mode: 'plain' } };

async function ask(body: unknown, change: RequestInit = {}) {
  const response = await fetch(`http://127.0.0.1:${server.port}${TOKEN_PATH}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...change,
  });
  return [response.status, await response.json()] as const;
}

test('a verdict and nothing else comes back; the counter stays inside', async () => {
  next = { verdict: 'accepted', atc: 7 };
  assert.deepEqual(await ask(good), [200, { verdict: 'accepted' }]);
  assert.equal(asked.at(-1)?.panSequenceNumber, '01');
  next = { verdict: 'blocked' };
  assert.deepEqual(await ask(good), [200, { verdict: 'blocked' }]);
});

test('the key is for its owner only, stays the same, and is asked for', async () => {
  const path = join(dataDir, 'issuer', 'token-key');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(openTokenKey(dataDir, countingRandom()), key);
  for (const authorization of ['', 'Bearer', `Bearer ${key}0`, key, 'Bearer wrong']) {
    const [status] = await ask(good, { headers: { authorization } });
    assert.equal(status, 401);
  }
  assert.equal((await ask(good, { headers: {} }))[0], 401);
});

test('what is no question is refused before anybody looks', async () => {
  const before = asked.length;
  for (const [body, fieldPath] of [
    ['no JSON', ''],
    [[], ''],
    [{ ...good, pan: '123' }, 'pan'],
    [{ ...good, pan: `${panOf(1).slice(0, -1)}${(Number(panOf(1).slice(-1)) + 1) % 10}` }, 'pan'],
    [{ ...good, token: '12x' }, 'token'],
    [{ ...good, mode: { mode: 'challenge', challenge: '123456789' } }, 'mode.challenge'],
    [{ ...good, mode: { mode: 'other' } }, 'mode.mode'],
    [{ ...good, more: 1 }, ''],
  ] as const) {
    assert.deepEqual(await ask(body), [400, { code: 'ERR_REQUEST', fieldPath }]);
  }
  assert.equal((await ask(JSON.stringify({ ...good, token: '1'.repeat(5_000) })))[0], 413);
  assert.equal((await ask(null, { method: 'GET', body: null }))[0], 405);
  const elsewhere = await fetch(`http://127.0.0.1:${server.port}/`);
  assert.equal(elsewhere.status, 404);
  assert.equal(asked.length, before);
});

test('a store or HSM that fails: 503, its code in the log, no verdict', async () => {
  next = new TapError('ERR_HSM_LOST', `lost at ${panOf(1)}`);
  assert.deepEqual(await ask(good), [503, { code: 'ERR_TOKEN_UNAVAILABLE' }]);
  assert.deepEqual(log, [{ event: 'tokenVerificationFailed', code: 'ERR_HSM_LOST' }]);
});
