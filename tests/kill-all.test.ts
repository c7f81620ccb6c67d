/**
 * SIGKILL for everything at once, the database included, while a payment is under way; then the
 * system comes up again: every request without a final answer is reversed, the books balance.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { TestSystem, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir(), { isFresh: true });
after(() => system.close());

const SETTLE_TIMEOUT_MS = 60_000;

test('killed during payments, the system finds every end by itself, three times', async () => {
  for (const delayMs of [150, 450, 800]) {
    await system.up();
    const payments = [0, 1].map(() => system.tap('--amount', '1.00').catch(() => null));
    await new Promise((done) => setTimeout(done, delayMs));
    await system.killAll();
    await Promise.all(payments);
    await system.up();
    await assertBooks();
    assert.equal((await system.tap()).outcome, 'approved', 'and it takes payments');
    await system.killAll();
  }
});

/** No payment without an end, every ledger at zero, gateway and issuer of one opinion. */
async function assertBooks(): Promise<void> {
  const file = readFileSync(join(system.dataDir, 'system.json'), 'utf8');
  const client = new pg.Client({
    connectionString: (JSON.parse(file) as { databaseUrl: string }).databaseUrl,
  });
  await client.connect();
  try {
    await untilSettled(client);
    const gateway = await client.query(
      'SELECT currency, sum(amount_minor)::text AS sum FROM gateway.ledger_entries GROUP BY 1',
    );
    const issuer = await client.query(
      'SELECT currency, sum(amount_minor)::text AS sum FROM issuer.ledger_entries GROUP BY 1',
    );
    for (const { sum } of [...gateway.rows, ...issuer.rows]) assert.equal(sum, '0');
    await untilOneOpinion(client);
  } finally {
    await client.end();
  }
}

/** What the issuer owes the clearing is what the gateway captured; forwarded reversals take time. */
async function untilOneOpinion(client: pg.Client): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const { rows } = await client.query(
      `SELECT
         (SELECT coalesce(sum(amount_minor), 0)::text FROM gateway.payments
            WHERE state = 'captured') AS captured,
         (SELECT coalesce(sum(e.amount_minor), 0)::text FROM issuer.ledger_entries e
            WHERE e.account_id LIKE 'clearing-%') AS clearing`,
    );
    const { captured, clearing } = rows[0] as { captured: string; clearing: string };
    if (captured === clearing) return;
    assert.ok(performance.now() < deadline, `captured ${captured}, clearing ${clearing}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function untilSettled(client: pg.Client): Promise<void> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const open = await client.query(
      "SELECT state FROM gateway.payments WHERE state NOT IN ('captured', 'declined', 'reversed')",
    );
    if (open.rows.length === 0) return;
    assert.ok(performance.now() < deadline, `still ${JSON.stringify(open.rows)}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}
