/** Shows `tapnpay cards` at the reader of a running agent, and what it says without one. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { ServiceRig } from '../../../agent/src/service/service.test-kit.ts';
import { sampleCard } from '../../../protocol/src/emv/icc/sample.test-card.ts';

const main = join(import.meta.dirname, '../main.ts');
const rsaKey = (modulusLength: number) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
};
const keys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
const image = JSON.stringify(sampleCard(nodeCiphers, keys).image);
let rig: ServiceRig;
before(async () => {
  rig = await ServiceRig.start({ cards: { debit: image } });
  const system = { dataDir: rig.dataDir, ports: {}, databaseUrl: '', lab: true };
  writeFileSync(join(rig.dataDir, 'system.json'), JSON.stringify(system));
});
after(() => rig.close());

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
const run = (...args: string[]) =>
  new Promise<Ran>((resolve) => {
    const all = [main, 'cards', ...args, '--data', rig.dataDir];
    execFile(process.execPath, all, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
  });
const readerOf = ({ text }: Ran) =>
  (JSON.parse(text) as { reader: { card: string | null; interface: string | null } }).reader;

test('a card is inserted, tapped and taken away at the running agent', async () => {
  assert.deepEqual(readerOf(await run('insert', 'debit', '--json')), {
    name: 'Virtual reader',
    kind: 'virtual',
    card: 'debit',
    interface: 'contact',
  });
  const occupied = await run('tap', 'debit', '--json');
  assert.equal(occupied.exit, 1);
  assert.match(occupied.text, /"code":"ERR_READER_OCCUPIED"/);
  assert.equal(readerOf(await run('take-away', '--json')).card, null);
  assert.equal(readerOf(await run('tap', 'debit', '--json')).interface, 'contactless');
  const listed = await run();
  assert.match(listed.text, /^debit .*contact\+contactless .*at the reader 在读卡器上/m);
  assert.equal((await run('take-away')).exit, 0);
});

test('wrong usage says what to change', async () => {
  for (const args of [['insert'], ['tap', 'a', 'b'], ['list', 'x'], ['shuffle']]) {
    assert.equal((await run(...args)).exit, 2, args.join(' '));
  }
  assert.equal((await run('tap', 'debit', '--lift-after', '0')).exit, 2);
  const unknown = await run('insert', 'nobody', '--json');
  assert.deepEqual([unknown.exit, /ERR_CARD_UNKNOWN/.test(unknown.text)], [1, true]);
});

test('without an agent the cards are listed, and nothing can be presented', async () => {
  await rig.stop();
  const listed = await run('list', '--json');
  assert.equal(listed.exit, 0);
  assert.equal(readerOf(listed).card, null);
  const refused = await run('tap', 'debit', '--json');
  assert.equal(refused.exit, 1);
  assert.match(refused.text, /"code":"ERR_AGENT_DOWN"/);
  assert.match(refused.error, /npm start/);
});
