/**
 * Entry of the secure element's process: frames on standard input and output, nothing else.
 * The agent starts it under Node's permission model with a store directory and an application.
 */
import { builtinModules } from 'node:module';
import { type ErrorBody, errorBody } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  ELEMENT_FRAME_BYTES_MAX,
  type ElementEvent,
  elementCommandShape,
  encodeJsonFrame,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import { loadApplication, paymentApplicationOf } from './application.ts';
import { CardSeat } from './card/index.ts';
import { ElementError } from './errors.ts';
import { createSandboxRunner } from './sandbox/index.ts';
import { ElementSession } from './session.ts';
import { ElementState } from './state.ts';
import { ElementStore } from './store.ts';
import { elementCiphers, systemClock, systemRandom } from './system.ts';

/** Exit status after a frame, command or store that the element does not accept. */
const EXIT_FAULT = 3;
/** `answer.id` of a fault that belongs to no command. */
const NO_COMMAND = 0;

function emit(event: ElementEvent): void {
  process.stdout.write(encodeJsonFrame(event, ELEMENT_FRAME_BYTES_MAX));
}

/** Says why and ends; the agent sees a coded error, then the end of the stream. */
function die(fault: unknown): void {
  const event = { type: 'answer', id: NO_COMMAND, error: errorBody(fault) } as const;
  const frame = encodeJsonFrame(event, ELEMENT_FRAME_BYTES_MAX);
  process.stdin.destroy();
  process.stdout.write(frame, () => process.exit(EXIT_FAULT));
}

/** By its code alone: what an application threw may hold what it works with. */
function report({ code }: ErrorBody): void {
  process.stderr.write(`card: ${code}\n`);
}

function main(): void {
  const [storeDirectory, path, hash] = process.argv.slice(2);
  if (storeDirectory === undefined || path === undefined || hash === undefined) {
    const text = 'usage: main.ts STORE_DIRECTORY LOAD_FILE SHA256';
    throw new ElementError('ERR_ELEMENT_USAGE', text);
  }
  if (process.permission === undefined || builtinModules.includes('node:sqlite')) {
    // Databases open files past the permission model.
    const text = 'the element runs under --permission --no-experimental-sqlite only';
    throw new ElementError('ERR_ELEMENT_USAGE', text);
  }
  const store = new ElementStore(storeDirectory, systemRandom);
  const state = new ElementState(store);
  const ports = { state, ciphers: elementCiphers, clock: systemClock, random: systemRandom };
  const runner = createSandboxRunner(ports);
  const loaded = loadApplication(runner, { path, hash });
  const seat = new CardSeat({ ...ports, store, runner, report }, state);
  const paymentApplication = () => paymentApplicationOf(runner, seat.card, loaded);
  const session = new ElementSession({ ...ports, paymentApplication, seat, emit });
  const decoder = new JsonFrameDecoder(ELEMENT_FRAME_BYTES_MAX);
  process.stdin.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) {
        session.handle(checkShape(elementCommandShape, frame, 'command'));
      }
    } catch (fault) {
      die(fault);
    }
  });
  // The agent is gone: nothing of a payment may go on without it.
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdout.on('error', () => process.exit(0));
  session.announce();
  setImmediate(() => paymentApplication().warm());
}

process.on('uncaughtException', die);
main();
