/** The example of docs/applets.md is an applet: it is loaded, installed, personalised and used. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { aesCmac } from '@tapnpay/protocol/crypto';
import {
  aesKeyCheckValue,
  encodeApplicationPackage,
  KEY_TYPE_88_AES,
} from '@tapnpay/protocol/globalplatform/data';
import {
  installForPersonalization,
  keyGroupings,
  selectCommand,
  storeDataGroupings,
} from '@tapnpay/protocol/globalplatform/offcard';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import { createSandboxRunner } from '../element/src/sandbox/index.ts';
import { elementCiphers, systemClock } from '../element/src/system.ts';
import { TestCard } from '../protocol/src/globalplatform/managed.test-kit.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../docs/applets.md'), 'utf8');
const NAMES = { file: 'F054415009', module: 'F05441500901', aid: 'F0544150090101' };

/** The load file of the page's first TypeScript text. */
export function example(): Uint8Array {
  const source = /```ts\n(.+?)```/s.exec(PAGE)?.[1];
  assert.ok(source, 'the page has an example');
  return encodeApplicationPackage({
    manifest: {
      ...{ format: 1, name: 'Counter', version: '1.0.0', loadFileAid: NAMES.file },
      ...{ interfaceVersion: 1, modules: [{ aid: NAMES.module, name: 'counter' }] },
      memoryBytes: 16 * 1024 * 1024,
    },
    bundle: stripTypeScriptTypes(source),
  });
}

test('the example counts, lasts, and proves its count with a key that it never saw', () => {
  const ports = { ciphers: elementCiphers, random: systemRandom, clock: systemClock };
  const card = new TestCard({ runner: createSandboxRunner(ports) });
  const managed = card.open({ commandBytesMax: 0x4000 });
  assert.equal(managed.load({ aid: NAMES.file, code: example() }), '9000');
  assert.equal(managed.install(NAMES, { application: fromHex('29') }), '9000');
  const bytes = systemRandom.bytes(16);
  const keyCheckValue = aesKeyCheckValue(nodeCiphers, bytes);
  const names = { keyIdentifier: 1, keyVersionNumber: 0x30, type: KEY_TYPE_88_AES };
  const select = () => card.send(selectCommand(NAMES.aid));
  const send = (ins: number) => card.send({ cla: 0x80, ins, p1: 0, p2: 0 });
  select();
  assert.equal(send(0x02).statusWord, 0x6985);
  const again = card.open();
  assert.equal(again.status(installForPersonalization(NAMES.aid)), '9000');
  const groupings = keyGroupings({ ...names, bytes, keyCheckValue });
  const stored = storeDataGroupings(again.session, groupings, { isEncrypted: true });
  assert.equal(again.status(...stored), '9000');
  select();
  assert.equal(toHex(send(0x01).data), '2A');
  card.restart();
  select();
  const expected = aesCmac(nodeCiphers, bytes, Uint8Array.of(0x2a));
  assert.equal(toHex(send(0x02).data), toHex(expected));
  assert.equal(send(0x03).statusWord, 0x6d00);
});

test('every code that the sandbox has is explained on the page', () => {
  const errors = join(import.meta.dirname, '../element/src/sandbox/errors.ts');
  const codes = readFileSync(errors, 'utf8').match(/ERR_APPLET_[A-Z_]+/g) ?? [];
  assert.ok(codes.length > 5);
  for (const code of codes) assert.ok(PAGE.includes(`| \`${code}\` |`), code);
});
