/**
 * A live round trip with the host: what is wrong is named, whatever the host does, and no process
 * is left behind. The hosts are small programs that really fail so.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../system.ts';
import { GOOD_HOST, programOf } from './hosts.test-kit.ts';
import { type HostProbe, probeHost } from './probe-host.ts';

const folder = mkdtempSync(join(tmpdir(), "支付 测试 it's "));
after(() => rmSync(folder, { recursive: true }));
const host = (code: string) => programOf(folder, code);
const ORIGIN = 'chrome-extension://jidnflbmgkkgnjdalbnigbchcpbbdbpf';

function ask(program: string, over: Partial<HostProbe> = {}) {
  const args = [`${ORIGIN}/`];
  return probeHost({ program, args, origin: ORIGIN, offered: null, ...over });
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('a host that answers and ends: its version, its report, the time', async () => {
  const { found, hello, report } = await ask(host(GOOD_HOST));
  assert.deepEqual([found.state, found.code], ['ok', null]);
  assert.equal(found.facts['version'], '0.1.0');
  assert.match(found.facts['ms'] ?? '', /^\d+$/);
  assert.equal(hello?.element.state, 'notEnrolled');
  assert.equal(report?.checks[0]?.id, 'gateway');
});

test('it is started as a browser starts it: arguments, folder, and a plain search path', async () => {
  const seen = join(folder, 'seen.json');
  const code = `
    const { writeFileSync } = await import('node:fs');
    const { argv, env } = process;
    const seen = { args: argv.slice(2), cwd: process.cwd(), path: env.PATH, odd: env.ODD_ONE };
    writeFileSync(${JSON.stringify(seen)}, JSON.stringify(seen));
    ${GOOD_HOST}`;
  process.env['ODD_ONE'] = '1';
  await ask(host(code), { args: ['/a b/manifest.json', 'plugin@tapnpay.org'] });
  delete process.env['ODD_ONE'];
  assert.deepEqual(JSON.parse(readFileSync(seen, 'utf8')), {
    args: ['/a b/manifest.json', 'plugin@tapnpay.org'],
    cwd: folder,
    path: '/usr/local/bin:/usr/bin:/bin',
  });
});

const refused = JSON.stringify({
  type: 'page',
  message: { type: 'refused', error: { code: 'ERR_ORIGIN', message: 'not a gateway', data: {} } },
});
/** What a host does, the code, and what its reason says. */
const BROKEN: readonly (readonly [what: string, code: string, expected: string, reason: RegExp])[] =
  [
    ['ends at once', 'process.exit(3)', 'ERR_HOST_EXITED', /^exit 3$/],
    ['throws', 'throw new Error("boom")', 'ERR_HOST_EXITED', /^exit 1$/],
    ['is killed', 'process.kill(process.pid, "SIGKILL")', 'ERR_HOST_EXITED', /^SIGKILL$/],
    [
      'ends after its hello',
      'hello(); setImmediate(() => process.exit(0))',
      'ERR_HOST_EXITED',
      /^exit 0$/,
    ],
    [
      'prints a line',
      'console.log("listening on port 1"); answers()',
      'ERR_HOST_PROTOCOL',
      /"listening on/,
    ],
    [
      'prints after its hello',
      'hello(); console.log("debug: x"); answers()',
      'ERR_HOST_PROTOCOL',
      /"debug: x/,
    ],
    ['sends no JSON', 'send("{oops"); answers()', 'ERR_HOST_PROTOCOL', /no JSON: "\{oops"/],
    [
      'sends another frame first',
      'send({ type: "report", report }); answers()',
      'ERR_HOST_PROTOCOL',
      /report before hello/,
    ],
    [
      'sends a hello without a version',
      'hello({ version: 7 }); answers()',
      'ERR_HOST_PROTOCOL',
      /version/,
    ],
    [
      'refuses',
      `hello(); heard(() => send(${JSON.stringify(refused)}))`,
      'ERR_HOST_REFUSED',
      /^ERR_ORIGIN: not a gateway$/,
    ],
    [
      'refuses before its hello',
      `send(${JSON.stringify(refused)}); heard(() => {})`,
      'ERR_HOST_REFUSED',
      /^ERR_ORIGIN: /,
    ],
    [
      'is of another protocol',
      'hello({ protocol: { min: 7, max: 9 } }); answers()',
      'ERR_VERSION',
      /^$/,
    ],
  ];
for (const [what, code, expected, reason] of BROKEN) {
  test(`a host that ${what}: ${expected}`, async () => {
    const { found, report } = await ask(host(code));
    assert.deepEqual([found.state, found.code], ['broken', expected]);
    assert.match(found.facts['reason'] ?? '', reason);
    assert.equal(report, null);
  });
}

test("a host's last words are told", async () => {
  const { found } = await ask(host('console.error("cannot find module x"); process.exit(1)'));
  assert.equal(found.facts['output'], 'cannot find module x');
});

test('an interpreter that is gone: the shell says which', async () => {
  const program = join(folder, 'moved');
  writeFileSync(program, '#!/bin/sh\nexec /gone/bin/node "$@"\n', { mode: 0o755 });
  const { found } = await ask(program);
  assert.deepEqual([found.code, found.facts['reason']], ['ERR_HOST_EXITED', 'exit 127']);
  assert.match(found.facts['output'] ?? '', /\/gone\/bin\/node/);
});

test('a program that cannot be started: ERR_HOST_START', async () => {
  const program = host(GOOD_HOST);
  chmodSync(program, 0o644);
  for (const path of [program, join(folder, 'none')]) {
    const { found } = await ask(path);
    assert.equal(found.code, 'ERR_HOST_START');
    assert.match(found.facts['reason'] ?? '', /^(EACCES|ENOENT)$/);
  }
});

test('a host that says nothing is waited for, named and ended, its children too', async () => {
  const pids = join(folder, 'pids');
  const code = `
    const { spawn } = await import('node:child_process');
    const { renameSync, writeFileSync } = await import('node:fs');
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
    writeFileSync(${JSON.stringify(`${pids}.new`)}, JSON.stringify([process.pid, child.pid]));
    renameSync(${JSON.stringify(`${pids}.new`)}, ${JSON.stringify(pids)});
    setInterval(() => {}, 1000);`;
  const { found } = await ask(host(code), { helloTimeoutMs: 3_000 });
  assert.deepEqual([found.state, found.code], ['broken', 'ERR_HOST_TIMEOUT']);
  assert.equal(found.facts['ms'], '3000');
  const started = JSON.parse(readFileSync(pids, 'utf8')) as readonly number[];
  assert.equal(started.length, 2);
  // A killed process is seen until the system has taken its number back.
  for (let tries = 0; tries < 100 && started.some(isAlive); tries++) {
    await new Promise<void>((done) => {
      systemClock.startTimer(20, done);
    });
  }
  assert.deepEqual(started.map(isAlive), [false, false]);
});

test('a host that stays when the browser lets go: a warning, and it is ended', async () => {
  const { found, report } = await ask(host('hello(); answers(); setInterval(() => {}, 1000)'));
  assert.deepEqual([found.state, found.code], ['warn', 'ERR_HOST_LINGERS']);
  assert.notEqual(report, null);
});

test('what the gateway requires and offers is judged', async () => {
  const program = host(GOOD_HOST);
  const forced = await ask(program, { offered: { latest: '2.0.0', required: '0.2.0' } });
  assert.deepEqual([forced.found.state, forced.found.code], ['broken', 'ERR_HOST_OUTDATED']);
  assert.equal(forced.found.facts['required'], '0.2.0');
  const optional = await ask(program, { offered: { latest: '2.0.0', required: '0.1.0' } });
  assert.deepEqual([optional.found.state, optional.found.code], ['warn', 'ERR_HOST_UPDATE']);
  assert.notEqual(optional.report, null);
  const fine = await ask(program, { offered: { latest: '0.1.0', required: '0.1.0' } });
  assert.equal(fine.found.state, 'ok');
  const odd = host('hello({ version: "new" }); answers(); endsWithInput()');
  const judged = await ask(odd, { offered: { latest: '2.0.0', required: '0.1.0' } });
  assert.equal(judged.found.code, 'ERR_HOST_PROTOCOL');
});

test('a report in chunks is joined', async () => {
  const code = `
    hello();
    endsWithInput();
    const text = JSON.stringify({ type: 'report', report });
    const [one, two] = [text.slice(0, 20), text.slice(20)];
    heard((frame) => {
      if (frame.type !== 'doctor') return;
      send({ type: 'chunk', id: 1, index: 0, count: 2, text: one });
      send({ type: 'chunk', id: 1, index: 1, count: 2, text: two });
    });`;
  const { found, report } = await ask(host(code));
  assert.equal(found.state, 'ok');
  assert.equal(report?.checks.length, 1);
  assert.ok(existsSync(folder));
});
