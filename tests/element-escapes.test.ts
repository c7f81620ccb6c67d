/**
 * Code inside the element's process, under the flags of the product, gets nowhere: each attempt
 * ends in a named code, and the same code can do it outside. Neither environment nor inspector nor
 * core dumps reach in.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AgentError, type ElementConfig, startElement } from '@tapnpay/agent';
import { elementConfig } from '../cli/src/system/element.ts';
import { projectRoot } from '../cli/src/system/layout.ts';
import { tryAll } from '../element/src/escapes.test-probe.ts';

const root = mkdtempSync(join(tmpdir(), 'tapnpay-escapes-'));
const server = createServer((_, response) => response.end());
let port = 0;
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true });
});

/** Attempts that the runtime stops with a word of its own. */
const OTHER_CODES: Readonly<Record<string, string>> = {
  'file: database': 'ERR_UNKNOWN_BUILTIN_MODULE',
  addon: 'ERR_DLOPEN_DISABLED',
};
/** What this test's own process cannot do either: the file is no add-on. */
const OUTSIDE_CODES: Readonly<Record<string, string>> = { addon: 'ERR_DLOPEN_FAILED' };

type Findings = {
  readonly outcomes: Readonly<Record<string, string>>;
  readonly environment: readonly string[];
};

/** Starts the entry that tries to get out, as the agent starts an element. */
async function findings(): Promise<Findings> {
  const loadFile = join(root, 'load-file');
  writeFileSync(loadFile, '');
  writeFileSync(`${loadFile}.sha256`, String(port));
  const config: ElementConfig = {
    ...elementConfig(root, 'escaping'),
    elementEntry: join(projectRoot, 'element/src/escapes.test-entry.ts'),
    loadFile,
  };
  const fault: unknown = await startElement(config).catch((thrown: unknown) => thrown);
  assert.ok(fault instanceof AgentError);
  assert.deepEqual([fault.code, fault.data['exitCode']], ['ERR_ELEMENT_GONE', 4], fault.message);
  return JSON.parse(String(fault.data['diagnostics']));
}

test('file, network, process, worker, FFI, inspector: each attempt ends in a named code', async (t) => {
  const store = join(root, 'outside');
  mkdirSync(store);
  const outside = await tryAll(port, store);
  for (const [name, outcome] of Object.entries(outside)) {
    assert.equal(outcome, OUTSIDE_CODES[name] ?? 'done', `positive control: ${name}`);
  }
  const { outcomes } = await findings();
  assert.deepEqual(Object.keys(outcomes), Object.keys(outside));
  for (const [name, outcome] of Object.entries(outcomes)) {
    assert.equal(outcome, OTHER_CODES[name] ?? 'ERR_ACCESS_DENIED', name);
  }
  t.diagnostic(`${Object.keys(outcomes).length} ways out of the element are closed`);
});

test('the environment does not reach the element: NODE_OPTIONS opens nothing', async () => {
  const before = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] = '--allow-fs-read=* --inspect=0';
  try {
    const { environment, outcomes } = await findings();
    assert.deepEqual(environment, []);
    assert.equal(outcomes['file: read'], 'ERR_ACCESS_DENIED');
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  }
});

test('no core dump is written, and SIGUSR1 opens no inspector', {
  skip: process.platform !== 'linux',
}, async () => {
  const element = await startElement(elementConfig(root, 'quiet'));
  const limits = readFileSync(`/proc/${element.pid}/limits`, 'utf8');
  assert.match(limits, /^Max core file size +0 +0 +bytes/m);
  const sockets = (): readonly string[] => {
    const open = readdirSync(`/proc/${element.pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${element.pid}/fd/${fd}`)];
      } catch {
        // Closed between the two looks.
        return [];
      }
    });
    return open.filter((target) => target.startsWith('socket:')).sort();
  };
  await element.refresh();
  const before = sockets();
  assert.ok(element.pid);
  process.kill(element.pid, 'SIGUSR1');
  for (let round = 0; round < 5; round++) await element.refresh();
  assert.deepEqual(sockets(), before);
  await element.close();
});

test('an element that anybody starts without its flags does not run', async () => {
  const config = elementConfig(root, 'naked');
  const hash = readFileSync(`${config.loadFile}.sha256`, 'utf8').trim();
  mkdirSync(config.storeDir);
  const words = [config.elementEntry, config.storeDir, config.loadFile, hash];
  for (const flags of [[], ['--permission', '--allow-fs-read=*']]) {
    const { status, stdout } = spawnSync(process.execPath, [...flags, ...words], { input: '' });
    assert.equal(status, 3);
    assert.match(stdout.toString(), /ERR_ELEMENT_USAGE/);
  }
});

test('two agents cannot open one element: neither its process nor its store', async () => {
  const config = elementConfig(root, 'shared');
  const element = await startElement(config);
  await assert.rejects(startElement(config), { code: 'ERR_ELEMENT_IN_USE' });
  // An agent that takes no lock comes as far as its first write.
  const takeLock = async () => ({ release: async () => {}, fd: null });
  const other = await startElement(config, { takeLock });
  const select = { type: 'manage', command: '00A4040000' } as const;
  assert.ok(await other.request(select));
  await element.request({ type: 'beginEnrolment', pairingCode: '0123456789' });
  await assert.rejects(other.request({ type: 'beginEnrolment', pairingCode: '0123456789' }), {
    code: 'ERR_STORE_FORK',
  });
  await Promise.all([element.close(), other.close()]);
});
