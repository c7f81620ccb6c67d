/** Shows that a gateway whose addresses are no web origins does not start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGateway } from './start.ts';

const config = {
  databaseUrl: 'postgres://127.0.0.1:1/none',
  schema: 'gateway',
  hsm: { port: 1, tokenHex: '00'.repeat(32) },
  dataDir: '/nonexistent',
  httpPort: 1,
  tlsPort: 2,
  switchPort: 3,
  lab: true,
};

for (const [name, wrong] of [
  ['publicUrl', 'http://127.0.0.1:8420/'],
  ['publicUrl', 'http://127.0.0.1:8420/pay'],
  ['publicUrl', 'HTTP://127.0.0.1:8420'],
  ['agentUrl', 'http://user:word@127.0.0.1:8427'],
  ['agentUrl', 'http://127.0.0.1:8427; script-src *'],
  ['agentUrl', 'ws://127.0.0.1:8427'],
  ['observerUrl', 'javascript:alert(1)'],
  ['pagesDir', ''],
  ['plugin', 'web/dist/extension'],
] as const) {
  test(`${name} ${JSON.stringify(wrong)} is refused before anything is opened`, async () => {
    const started = startGateway({ ...config, [name]: wrong });
    const refused = { code: 'ERR_CONFIG', message: new RegExp(`^${name}:`) };
    await assert.rejects(started, refused);
  });
}
