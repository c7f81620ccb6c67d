/** Shows `tapnpay issuer` over a real database: what it changes, writes down and refuses. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openIssuerStore, openKeyedDigest, parseCardFile } from '@tapnpay/online/issuer';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import { startTestDatabase, type TestDatabase } from '../../../online/src/runtime/test-database.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-issuer-cli-'));
const NUMBER = '6299990000000009';
let database: TestDatabase | null = null;

before(async () => {
  database = await startTestDatabase();
  if (!database) return;
  const system = { dataDir, ports: {}, databaseUrl: database.url, lab: true };
  writeFileSync(join(dataDir, 'system.json'), JSON.stringify(system));
  const store = await openIssuerStore({ databaseUrl: database.url, schema: 'issuer' });
  const card = {
    ...{ name: 'debit', pan: NUMBER, panSequenceNumber: '01', expiryYymm: '3112', pvki: '1' },
    ...{ pvv: '1234', balanceMinor: '12345', currency: '156', state: 'active', pinFailures: 3 },
  };
  const keyedDigest = openKeyedDigest(dataDir, systemRandom);
  const making = { clock: systemClock, random: systemRandom, keyedDigest };
  await store.importCards(parseCardFile(JSON.stringify([card]), making), systemClock.nowMs());
  await store.close();
});
after(async () => {
  await database?.close();
  rmSync(dataDir, { recursive: true });
});

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
const run = (...args: readonly string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const all = [MAIN, 'issuer', ...args, '--data', dataDir];
    execFile(process.execPath, all, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
  });
const why = ['--note', 'the holder called'] as const;

test('a card is blocked, unblocked and set; its PIN tries and limits too; all of it in the audit', async (t) => {
  if (!database) return t.skip('no database');
  const listed = await run();
  assert.match(listed.text, /^debit +629999\*{6}0009 +3112 {2}active +123\.45 .*wrong PINs .* 3$/m);
  assert.equal((await run('block', 'debit', ...why)).exit, 0);
  assert.match((await run('cards')).text, /blocked/);
  assert.equal((await run('set-state', NUMBER, 'stolen', ...why)).exit, 0);
  assert.equal((await run('unblock', 'debit', ...why)).exit, 0);
  assert.equal((await run('unblock-pin', 'debit', ...why)).exit, 0);
  const limits = ['--day', '5000', '--count', '3', '--no-pin', '-'];
  assert.equal((await run('limits', 'debit', ...limits, ...why)).exit, 0);
  const [card] = JSON.parse((await run('cards', '--json')).text);
  assert.deepEqual([card.state, card.pinFailures], ['active', 0]);
  assert.deepEqual(card.limits, {
    singleAmountMinor: null,
    dayAmountMinor: '5000',
    dayCount: 3,
    noPinMinor: null,
    noPinDayMinor: null,
  });
  const audit = JSON.parse((await run('audit', '--json')).text);
  assert.deepEqual(
    audit.map(({ action, after: now }: { action: string; after: string }) => [action, now]),
    [
      ['limits', '3 - 5000'],
      ['pinTries', '0'],
      ['cardState', 'active'],
      ['cardState', 'stolen'],
      ['cardState', 'blocked'],
    ],
  );
  for (const line of audit) assert.equal(line.note, 'the holder called');
});

test('the hot list takes names and sandbox numbers, keeps no number, and gives them back', async (t) => {
  if (!database) return t.skip('no database');
  assert.equal((await run('hot-list')).text, '(none 无)\n');
  assert.equal((await run('hot-list', 'add', 'debit', '43', ...why)).exit, 0);
  const listed = await run('hot-list', '--json');
  assert.deepEqual(
    JSON.parse(listed.text).map(({ reason }: { reason: string }) => reason),
    ['43'],
  );
  assert.ok(!listed.text.includes(NUMBER));
  assert.match((await run('cards')).text, /hot-listed 黑名单 43/);
  assert.equal((await run('hot-list', 'add', '6299990000000017', '41', ...why)).exit, 0);
  assert.equal((await run('hot-list', 'remove', NUMBER, ...why)).exit, 0);
  const again = await run('hot-list', 'remove', NUMBER, ...why);
  assert.deepEqual([again.exit, /ERR_NOTHING_CHANGED/.test(again.error)], [1, true]);
  assert.equal(JSON.parse((await run('hot-list', '--json')).text).length, 1);
});

test('wrong usage says what to change, and changes nothing', async (t) => {
  if (!database) return t.skip('no database');
  const wrong: readonly (readonly string[])[] = [
    ['block', 'debit'],
    ['block', 'debit', '--note', ' '],
    ['set-state', 'debit', 'happy', ...why],
    ['limits', 'debit', ...why],
    ['limits', 'debit', '--day', '-5', ...why],
    ['hot-list', 'add', 'debit', '99', ...why],
    ['hot-list', 'add', 'debit', ...why],
    ['work-items', 'open', 'x', ...why],
    ['settlement', '20261332'],
    ['rob'],
  ];
  for (const args of wrong) assert.equal((await run(...args)).exit, 2, args.join(' '));
  for (const args of [
    ['block', 'nobody'],
    ['hot-list', 'add', '4000000000000002', '41'],
  ]) {
    const ran = await run(...args, ...why);
    assert.deepEqual([ran.exit, /ERR_CARD_UNKNOWN/.test(ran.error)], [1, true]);
  }
  assert.equal((await run('work-items', 'close', 'x', ...why)).exit, 1);
  assert.match((await run('cards')).text, /^debit .*active/m);
});

test('a day without payments settles to nothing', async (t) => {
  if (!database) return t.skip('no database');
  const day = JSON.parse((await run('settlement', '20261125', '--json')).text);
  assert.deepEqual(day, { settlementDate: '20261125', lines: [], totals: [], netMinor: {} });
});

test('scripts are queued, listed and closed; wrong words and a missing note queue nothing', async (t) => {
  if (!database) return t.skip('no database');
  for (const [words, exit] of [
    [['put-data', '9F77', '200000'], 0],
    [['block-card'], 0],
    [['put-data', '9F79', '1'], 1],
    [['put-data', '9F77', 'many'], 2],
    [['update-record', '1', '1', '6F00'], 1],
    [['nonsense'], 2],
    [[], 2],
  ] as const) {
    const ran = await run('script', 'debit', ...words, ...why);
    assert.equal(ran.exit, exit, `${words.join(' ')}: ${ran.error}`);
  }
  assert.equal((await run('script', 'debit', 'unblock-pin')).exit, 2, 'no note');
  assert.equal((await run('script', 'nobody', 'unblock-pin', ...why)).exit, 1);
  const listed = JSON.parse((await run('scripts', 'debit', '--json')).text);
  assert.deepEqual(
    listed.map(({ kind, state }: Record<string, string>) => `${kind} ${state}`).toSorted(),
    ['blockCard queued', 'putData queued'],
  );
  const { scriptId } = listed.find(({ kind }: Record<string, string>) => kind === 'blockCard');
  assert.equal((await run('script', 'close', scriptId, ...why)).exit, 0);
  assert.equal((await run('script', 'close', scriptId, ...why)).exit, 1, 'it has ended');
  assert.equal((await run('load', scriptId, 'has', ...why)).exit, 1, 'it is no load');
  assert.equal((await run('load', scriptId, 'maybe', ...why)).exit, 2);
  const audit = (await run('audit')).text;
  assert.match(audit, /scriptQueued/);
  assert.match(audit, /scriptClosed/);
});
