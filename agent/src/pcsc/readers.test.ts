/** The list of readers comes from a child process, and whatever that child does is an answer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { listReaders } from './readers.ts';

const folder = mkdtempSync(join(tmpdir(), 'tapnpay-pcsc-'));
after(() => rmSync(folder, { recursive: true }));

let count = 0;
function childThat(code: string): string {
  count += 1;
  const path = join(folder, `child-${count}.mjs`);
  writeFileSync(path, code);
  return path;
}
const saying = (value: unknown): string =>
  childThat(
    `process.stdin.once('data', () => console.log(${JSON.stringify(JSON.stringify(value))}))`,
  );

test('readers are named as the service names them', async () => {
  const readers = ['ACS ACR122U 00 00', 'Virtual PCD 00 00'];
  const entry = saying({ result: { readers } });
  assert.deepEqual(await listReaders({ entry }), { status: 'ok', readers });
});

test('no library, no service and a fault of the service are told apart', async () => {
  for (const [answer, list] of [
    [{ noLibrary: true }, { status: 'noLibrary' }],
    [{ pcscCode: 0x8010001d }, { status: 'noService' }],
    [{ pcscCode: 0x8010001e }, { status: 'noService' }],
    [{ pcscCode: 0x80100001 }, { status: 'failed', code: '0x80100001' }],
  ] as const) {
    assert.deepEqual(await listReaders({ entry: saying(answer) }), list);
  }
});

test('foreign names are cut and hold no control characters', async () => {
  const entry = saying({ result: { readers: [`\u001b[31mred${'x'.repeat(300)}`, 7] } });
  const list = await listReaders({ entry });
  assert.ok(list.status === 'ok');
  assert.equal(list.readers[0]?.length, 128);
  assert.doesNotMatch(list.readers[0] ?? '', /\p{Cc}/u);
  assert.equal(list.readers[1], '7');
});

test('a child that crashes or says nonsense: ERR_PCSC_CRASH', async () => {
  const expected = { status: 'failed', code: 'ERR_PCSC_CRASH' };
  const crash = childThat('process.kill(process.pid, "SIGSEGV"); setTimeout(() => {}, 1000)');
  assert.deepEqual(await listReaders({ entry: crash }), expected);
  assert.deepEqual(await listReaders({ entry: childThat('console.log("hello")') }), expected);
  assert.deepEqual(await listReaders({ entry: saying({ odd: 1 }) }), expected);
  assert.deepEqual(await listReaders({ nodePath: join(folder, 'no-node') }), expected);
});

test('a child that hangs in a driver is ended: ERR_PCSC_TIMEOUT', async () => {
  const entry = childThat('setInterval(() => {}, 1000)');
  const list = await listReaders({ entry, timeoutMs: 150 });
  assert.deepEqual(list, { status: 'failed', code: 'ERR_PCSC_TIMEOUT' });
});

test('the real library of this machine answers one way or the other', async () => {
  const { status } = await listReaders();
  assert.ok(['ok', 'noLibrary', 'noService'].includes(status), status);
});
