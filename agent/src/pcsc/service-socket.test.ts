/**
 * A reader service that refuses this user is told from one that does not run: with the system's own
 * PC/SC library and sockets of this test's, as polkit, permissions and a killed service leave them.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PcscReaders } from './pcsc-readers.ts';
import type { ReaderEvent } from './reader-watch.ts';
import { listReaders } from './readers.ts';
import { askServiceSocket, serviceSocket } from './service-socket.ts';

const isLinux = process.platform === 'linux';
const folder = mkdtempSync(join(tmpdir(), 'tapnpay-pcscd-'));
const servers: Server[] = [];
const kept = process.env['PCSCLITE_CSOCK_NAME'];
let hasLibrary = false;
before(async () => {
  hasLibrary = (await listReaders()).status !== 'noLibrary';
});
after(() => {
  for (const server of servers) server.close();
  if (kept === undefined) delete process.env['PCSCLITE_CSOCK_NAME'];
  else process.env['PCSCLITE_CSOCK_NAME'] = kept;
  rmSync(folder, { recursive: true });
});

/** A socket of this name, served so. */
async function served(name: string, serve: (server: Server) => void): Promise<string> {
  const path = join(folder, name);
  const server = createServer();
  serve(server);
  servers.push(server.listen(path));
  await once(server, 'listening');
  return path;
}
const closing = (server: Server) => server.on('connection', (socket) => socket.destroy());

/** What our list says of a service at this socket. */
function listAt(path: string) {
  process.env['PCSCLITE_CSOCK_NAME'] = path;
  return listReaders();
}

test('no socket: the service does not run', { skip: !isLinux }, async () => {
  assert.equal(serviceSocket({ PCSCLITE_CSOCK_NAME: '/a/b' }), '/a/b');
  assert.deepEqual(await askServiceSocket(null), { state: 'absent' });
  const path = join(folder, 'none');
  assert.deepEqual(await askServiceSocket(path), { state: 'absent' });
  if (hasLibrary) assert.deepEqual(await listAt(path), { status: 'noService' });
});

test('a service that closes on us, as under polkit: denied, row 36', {
  skip: !isLinux,
}, async () => {
  const path = await served('closing', closing);
  assert.deepEqual(await askServiceSocket(path), { state: 'denied', how: 'closed' });
  if (hasLibrary) assert.deepEqual(await listAt(path), { status: 'denied', code: 'closed' });
});

test('the watch, and a list, tell a service that refuses us from one that is gone, row 36', {
  skip: !isLinux,
}, async (t) => {
  if (!hasLibrary) return t.skip('no PC/SC library');
  process.env['PCSCLITE_CSOCK_NAME'] = await served('refusing', closing);
  const readers = new PcscReaders();
  t.after(() => readers.close());
  const codes: string[] = [];
  let onCode = (): void => {};
  readers.watch((event: ReaderEvent) => {
    if (event.type === 'serviceLost') codes.push(event.code);
    onCode();
  });
  const told = async (count: number): Promise<void> => {
    while (codes.length < count) {
      await new Promise<void>((resolve) => {
        onCode = resolve;
      });
    }
  };
  await told(1);
  await assert.rejects(readers.list(), { code: 'ERR_READER_DENIED' });
  // Refusing has an end, and so has the service: the other code is told, too.
  servers.pop()?.close();
  await told(2);
  assert.deepEqual(codes, ['ERR_READER_DENIED', 'ERR_READER_SERVICE']);
});

test('a service that closes after the first word is denied too', { skip: !isLinux }, async (t) => {
  if (!hasLibrary) return t.skip('no PC/SC library');
  // The library has spoken by then, and says another code than before.
  let served1 = 0;
  const path = await served('late', (server) =>
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      served1 += 1;
      if (served1 === 1) socket.once('data', () => socket.destroy());
      else socket.destroy();
    }),
  );
  assert.deepEqual(await listAt(path), { status: 'denied', code: 'closed' });
});

test('a service that waits for us is not the one to blame', { skip: !isLinux }, async () => {
  const path = await served('open', (server) => server.on('connection', () => {}));
  assert.deepEqual(await askServiceSocket(path), { state: 'open' });
});

test('a socket that a killed service left behind: it does not run', {
  skip: !isLinux,
}, async () => {
  const path = join(folder, 'stale');
  const code = `require('node:net').createServer().listen(process.argv[1], () => console.log(1))`;
  const child = spawn(process.execPath, ['-e', code, path], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.ok(existsSync(path));
  assert.deepEqual(await askServiceSocket(path), { state: 'absent' });
  if (hasLibrary) assert.deepEqual(await listAt(path), { status: 'noService' });
});

const isRoot = process.getuid?.() === 0;
test('a socket of another user: denied', { skip: !isLinux || !isRoot }, async () => {
  const path = await served('private', closing);
  chmodSync(path, 0o700);
  chmodSync(folder, 0o755);
  const code = `
    const socket = require('node:net').connect(process.argv[1]);
    socket.on('error', (fault) => console.log(fault.code)).on('connect', () => process.exit(1));`;
  // The answer of the system itself, then ours as that user.
  const asNobody = { uid: 65_534, gid: 65_534, env: {} };
  const raw = await new Promise<string>((resolve) => {
    execFile(process.execPath, ['-e', code, path], asNobody, (_, text) => resolve(text.trim()));
  });
  assert.equal(raw, 'EACCES');
  const module = join(import.meta.dirname, 'service-socket.ts');
  const ours = `import(${JSON.stringify(module)}).then(async (m) =>
    console.log(JSON.stringify(await m.askServiceSocket(${JSON.stringify(path)}))))`;
  const text = await new Promise<string>((resolve) => {
    execFile(process.execPath, ['-e', ours], asNobody, (_, out) => resolve(out));
  });
  assert.deepEqual(JSON.parse(text), { state: 'denied', how: 'EACCES' });
});
