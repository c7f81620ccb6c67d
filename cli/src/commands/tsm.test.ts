/**
 * Shows what `tapnpay tsm` asks a manager for, as which person, and how it tells the answers: in
 * lines, in JSON, and as a coded fault.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeApplicationPackage } from '@tapnpay/protocol/globalplatform/data';

const MAIN = join(import.meta.dirname, '../main.ts');
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-tsm-cli-'));
const SERIAL = '0011223344556677';
type Asked = { readonly line: string; readonly key: string; readonly body: unknown };
const asked: Asked[] = [];
let server: Server;

const JOB = {
  ...{ id: 'j1', serial: SERIAL, kind: 'lock', state: 'failed', steps: [] },
  fault: { code: 'ERR_TSM_STATUS', message: 'LOAD was answered by 6A84' },
};
const ELEMENT = {
  ...{ serial: SERIAL, state: 'active', cardState: 'SECURED', ownerId: 'ann' },
  applications: [
    {
      ...{ applicationId: 'loyalty', wanted: 'operable', actual: 'locked', drift: ['state'] },
      actualVersionId: 'loyalty/1.0.0',
    },
  ],
};
const STEP = {
  ...{ name: 'load', subject: 'loyalty/1.0.0', hidden: 2, note: null },
  commands: ['80E60200', 'AB'.repeat(200)],
};
/** Answers by method and path. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  'GET /v1/elements?limit=100': { data: [ELEMENT], next: 'x' },
  'GET /v1/elements?limit=100&after=x': { data: [{ ...ELEMENT, serial: 'FF' }], next: null },
  [`GET /v1/elements/${SERIAL}`]: ELEMENT,
  [`POST /v1/elements/${SERIAL}/jobs`]: { ...JOB, state: 'waiting', fault: null },
  [`POST /v1/elements/${SERIAL}/preview`]: { steps: [STEP] },
  [`POST /v1/elements/${SERIAL}/state`]: { ...ELEMENT, state: 'suspended' },
  'GET /v1/jobs/j1': { ...JOB, steps: [{ name: 'load', subject: 'loyalty/1.0.0' }] },
  'POST /v1/applications/loyalty/versions': {
    ...{ number: '1.0.0', state: 'rejected', hash: 'AA' },
    checks: [{ name: 'forbidden', isPassed: false, detail: 'eval' }],
  },
  'POST /v1/applications/loyalty/versions/1.0.0/review': { number: '1.0.0', state: 'reviewed' },
};

before(async () => {
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const text = Buffer.concat(parts).toString();
      const line = `${request.method} ${request.url}`;
      const key = request.headers.authorization ?? '';
      asked.push({ line, key, body: text === '' ? null : JSON.parse(text) });
      const answer = ANSWERS[line];
      const fault = { code: 'ERR_NOT_FOUND', message: 'there is none', data: {} };
      response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? fault));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const system = { dataDir, ports: { tsm: port }, databaseUrl: '', lab: true };
  writeFileSync(join(dataDir, 'system.json'), JSON.stringify(system));
  mkdirSync(join(dataDir, 'tsm'));
  const keys = { issuer: 'i'.repeat(32), reviewer: 'r'.repeat(32), auditor: 'a'.repeat(32) };
  writeFileSync(join(dataDir, 'tsm/api-keys.json'), JSON.stringify(keys));
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dataDir, { recursive: true, force: true });
});

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
function ran(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const all = [MAIN, 'tsm', ...args, '--data', dataDir];
    execFile(process.execPath, all, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
  });
}

/** What a command that ends well prints. */
async function run(...args: readonly string[]): Promise<string> {
  const { exit, text, error } = await ran(...args);
  assert.equal(exit, 0, error);
  return text;
}

test('lists page by page, and one element with what differs', async () => {
  const text = await run('elements');
  assert.match(text, /0011223344556677 +active +SECURED {2}owner ann\nFF/);
  assert.match(
    await run('element', SERIAL),
    /wanted operable +actual locked +loyalty\/1.0.0 {2}differs: state/,
  );
  const json: unknown = JSON.parse(await run('element', SERIAL, '--json'));
  assert.deepEqual(json, ELEMENT);
});

test('asks for jobs by their names, and for none in a dry run', async () => {
  for (const [name, kind] of [
    ['lock', 'lock'],
    ['install', 'update'],
    ['rotate-keys', 'rotateKeys'],
  ] as const) {
    await run(name, SERIAL, 'loyalty');
    assert.deepEqual(asked.at(-1)?.body, { kind, applicationIds: ['loyalty'] });
    assert.equal(asked.at(-1)?.line, `POST /v1/elements/${SERIAL}/jobs`);
  }
  const count = asked.filter(({ line }) => line.endsWith('/jobs')).length;
  const script = await run('install', SERIAL, 'loyalty', '--dry-run');
  assert.equal(asked.filter(({ line }) => line.endsWith('/jobs')).length, count);
  assert.match(script, /^load loyalty\/1.0.0\n {2}80E60200\n {2}(?:AB){48}\.\.\. \(200 bytes\)/);
  assert.match(script, /\.\.\. 2 more/);
  assert.match(await run('job', 'j1'), /failed {2}ERR_TSM_STATUS: LOAD was answered by 6A84/);
});

test('moves elements, uploads, and reviews as the second person', async () => {
  await run('suspend', SERIAL);
  assert.deepEqual(asked.at(-1)?.body, { state: 'suspended' });
  const file = join(dataDir, 'loyalty.tplf');
  const manifest = {
    ...({ format: 1, interfaceVersion: 1, name: 'Card', version: '1.0.0' } as const),
    ...{ loadFileAid: 'F054415002', memoryBytes: 4_194_304 },
    modules: [{ aid: 'F05441500201', name: 'card' }],
  };
  writeFileSync(file, encodeApplicationPackage({ manifest, bundle: 'export const x = 1;' }));
  assert.match(await run('upload', 'loyalty', file), /rejected.*\n {2}not passed: forbidden eval/);
  assert.deepEqual(Object.keys(asked.at(-1)?.body ?? {}), ['number', 'hash', 'packageBase64']);
  await run('review', 'loyalty', '1.0.0', '--note', 'fine');
  assert.deepEqual(asked.at(-1), {
    line: 'POST /v1/applications/loyalty/versions/1.0.0/review',
    key: `Bearer ${'r'.repeat(32)}`,
    body: { isAccepted: true, note: 'fine' },
  });
});

test('a wrong use, a refusal and a missing manager each have their code', async () => {
  for (const [exit, code, args] of [
    [2, 'ERR_USAGE', ['nothing']],
    [2, 'ERR_USAGE', ['lock']],
    [2, 'ERR_USAGE', ['revoke', 'loyalty', '1.0.0']],
    [1, 'ERR_NOT_FOUND', ['job', '../keys']],
  ] as const) {
    const said = await ran(...args);
    assert.equal(said.exit, exit);
    assert.ok(said.error.includes(`(${code})`), said.error);
  }
  assert.equal(asked.at(-1)?.line, 'GET /v1/jobs/..%2Fkeys');
  rmSync(join(dataDir, 'tsm'), { recursive: true });
  const gone = await ran('elements', '--json');
  assert.equal(JSON.parse(gone.text).error.code, 'ERR_NO_MANAGER');
});
