/** Shows the bounds of the list of pairings, and what becomes of a spoilt one. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemRandom } from '../system.ts';
import type { AgentLogRecord } from './events.ts';
import { PAIRED_MAX, Pairing } from './pairing.ts';
import { GATEWAY, HandClock } from './service.test-kit.ts';

const root = mkdtempSync(join(tmpdir(), 'tapnpay-pairing-'));
after(() => rmSync(root, { recursive: true }));
const log: AgentLogRecord[] = [];
const open = (directory: string) =>
  new Pairing({
    directory,
    gatewayOrigins: [GATEWAY],
    clock: new HandClock(),
    random: systemRandom,
    log: (record) => log.push(record),
  });
const codeIn = (directory: string) => readFileSync(join(directory, 'pairing-code'), 'utf8').trim();

test('the oldest pairing is forgotten for a new one', () => {
  const directory = mkdtempSync(join(root, 'many-'));
  const pairing = open(directory);
  const ask = { code: codeIn(directory), origin: null };
  const cookies = Array.from({ length: PAIRED_MAX + 1 }, () => pairing.grant(ask, null).cookie);
  assert.equal(pairing.isBrowser(cookies[0] ?? null), false);
  assert.equal(pairing.isBrowser(cookies[1] ?? null), true);
  assert.equal(pairing.isBrowser(cookies.at(-1) ?? null), true);
  const reopened = open(directory);
  assert.deepEqual(
    cookies.map((cookie) => reopened.isBrowser(cookie)),
    cookies.map((_, index) => index > 0),
  );
});

test('a spoilt list pairs nobody: people pair again', () => {
  for (const text of ['{', '{}', '{"version":1,"paired":[{"digest":"","origin":null}]}', '']) {
    const directory = mkdtempSync(join(root, 'spoilt-'));
    const before = open(directory);
    const code = codeIn(directory);
    const { cookie } = before.grant({ code, origin: null }, null);
    writeFileSync(join(directory, 'paired.json'), text);
    const pairing = open(directory);
    assert.equal(pairing.isBrowser(cookie), false);
    assert.ok(log.some(({ event }) => event === 'pairingsLost'));
    const again = pairing.grant({ code, origin: GATEWAY }, null);
    assert.equal(open(directory).isPage(again.token, GATEWAY), true);
  }
});

test('a spoilt code is replaced by a new one', () => {
  const directory = mkdtempSync(join(root, 'code-'));
  writeFileSync(join(directory, 'pairing-code'), 'AAAA\n');
  open(directory);
  assert.match(codeIn(directory), /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
});

test('an empty code, token or cookie is no right', () => {
  const directory = mkdtempSync(join(root, 'empty-'));
  const pairing = open(directory);
  assert.throws(() => pairing.grant({ code: '', origin: GATEWAY }, null), {
    code: 'ERR_PAIRING_CODE',
  });
  assert.equal(pairing.isBrowser(''), false);
  assert.equal(pairing.isPage('', GATEWAY), false);
});

test('tokens, however many pages ask for, push no browser out', () => {
  const directory = mkdtempSync(join(root, 'tokens-'));
  const pairing = open(directory);
  const { cookie } = pairing.grant({ code: codeIn(directory), origin: null }, null);
  // Any web page may open our window again and again in the name of a gateway.
  const ask = { code: null, origin: GATEWAY };
  const tokens = Array.from({ length: PAIRED_MAX + 1 }, () => pairing.grant(ask, cookie).token);
  for (const known of [pairing, open(directory)]) {
    assert.equal(known.isBrowser(cookie), true);
    assert.equal(known.isPage(tokens[0] ?? null, GATEWAY), false, 'the oldest token is forgotten');
    assert.equal(known.isPage(tokens[1] ?? null, GATEWAY), true);
  }
});
