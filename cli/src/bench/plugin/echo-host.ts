/**
 * A native host with no work in it, the ceiling of a round trip: it reads frames, answers what must
 * be answered with fixed words, gives records back (`echo`) or drops them, and checks nothing.
 */

/** What it does with records: drops them, or gives them back. */
export type EmptyHostKind = 'silent' | 'echo';

const LENGTH_BYTES = 4;
const isEcho = process.argv[2] === ('echo' satisfies EmptyHostKind);

const SAID_FIRST = {
  type: 'hello',
  version: '0.1.0',
  protocol: { min: 1, max: 1 },
  element: { id: null, state: 'notEnrolled' },
  readers: [],
};
const WELCOME = { type: 'welcome', version: 1, element: SAID_FIRST.element, readers: [] };
const REFUSAL = { code: 'ERR_SEQUENCE', message: 'this session was used before', data: {} };

type Message = { readonly type: string; readonly session?: string };

function write(frame: unknown): void {
  const body = Buffer.from(JSON.stringify(frame));
  const head = Buffer.alloc(LENGTH_BYTES);
  head.writeUInt32LE(body.length);
  process.stdout.write(Buffer.concat([head, body]));
}

function answer(message: Message): void {
  const { type, session } = message;
  if (type === 'hello') write({ type: 'page', message: WELCOME });
  if (type === 'pay') {
    const failed = { type: 'failed', session, error: REFUSAL, sent: false };
    write({ type: 'page', message: failed });
  }
  if (type === 'channelData' && isEcho) write({ type: 'page', message });
}

let held: Buffer = Buffer.alloc(0);
process.stdin.on('data', (chunk: Buffer) => {
  held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
  while (held.length >= LENGTH_BYTES) {
    const end = LENGTH_BYTES + held.readUInt32LE();
    if (held.length < end) break;
    const frame = JSON.parse(held.toString('utf8', LENGTH_BYTES, end)) as { message?: Message };
    if (frame.message !== undefined) answer(frame.message);
    held = held.subarray(end);
  }
});
process.stdin.on('end', () => process.exit(0));
process.stdout.on('error', () => process.exit(0));
write(SAID_FIRST);
