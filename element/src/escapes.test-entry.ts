/**
 * An element's entry of tests: under the very flags of the product it tries to get out, says on
 * standard error what became of it, and ends. Its last argument's place has the test's port.
 */
import { tryAll } from './escapes.test-probe.ts';

const [store = '', , port = '0'] = process.argv.slice(2);
const outcomes = await tryAll(Number(port), store);
const facts = { environment: Object.keys(process.env), options: process.execArgv.length };
process.stderr.write(JSON.stringify({ outcomes, ...facts }), () => process.exit(4));
