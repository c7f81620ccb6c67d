/**
 * The purse of a lab card is loaded in the real system: the chip's balance rises by exactly what the
 * issuer's ledger was debited, once, wherever the card is torn away and whatever is lost on the way.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TraceDocument } from '@tapnpay/protocol/wire';
import pg from 'pg';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
let client: pg.Client;
before(async () => {
  await system.up();
  client = new pg.Client({ connectionString: system.databaseUrl });
  await client.connect();
});
after(async () => {
  await client.end();
  await system.close();
});

/** 9F79 of the chip, minor units. */
async function chip(): Promise<bigint> {
  const { stdout } = await tapnpay([
    ...['cards', 'balance', '--card', 'e-cash', '--json', '--data', system.dataDir],
  ]);
  const { purses } = JSON.parse(stdout) as { purses: { balanceMinor: string }[] };
  return BigInt(purses[0]?.balanceMinor ?? -1);
}

/** Account and shadow of the purse in the issuer's books, debits of loads, and open loads. */
async function books(): Promise<{
  readonly account: bigint;
  readonly shadow: bigint;
  readonly loads: number;
  readonly open: bigint;
  readonly states: readonly string[];
}> {
  const { rows } = await client.query<Record<string, string>>(
    `SELECT own.balance_minor AS account, ecash.balance_minor AS shadow,
       (SELECT count(*) FROM issuer.ledger_entries AS entry
          JOIN issuer.ledger_transactions USING (transaction_id)
        WHERE entry.account_id = own.account_id AND kind = 'designatedLoad') AS loads,
       (SELECT coalesce(sum(amount_minor), 0) FROM issuer.card_scripts AS script
        WHERE script.card_id = cards.card_id AND state = 'delivered') AS open,
       (SELECT coalesce(string_agg(state || ' ' || coalesce(evidence, '-'), ','
          ORDER BY created_at_ms), '') FROM issuer.card_scripts AS script
        WHERE script.card_id = cards.card_id) AS states
     FROM issuer.cards JOIN issuer.accounts AS own USING (account_id)
       JOIN issuer.accounts AS ecash ON ecash.account_id = 'ecash-' || cards.card_id
     WHERE cards.name = 'e-cash'`,
  );
  const [row = {}] = rows;
  const states = row['states'] ?? '';
  return {
    account: BigInt(row['account'] ?? 0),
    shadow: BigInt(row['shadow'] ?? 0),
    loads: Number(row['loads']),
    open: BigInt(row['open'] ?? 0),
    states: states === '' ? [] : states.split(','),
  };
}

/** Waits until the notice has gone its way. */
async function untilConfirmed(): Promise<Awaited<ReturnType<typeof books>>> {
  for (let tries = 0; tries < 600; tries++) {
    const now = await books();
    if (now.open === 0n) return now;
    await new Promise((done) => setTimeout(done, 100));
  }
  return books();
}

/** I9: the chip has what was debited. */
async function assertEqual(): Promise<void> {
  const now = await untilConfirmed();
  assert.deepEqual([now.open, now.shadow], [0n, await chip()]);
}

/** Places of a load's commands that matter, in order. */
async function commandsOfLoad(): Promise<readonly string[]> {
  const whole = await tapnpay(['tap', '--load', '--json', '--trace', '--data', system.dataDir]);
  const { trace } = JSON.parse(whole.stdout) as { readonly trace: TraceDocument };
  return [...trace.apduText.matchAll(/^=> (....)/gm)].map((match) => match[1] ?? '');
}

test('50.00 onto the lab card: the chip rises by it, the ledger is debited once', async () => {
  const [before, balance] = [await books(), await chip()];
  const tap = await system.tap('--load', '--amount', '50.00');
  assert.equal(tap.outcome, 'approved', `${tap.reason}\n${system.logs()}`);
  assert.deepEqual([tap.responseCode, tap.orderStatus, tap.exitCode], ['00', 'paid', 0]);
  assert.equal(tap.cryptogram.secondType, 'TC');
  assert.equal(await chip(), balance + 5000n);
  const now = await untilConfirmed();
  assert.equal(now.account, before.account - 5000n);
  assert.equal(now.loads, before.loads + 1);
  assert.equal(now.states.at(-1), 'done notice');
  await assertEqual();
});

test('the card is pulled before the script: the next payment brings it, exactly once', async () => {
  const commands = await commandsOfLoad();
  const script = commands.indexOf('04DA') + 1;
  assert.ok(script > 0, commands.join());
  const [before, balance] = [await untilConfirmed(), await chip()];
  const torn = await system.tap('--load', '--amount', '20.00', '--fault', `card-removed@${script}`);
  assert.deepEqual([torn.outcome, torn.orderStatus], ['unknown', 'processing']);
  assert.equal(torn.resolution, 'debitedNotConfirmed');
  assert.equal(await chip(), balance);
  const debited = await books();
  assert.deepEqual([debited.account, debited.open], [before.account - 2000n, 2000n]);
  const next = await system.tap('--card', 'e-cash', '--amount', '1.00');
  assert.equal(next.outcome, 'approved', next.reason ?? '');
  assert.equal(await chip(), balance + 2000n);
  await assertEqual();
  assert.equal((await books()).account, before.account - 2100n);
  assert.equal((await system.tap('--card', 'e-cash', '--amount', '1.00')).outcome, 'approved');
  assert.equal(await chip(), balance + 2000n, 'and never again');
});

test('the card is pulled when it has the new total, and nobody heard: the next contact confirms', async () => {
  const commands = await commandsOfLoad();
  const [before, balance] = [await untilConfirmed(), await chip()];
  // The answer to the script's command is the last one: the gateway dies before it hears of it.
  const lost = await system.tap('--load', '--amount', '3.00', '--fault', 'kill-gateway@finish');
  assert.equal(lost.outcome, 'unknown', commands.join());
  assert.notEqual(lost.resolution, 'reversed', 'never reversed after the answer may be out');
  await system.tap('--card', 'e-cash', '--amount', '1.00');
  const again = await system.tap('--card', 'e-cash', '--amount', '1.00');
  assert.equal(again.outcome, 'approved', again.reason ?? '');
  assert.equal(await chip(), balance + 300n);
  await assertEqual();
  assert.equal((await books()).account, before.account - 500n);
});

test('the completion is lost with the gateway: confirmed by the card, debited once', async () => {
  const [before, balance] = [await untilConfirmed(), await chip()];
  const lost = await system.tap('--load', '--amount', '4.00', '--fault', 'kill-gateway@confirm');
  assert.equal(lost.outcome, 'unknown');
  assert.equal(await chip(), balance + 400n, 'the chip has it');
  await system.tap('--card', 'e-cash', '--amount', '1.00');
  await assertEqual();
  assert.equal(await chip(), balance + 400n);
  assert.equal((await books()).account, before.account - 500n);
});

test('the answer is lost before the gateway: reversed, and the chip was told nothing', async () => {
  const [before, balance] = [await untilConfirmed(), await chip()];
  const lost = await system.tap('--load', '--amount', '5.00', '--fault', 'drop-reply');
  assert.deepEqual([lost.outcome, lost.resolution], ['unknown', 'reversed']);
  assert.equal(await chip(), balance);
  assert.equal((await books()).account, before.account);
  await system.tap('--card', 'e-cash', '--amount', '1.00');
  await assertEqual();
});

test('refused: a tap, a card without a purse, too much for it, a wrong PIN', async () => {
  const [before, balance] = [await untilConfirmed(), await chip()];
  const tapped = await system.tap('--load', '--interface', 'contactless');
  assert.notEqual(tapped.outcome, 'approved');
  for (const [args, code] of [
    [['--card', 'debit'], '57'],
    [['--amount', '900.01'], '61'],
    [['--pin', '000000'], '55'],
  ] as const) {
    const tap = await system.tap('--load', ...args);
    assert.deepEqual([tap.outcome, tap.responseCode], ['declined', code]);
  }
  assert.equal(await chip(), balance);
  assert.equal((await books()).account, before.account);
});

test('a PIN change by script: the card brings it home with its next payment, then the new PIN alone pays', async () => {
  const data = ['--data', system.dataDir];
  const queued = await tapnpay([
    ...['issuer', 'script', 'e-cash', 'change-pin', '--note', 'asked for'],
    ...data,
  ]);
  assert.equal(queued.code, 0, queued.stderr);
  const folder = join(system.dataDir, 'pin-mailers');
  const mailers = readdirSync(folder).filter((name) => name.startsWith('e-cash-'));
  const letter = readFileSync(join(folder, mailers[0] ?? ''), 'utf8');
  const pin = /PIN[^0-9]*([0-9]{6})/.exec(letter)?.[1] ?? '';
  const pay = (...args: readonly string[]) =>
    system.tap('--card', 'e-cash', '--amount', '1.00', ...args);
  const bringing = await pay();
  assert.equal(bringing.outcome, 'approved', bringing.reason ?? '');
  await untilConfirmed();
  const [script] = JSON.parse(
    (await tapnpay(['issuer', 'scripts', 'e-cash', '--json', ...data])).stdout,
  );
  assert.deepEqual([script.kind, script.state], ['changePin', 'done']);
  const ended = [await pay('--pin', pin), await pay()];
  assert.deepEqual(
    ended.map(({ responseCode }) => responseCode),
    ['00', '55'],
  );
  assert.ok(!system.logs().includes(pin), 'no PIN in any log');
});
