/** The HSM over its real wire: start, hello, junk bytes, limits, restart with the same keys. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connectHsm } from '../runtime/hsm-client.ts';
import { encodeHsmFrame, HSM_FRAME_BYTES_MAX, HsmFrameDecoder } from '../runtime/hsm-wire.ts';
import { HSM_CONNECTIONS_MAX, startHsm } from './server.ts';
import { hsmFolder, openInitialKeyLedger, readHsmTokens } from './store.ts';

const folders: string[] = [];
function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-hsm-'));
  folders.push(folder);
  return folder;
}
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Sends bytes after the greeting; resolves with the frames that came until the end. */
function say(port: number, bytes: Uint8Array): Promise<readonly unknown[]> {
  return new Promise((resolve) => {
    const decoder = new HsmFrameDecoder();
    const frames: unknown[] = [];
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('data', (chunk: Buffer) => {
      frames.push(...decoder.push(chunk));
      if (frames.length === 1) socket.write(bytes);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(frames));
  });
}

test('first start makes master key and tokens for the owner, later ones keep them', async () => {
  const dataDir = dataFolder();
  const first = await startHsm({ dataDir, party: 'switch', port: 0 });
  await first.close();
  const folder = hsmFolder(dataDir, 'switch');
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of ['lmk.bin', 'tokens.json']) {
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  }
  const tokens = readHsmTokens(dataDir, 'switch');
  assert.deepEqual(Object.keys(tokens), ['switch', 'ceremony']);
  const second = await startHsm({ dataDir, party: 'switch', port: 0 });
  assert.equal(second.masterKeyKcv, first.masterKeyKcv);
  assert.deepEqual(readHsmTokens(dataDir, 'switch'), tokens);
  await second.close();
  const other = await startHsm({ dataDir, party: 'issuer', port: 0 });
  assert.notEqual(other.masterKeyKcv, first.masterKeyKcv);
  await other.close();
});

test('a master key file that is broken, cut short or open to others is refused', async () => {
  const dataDir = dataFolder();
  const start = async () => (await startHsm({ dataDir, party: 'switch', port: 0 })).close();
  await start();
  const path = join(hsmFolder(dataDir, 'switch'), 'lmk.bin');
  const good = readFileSync(path);
  for (const at of [0, 6, 20, good.length - 1]) {
    const broken = Buffer.from(good);
    broken[at] = (broken[at] ?? 0) ^ 1;
    writeFileSync(path, broken);
    await assert.rejects(start(), { code: 'ERR_HSM_STORE' });
  }
  writeFileSync(path, good.subarray(0, 30));
  await assert.rejects(start(), { code: 'ERR_HSM_STORE' });
  writeFileSync(path, good);
  chmodSync(path, 0o644);
  await assert.rejects(start(), { code: 'ERR_HSM_STORE', message: /chmod 600/ });
  chmodSync(path, 0o600);
  await start();
});

test('tokens are refused when their file is no such file or of another HSM', async () => {
  const dataDir = dataFolder();
  assert.throws(() => readHsmTokens(dataDir, 'switch'), { code: 'ERR_HSM_STORE' });
  await (await startHsm({ dataDir, party: 'switch', port: 0 })).close();
  const path = join(hsmFolder(dataDir, 'switch'), 'tokens.json');
  for (const text of ['', '[]', 'null', '{"switch":"00"}', '{"gateway":"","ceremony":""}']) {
    writeFileSync(path, text);
    assert.throws(() => readHsmTokens(dataDir, 'switch'), { code: 'ERR_HSM_STORE' });
  }
});

test('a caller with a wrong token is told so at once', async () => {
  const dataDir = dataFolder();
  const hsm = await startHsm({ dataDir, party: 'switch', port: 0 });
  const { ceremony = '' } = readHsmTokens(dataDir, 'switch');
  const ask = { port: hsm.port, tokenHex: ceremony };
  await assert.rejects(connectHsm({ ...ask, caller: 'switch' }), { code: 'ERR_HSM_REFUSED' });
  await assert.rejects(connectHsm({ ...ask, caller: 'issuer' }), { code: 'ERR_HSM_REFUSED' });
  const client = await connectHsm({ ...ask, caller: 'ceremony' });
  const answer = await client.call({ command: 'status' });
  assert.equal(answer.masterKeyKcv, hsm.masterKeyKcv);
  await client.close();
  await hsm.close();
});

test('junk bytes get one coded error and the end of the connection', async () => {
  const dataDir = dataFolder();
  const codes: unknown[] = [];
  const hsm = await startHsm({
    ...{ dataDir, party: 'switch', port: 0 },
    log: (record) => codes.push(record['code']),
  });
  const junk = [
    Uint8Array.of(0, 0, 0, 0),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0, 0, 0, 1, 0x7b),
    new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'),
    encodeHsmFrame('null'),
    encodeHsmFrame('{"caller":"switch"}'),
    encodeHsmFrame(JSON.stringify('x'.repeat(HSM_FRAME_BYTES_MAX - 2))),
    encodeHsmFrame('['.repeat(10_000)),
  ];
  for (const bytes of junk) {
    const [greeting, refusal, ...rest] = await say(hsm.port, bytes);
    assert.deepEqual(Object.keys(greeting as object), ['nonce']);
    const { error } = refusal as { error: { code: string } };
    assert.equal(error.code, 'ERR_HSM_FRAME');
    assert.deepEqual(rest, []);
  }
  assert.equal(codes.length, junk.length);
  await hsm.close();
});

test('connections beyond the limit are cut off, the others served on', async () => {
  const dataDir = dataFolder();
  const hsm = await startHsm({ dataDir, party: 'switch', port: 0 });
  const { switch: tokenHex = '' } = readHsmTokens(dataDir, 'switch');
  const client = await connectHsm({ port: hsm.port, tokenHex, caller: 'switch' });
  const sockets = Array.from({ length: HSM_CONNECTIONS_MAX }, () =>
    connect({ host: '127.0.0.1', port: hsm.port }),
  );
  const greeted = sockets.map(
    (socket) =>
      new Promise<boolean>((resolve) => {
        socket.once('data', () => resolve(true));
        socket.once('close', () => resolve(false));
        socket.on('error', () => undefined);
      }),
  );
  const results = await Promise.all(greeted);
  assert.equal(results.filter((isGreeted) => !isGreeted).length, 1);
  assert.equal((await client.call({ command: 'status' })).party, 'switch');
  for (const socket of sockets) socket.destroy();
  await client.close();
  await hsm.close();
});

test('an initial key is handed over once, also after a restart and a cut line', async () => {
  const dataDir = dataFolder();
  await (await startHsm({ dataDir, party: 'gateway', port: 0 })).close();
  const path = join(hsmFolder(dataDir, 'gateway'), 'initial-keys.txt');
  const ledger = openInitialKeyLedger(dataDir, 'gateway');
  assert.equal(ledger.claim('1234567890123456'), true);
  assert.equal(ledger.claim('1234567890123456'), false);
  writeFileSync(path, `${readFileSync(path, 'utf8')}12345678`);
  const again = openInitialKeyLedger(dataDir, 'gateway');
  assert.equal(again.claim('1234567890123456'), false);
  assert.equal(again.claim('1234567890123457'), true);
  assert.equal(openInitialKeyLedger(dataDir, 'gateway').claim('1234567890123457'), false);
});
