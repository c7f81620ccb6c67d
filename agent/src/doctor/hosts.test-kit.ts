/** Small programs that stand in for the native host, good and broken ones. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a program begins with that speaks the browser's frames. */
const SPEAKS = `
const send = (value) => {
  const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  process.stdout.write(Buffer.concat([head, body]));
};
const hello = (over = {}) => send({
  type: 'hello', version: '0.1.0', protocol: { min: 1, max: 1 },
  element: { id: null, state: 'notEnrolled' }, readers: [], ...over,
});
const report = { checks: [{ id: 'gateway', state: 'ok', code: null, facts: { url: 'http://x' } }] };
let held = Buffer.alloc(0);
const heard = (take) => process.stdin.on('data', (chunk) => {
  held = Buffer.concat([held, chunk]);
  while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
    const end = 4 + held.readUInt32LE(0);
    take(JSON.parse(held.subarray(4, end)));
    held = held.subarray(end);
  }
});
const answers = () => heard((frame) => {
  if (frame.type === 'doctor') send({ type: 'report', report });
});
const endsWithInput = () => process.stdin.on('end', () => process.exit(0));
`;

/** A host that does all that it should. */
export const GOOD_HOST = 'hello(); answers(); endsWithInput();';

let count = 0;

/** An executable that runs this code with the words above. */
export function programOf(folder: string, code: string): string {
  count += 1;
  const script = join(folder, `host ${count}.mjs`);
  writeFileSync(script, SPEAKS + code);
  const program = join(folder, `主机 ${count}`);
  const quoted = (path: string) => `'${path.replaceAll("'", "'\\''")}'`;
  writeFileSync(program, `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(script)} "$@"\n`);
  chmodSync(program, 0o755);
  return program;
}
