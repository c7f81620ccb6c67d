/**
 * `tapnpay element` on the own element: status, list, install, lock, change of keys, the script
 * that is shown and not sent, wrong keys and wrong words, and the element in a vpcd of this test.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  APPLET_MEMORY_BYTES_MIN,
  encodeApplicationPackage,
} from '@tapnpay/protocol/globalplatform/data';
import { labKeys, readKeyFile } from './element-keys.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-element-command-'));
after(() => rmSync(dataDir, { recursive: true }));

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
const run = (...args: string[]) =>
  new Promise<Ran>((resolve) => {
    const all = [MAIN, 'element', ...args, '--data', dataDir];
    execFile(process.execPath, all, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
  });
const document = async (...args: string[]) => {
  const { exit, text, error } = await run(...args, '--json');
  assert.equal(exit, 0, error);
  return JSON.parse(text);
};
const keyFile = (name: string, content: object | string): string => {
  const path = join(dataDir, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const AID = 'F05441500901';
const PACKAGE = join(dataDir, 'test.tplf');
writeFileSync(
  PACKAGE,
  encodeApplicationPackage({
    manifest: {
      ...{ format: 1, name: 'test', version: '1.0.0', loadFileAid: 'F054415009' },
      ...{ interfaceVersion: 1, modules: [{ aid: AID, name: 'test' }] },
      memoryBytes: APPLET_MEMORY_BYTES_MIN,
    },
    bundle: 'export const createApplet = () => ({});',
  }),
);
const KEYS = {
  encryption: '00000000000000000000000000000001',
  mac: '00000000000000000000000000000002',
  dataEncryption: '00000000000000000000000000000003',
  ...{ diversification: 'kdf3', keyVersionNumber: 0x30 },
};
const own = keyFile('own.json', KEYS);

test('status: who it is, what it speaks, which keys fit; in two languages', async () => {
  const status = await document('status');
  assert.deepEqual(
    [status.reader, status.protocol, status.keyVersionNumber, status.keyName, status.lifeCycle],
    [null, 'SCP03 i=70', 'FF', 'kdf3', 'OP_READY'],
  );
  assert.deepEqual(status.keys, ['FF/1 AES-128', 'FF/2 AES-128', 'FF/3 AES-128']);
  assert.equal(status.paymentApplication, 'absent');
  assert.match((await run('status', '--lang', 'zh')).text, /^支付应用 +未安装$/m);
  assert.match((await run('status', '--lang', 'en')).text, /^payment application +not installed$/m);
  // Keys that are not the card's: the rest of it is told all the same.
  const other = keyFile('other.json', { ...KEYS, keyVersionNumber: 0 });
  for (const keys of [own, other]) {
    assert.equal((await document('status', '--keys', keys)).keyName, null);
  }
});

test('a dry run shows every command and changes nothing; the real one does them', async () => {
  const before = (await document('status')).sequenceCounter;
  const { script } = await document('install', PACKAGE, '--dry-run');
  const shown = await document('show-script', 'install', PACKAGE);
  const names = (lines: readonly { readonly name: string }[]) => lines.map(({ name }) => name);
  assert.deepEqual(names(shown.script), names(script));
  assert.deepEqual(names(script), [
    ...['INITIALIZE UPDATE', 'EXTERNAL AUTHENTICATE', 'INSTALL [for load] F054415009'],
    ...['LOAD 1 of 1', `INSTALL [for install and make selectable] ${AID}`],
  ]);
  for (const { clear, wire } of script.slice(2)) {
    assert.match(clear, /^80/);
    assert.match(wire, /^84/);
  }
  assert.deepEqual((await document('list')).applications, []);
  assert.ok((await document('status')).sequenceCounter > before, 'reading alone has sessions');
  assert.deepEqual((await document('install', PACKAGE)).commands, names(script).slice(2));
  // Again: the card has all of it.
  assert.deepEqual((await document('install', PACKAGE)).commands, []);
});

test('lock, list, unlock, delete; what is not there is a coded fault and exit 1', async () => {
  await document('lock', AID);
  assert.match((await run('list', '--lang', 'zh')).text, /APP +F05441500901 +LOCKED（锁定）/);
  const twice = await run('lock', AID);
  assert.deepEqual([twice.exit, /ERR_GP_STATUS/.test(twice.error)], [1, true]);
  await document('unlock', AID.toLowerCase());
  assert.equal((await document('list')).applications[0].lifeCycle, 7);
  assert.equal((await run('delete', 'F054415009')).exit, 1, 'an application hangs on it');
  assert.deepEqual((await document('delete', 'F054415009', '--related')).commands.length, 1);
  const registry = await document('list');
  assert.deepEqual([registry.applications.length, registry.loadFiles.length], [0, 1]);
  const card = await run('lock', 'card');
  assert.deepEqual([card.exit, /6985/.test(card.error)], [1, true], 'OP_READY is not SECURED');
});

test('keys are changed once, proved, and then the factory keys are told as wrong', async () => {
  assert.equal((await document('rotate-keys', '--new-keys', own)).keys, 'changed');
  assert.equal((await document('rotate-keys', '--new-keys', own, '--keys', own)).keys, 'unchanged');
  const { exit, text } = await run('list', '--json');
  const { error } = JSON.parse(text);
  assert.deepEqual([exit, error.code], [1, 'ERR_GP_CARD_CRYPTOGRAM']);
  assert.match(error.message, /kdf3:[0-9A-F]{6}/);
  assert.equal((await document('status', '--keys', own)).keyVersionNumber, '30');
});

test('wrong words are exit 2, before any card is touched', async () => {
  for (const args of [
    [],
    ['format'],
    ['lock'],
    ['lock', 'A000'],
    ['lock', 'XYZ'],
    ['list', 'all'],
    ['delete'],
    ['install', join(dataDir, 'nothing')],
    ['rotate-keys'],
    ['rotate-keys', '--new-keys', keyFile('unnamed.json', { ...KEYS, keyVersionNumber: 0 })],
    ['status', '--lang', 'fr'],
    ['install', PACKAGE, '--dap', 'A000000151000000'],
  ]) {
    const { exit, error } = await run(...args, '--keys', own);
    assert.equal(exit, 2, `${args.join(' ')}: ${error}`);
  }
});

test('key files: wrong length, JSON, way, version, or a check value that is another', () => {
  const read = (content: object | string) => () => readKeyFile(keyFile('bad.json', content));
  const code = { code: 'ERR_ELEMENT_KEYS' };
  assert.throws(() => readKeyFile(join(dataDir, 'nothing.json')), code);
  for (const content of [
    '{',
    '7',
    {},
    { ...KEYS, mac: '00' },
    { ...KEYS, mac: 'zz'.repeat(16) },
    { ...KEYS, algorithm: 'rsa' },
    { ...KEYS, diversification: 'kdf9' },
    { ...KEYS, keyVersionNumber: 256 },
    'x'.repeat(5_000),
  ]) {
    assert.throws(read(content), (fault: Error & { code?: string }) => {
      assert.ok(!fault.message.includes('000000'), 'no key in an error');
      return fault.code === 'ERR_ELEMENT_KEYS';
    });
  }
  const checkValues = { encryption: '000000', mac: '000000', dataEncryption: '000000' };
  assert.throws(read({ ...KEYS, checkValues }), { code: 'ERR_ELEMENT_KEY_CHECK' });
  assert.equal(read(KEYS)().keyVersionNumber, 0x30);
  assert.equal(labKeys().algorithm, 'aes');
});

test('offer: the element is a card for whoever calls through vpcd', async () => {
  let accept = (_: Socket): void => {};
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve;
  });
  const vpcd = createServer((socket) => accept(socket));
  await new Promise<void>((resolve) => vpcd.listen(0, '127.0.0.1', resolve));
  const { port } = vpcd.address() as AddressInfo;
  const args = ['element', 'offer', `127.0.0.1:${port}`, '--data', dataDir, '--json'];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [said] = await once(child.stdout, 'data');
  assert.equal(JSON.parse(String(said)).vpcd.port, port);
  const socket = await accepted;
  const frames = async (sent: string): Promise<string> => {
    const bytes = Buffer.from(sent, 'hex');
    socket.write(Buffer.concat([Buffer.of(0, bytes.length), bytes]));
    const [answer] = await once(socket, 'data');
    return (answer as Buffer).subarray(2).toString('hex').toUpperCase();
  };
  assert.match(await frames('04'), /^3B8501/);
  assert.match(await frames('00A4040000'), /^6F.*9000$/);
  // Somebody else who wants the element meanwhile is told.
  const other = await run('status');
  assert.deepEqual([other.exit, /ERR_ELEMENT_IN_USE/.test(other.error)], [1, true]);
  child.kill('SIGTERM');
  assert.deepEqual((await ended)[0], 0);
  vpcd.close();
});
