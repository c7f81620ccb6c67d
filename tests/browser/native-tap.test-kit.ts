/**
 * A program between a browser and the installed host, started in the host's place: it keeps every
 * frame that passes, and flips one bit of one record when it is told to. It reads what the browser
 * wrote and writes what the browser reads: the host's end of the native port.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const LENGTH_BYTES = 4;

/** Which way a record goes. */
export type Towards = 'gateway' | 'element';
/** A hand on one record: its last bit is flipped, or where a relay can do that, it comes twice. */
export type Hand = {
  readonly towards: Towards;
  /** Records of the payment before it in this direction; null: the next one, whichever it is. */
  readonly skip: number | null;
  readonly isRepeat?: boolean;
};
/** A line of the tap's file. */
export type TappedFrame = { readonly towards: Towards; readonly text: string };

/** Files of a tap in its folder: what passed, and where a hand is to be laid. */
export const TAPPED_FILE = 'tapped.jsonl';
export const HAND_FILE = 'hand.json';

/** A record's base64 with its last bit flipped. */
export function flipped(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return bytes.toString('base64');
}

class Tap {
  readonly #folder: string;
  readonly #seen: Record<Towards, number> = { gateway: 0, element: 0 };

  constructor(folder: string) {
    this.#folder = folder;
  }

  run(program: string, args: readonly string[]): void {
    const host = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    host.on('exit', (code) => process.exit(code ?? 1));
    for (const gone of [process.stdout, host.stdin, host.stdout]) gone.on('error', () => {});
    // From the browser comes what goes to the element.
    this.#pass(process.stdin, host.stdin, 'element');
    this.#pass(host.stdout, process.stdout, 'gateway');
    process.stdin.on('end', () => host.stdin.end());
  }

  #pass(from: NodeJS.ReadableStream, to: NodeJS.WritableStream, towards: Towards): void {
    let held: Buffer = Buffer.alloc(0);
    from.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= LENGTH_BYTES) {
        const end = LENGTH_BYTES + held.readUInt32LE(0);
        if (held.length < end) return;
        const text = this.#frame(held.subarray(LENGTH_BYTES, end).toString('utf8'), towards);
        held = held.subarray(end);
        const head = Buffer.alloc(LENGTH_BYTES);
        head.writeUInt32LE(Buffer.byteLength(text));
        to.write(Buffer.concat([head, Buffer.from(text)]));
      }
    });
  }

  #frame(text: string, towards: Towards): string {
    const line: TappedFrame = { towards, text };
    appendFileSync(join(this.#folder, TAPPED_FILE), `${JSON.stringify(line)}\n`);
    const frame = JSON.parse(text) as { message?: { type?: string; base64?: string } };
    const { message } = frame;
    if (message?.type === 'pay') this.#seen.gateway = this.#seen.element = 0;
    if (message?.type !== 'channelData' || message.base64 === undefined) return text;
    const index = this.#seen[towards]++;
    const path = join(this.#folder, HAND_FILE);
    if (!existsSync(path)) return text;
    const hand = JSON.parse(readFileSync(path, 'utf8')) as Hand;
    if (hand.towards !== towards || (hand.skip ?? index) !== index) return text;
    rmSync(path);
    return JSON.stringify({ ...frame, message: { ...message, base64: flipped(message.base64) } });
  }
}

if (import.meta.main) {
  const [folder = '.', program = '', ...args] = process.argv.slice(2);
  new Tap(folder).run(program, args);
}
