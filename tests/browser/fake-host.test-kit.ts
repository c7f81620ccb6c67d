/**
 * A native messaging host that does what a test wants, as a process of its own that a real browser
 * starts: `mode` in its folder says how it behaves, `log` is what it saw. It plays one payment with
 * consent, card and PIN, and holds no card and no key of anybody.
 */
import {
  constants,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** How the host behaves. */
export type HostMode =
  | 'payment'
  /** Says hello late, never, or after something that is no frame. */
  | 'silent'
  | 'pollution'
  | 'exit'
  /** Speaks versions of the frames that nobody here does. */
  | 'older'
  | 'newer';

/** One line of the log. */
export type HostEvent =
  | { readonly event: 'start'; readonly pid: number; readonly argv: readonly string[] }
  | { readonly event: 'frame'; readonly pid: number; readonly frame: Frame }
  | { readonly event: 'pin'; readonly pid: number; readonly digits: string }
  | { readonly event: 'end'; readonly pid: number; readonly atMs: number };
export type Frame = { readonly type: string; readonly [field: string]: unknown };
type Message = { readonly type: string; readonly session: string; readonly [f: string]: unknown };

const ORDER = {
  kind: 'purchase',
  amountMinor: '128600',
  currency: '156',
  merchantName: '青山书店 Green Hill Books',
  origin: 'http://shop.example',
};
const CARD = {
  name: 'debit',
  label: 'PBOC DEBIT',
  panMasked: '629999*********0017',
  expiryYymm: '3012',
  applicationTransactionCounter: 1,
  interfaces: ['contact', 'contactless'],
  purpose: 'debit',
};
const RANGES: Readonly<Record<string, { min: number; max: number }>> = {
  older: { min: 0, max: 0 },
  newer: { min: 2, max: 3 },
};
const WAIT_MS = 60_000;

class FakeHost {
  readonly #folder: string;
  readonly #mode: HostMode;
  #gatewayOrigin = '';
  #pinKey: KeyObject | null = null;
  #isWindowOpen = false;
  #payment: object | null = null;
  #last: object | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    this.#mode = readFileSync(join(folder, 'mode'), 'utf8').trim() as HostMode;
  }

  run(): void {
    this.#log({ event: 'start', pid: process.pid, argv: process.argv.slice(3) });
    if (this.#mode === 'exit') process.exit(3);
    if (this.#mode === 'pollution') process.stdout.write('console.log was here, and more of it\n');
    else if (this.#mode !== 'silent') {
      this.#send({
        type: 'hello',
        version: '0.1.0',
        protocol: RANGES[this.#mode] ?? { min: 1, max: 1 },
        element: { id: 'SE-0001', state: 'operable' },
        readers: [{ name: 'Virtual reader', kind: 'virtual' }],
      });
    }
    this.#read();
  }

  #read(): void {
    let held = Buffer.alloc(0);
    process.stdin.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
        const end = 4 + held.readUInt32LE(0);
        const frame = JSON.parse(held.subarray(4, end).toString('utf8')) as Frame;
        held = held.subarray(end);
        this.#log({ event: 'frame', pid: process.pid, frame });
        this.#take(frame);
      }
    });
    process.stdin.on('end', () => {
      this.#log({ event: 'end', pid: process.pid, atMs: Date.now() });
      process.exit(0);
    });
  }

  #take(frame: Frame): void {
    const { type } = frame;
    if (type === 'hello') {
      this.#gatewayOrigin = (frame['page'] as { origin: string }).origin;
    } else if (type === 'doctor') {
      const check = { id: 'element', state: 'ok', code: null, facts: { id: 'SE-0001' } };
      this.#send({ type: 'report', report: { checks: [check] } });
    } else if (type === 'windowOpened' || type === 'windowClosed') {
      this.#isWindowOpen = type === 'windowOpened';
      this.#view();
    } else if (type === 'page') this.#onPage(frame['message'] as Message);
    else if (type === 'window') this.#onWindow(frame['message'] as Message);
  }

  #onPage(message: Message): void {
    const { session } = message;
    if (message.type === 'channelData') this.#page({ ...message, type: 'channelData' });
    if (message.type === 'pay') this.#state(session, { name: 'consent' });
    if (message.type === 'cancel') process.exit(7);
  }

  #onWindow(message: Message): void {
    const { session } = message;
    if (message.type === 'consent') {
      if (message['given'] !== true) {
        this.#end(session, 'cancelled', 'ERR_USER_CANCELLED');
        return;
      }
      const name = 'waitCard';
      const interfaces = ['contact', 'contactless'];
      const deadlineMs = Date.now() + WAIT_MS;
      const turn = { attempt: 1, reason: null, deadlineMs, takeOutFirst: false };
      this.#state(session, { name, interfaces, ...turn });
    }
    if (message.type === 'present') this.#askPin();
    if (message.type === 'pin') this.#onPin(session, message['sealedPin'] as string | null);
  }

  #askPin(): void {
    const { session } = this.#payment as { session: string };
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#pinKey = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
    const pinKeySpki = spki.toString('hex').toUpperCase();
    this.#state(session, { name: 'waitPin', deadlineMs: Date.now() + WAIT_MS }, pinKeySpki);
  }

  #onPin(session: string, sealedPin: string | null): void {
    if (sealedPin === null || this.#pinKey === null) {
      this.#end(session, 'cancelled', 'ERR_USER_CANCELLED');
      return;
    }
    const digits = privateDecrypt(
      { key: this.#pinKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
      Buffer.from(sealedPin, 'hex'),
    );
    this.#log({ event: 'pin', pid: process.pid, digits: digits.toString('latin1') });
    this.#end(session, 'approved', null);
  }

  #state(session: string, state: object, pinKeySpki: string | null = null): void {
    const facts = {
      intent: 'pay',
      wish: null,
      order: ORDER,
      gatewayOrigin: this.#gatewayOrigin,
      request: null,
    };
    this.#payment = { session, ...facts, state, pinKeySpki };
    this.#page({ type: 'state', session, state });
    this.#view();
  }

  #end(session: string, outcome: string, reason: string | null): void {
    this.#payment = null;
    this.#last = { session, outcome, reason };
    const data = { fieldCount: 0 };
    const error = { code: reason ?? 'ERR_TEST_END', message: outcome, data };
    this.#page({ type: 'failed', session, error, sent: outcome === 'approved' });
    this.#view();
  }

  #view(): void {
    if (!this.#isWindowOpen) return;
    this.#send({
      type: 'window',
      message: {
        type: 'view',
        payment: this.#payment,
        last: this.#last,
        reader: { name: 'Virtual reader', kind: 'virtual', card: null, interface: null },
        readerService: { state: 'off', code: null },
        realReaders: [],
        cards: [CARD],
      },
    });
  }

  #page(message: object): void {
    this.#send({ type: 'page', message });
  }

  #send(frame: object): void {
    const body = Buffer.from(JSON.stringify(frame), 'utf8');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    process.stdout.write(Buffer.concat([head, body]));
  }

  #log(event: HostEvent): void {
    appendFileSync(join(this.#folder, 'log'), `${JSON.stringify(event)}\n`);
  }
}

if (import.meta.main) new FakeHost(process.argv[2] ?? '.').run();
