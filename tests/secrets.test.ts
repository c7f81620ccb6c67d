/**
 * No PAN, PIN or card key in any log, notification or printed text, and no PAN in the database: a full run is searched for every form of them. The search itself is shown to find each
 * form where it must be (positive control).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toHex } from '@tapnpay/protocol/bytes';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import { imageUdk } from '../protocol/src/emv/data/icc-image.test-kit.ts';
import { findings, formsOf } from './search.test-kit.ts';
import { filesBelow, TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
before(async () => {
  await system.up();
});
after(() => system.close());

const PIN = '739164';
test('positive control: the search finds every form of a number', () => {
  const pan = '6299990000000009';
  for (const { name, bytes } of formsOf(pan)) {
    const haystack = Buffer.concat([Buffer.from('before '), bytes, Buffer.from(' after')]);
    assert.ok(findings(haystack, pan).includes(name), name);
  }
  assert.deepEqual(findings(Buffer.from('629999******0009'), pan), []);
});

test('a full run leaves no PAN and no PIN in logs, printed text or notifications', async () => {
  const notifications: string[] = [];
  const shop = createServer((request, response) => {
    request.on('data', (chunk) => notifications.push(String(chunk)));
    request.on('end', () => response.end());
  });
  await new Promise<void>((done) => shop.listen(0, '127.0.0.1', done));
  const address = shop.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const printed: string[] = [];
  const run = async (...args: string[]): Promise<void> => {
    const notify = ['--notify-url', `http://127.0.0.1:${port}/notify`];
    const result = await tapnpay(['tap', '--data', system.dataDir, ...notify, ...args]);
    printed.push(result.stdout, result.stderr);
  };
  await run('--trace');
  await run('--json');
  await run('--trace', '--pin', PIN);
  await run('--trace', '--fault', 'flip-arqc');
  await run('--trace', '--fault', 'drop-reply');
  await new Promise((done) => setTimeout(done, 1500));
  shop.close();
  assert.notEqual(notifications.length, 0, 'the shop was told');
  const image = readFileSync(join(system.dataDir, 'cards/debit.json'));
  const card = parseIccImage(image.toString());
  const { pan } = iccSummary(card);
  const keys = (['udkAc', 'udkMac', 'udkEnc'] as const).map((name) => ({
    name,
    key: toHex(imageUdk(card, name)),
  }));
  assert.ok(
    keys.every(({ key }) => image.includes(key)),
    'positive control: the chip holds its keys',
  );
  assert.ok(findings(image, pan).includes('ASCII'), 'positive control: the chip holds its PAN');
  const logs = filesBelow(join(system.dataDir, 'logs'));
  assert.ok(
    logs.some(({ bytes }) => bytes.includes('"hop"')),
    'positive control: hops are logged',
  );
  const searched = [
    ...logs,
    { path: 'printed text', bytes: Buffer.from(printed.join('\n')) },
    { path: 'notifications', bytes: Buffer.from(notifications.join('\n')) },
  ];
  const database = filesBelow(join(system.dataDir, 'postgres'));
  const masked = `${pan.slice(0, 6)}${'*'.repeat(pan.length - 10)}${pan.slice(-4)}`;
  const control = database.some(({ bytes }) => bytes.includes(masked));
  assert.ok(control, 'positive control: the database holds the masked number');
  for (const { path, bytes } of database) {
    assert.deepEqual(findings(bytes, pan), [], `PAN in ${path}`);
  }
  for (const { path, bytes } of searched) {
    assert.deepEqual(findings(bytes, pan), [], `PAN in ${path}`);
    assert.deepEqual(findings(bytes, PIN), [], `PIN in ${path}`);
    for (const { name, key } of keys) {
      assert.equal(bytes.includes(key), false, `${name} in ${path}`);
      assert.equal(bytes.includes(Buffer.from(key, 'hex')), false, `${name} in ${path}`);
    }
  }
});
