/**
 * What code inside the element's process may try: each attempt says `done`, or the code that
 * stopped it. Loaded by tests only, inside the process and, to show that it could, outside.
 */
import { fork, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import inspector from 'node:inspector';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeHeapSnapshot } from 'node:v8';
import { WASI } from 'node:wasi';
import { Worker } from 'node:worker_threads';

/** A file beside the code that no `allowRead` names. */
const FOREIGN_FILE = fileURLToPath(new URL('../../package.json', import.meta.url));
const SCRATCH = join(tmpdir(), `tapnpay-escape-${process.pid}`);
/** Longest wait for an attempt that ends later. */
const ATTEMPT_TIMEOUT_MS = 5_000;

type Attempt = () => unknown;

/** Resolves at the event of success, rejects at an error. */
function settled(start: (done: () => void, fail: (fault: Error) => void) => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    setTimeout(() => reject(new Error('late')), ATTEMPT_TIMEOUT_MS).unref();
    // Some refusals are thrown a turn later, where nobody can catch them.
    process.once('uncaughtException', reject);
    start(resolve, reject);
  }).finally(() => process.removeAllListeners('uncaughtException'));
}

function insideScratch(work: () => void): void {
  try {
    work();
  } finally {
    try {
      rmSync(SCRATCH, { force: true, recursive: true });
    } catch {
      // Where nothing may be written nothing may be removed.
    }
  }
}

/** Attempts by name; `port` is a listening one of the test, `store` the element's own folder. */
export function escapes(port: number, store: string): Readonly<Record<string, Attempt>> {
  return {
    'file: read': () => readFileSync(FOREIGN_FILE),
    'file: list': () => readdirSync(tmpdir()),
    'file: write': () => insideScratch(() => writeFileSync(SCRATCH, '')),
    'file: folder': () => rmSync(mkdtempSync(join(tmpdir(), 'tapnpay-')), { recursive: true }),
    'file: link out of the store': () => {
      const link = join(store, 'link');
      symlinkSync(FOREIGN_FILE, link);
      readFileSync(readlinkSync(link));
    },
    'file: path out of the store': () => readFileSync(`${store}/../../../../..${FOREIGN_FILE}`),
    'file: require': () => createRequire(import.meta.url)(FOREIGN_FILE),
    'file: import': () => import(FOREIGN_FILE, { with: { type: 'json' } }),
    'file: heap snapshot': () => insideScratch(() => void writeHeapSnapshot(SCRATCH)),
    'file: report': () => insideScratch(() => void process.report.writeReport(SCRATCH)),
    'file: database': async () => {
      const { DatabaseSync } = await import('node:sqlite');
      insideScratch(() => new DatabaseSync(SCRATCH).close());
    },
    'network: connect': () =>
      settled((done, fail) => {
        const socket = connect(port, '127.0.0.1', () => [socket.destroy(), done()]);
        socket.on('error', fail);
      }),
    'network: listen': () =>
      settled((done, fail) => {
        const server = createServer().on('error', fail);
        server.listen(0, '127.0.0.1', () => server.close(() => done()));
      }),
    'network: abstract socket': () =>
      settled((done, fail) => {
        const server = createServer().on('error', fail);
        server.listen(`\0tapnpay-escape-${process.pid}`, () => server.close(() => done()));
      }),
    'network: name': () =>
      settled((done, fail) => lookup('localhost', (fault) => (fault ? fail(fault) : done()))),
    'network: datagram': () =>
      settled((done, fail) => {
        const socket = createSocket('udp4').on('error', fail);
        socket.send('x', port, '127.0.0.1', (fault) => {
          socket.close();
          if (fault) fail(fault);
          else done();
        });
      }),
    'network: fetch': () => fetch(`http://127.0.0.1:${port}/`).catch(rootCause),
    'process: spawn': () => {
      const { error } = spawnSync(process.execPath, ['--version']);
      if (error) throw error;
    },
    'process: shell': () => {
      const { error } = spawnSync('true', { shell: true });
      if (error) throw error;
    },
    'process: fork': () => fork(FOREIGN_FILE, { stdio: 'ignore' }).kill(),
    worker: () => new Worker('', { eval: true }).terminate(),
    ffi: async () => {
      const { default: ffi } = await import('node:ffi' as string);
      return ffi.dlopen(null, {});
    },
    addon: () => process.dlopen({ exports: {} } as NodeModule, '/nonexistent.node'),
    wasi: () => new WASI({ version: 'preview1', preopens: { '/': '/' } }),
    'internal binding': () => Reflect.apply(Reflect.get(process, 'binding'), process, ['fs']),
    'inspector: open': () => {
      inspector.open(0, '127.0.0.1');
      inspector.close();
    },
    'inspector: session': () => {
      const session = new inspector.Session();
      session.connect();
      session.disconnect();
    },
    permission: () => {
      const has = process.permission?.has('fs.read', '/etc') ?? true;
      if (!has) throw Object.assign(new Error('no'), { code: 'ERR_ACCESS_DENIED' });
    },
  };
}

function rootCause(fault: Error): never {
  throw fault.cause ?? fault;
}

/** Does each attempt in turn. */
export async function tryAll(port: number, store: string): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(escapes(port, store))) {
    try {
      await attempt();
      outcomes[name] = 'done';
    } catch (fault) {
      outcomes[name] = (fault as NodeJS.ErrnoException).code ?? String(fault).slice(0, 60);
    }
  }
  return outcomes;
}
