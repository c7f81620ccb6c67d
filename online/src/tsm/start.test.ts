/**
 * Shows the manager as a process: its own HSM over the wire, PostgreSQL, keys of the first start;
 * an enrolment over HTTP that a restart cuts in two and that goes on from what the element says.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TsmContactAnswer, TsmContactRequest } from '@tapnpay/protocol/wire';
import { readHsmTokens, runElementCeremony, startHsm } from '../hsm/index.ts';
import { connectHsm } from '../runtime/index.ts';
import { nodeCiphers } from '../runtime/system.ts';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import { type RunningTsm, readTsmKeys, startTsm, type TsmConfig } from './start.ts';
import { Cut, contact, samplePackage, TestElement } from './tsm.test-kit.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-tsm-'));
let database: TestDatabase | null = null;
let hsm: Awaited<ReturnType<typeof startHsm>>;
let config: TsmConfig;
let elementHsm: ConstructorParameters<typeof TestElement>[0];
let factoryBlock = '';

before(async () => {
  database = await startTestDatabase();
  hsm = await startHsm({ dataDir, party: 'tsm', port: 0 });
  const tokens = readHsmTokens(dataDir, 'tsm');
  const caller = 'ceremony';
  const ceremony = await connectHsm({ port: hsm.port, tokenHex: tokens[caller] ?? '', caller });
  const { keys } = await runElementCeremony({ dataDir, ceremony });
  assert.deepEqual((await runElementCeremony({ dataDir, ceremony })).keys, keys, 'made once');
  await ceremony.close();
  factoryBlock = keys.factoryOpen.keyBlock;
  // The factory of the test reads the masters, as no party may.
  const file = readFileSync(join(dataDir, 'hsm/tsm/lmk.bin'));
  const { createHsmContext } = await import('../hsm/index.ts');
  elementHsm = createHsmContext({
    ...{ lmk: new Uint8Array(file.subarray(8, 40)), ciphers: nodeCiphers, party: 'tsm' },
    random: { bytes: (lengthBytes) => new Uint8Array(lengthBytes) },
  });
  const path = join(dataDir, 'loyalty.tplf');
  writeFileSync(path, samplePackage());
  config = {
    ...{ databaseUrl: database?.url ?? 'postgres://none', schema: 'tsm', dataDir },
    hsm: { port: hsm.port, tokenHex: tokens.tsm ?? '' },
    httpPort: await freePort(),
    lab: { packages: [{ applicationId: 'loyalty', path }] },
  };
});
after(async () => {
  await hsm.close();
  await database?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === 'object' && address ? address.port : 0;
}

async function ask(path: string, body?: object): Promise<{ status: number; body: never }> {
  const { issuer } = readTsmKeys(dataDir);
  const response = await fetch(`http://127.0.0.1:${config.httpPort}${path}`, {
    method: body ? 'POST' : 'GET',
    headers: {
      authorization: `Bearer ${issuer}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: (await response.json()) as never };
}

const overHttp = {
  take: async (serial: string, request: TsmContactRequest): Promise<TsmContactAnswer> => {
    const { status, body } = await ask(`/v1/elements/${serial}/contact`, request);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  },
};

test('keys of the first start, an enrolment cut by a restart, the same keys afterwards', async (context) => {
  if (!database) return context.skip();
  let running: RunningTsm = await startTsm(config);
  try {
    const keys = readTsmKeys(dataDir);
    assert.equal(new Set(Object.values(keys)).size, 3);
    if (process.platform !== 'win32') {
      assert.equal(statSync(join(dataDir, 'tsm/api-keys.json')).mode & 0o777, 0o600);
    }
    const { body: offered } = await ask('/v1/store/applications');
    assert.equal((offered as { data: object[] }).data.length, 1);

    const element = new TestElement(elementHsm, factoryBlock, { serial: 'A1A2A3A4A5A6A7A8' });
    const { serial, keyDiversificationData, attestationKeySpki } = element;
    const made = { serial, keyDiversificationData, attestationKeySpki };
    assert.equal((await ask('/v1/elements', made)).status, 201);
    assert.equal((await ask(`/v1/elements/${serial}/state`, { state: 'issued' })).status, 200);
    const job = { kind: 'enrol', applicationIds: ['loyalty'] };
    assert.equal((await ask(`/v1/elements/${serial}/jobs`, job)).status, 201);
    const cut = { index: 40, isAnswerLost: true };
    await assert.rejects(contact(overHttp, element, { cut }), Cut);

    await running.close();
    running = await startTsm(config);
    assert.deepEqual(readTsmKeys(dataDir), keys);
    element.restart();
    const { jobs } = await contact(overHttp, element);
    assert.deepEqual(
      jobs.map(({ kind, state }) => [kind, state]),
      [['enrol', 'done']],
    );
    const { body: detail } = await ask(`/v1/elements/${serial}`);
    const { applications, state } = detail as { applications: object[]; state: string };
    assert.equal(state, 'active');
    assert.deepEqual(
      applications.map((one) => (one as { actual: string }).actual),
      ['operable'],
    );
    // In a laboratory an element may say itself that it is there.
    const other = new TestElement(elementHsm, factoryBlock, { serial: 'B1B2B3B4B5B6B7B8' });
    const facts = {
      ...{ serial: other.serial, keyDiversificationData: other.keyDiversificationData },
      attestationKeySpki: other.attestationKeySpki,
    };
    assert.equal((await ask('/v1/announcements', facts)).status, 200);
    assert.equal((await ask('/v1/announcements', facts)).status, 200, 'twice comes to the same');
    const thief = { ...facts, attestationKeySpki };
    assert.equal((await ask('/v1/announcements', thief)).status, 409);
    const own = await contact(overHttp, other);
    assert.deepEqual(
      own.jobs.map(({ kind: what, state: end }) => [what, end]),
      [['enrol', 'done']],
    );

    const { body: audit } = await ask('/v1/audit?limit=500');
    const actions = (audit as { data: { action: string }[] }).data.map(({ action }) => action);
    assert.equal(actions.filter((action) => action === 'version.release').length, 1);
  } finally {
    await running.close();
  }
});

test('a configuration, key file or HSM that is not right stops the start', async () => {
  await assert.rejects(startTsm({ ...config, httpPort: 0 }), { code: 'ERR_CONFIG' });
  const elsewhere = { ...config, dataDir: join(dataDir, 'nothing') };
  await assert.rejects(startTsm(elsewhere), { code: 'ERR_PARTY_KEYS' });
  const tokenHex = '00'.repeat(32);
  const stranger = { ...config, hsm: { ...config.hsm, tokenHex } };
  await assert.rejects(startTsm(stranger), { code: 'ERR_HSM_REFUSED' });
});
