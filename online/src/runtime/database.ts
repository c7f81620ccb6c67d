/** A party's door to PostgreSQL 15 or later: a pool on its own schema, and transactions. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { RuntimeError } from './errors.ts';
import type { Log } from './logging.ts';
import { migrate } from './migrations.ts';

/** Oldest server whose SQL the parties may rely on. */
const SERVER_VERSION_MIN = 150_000;
const CONNECTIONS_MAX = 12;
/** Groups of steps on their way at once; each kind has one. */
const STEP_CONNECTIONS_MAX = 8;
const CONNECT_TIMEOUT_MS = 10_000;
/**
 * A server that is silent for so long is as good as lost: its host may have gone without a word,
 * and nothing else would ever tell. The server itself gives a step up before we do.
 */
const STEP_STATEMENT_TIMEOUT_MS = 10_000;
export const STEP_ANSWER_TIMEOUT_MS = 15_000;
export const ANSWER_TIMEOUT_MS = 60_000;
/** An idle connection is kept for its prepared statements. */
const IDLE_TIMEOUT_MS = 300_000;
/** A server in crash recovery refuses connections for a while. */
const STARTING_TRIES_MAX = 100;
const STARTING_PAUSE_MS = 100;
/** Times a transaction is run again that another one made impossible; none of it had happened. */
const CONFLICT_TRIES_MAX = 5;

/** Different texts that a process prepares; later ones are planned each time. */
const STATEMENTS_MAX = 512;
/**
 * Settings of every connection. A prepared plan outlives the small tables it was made for, and the
 * parties find rows by key: what scans a table must be a statement that cannot do otherwise. Such a
 * plan looks expensive and must not be compiled for it.
 */
const SETTINGS = '-c enable_seqscan=off -c jit=off';
/**
 * A step's plan does not depend on its rows, and planning it again costs more than they do. A step
 * finds each of its rows by key: joins of other kinds read a whole table, which looks cheap only
 * while it is small.
 */
const STEP_SETTINGS =
  `${SETTINGS} -c plan_cache_mode=force_generic_plan -c enable_hashjoin=off ` +
  `-c enable_mergejoin=off -c statement_timeout=${STEP_STATEMENT_TIMEOUT_MS}`;

/** Type of bigint columns. @see PostgreSQL pg_type.dat */
const OID_INT8 = 20;

/** A connection inside a transaction. */
export type Transaction = Pick<pg.PoolClient, 'query'>;

/** A party's database. */
export type Database = {
  readonly pool: pg.Pool;
  /**
   * For the groups of steps that payments take: their statements are planned once. A condition that
   * a partial index needs must stand in the text, not in a parameter.
   */
  readonly steps: pg.Pool;
  /**
   * Runs `action` in one transaction; resolves after the commit. Serialisation failures and
   * deadlocks run it again, so it must do nothing beside its statements.
   * @throws RuntimeError `ERR_DATABASE_COMMIT_UNKNOWN` when the connection is lost at COMMIT: ask
   * the database what happened before anything else.
   */
  readonly transaction: <T>(action: (client: Transaction) => Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
};

/** One plain connection to any database, for tools that look at a system from outside. */
export type DatabaseClient = pg.Client;

/** Connects a tool. @throws RuntimeError `ERR_DATABASE_CONNECT` without the password. */
export async function connectDatabase(databaseUrl: string): Promise<DatabaseClient> {
  const client = new pg.Client(databaseUrl);
  try {
    await client.connect();
    return client;
  } catch (cause) {
    throw connectError(databaseUrl, cause);
  }
}

/** Opens the pool and migrates the schema. @throws RuntimeError `ERR_DATABASE_*`. */
export async function openDatabase(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly migrationsDir: string;
  readonly connectionsMax?: number;
  readonly log?: Log;
  /** Longest silence of the server, milliseconds; for tests. */
  readonly answerTimeoutMs?: number;
}): Promise<Database> {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(options.schema)) {
    throw new RuntimeError('ERR_CONFIG', 'a schema is a lower-case SQL name');
  }
  const pool = openPool({ answerTimeoutMs: ANSWER_TIMEOUT_MS, ...options, settings: SETTINGS });
  const steps = openPool({
    ...{ answerTimeoutMs: STEP_ANSWER_TIMEOUT_MS, ...options },
    ...{ settings: STEP_SETTINGS, connectionsMax: STEP_CONNECTIONS_MAX },
  });
  try {
    await assertServer(pool, options.databaseUrl);
    await runTransaction(pool, (client) => migrate(client, options));
  } catch (thrown) {
    await pool.end().catch(() => undefined);
    throw thrown;
  }
  return {
    pool,
    steps,
    transaction: (action) => runTransaction(pool, action),
    close: async () => {
      await Promise.all([pool.end(), steps.end()]);
    },
  };
}

function openPool(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly settings: string;
  readonly answerTimeoutMs: number;
  readonly connectionsMax?: number;
  readonly log?: Log;
}): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    max: options.connectionsMax ?? CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    keepAlive: true,
    query_timeout: options.answerTimeoutMs,
    application_name: `tapnpay-${options.schema}`,
    options: `-c search_path=${options.schema} ${options.settings}`,
    types: { getTypeParser },
    Client: PreparingClient,
  });
  const onLost = (error: Error): void => {
    options.log?.({ event: 'databaseConnectionLost', message: error.message });
  };
  pool.on('error', onLost);
  // A connection in use reports here as well as to its query; unheard it would end the process.
  pool.on('connect', (client) => client.on('error', onLost));
  return pool;
}

const statementNames = new Map<string, string>();

/** The name under which every connection prepares a text, or undefined when there are too many. */
function statementName(text: string): string | undefined {
  const known = statementNames.get(text);
  if (known !== undefined || statementNames.size >= STATEMENTS_MAX) return known;
  const name = `s${statementNames.size}`;
  statementNames.set(text, name);
  return name;
}

/** Statements with values are planned once a connection: planning costs more than a row. */
class PreparingClient extends pg.Client {
  // The overloads of `query` are pg's own; only a text with an array of values is changed.
  override query: pg.Client['query'] = ((...args: unknown[]): unknown => {
    const [text, values, ...rest] = args;
    const query = super.query as (...given: unknown[]) => unknown;
    if (typeof text !== 'string' || !Array.isArray(values)) return query.apply(this, args);
    const name = statementName(text);
    return query.apply(this, [{ text, values, ...(name && { name }) }, ...rest]);
  }) as pg.Client['query'];
}

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') => {
  if (oid === OID_INT8 && format !== 'binary') return (text: string) => BigInt(text);
  return pg.types.getTypeParser(oid, format ?? 'text');
};

async function assertServer(pool: pg.Pool, databaseUrl: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      const { rows } = await pool.query<{ version: number }>(
        `SELECT current_setting('server_version_num')::int AS version`,
      );
      const version = rows[0]?.version ?? 0;
      if (version >= SERVER_VERSION_MIN) return;
      const major = Math.trunc(version / 10_000);
      const text = `PostgreSQL 15 or later is needed, this server is ${major}`;
      throw new RuntimeError('ERR_DATABASE_VERSION', text, { version });
    } catch (thrown) {
      if (thrown instanceof RuntimeError) throw thrown;
      // 57P03: cannot_connect_now, the server is starting up.
      if (codeOf(thrown) !== '57P03' || tries >= STARTING_TRIES_MAX) {
        throw connectError(databaseUrl, thrown);
      }
      await pause(STARTING_PAUSE_MS);
    }
  }
}

function connectError(databaseUrl: string, cause: unknown): RuntimeError {
  const where = databaseUrl.replace(/\/\/[^@/]*@/, '//').replace(/\?.*$/, '');
  const words = cause instanceof Error ? cause.message || (codeOf(cause) ?? '') : String(cause);
  const text = `cannot use the database at ${where}: ${words}`;
  return new RuntimeError('ERR_DATABASE_CONNECT', text, {}, cause);
}

async function runTransaction<T>(
  pool: pg.Pool,
  action: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const client = await pool.connect();
    try {
      return await runOnce(client, action);
    } catch (thrown) {
      // 40001 serialization_failure, 40P01 deadlock_detected: rolled back by the server.
      const isConflict = ['40001', '40P01'].includes(codeOf(thrown) ?? '');
      if (!isConflict || tries >= CONFLICT_TRIES_MAX) throw thrown;
    }
  }
}

async function runOnce<T>(
  client: pg.PoolClient,
  action: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  let broken = true;
  try {
    await client.query('BEGIN');
    let result: T;
    try {
      result = await action(client);
    } catch (thrown) {
      await client.query('ROLLBACK').then(
        () => {
          broken = false;
        },
        () => undefined,
      );
      throw thrown;
    }
    await commit(client);
    broken = false;
    return result;
  } finally {
    client.release(broken);
  }
}

async function commit(client: pg.PoolClient): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query('COMMIT'));
  } catch (cause) {
    // A deferred constraint refuses with an error of its own; else it may have happened or not.
    if (isRefusal(cause)) throw cause;
    const text = 'the connection was lost at COMMIT; what happened is unknown until it is read';
    throw new RuntimeError('ERR_DATABASE_COMMIT_UNKNOWN', text, {}, cause);
  }
  // The server answers COMMIT of a failed transaction with ROLLBACK and no error.
  if (command !== 'COMMIT') throw new Error(`COMMIT was answered with ${command}`);
}

/** An error that the server itself raised while it kept the connection: all was rolled back. */
export function isRefusal(thrown: unknown): boolean {
  if (!(thrown instanceof pg.DatabaseError)) return false;
  const isFatal = thrown.severity === 'FATAL' || thrown.severity === 'PANIC';
  // 08 connection exception, 40003 statement_completion_unknown, 57P operator intervention.
  return !isFatal && !/^(08|40003|57P)/.test(thrown.code ?? '');
}

function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
