/**
 * Dynamic tokens at the issuer: accepted once and within the window, wrong ones refused without a
 * word, and no way from a token's cryptogram to a payment or back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, Secret, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import { applicationCryptogram, deriveSessionKey } from '@tapnpay/protocol/crypto';
import {
  TOKEN_BITMAP_DEFAULT,
  type TokenMode,
  tokenDataBytes,
  tokenDigits,
  tokenSignature,
  tokenTerminalValues,
} from '@tapnpay/protocol/emv/data';
import { assembleAcInput } from '@tapnpay/protocol/emv/issuer';
import { chipKeysOf, IssuerWorld, panOf } from './issuer.test-kit.ts';
import { MemoryIssuerStore } from './store-memory.ts';
import {
  TOKEN_FAILURES_MAX,
  TOKEN_FAILURES_PERIOD_MS,
  TOKEN_WINDOW,
  TokenVerifier,
} from './token.ts';
import { TOKEN_PROFILE } from './token-profile.ts';

const PLAIN: TokenMode = { mode: 'plain' };
const bitmap = fromHex(TOKEN_BITMAP_DEFAULT);

/** The token that the card of an account makes at a counter. */
function tokenOf(
  atc: number,
  mode: TokenMode = PLAIN,
  { account = 1, cvr = '03A00000', values = {} as Record<string, string> } = {},
): string {
  const issuerApplicationData = fromHex(`070101${cvr}01`);
  const input = new Map(tokenTerminalValues(mode));
  for (const [tag, hex] of Object.entries(values)) input.set(tag, fromHex(hex));
  input.set('82', fromHex('7C00'));
  input.set('9F36', uintToBytes(atc, 2));
  input.set('9F10', issuerApplicationData);
  const key = deriveSessionKey(chipKeysOf(panOf(account)).udkAc, uintToBytes(atc, 2));
  const made = applicationCryptogram(key, assembleAcInput(input));
  const cryptogram = mode.mode === 'sign' ? tokenSignature(made, tokenDataBytes(mode.data)) : made;
  return tokenDigits(bitmap, {
    cryptogramInformationData: 0x80,
    applicationTransactionCounter: uintToBytes(atc, 2),
    ...{ cryptogram, issuerApplicationData },
  });
}

async function opened() {
  const world = await IssuerWorld.open();
  const verifier = new TokenVerifier(world.ports, TOKEN_PROFILE);
  const ask = async (token: string, mode: TokenMode = PLAIN, account = 1) => {
    const pan = new Secret(panOf(account));
    const { verdict } = await verifier.verify({ pan, panSequenceNumber: '01', token, mode });
    return verdict;
  };
  return { world, verifier, ask };
}

test('a token of each mode is accepted once, whatever the card tells of its past', async () => {
  const { ask, world } = await opened();
  const challenge: TokenMode = { mode: 'challenge', challenge: '12345678' };
  const sign: TokenMode = { mode: 'sign', data: ['PAY 100.00', 'TO 6225880000000001'] };
  for (const [atc, mode] of [
    [3, PLAIN],
    [4, challenge],
    [5, sign],
  ] as const) {
    const token = tokenOf(atc, mode);
    assert.match(token, /^[0-9]{15}$/);
    assert.equal(await ask(token, mode), 'accepted');
    assert.equal(await ask(token, mode), 'refused', 'its counter is burnt');
  }
  assert.equal((await world.card()).atcHighest, 5);
  const withPast = tokenOf(6, PLAIN, { cvr: '03A04910' });
  assert.equal(await ask(withPast), 'accepted');
  assert.equal(await ask(tokenOf(2)), 'refused', 'a counter behind is no new token');
});

test('another challenge, other data, another mode or another card: refused', async () => {
  const { ask } = await opened();
  const challenge: TokenMode = { mode: 'challenge', challenge: '1' };
  const sign: TokenMode = { mode: 'sign', data: ['A', 'BC'] };
  assert.equal(await ask(tokenOf(1, challenge), { mode: 'challenge', challenge: '2' }), 'refused');
  assert.equal(await ask(tokenOf(1, sign), { mode: 'sign', data: ['AB', 'C'] }), 'refused');
  assert.equal(await ask(tokenOf(1, sign)), 'refused');
  assert.equal(await ask(tokenOf(1, PLAIN, { account: 2 })), 'refused');
  assert.equal(await ask(tokenOf(1, challenge), challenge), 'accepted');
});

test('a token that is none is malformed; cards that may not pay have no tokens', async () => {
  const { ask } = await opened();
  for (const token of ['', '123', '999999999999999', '12345678901234a', `${'0'.repeat(14)}-`]) {
    assert.equal(await ask(token), 'malformed', token);
  }
  assert.equal(await ask(tokenOf(1), { mode: 'challenge', challenge: '123456789' }), 'malformed');
  assert.equal(await ask(tokenOf(1), { mode: 'sign', data: [] }), 'malformed');
  assert.equal(await ask(tokenOf(1), { mode: 'sign', data: ['茶'] }), 'malformed');
  for (const account of [4, 8, 10]) {
    assert.equal(await ask(tokenOf(1, PLAIN, { account }), PLAIN, account), 'refused');
  }
  assert.equal(await ask(tokenOf(1), PLAIN, 999), 'refused', 'an unknown card looks the same');
});

test('the window ends: a counter too far ahead is refused, the last one in it is taken', async () => {
  const { ask } = await opened();
  assert.equal(await ask(tokenOf(TOKEN_WINDOW + 1)), 'refused');
  assert.equal(await ask(tokenOf(TOKEN_WINDOW)), 'accepted');
});

test('five wrong ones: the card is not looked at for a while, and the right one neither', async () => {
  const { ask, world } = await opened();
  for (let count = 0; count < TOKEN_FAILURES_MAX; count++) {
    assert.equal(await ask('000000000000001'), 'refused');
  }
  assert.equal(await ask(tokenOf(1)), 'blocked');
  assert.equal(await ask(tokenOf(1, PLAIN, { account: 2 }), PLAIN, 2), 'accepted', 'others go on');
  world.clock.set(world.clock.nowMs() + TOKEN_FAILURES_PERIOD_MS);
  assert.equal(await ask(tokenOf(1)), 'accepted');
});

test('a token’s cryptogram pays nothing, and its counter pays nothing after it', async () => {
  const { ask, world } = await opened();
  for (const signed of [{ '9F1A': '0000' }, { '9A': '000000' }] as const) {
    const answer = await world.send(world.purchase({ atc: 7, signed }));
    assert.deepEqual([answer?.code, answer?.reason], ['05', 'tokenCryptogram']);
  }
  assert.equal(await ask(tokenOf(8)), 'accepted');
  const replay = await world.send(world.purchase({ atc: 8 }));
  assert.deepEqual([replay?.code, replay?.reason], ['05', 'atcReplayed']);
});

test('a payment’s cryptogram is no token, and its counter no token’s', async () => {
  const { ask, world } = await opened();
  const { date } = { date: '261125' };
  const asPaid = { '9F1A': '0156', '9A': date, '9F02': '000000001234', '5F2A': '0156' };
  assert.equal(await ask(tokenOf(9, PLAIN, { values: asPaid })), 'refused');
  assert.equal((await world.send(world.purchase({ atc: 9 })))?.code, '00');
  assert.equal(await ask(tokenOf(9)), 'refused');
  assert.equal(await ask(tokenOf(10)), 'accepted');
});

test('of twenty at once one is accepted; an HSM that fails says nothing', async () => {
  const { ask, world } = await opened();
  world.hsmFault = 'verifyToken';
  await assert.rejects(ask(tokenOf(1)), { code: 'ERR_HSM_LOST' });
  world.hsmFault = null;
  const token = tokenOf(1);
  const verdicts = await Promise.all(Array.from({ length: 4 }, () => ask(token)));
  assert.equal(verdicts.filter((verdict) => verdict === 'accepted').length, 1);
  const store = new MemoryIssuerStore();
  assert.equal(await store.burnAtc('nobody', 1), false);
  assert.equal(toHex(bitmap), TOKEN_BITMAP_DEFAULT);
});
