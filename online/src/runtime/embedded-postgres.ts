/** The embedded default database: a real PostgreSQL from the optional binary package. */
import pg from 'pg';
import { RuntimeError } from './errors.ts';
import { findBinaries, usableBinaries } from './postgres/binaries.ts';
import {
  type Cluster,
  DATABASE_ROLE,
  initialiseCluster,
  prepareFolders,
  readOrMakePassword,
} from './postgres/cluster.ts';
import {
  disownDeadLock,
  findPostmaster,
  freePort,
  startPostmaster,
  stopPostmaster,
} from './postgres/postmaster.ts';
import { systemRandom } from './system.ts';

/** Ports tried when none is given, each free a moment before. */
const PORT_TRIES = 3;

/** A running embedded database. */
export type EmbeddedPostgres = {
  /** `postgres://` URL with the role's password. */
  readonly url: string;
  readonly pid: number;
  readonly port: number;
  /** Fast shutdown; open transactions are rolled back. */
  readonly stop: () => Promise<void>;
};

/**
 * Starts the database of `dataDir`, or takes over the one that an ended process left running.
 * Listens on 127.0.0.1 only; `fsync` is on. As root it runs as `postgres` or `nobody`.
 * @throws RuntimeError `ERR_DATABASE_*` with what to change.
 */
export async function startEmbeddedPostgres(options: {
  readonly dataDir: string;
  readonly port?: number;
}): Promise<EmbeddedPostgres> {
  const cluster = prepareFolders(options.dataDir);
  const found = findBinaries();
  const password = readOrMakePassword(cluster, systemRandom);
  const running = await takeOver(cluster, password, options.port);
  if (running) return running;
  const binaries = usableBinaries(found, cluster.homeDir, cluster.user);
  initialiseCluster(cluster, binaries, password);
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort());
    try {
      const pid = await startPostmaster(cluster, binaries, port);
      return describe({ pid, port, password });
    } catch (thrown) {
      const isTaken = thrown instanceof RuntimeError && thrown.code === 'ERR_DATABASE_PORT';
      if (!isTaken || options.port !== undefined || tries >= PORT_TRIES) throw thrown;
    }
  }
}

/** A server that survived its starter is adopted if it answers on the wanted port, else ended. */
async function takeOver(
  cluster: Cluster,
  password: string,
  wantedPort: number | undefined,
): Promise<EmbeddedPostgres | null> {
  const left = findPostmaster(cluster);
  if (!left) {
    disownDeadLock(cluster);
    return null;
  }
  const { pid, port } = left;
  const isWanted = wantedPort === undefined || wantedPort === port;
  if (left.isReady && isWanted && (await answers(urlOf(port, password)))) {
    return describe({ pid, port, password });
  }
  await stopPostmaster(pid);
  disownDeadLock(cluster);
  return null;
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => {
    // The failed query below is the answer.
  });
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function describe(server: {
  readonly pid: number;
  readonly port: number;
  readonly password: string;
}): EmbeddedPostgres {
  const { pid, port } = server;
  return { pid, port, url: urlOf(port, server.password), stop: () => stopPostmaster(pid) };
}

function urlOf(port: number, password: string): string {
  return `postgres://${DATABASE_ROLE}:${password}@127.0.0.1:${port}/postgres`;
}
