/** The life of a party's process: one ready line, then work until it is told to close. */
import { errorBody } from '@tapnpay/protocol/bytes';
import { systemClock } from './system.ts';

/** How long a party may take to close before its process ends anyway. */
const CLOSE_TIMEOUT_MS = 4_000;

/** A started party. */
export type Running = { readonly close: () => Promise<void> };

/** Prints the one line that the starter of a role waits for. */
export function printReady(role: string, facts: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ ready: role, ...facts })}\n`);
}

/**
 * Starts a role, prints its ready line and closes it on SIGINT, SIGTERM or, when `supervised`, at
 * the end of standard input. Exit codes: 0 closed, 1 did not start or did not close in time.
 */
export async function runRole(options: {
  readonly role: string;
  readonly start: () => Promise<Running & { readonly facts?: Readonly<Record<string, unknown>> }>;
  readonly supervised?: boolean | undefined;
}): Promise<void> {
  let running: (Running & { readonly facts?: Readonly<Record<string, unknown>> }) | null = null;
  let isClosing = false;
  const close = (): void => {
    if (isClosing) return;
    isClosing = true;
    systemClock.startTimer(CLOSE_TIMEOUT_MS, () => process.exit(1));
    Promise.resolve(running?.close()).then(
      () => process.exit(0),
      (thrown: unknown) => end(options.role, thrown),
    );
  };
  process.once('SIGINT', close);
  process.once('SIGTERM', close);
  if (options.supervised) {
    process.stdin.once('end', close);
    process.stdin.resume();
  }
  try {
    running = await options.start();
  } catch (thrown) {
    end(options.role, thrown);
    return;
  }
  printReady(options.role, running.facts);
}

function end(role: string, thrown: unknown): void {
  const { code, message } = errorBody(thrown);
  process.stderr.write(`${JSON.stringify({ level: 'error', role, code, message })}\n`);
  process.exit(1);
}
