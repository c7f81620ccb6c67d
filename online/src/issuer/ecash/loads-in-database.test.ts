/**
 * The life of loads and scripts in PostgreSQL as in maps, and what the database refuses by itself:
 * a load that is queued, an end that is left, money back after the card has confirmed.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { IssuerWorld, NOW_MS, newPinOf } from '../issuer.test-kit.ts';
import { queuedScript } from '../scripts/queue.ts';
import { openIssuerStore, type PostgresIssuerStore } from '../store-postgres.ts';
import { PurseCard } from './purse-card.test-kit.ts';

const SCHEMA = 'issuer_loads_test';
const ACCOUNT = 13;
const RICH = 10_000_000n;
let database: TestDatabase | null = null;
let store: PostgresIssuerStore | null = null;
let client: pg.Client | null = null;
let desk: { readonly world: IssuerWorld; readonly card: PurseCard } | null = null;

before(async () => {
  database = await startTestDatabase();
  if (!database) return;
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  store = await openIssuerStore({ databaseUrl: database.url, schema: SCHEMA });
  const world = await IssuerWorld.open(store);
  desk = { world, card: new PurseCard(world, { account: ACCOUNT }) };
});
after(async () => {
  await store?.close();
  await client?.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
  await client?.end();
  await database?.close();
});

test('loads torn, repeated, confirmed, reversed; scripts queued and done; the same as in maps', async (t) => {
  if (!store || !desk) return t.skip('no database');
  const { world, card } = desk;
  const load = (amount: bigint, tear?: 'beforeScript' | 'beforeCard' | 'afterScript') =>
    card.contact({ kind: 'designatedLoad', amount, ...(tear && { tear }) });
  const states = async () =>
    (await world.books()).scripts
      .toSorted((one, other) => one.createdAtMs - other.createdAtMs)
      .map(({ state }) => state);
  const view = () => world.card(ACCOUNT);

  await load(1000n, 'beforeScript');
  const again = await load(500n);
  assert.equal((await world.send(card.notice(again)))?.code, '00');
  assert.deepEqual(await states(), ['done', 'done']);
  assert.equal(card.balanceMinor, 2000n);

  const lost = await load(100n, 'beforeCard');
  const twins = await Promise.all([1, 2].map(() => world.send(world.reversal(lost.message))));
  assert.deepEqual(
    twins.map((reply) => reply?.code),
    ['00', '00'],
  );
  await card.contact();
  assert.equal((await states()).at(-1), 'closed');
  const now = await view();
  assert.deepEqual([now.balanceMinor, now.electronicCashMinor], [RICH - 1600n, 2000n]);

  const { cardId } = now;
  const act = (auditId: string) => ({ auditId, actor: 'tester', note: 'why', atMs: NOW_MS });
  const newPin = await newPinOf(world, { pin: '246810', pan: card.pan });
  const script = queuedScript(cardId, { kind: 'changePin', newPin }, world.ports);
  await store.change({ action: 'scriptQueued', cardId, script }, act('1'));
  await card.contact();
  assert.equal((await card.contact({ pin: '246810' })).answer?.code, '00');
  assert.equal((await view()).pvv, newPin.pvv);
  const limit = { kind: 'putData', tag: '9F77', amountMinor: 5n } as const;
  const second = queuedScript(cardId, limit, world.ports);
  await store.change({ action: 'scriptQueued', cardId, script: second }, act('2'));
  const close = { action: 'scriptClosed', scriptId: second.scriptId } as const;
  assert.equal(await store.change(close, act('3')), true);
  assert.equal(await store.change(close, act('4')), false);
  assert.equal((await store.scripts(cardId, 1))[0]?.state, 'closed');
});

test('a load that nothing shows waits for a person, and is given again at his word', async (t) => {
  if (!store || !desk) return t.skip('no database');
  const { world, card } = desk;
  const torn = await card.contact({
    ...{ kind: 'designatedLoad', amount: 700n, pin: '246810', tear: 'beforeScript' },
  });
  assert.equal(torn.answer?.code, '00');
  const all = await store.scripts((await world.card(ACCOUNT)).cardId, 100);
  const load = all.find(({ kind, state }) => kind === 'load' && state === 'delivered');
  assert.ok(load);
  const act = { auditId: 'has-not', actor: 'tester', note: 'why', atMs: NOW_MS };
  const verdict = { action: 'loadResolved', scriptId: load.scriptId, verdict: 'hasNot' } as const;
  assert.equal(await store.change(verdict, act), true);
  await card.contact({ pin: '246810' });
  assert.equal(card.balanceMinor, 2700n);
  const done = { ...verdict, verdict: 'has' } as const;
  assert.equal(await store.change(done, { ...act, auditId: 'has' }), true);
  assert.equal(await store.change(done, { ...act, auditId: 'again' }), false, 'it has ended');
});

test('the database keeps what a load is', async (t) => {
  if (!store || !client) return t.skip('no database');
  const sql = client;
  const refused = (text: string) => assert.rejects(sql.query(text), { code: '23514' });
  const table = `${SCHEMA}.card_scripts`;
  await refused(`UPDATE ${table} SET state = 'delivered' WHERE state = 'done'`);
  await refused(`UPDATE ${table} SET state = 'reversed' WHERE state = 'done'`);
  await refused(`UPDATE ${table} SET state = 'queued' WHERE kind = 'load'`);
  await refused(`UPDATE ${table} SET deliveries = 0`);
  await refused(`UPDATE ${table} SET amount_minor = 0 WHERE kind = 'load'`);
  await refused(`DELETE FROM ${table}`);
});
