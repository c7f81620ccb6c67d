/**
 * `tapnpay cards` without an agent: a virtual card is read, its balance and log told, and offered
 * to a vpcd that this test plays.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseRecording } from '@tapnpay/agent';
import { imageOf } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import { openCards } from './cards.ts';
import { pickReader } from './cards-source.ts';
import { readAddress } from './cards-vpcd.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-cards-own-'));
after(() => rmSync(dataDir, { recursive: true }));
writeFileSync(
  join(dataDir, 'system.json'),
  JSON.stringify({ dataDir, ports: {}, databaseUrl: '', lab: true }),
);
const CASH = {
  balanceMinor: '12345',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
openCards(dataDir).add('debit', JSON.stringify(imageOf()));
openCards(dataDir).add('purse', JSON.stringify(imageOf({ request: { electronicCash: CASH } })));

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
const run = (...args: string[]) =>
  new Promise<Ran>((resolve) => {
    const all = [MAIN, 'cards', ...args, '--data', dataDir];
    execFile(process.execPath, all, { maxBuffer: 1 << 26 }, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
  });

test('a virtual card is read and recorded; its file is for its owner only', async () => {
  const file = join(dataDir, 'session.jsonl');
  const ran = await run('read', '--card', 'purse', '--record', file, '--json');
  assert.equal(ran.exit, 0, ran.error);
  const document = JSON.parse(ran.text);
  assert.deepEqual([document.reader, document.directory], ['Virtual reader', 'PSE']);
  assert.equal(
    parseRecording(readFileSync(file, 'utf8')).exchanges.length,
    document.exchanges.length,
  );
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
  const shy = await run('read', '--card', 'debit', '--interface', 'contactless', '--lang', 'en');
  assert.equal(shy.exit, 0, shy.error);
  assert.match(shy.text, /with the holder’s consent add --consent/);
});

test('balance and log; a card without a purse is exit 1 and says so', async () => {
  const balance = await run('balance', '--card', 'purse', '--json');
  assert.equal(balance.exit, 0, balance.error);
  assert.equal(JSON.parse(balance.text).purses[0].balanceMinor, '12345');
  const none = await run('balance', '--card', 'debit', '--lang', 'zh');
  assert.deepEqual([none.exit, none.text], [1, '这张卡没有电子现金\n']);
  const log = await run('log', '--card', 'purse', '--lang', 'en');
  assert.equal(log.exit, 0, log.error);
  assert.match(log.text, /^payments:$/m);
});

test('wrong usage is exit 2, an unknown card exit 1', async () => {
  for (const args of [
    ['read', '--card', 'debit', '--reader', 'x'],
    ['read', '--card', 'debit', '--interface', 'wireless'],
    ['read', '--card', 'debit', '--lang', 'fr'],
    ['tap', 'debit', '--vpcd'],
    ['insert', 'debit', 'not an address', '--vpcd'],
  ]) {
    assert.equal((await run(...args)).exit, 2, args.join(' '));
  }
  const unknown = await run('balance', '--card', 'nobody', '--json');
  assert.deepEqual([unknown.exit, JSON.parse(unknown.text).error.code], [1, 'ERR_CARD_UNKNOWN']);
});

test('a reader is found by its name or by a part that only it has', () => {
  const names = ['ACS ACR122U 00 00', 'Virtual PCD 00 00', 'Virtual PCD 00 01'];
  assert.equal(pickReader(names, 'acr122'), names[0]);
  assert.equal(pickReader([...names, 'Virtual PCD'], 'Virtual PCD'), 'Virtual PCD');
  for (const wanted of ['Virtual', 'SCM']) {
    assert.throws(() => pickReader(names, wanted), { code: 'ERR_READER_GONE' });
  }
});

test('an address of vpcd is HOST:PORT, a part of it, or the default', () => {
  assert.deepEqual(readAddress(undefined), { host: '127.77.0.1', port: 35_963 });
  assert.deepEqual(readAddress('localhost:1234'), { host: 'localhost', port: 1234 });
  assert.deepEqual(readAddress(':1234'), { host: '127.77.0.1', port: 1234 });
  assert.deepEqual(readAddress('10.0.0.1'), { host: '10.0.0.1', port: 35_963 });
  for (const text of ['', ':', 'a:0', 'a:70000', 'a b:1', '[::1]:5']) {
    assert.throws(() => readAddress(text), { code: 'ERR_USAGE' }, text);
  }
});

const ASK_ATR = Uint8Array.of(0, 1, 4);
async function atrOver(socket: Socket): Promise<string> {
  socket.write(ASK_ATR);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.subarray(2).toString('hex').toUpperCase();
}

test('insert --vpcd: offered to a vpcd that listens, again after it went away, until interrupted', async () => {
  const vpcd = createServer();
  await new Promise<void>((resolve) => vpcd.listen(0, '127.0.0.1', resolve));
  const { port } = vpcd.address() as { port: number };
  const args = [MAIN, 'cards', 'insert', 'debit', `127.0.0.1:${port}`, '--vpcd', '--json'];
  const child = spawn(process.execPath, [...args, '--data', dataDir]);
  const ended = once(child, 'close');
  const [first] = (await once(vpcd, 'connection')) as [Socket];
  assert.match(await atrOver(first), /^3BE7/);
  first.destroy();
  const [second] = (await once(vpcd, 'connection')) as [Socket];
  second.on('error', () => {});
  assert.match(await atrOver(second), /^3BE7/);
  // The card is in this reader and in no other.
  const elsewhere = await run('balance', '--card', 'debit', '--json');
  assert.equal(JSON.parse(elsewhere.text).error.code, 'ERR_CARD_IN_USE');
  child.kill('SIGINT');
  const [code] = await ended;
  assert.equal(code, 0);
  vpcd.close();
  const nobody = await run('insert', 'debit', `127.0.0.1:${port}`, '--vpcd', '--json');
  assert.deepEqual([nobody.exit, JSON.parse(nobody.text).error.code], [1, 'ERR_READER_GONE']);
});

test('insert --vpcd --reverse: a vpcd calls us; contactless has its own answer to reset', async () => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const args = ['insert', 'debit', `127.0.0.1:${port}`, '--vpcd', '--reverse', '--json'];
  const child = spawn(process.execPath, [
    ...[MAIN, 'cards', ...args, '--interface', 'contactless', '--data', dataDir],
  ]);
  const ended = once(child, 'close');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.deepEqual(JSON.parse(line.toString()), {
    ...{ card: 'debit', interface: 'contactless' },
    vpcd: { host: '127.0.0.1', port, mode: 'reverse' },
  });
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  assert.match(await atrOver(socket), /^3B878001/);
  child.kill('SIGTERM');
  const [code] = await ended;
  assert.equal(code, 0);
});
