/**
 * The whole system in its real processes: a past payment proved offline, a copied element found and
 * locked, parameters that every element takes at its next contact, code that is revoked, and a
 * dynamic token from the sandboxed application that the issuer accepts once.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { TokenWish } from '@tapnpay/protocol/wire';
import { startElement } from '../agent/src/element-process.ts';
import { virtualCard } from '../agent/src/readers/virtual-card.ts';
import { tokenWithElement } from '../agent/src/token.ts';
import { elementConfig } from '../cli/src/system/element.ts';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
const elementFolder = join(system.dataDir, 'element-tap');
before(async () => {
  await system.up();
});
after(() => system.close());

async function read(path: string) {
  const file = readFileSync(join(system.dataDir, 'gateway', 'merchant-key.json'), 'utf8');
  const { operatorKey } = JSON.parse(file) as { operatorKey: string };
  const headers = { authorization: `Bearer ${operatorKey}` };
  const response = await fetch(`${system.ready.gateway}${path}`, { headers });
  const json = await response.json();
  assert.ok(response.ok, `${path}: ${JSON.stringify(json)}`);
  return json;
}

/** A command of the operator that must succeed. */
async function manage(...args: readonly string[]): Promise<string> {
  const done = await tapnpay(['applications', ...args, '--data', system.dataDir]);
  assert.equal(done.code, 0, done.stderr);
  return done.stdout;
}

const verify = (...args: readonly string[]) =>
  tapnpay(['element', 'verify', ...args, '--data', system.dataDir]);

test('a past payment is proved offline, in both languages; an altered one is not', async () => {
  const tap = await system.tap('--amount', '12.34');
  assert.equal(tap.outcome, 'approved', tap.reason ?? '');
  const file = join(system.dataDir, 'evidence.json');
  const asked = await verify('--payment', tap.paymentId ?? '', '--out', file, '--json');
  assert.equal(asked.code, 0, asked.stderr);
  const { fault, facts } = JSON.parse(asked.stdout);
  assert.equal(fault, null);
  assert.deepEqual(
    [facts.order.amountMinor, facts.order.orderId, facts.tvr, facts.cvmResults],
    ['1234', tap.orderId, tap.tvr, tap.cvmResults],
  );
  assert.equal(facts.lifeCycle, 'operable');
  assert.notEqual(facts.pinBlockHash, null);
  const zh = await verify(file, '--lang', 'zh');
  assert.equal(zh.code, 0);
  assert.match(zh.stdout, /验证通过.*金额（最小单位）: 1234 156/s);
  assert.match((await verify(file, '--lang', 'en')).stdout, /proved.*payment counter: [1-9]/s);
  const altered = readFileSync(file, 'utf8').replace('1234', '1235');
  writeFileSync(file, altered);
  const wrong = await verify(file, '--lang', 'en');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /NOT PROVED.*signature/);
  assert.equal((await verify(join(system.dataDir, 'none.json'))).code, 2);
});

test('a new set of parameters is taken at the next contact, the old one refused from then on', async () => {
  const { version, content } = JSON.parse(await manage('parameters', '--json'));
  const file = join(system.dataDir, 'content.json');
  writeFileSync(file, JSON.stringify({ ...content, unknown: 1 }));
  const refused = await tapnpay(['applications', 'publish', file, '--data', system.dataDir]);
  assert.equal(refused.code, 1, refused.stdout);
  writeFileSync(file, JSON.stringify(content));
  const published = JSON.parse(
    await manage('publish', file, '--enforce', '--days', '30', '--json'),
  );
  assert.deepEqual([published.version, published.minimumVersion], [version + 1, version + 1]);
  const tap = await system.tap();
  assert.equal(tap.outcome, 'approved', tap.reason ?? '');
  const evidence = await read(`/v1/payments/${tap.paymentId}/evidence`);
  assert.equal(JSON.parse(evidence.statement)[7], version + 1);
});

test('a copy of an element pays once at most: then both are locked, and an operator is told', async () => {
  const copy = join(system.dataDir, 'copied-element');
  cpSync(elementFolder, copy, { recursive: true });
  assert.equal((await system.tap()).outcome, 'approved');
  rmSync(elementFolder, { recursive: true });
  cpSync(copy, elementFolder, { recursive: true });
  const cloned = await system.tap();
  assert.deepEqual(
    [cloned.outcome, cloned.charged, cloned.reason],
    ['cancelled', 'no', 'ERR_ELEMENT_CLONED'],
  );
  assert.equal(cloned.orderStatus, 'open', 'the order can be paid by another element');
  const { data } = await read('/v1/elements?state=locked');
  assert.equal(data.length, 1);
  assert.equal(data[0].lock.reason, 'clone');
  assert.equal((await system.tap()).reason, 'ERR_ELEMENT_LOCKED');
  const audit = await tapnpay(['audit', 'list', '--data', system.dataDir]);
  assert.match(audit.stdout, /gateway {2}element\.lock/);
  const { elementId } = data[0];
  assert.match(await manage('elements'), new RegExp(`${elementId} {2}locked.*clone:`));
  await manage('unlock', elementId, '--note', 'the copy is destroyed');
  assert.equal((await system.tap()).outcome, 'approved');
});

test('a token of each mode: the issuer accepts it once, and its counter pays nothing', async () => {
  const cardFile = join(system.dataDir, 'cards', 'debit.json');
  let image = parseIccImage(readFileSync(cardFile, 'utf8'));
  const { pan } = iccSummary(image);
  const element = await startElement(elementConfig(system.dataDir, 'element-tap'));
  const make = (wish: TokenWish) => {
    const chip = virtualCard({
      ...{ image, interface: 'contact', ciphers: nodeCiphers, random: systemRandom },
      onImage: (changed) => {
        image = changed;
      },
    });
    chip.reset();
    const card = { transmit: async (command: Uint8Array) => chip.transmit(command) };
    const presentCard = async () => ({ interface: 'contact' as const, card });
    return tokenWithElement({ element, wish, presentCard });
  };
  const key = readFileSync(join(system.dataDir, 'issuer', 'token-key'), 'utf8').trim();
  const { ports } = JSON.parse(readFileSync(join(system.dataDir, 'system.json'), 'utf8'));
  const ask = async (token: string | null, mode: TokenWish) => {
    const response = await fetch(`http://127.0.0.1:${ports.issuerTokens}/v1/tokens/verify`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ pan, token, mode }),
    });
    return ((await response.json()) as { verdict: string }).verdict;
  };
  try {
    for (const wish of [
      { mode: 'plain' },
      { mode: 'challenge', challenge: '20261130' },
      { mode: 'sign', data: ['PAY 100.00 CNY', 'TO 6225880000000001'] },
    ] as const) {
      const { token, reason } = await make(wish);
      assert.equal(reason, null);
      assert.equal(await ask(token, wish), 'accepted', JSON.stringify(wish));
      assert.equal(await ask(token, wish), 'refused');
    }
  } finally {
    await element.close();
  }
});

test('code that is revoked pays no more, by no element', async () => {
  const { data } = await read('/v1/load-files');
  for (const { hash } of data) {
    assert.match(await manage('revoke', hash, '--note', 'a hole'), /revoked.*a hole/);
  }
  const tap = await system.tap();
  assert.deepEqual(
    [tap.outcome, tap.charged, tap.reason],
    ['cancelled', 'no', 'ERR_LOAD_FILE_REVOKED'],
  );
});
