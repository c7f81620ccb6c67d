/**
 * Entry of the secure element's process: frames on standard input and output, nothing else.
 * The agent starts it under Node's permission model with a store directory and an application.
 */
import { pathToFileURL } from 'node:url';
import { errorBody } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  checkShape,
  ELEMENT_FRAME_BYTES_MAX,
  type ElementEvent,
  elementCommandShape,
  encodeJsonFrame,
  JsonFrameDecoder,
  type PaymentApplicationModule,
} from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
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

async function loadApplication(path: string): Promise<PaymentApplicationModule<CipherProvider>> {
  const loaded: Partial<PaymentApplicationModule<CipherProvider>> = await import(
    pathToFileURL(path).href
  );
  const { createPaymentApplication } = loaded;
  if (typeof createPaymentApplication === 'function') return { createPaymentApplication };
  throw new ElementError('ERR_ELEMENT_APPLICATION', 'the file holds no payment application');
}

async function main(): Promise<void> {
  const [storeDirectory, applicationPath] = process.argv.slice(2);
  if (storeDirectory === undefined || applicationPath === undefined) {
    throw new ElementError('ERR_ELEMENT_USAGE', 'usage: main.ts STORE_DIRECTORY APPLICATION');
  }
  if (process.permission === undefined) {
    throw new ElementError('ERR_ELEMENT_USAGE', 'the element runs under --permission only');
  }
  const application = await loadApplication(applicationPath);
  const state = new ElementState(new ElementStore(storeDirectory, systemRandom));
  const ports = { state, ciphers: elementCiphers, clock: systemClock, random: systemRandom };
  const session = new ElementSession({ ...ports, application, emit });
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
}

process.on('uncaughtException', die);
main().catch(die);
