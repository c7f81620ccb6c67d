/**
 * Loaded into the element's process before its own code, by tests only: tries what the process must
 * not do, and tells on standard error how each attempt ended.
 */
import { attempts } from './probe.test-kit.ts';

const port = Number(process.argv.at(-1));
for (const [name, outcome] of Object.entries(await attempts(port))) {
  process.stderr.write(`probe ${name} ${outcome}\n`);
}
