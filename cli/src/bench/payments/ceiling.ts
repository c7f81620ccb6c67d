/** The raw commit ceiling of a database: one-statement inserts by 32 clients, each durable. */
import { connectDatabase, type DatabaseClient } from '@tapnpay/online/runtime';

const CLIENTS = 32;
const WARM_UP_MS = 500;
const MEASURED_MS = 4_000;
/** Bytes beside the key: about the size of a small row of a payment. */
const PAYLOAD = 'x'.repeat(200);

/** Commits a second. */
export async function commitCeiling(databaseUrl: string): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => connectDatabase(databaseUrl)),
  );
  try {
    const [first] = clients;
    await first?.query('CREATE SCHEMA IF NOT EXISTS bench');
    await first?.query('DROP TABLE IF EXISTS bench.commits');
    await first?.query('CREATE TABLE bench.commits (id bigint PRIMARY KEY, payload text NOT NULL)');
    let id = 0;
    const insert = async (untilMs: number): Promise<number> => {
      let commits = 0;
      const work = clients.map(async (client) => {
        while (performance.now() < untilMs) {
          id += 1;
          const text = 'INSERT INTO bench.commits VALUES ($1, $2)';
          await client.query({ name: 'commit', text, values: [id, PAYLOAD] });
          commits += 1;
        }
      });
      await Promise.all(work);
      return commits;
    };
    await insert(performance.now() + WARM_UP_MS);
    const startedMs = performance.now();
    const commits = await insert(startedMs + MEASURED_MS);
    const seconds = (performance.now() - startedMs) / 1000;
    await first?.query('DROP TABLE bench.commits');
    return Math.round(commits / seconds);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Transactions that wrote something, since the cluster was made: each takes one number. */
export async function writeTransactions(database: DatabaseClient): Promise<bigint> {
  const { rows } = await database.query<{ next: string }>(
    'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next',
  );
  return BigInt(rows[0]?.next ?? '0');
}
