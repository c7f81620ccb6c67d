/**
 * A real pcscd with vpcd of its own: in namespaces for files, network and processes, so that it
 * meets no other one on the machine and dies with its test. Needs root.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PCSCD = '/usr/sbin/pcscd';
/** The whole of it, hanging drivers included. */
const RUN_TIMEOUT_MS = 120_000;
const VPCD = '/usr/lib/pcsc/drivers/serial/libifdvpcd.so';

/** Why this machine cannot run it; null when it can. */
export function pcscdRefusal(): string | null {
  if (process.platform !== 'linux') return 'pcscd is tested on Linux';
  if (!existsSync(PCSCD)) return 'pcscd is not installed (apt install pcscd)';
  if (!existsSync(VPCD)) return 'vpcd is not installed (apt install vsmartcard-vpcd)';
  if (!isRunnable('ip', ['-V'])) return 'ip is not installed (apt install iproute2)';
  const args = ['--mount', '--net', '--fork', '--pid', '--mount-proc', 'true'];
  return isRunnable('unshare', args) ? null : 'unshare is not permitted here; it takes root';
}

function isRunnable(program: string, args: readonly string[]): boolean {
  return spawnSync(program, [...args], { stdio: 'ignore' }).status === 0;
}

/**
 * Loopback as on any machine, beside it our own range with the route that takes vpcd's 44 ms away;
 * an own /run for pcscd's socket; then the command.
 */
const SCRIPT = `
set -e
ip link set lo up
ip route add local 127.77.0.0/16 dev lo table local quickack 1
mount -t tmpfs tmpfs /run
mkdir -p /run/pcscd
${PCSCD} --foreground >/dev/null 2>&1 &
export TEST_PCSCD_PID=$!
for i in $(seq 100); do [ -S /run/pcscd/pcscd.comm ] && break; sleep 0.05; done
exec "$@"
`;

/** What the command printed, and how it ended. */
export type PrivateRun = { readonly code: number | null; readonly output: string };

/** Runs a program of this Node beside a private pcscd; everything in there ends with it. */
export async function runBesidePcscd(
  args: readonly string[],
  { timeoutMs = RUN_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<PrivateRun> {
  const namespaces = ['--mount', '--net', '--fork', '--pid', '--mount-proc', '--kill-child'];
  const command = ['bash', '-c', SCRIPT, 'private-pcscd', process.execPath, ...args];
  // A test runner in a test runner would report to the outer one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn('unshare', [...namespaces, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    env,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}
