/**
 * Shows that merchants, keys, stored answers and lists keep the same promises in memory and in
 * PostgreSQL.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Database } from '../../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import {
  newOrder,
  payOrder,
  TestClock,
  type TestGateway,
  testGateway,
  testPeer,
  testRandom,
} from '../gateway.test-kit.ts';
import type { GatewayStore } from '../store.ts';
import { MemoryGatewayStore } from '../store-memory.ts';
import { openGatewayDatabase, PostgresGatewayStore } from '../store-postgres.ts';
import { apiKeyRow, hashOfKey, isKey, keyIdOf, newApiKeyText } from './api-keys.ts';
import {
  type IdempotencyScope,
  type IdempotencyStore,
  MemoryIdempotencyStore,
  PostgresIdempotencyStore,
} from './idempotency.ts';
import { MemoryMerchantLists, type MerchantLists, PostgresMerchantLists } from './lists.ts';
import type { Merchant } from './model.ts';
import type { MerchantStore } from './store.ts';
import { MemoryMerchantStore } from './store-memory.ts';
import { PostgresMerchantStore } from './store-postgres.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;

function merchant(number: number, changes: Partial<Merchant> = {}): Merchant {
  return {
    merchantId: `62999000000${String(number).padStart(4, '0')}`,
    name: `Shop ${number}`,
    nameZh: `商店 ${number}`,
    terminalId: `6299${String(number).padStart(4, '0')}`,
    categoryCode: '5732',
    location: 'SHANGHAI',
    state: 'active',
    createdAtMs: NOW,
    ...changes,
  };
}

test('a key has an id and 192 random bits; only its hash is kept', () => {
  const text = newApiKeyText('live', testRandom());
  assert.match(text, /^tap_live_[0-9a-f]{12}_[0-9a-f]{48}$/);
  const facts = { merchantId: 'M', role: 'readonly', mode: 'live', requestsPerSecond: 5 } as const;
  const row = apiKeyRow(text, { ...facts, nowMs: NOW });
  assert.equal(row.keyId, keyIdOf(text));
  assert.equal(row.hash, hashOfKey(text));
  assert.ok(!JSON.stringify(row).includes(text.slice(-48)));
  assert.ok(isKey(text, row));
  assert.ok(!isKey(`${text.slice(0, -1)}x`, row));
  for (const wrong of [
    '',
    'tap_test_',
    text.toUpperCase(),
    `${text}0`,
    text.replace('live', 'x'),
  ]) {
    assert.equal(keyIdOf(wrong), null, wrong);
  }
});

type Stores = {
  readonly merchants: MerchantStore;
  readonly idempotency: IdempotencyStore;
  readonly books: GatewayStore;
  readonly lists: MerchantLists;
};

function contract(open: () => Stores | null): void {
  merchantContract(open);
  idempotencyContract(open);
  listContract(open);
}

function merchantContract(open: () => Stores | null): void {
  test('a merchant is added once by number and by terminal, suspended, listed in order', async (t) => {
    const stores = open();
    if (!stores) return t.skip();
    const { merchants } = stores;
    assert.equal(await merchants.addMerchant(merchant(2)), 'added');
    assert.equal(await merchants.addMerchant(merchant(1)), 'added');
    assert.equal(await merchants.addMerchant(merchant(1)), 'exists');
    const twin = merchant(3, { terminalId: merchant(1).terminalId });
    assert.equal(await merchants.addMerchant(twin), 'exists');
    assert.deepEqual(await merchants.findMerchant(merchant(2).merchantId), merchant(2));
    assert.equal(await merchants.findMerchant('none'), null);
    const suspended = await merchants.setMerchantState(merchant(2).merchantId, 'suspended');
    assert.equal(suspended?.state, 'suspended');
    assert.equal(await merchants.setMerchantState('none', 'active'), null);
    const listed = await merchants.listMerchants();
    assert.deepEqual(
      listed.map(({ name, state }) => [name, state]),
      [
        ['Shop 1', 'active'],
        ['Shop 2', 'suspended'],
      ],
    );
  });

  test('a key is added once, used by day, revoked once and for ever', async (t) => {
    const stores = open();
    if (!stores) return t.skip();
    const { merchants } = stores;
    const { merchantId } = merchant(1);
    const random = testRandom(7);
    const facts = { role: 'merchant', mode: 'test', requestsPerSecond: 9, nowMs: NOW } as const;
    const key = apiKeyRow(newApiKeyText('test', random), { ...facts, merchantId });
    assert.equal(await merchants.addKey(key), 'added');
    assert.equal(await merchants.addKey({ ...key, role: 'readonly' }), 'exists');
    assert.deepEqual(await merchants.findKey(key.keyId), key);
    const lost = apiKeyRow(newApiKeyText('test', random), { ...facts, merchantId: 'nobody' });
    assert.equal(await merchants.addKey(lost), 'noMerchant');
    const operator = { ...facts, role: 'operator', merchantId: null } as const;
    const own = apiKeyRow(newApiKeyText('test', random), operator);
    assert.equal(await merchants.addKey(own), 'added');
    await merchants.noteKeyUse(key.keyId, '2027-01-15');
    assert.equal((await merchants.findKey(key.keyId))?.lastUsedDay, '2027-01-15');
    assert.equal((await merchants.revokeKey(key.keyId, NOW + 5))?.revokedAtMs, NOW + 5);
    assert.equal((await merchants.revokeKey(key.keyId, NOW + 9))?.revokedAtMs, NOW + 5);
    assert.equal(await merchants.revokeKey('none', NOW), null);
    assert.deepEqual(
      (await merchants.listKeys(merchantId)).map(({ keyId }) => keyId),
      [key.keyId],
    );
    const operators = (await merchants.listKeys(null)).map(({ keyId }) => keyId);
    assert.ok(operators.includes(own.keyId) && !operators.includes(key.keyId));
  });
}

const ANSWER = { status: 201, body: '{"a":1}' };
const claim = (nowMs: number, fingerprint = 'f') => ({
  ...{ fingerprint, nowMs, leaseMs: 60_000, lifetimeMs: 24 * HOUR },
});
const scope = (key: string, changes: Partial<IdempotencyScope> = {}): IdempotencyScope => ({
  ...{ merchantId: 'M1', mode: 'test', key },
  ...changes,
});

function idempotencyContract(open: () => Stores | null): void {
  test('I6: of 50 parallel requests one runs; the others wait, then replay', async (t) => {
    const store = open()?.idempotency;
    if (!store) return t.skip();
    const turns = await Promise.all(
      Array.from({ length: 50 }, () => store.begin(scope('race'), claim(NOW))),
    );
    const kinds = turns.map(({ kind }) => kind).toSorted();
    assert.deepEqual(kinds, ['run', ...Array.from({ length: 49 }, () => 'running')]);
    await store.finish(scope('race'), 1, ANSWER);
    const replay = await store.begin(scope('race'), claim(NOW + 1));
    assert.deepEqual(replay, { kind: 'replay', ...ANSWER });
  });

  test('another request under the key is a mismatch: running, kept, or lease over', async (t) => {
    const store = open()?.idempotency;
    if (!store) return t.skip();
    await store.begin(scope('mixed'), claim(NOW));
    assert.equal((await store.begin(scope('mixed'), claim(NOW, 'g'))).kind, 'mismatch');
    assert.equal((await store.begin(scope('mixed'), claim(NOW + HOUR, 'g'))).kind, 'mismatch');
    await store.finish(scope('mixed'), 1, ANSWER);
    assert.equal((await store.begin(scope('mixed'), claim(NOW, 'g'))).kind, 'mismatch');
  });

  test('#17: keys of two merchants, and of two modes, never meet', async (t) => {
    const store = open()?.idempotency;
    if (!store) return t.skip();
    for (const changes of [{}, { merchantId: 'M2' }, { mode: 'live' as const }]) {
      const turn = await store.begin(scope('shared', changes), claim(NOW, JSON.stringify(changes)));
      assert.equal(turn.kind, 'run');
    }
  });

  test('a run whose process died is taken over after its lease, with the same birth', async (t) => {
    const store = open()?.idempotency;
    if (!store) return t.skip();
    const first = await store.begin(scope('dead'), claim(NOW));
    assert.deepEqual(first, { kind: 'run', run: 1, createdAtMs: NOW });
    assert.equal((await store.begin(scope('dead'), claim(NOW + 59_999))).kind, 'running');
    const second = await store.begin(scope('dead'), claim(NOW + 60_000));
    assert.deepEqual(second, { kind: 'run', run: 2, createdAtMs: NOW });
    // The first one was only slow: its answer comes too late to be stored.
    await store.finish(scope('dead'), 1, { status: 200, body: '"late"' });
    assert.equal((await store.begin(scope('dead'), claim(NOW + 60_001))).kind, 'running');
    await store.finish(scope('dead'), 2, ANSWER);
    await store.finish(scope('dead'), 2, { status: 200, body: '"twice"' });
    const replay = await store.begin(scope('dead'), claim(NOW + 60_002));
    assert.deepEqual(replay, { kind: 'replay', ...ANSWER });
  });

  test('a released run may run again at once; a finished one is never released', async (t) => {
    const store = open()?.idempotency;
    if (!store) return t.skip();
    await store.begin(scope('again'), claim(NOW));
    await store.release(scope('again'), 1);
    const second = await store.begin(scope('again'), claim(NOW + 1));
    assert.deepEqual(second, { kind: 'run', run: 2, createdAtMs: NOW });
    await store.finish(scope('again'), 2, ANSWER);
    await store.release(scope('again'), 2);
    assert.equal((await store.begin(scope('again'), claim(NOW + 2))).kind, 'replay');
  });

  test('an answer is kept for its life, then the key is another intent; old rows are swept', async (t) => {
    const store = open()?.idempotency;
    if (!store) return t.skip();
    await store.begin(scope('old'), claim(NOW));
    await store.finish(scope('old'), 1, ANSWER);
    assert.equal((await store.begin(scope('old'), claim(NOW + 24 * HOUR - 1))).kind, 'replay');
    const late = NOW + 24 * HOUR;
    const anew = await store.begin(scope('old'), claim(late, 'g'));
    assert.deepEqual(anew, { kind: 'run', run: 2, createdAtMs: late });
    assert.equal(await store.sweep(late + 30 * HOUR, 1), 1, 'a bounded step');
    await store.sweep(late + 30 * HOUR, 1_000);
    assert.equal(await store.sweep(late + 30 * HOUR, 1_000), 0);
    const swept = await store.begin(scope('old'), claim(late + 30 * HOUR));
    assert.deepEqual(swept, { kind: 'run', run: 1, createdAtMs: late + 30 * HOUR });
  });
}

function listContract(open: () => Stores | null): void {
  test('lists: own rows only, newest first, filtered, page by page without gap or double', async (t) => {
    const stores = open();
    if (!stores) return t.skip();
    const { lists, books } = stores;
    const clock = new TestClock();
    const gateway: TestGateway = await testGateway({ store: books, clock, seed: 5 });
    const owner = { merchantId: gateway.ports.profile.merchant.merchantId, mode: 'test' as const };
    const ids: string[] = [];
    for (let n = 0; n < 7; n++) {
      const order = await newOrder(gateway.core, { merchantOrderNumber: `L${n % 2}` });
      await payOrder(gateway.core, testPeer(), order.orderId);
      ids.unshift(order.orderId);
      clock.advance(1000);
    }
    const other = { merchantId: 'OTHER', mode: 'test' as const };
    const request = { merchantOrderNumber: 'L0', amount: '1', currency: '156', origin: 'o' };
    await gateway.core.createOrder('k', request, other);
    await gateway.core.createOrder('k', request, { ...owner, mode: 'live' });
    const idsOf = (rows: readonly { orderId: string }[]) => rows.map(({ orderId }) => orderId);

    const seen: string[] = [];
    for (let before: string | undefined; ; ) {
      const page = await lists.orders({ ...owner, before, limit: 3 });
      if (page.length === 0) break;
      seen.push(...idsOf(page));
      before = page.at(-1)?.orderId;
    }
    assert.deepEqual(seen, ids);
    assert.deepEqual(idsOf(await lists.orders({ ...other, limit: 9 })).length, 1);
    const odd = await lists.orders({ ...owner, merchantOrderNumber: 'L1', limit: 9 });
    assert.deepEqual(idsOf(odd), [ids[1], ids[3], ids[5]]);
    const start = odd.at(-1)?.createdAtMs ?? 0;
    const range = { fromMs: start, toMs: start + 2000 };
    assert.deepEqual(idsOf(await lists.orders({ ...owner, ...range, limit: 9 })), [ids[4], ids[5]]);
    assert.deepEqual(await lists.orders({ ...owner, status: 'open', limit: 9 }), []);

    const payments = await lists.payments({ ...owner, limit: 4 });
    assert.deepEqual(idsOf(payments), ids.slice(0, 4));
    const rest = await lists.payments({ ...owner, before: payments.at(-1), limit: 9 });
    assert.deepEqual(idsOf(rest), ids.slice(4));
    const one = await lists.payments({ ...owner, orderId: ids[2], limit: 9 });
    assert.deepEqual(idsOf(one), [ids[2]]);
    const declined = await lists.payments({ ...owner, status: 'declined', limit: 9 });
    assert.deepEqual(declined, []);
    const authorised = await lists.payments({ ...owner, status: 'authorised', ...range, limit: 9 });
    assert.deepEqual(idsOf(authorised), [ids[4], ids[5]]);
    assert.deepEqual(await lists.payments({ ...other, limit: 9 }), []);
  });
}

describe('memory', () => {
  const books = new MemoryGatewayStore();
  const stores: Stores = {
    merchants: new MemoryMerchantStore(),
    idempotency: new MemoryIdempotencyStore(),
    books,
    lists: new MemoryMerchantLists(() => books.everything()),
  };
  contract(() => stores);
});

describe('embedded PostgreSQL', () => {
  let server: TestDatabase | null = null;
  let database: Database | null = null;
  let stores: Stores | null = null;
  before(async () => {
    server = await startTestDatabase();
    if (!server) return;
    database = await openGatewayDatabase({ databaseUrl: server.url, schema: 'gateway' });
    stores = {
      merchants: new PostgresMerchantStore(database),
      idempotency: new PostgresIdempotencyStore(database),
      books: new PostgresGatewayStore(database),
      lists: new PostgresMerchantLists(database),
    };
  });
  after(async () => {
    await database?.close();
    await server?.close();
  });
  contract(() => stores);

  test('the database refuses an operator key with a merchant, and the reverse', async (t) => {
    if (!stores) return t.skip();
    const facts = { mode: 'test', requestsPerSecond: 1, nowMs: NOW } as const;
    const { merchantId } = merchant(1);
    for (const [role, of] of [
      ['operator', merchantId],
      ['merchant', null],
    ] as const) {
      const row = apiKeyRow(newApiKeyText('test', testRandom(70)), {
        ...facts,
        role,
        merchantId: of,
      });
      await assert.rejects(stores.merchants.addKey(row), { code: '23514' });
    }
  });
});
