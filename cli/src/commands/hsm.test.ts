/** Shows `tapnpay hsm` at three running HSMs: status, keys, components and the key ceremony. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RunningHsm, readHsmTokens, runCeremony, startHsm } from '@tapnpay/online/hsm';
import { connectHsm, HSM_PARTIES, type HsmClient, type HsmParty } from '@tapnpay/online/runtime';
import { choosePorts, writeSystemConfig } from '../system/layout.ts';

const main = join(import.meta.dirname, '../main.ts');
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-hsm-cli-'));
const hsms: RunningHsm[] = [];
before(async () => {
  const clients = new Map<HsmParty, HsmClient>();
  const ports = { ...(await choosePorts(0)) };
  for (const [party, name] of [
    ['gateway', 'hsmGateway'],
    ['switch', 'hsmSwitch'],
    ['issuer', 'hsmIssuer'],
  ] as const) {
    const running = await startHsm({ dataDir, party, port: ports[name] });
    hsms.push(running);
    const tokenHex = readHsmTokens(dataDir, party).ceremony ?? '';
    clients.set(party, await connectHsm({ port: running.port, tokenHex, caller: 'ceremony' }));
  }
  await runCeremony({ dataDir, connect: (party) => clients.get(party) ?? assert.fail(party) });
  for (const client of clients.values()) await client.close();
  writeSystemConfig({ dataDir, ports, databaseUrl: '', lab: true });
});
after(async () => {
  for (const running of hsms) await running.close();
  rmSync(dataDir, { recursive: true, force: true });
});

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
function run(args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, 'hsm', ...args, '--data', dataDir]);
    let [text, error] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
    child.on('close', (exit) => resolve({ exit: exit ?? -1, text, error }));
    child.stdin.end(input);
  });
}

test('status names each HSM and says plainly what it is not', async () => {
  const { exit, text } = await run(['status']);
  assert.equal(exit, 0);
  for (const party of HSM_PARTIES)
    assert.match(text, new RegExp(`^${party} +LAB +master key`, 'm'));
  assert.match(text, /No certified HSM/);
  assert.match(text, /not constant in time/);
  const json = JSON.parse((await run(['status', '--json'])).text) as { notice: string }[];
  assert.equal(json.length, 3);
});

test('keys are listed by usage, algorithm and check value, both ends of a zone alike', async () => {
  const { text } = await run(['keys', '--json']);
  const rows = JSON.parse(text) as Record<string, string>[];
  const of = (party: string, name: string) =>
    rows.find((row) => row['party'] === party && row['name'] === name);
  assert.equal(of('gateway', 'zmk')?.['kcv'], of('switch', 'zmkGateway')?.['kcv']);
  assert.equal(of('issuer', 'imkAcSm4')?.['algorithm'], '4');
  assert.equal(of('issuer', 'imkAc')?.['usage'], 'E0');
  assert.ok(rows.every((row) => row['exportability'] === 'N'));
});

test('a ceremony forms one key at both ends of two components, and shows no component', async () => {
  const drawn = [await run(['component', '--json']), await run(['component', '--json'])];
  const [first, second] = drawn.map(
    ({ text }) => JSON.parse(text) as { component: string; kcv: string },
  );
  assert.ok(first && second && first.component !== second.component);
  const input = `${first.component}\n${second.component.toLowerCase()}\n`;
  const formed = [];
  for (const party of ['switch', 'issuer']) {
    const { exit, text } = await run(['ceremony', party, 'K0', '--json'], input);
    assert.equal(exit, 0);
    assert.ok(!text.includes(first.component) && !text.includes(second.component));
    formed.push(JSON.parse(text) as { components: string[]; kcv: string; keyBlock: string });
  }
  const [left, right] = formed;
  assert.deepEqual(left?.components, [first.kcv, second.kcv]);
  assert.equal(left?.kcv, right?.kcv);
  assert.notEqual(left?.keyBlock, right?.keyBlock);
  assert.match(left?.keyBlock ?? '', /^D[0-9]{4}K0TB/);
});

test('SM4 keys have check values of their own; a wrong algorithm of a usage is refused', async () => {
  const input = `${'1'.repeat(32)}\n${'0123456789ABCDEF0011223344556677'}\n`;
  const sm4 = await run(['ceremony', 'issuer', 'E0', '--algorithm', '4', '--json'], input);
  assert.equal(sm4.exit, 0);
  assert.match((JSON.parse(sm4.text) as { keyBlock: string }).keyBlock, /^D[0-9]{4}E04X/);
  const wrong = await run(['ceremony', 'issuer', 'V2', '--algorithm', 'A', '--json'], input);
  assert.equal(wrong.exit, 1);
  assert.match(wrong.text, /ERR_HSM_PARAMETER/);
});

test('wrong usage says what to change and quotes no component', async () => {
  const half = '0123456789ABCDEF';
  for (const [args, input] of [
    [[], ''],
    [['melt'], ''],
    [['ceremony', 'bank', 'K0'], ''],
    [['ceremony', 'issuer', 'Z9'], ''],
    [['ceremony', 'issuer', 'K0'], `${half}${half}\n`],
    [['ceremony', 'issuer', 'K0'], `${half}\n${half}\n`],
    [['component', '--algorithm', 'X'], ''],
  ] as const) {
    const { exit, error } = await run(args, input);
    assert.equal(exit, 2, args.join(' '));
    assert.ok(!error.includes(half));
  }
});
