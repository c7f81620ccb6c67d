/**
 * Escapes that an applet may try. Each ends in a named code or finds nothing; then the next call of
 * the same sandbox works, and the other applet in it has all that it had.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TapError } from '@tapnpay/protocol/bytes';
import type { AppletInstance } from '@tapnpay/protocol/globalplatform/oncard';
import { systemClock } from '../system.ts';
import type { SandboxRunner } from './index.ts';
import { AID, applet, ask, instanceOf, packageOf, sandbox } from './sandbox.test-kit.ts';

const NEIGHBOUR_AID = 'F05441500902';
const neighbourCode = packageOf(
  applet(`
    const [verb] = data.split(' ');
    if (verb === 'put') {
      host.objects.write('balance', Uint8Array.of(42));
      host.keys.generate('purse', { kind: 'aes', usages: ['mac'] });
      return ok();
    }
    return text(host.objects.read('balance')[0] + ' ' + host.keys.mac('purse', Uint8Array.of(1)));`),
);

/** A sandbox with an applet that has an object and a key. */
function prepared(): { readonly runner: SandboxRunner; readonly neighbour: () => string } {
  const runner = sandbox();
  let persistent = new Uint8Array();
  const instance = (): AppletInstance =>
    instanceOf(neighbourCode, { aid: NEIGHBOUR_AID, persistent });
  const command = { cla: 0x80, ins: 1, p1: 0, p2: 0, data: new TextEncoder().encode('put') };
  persistent = new Uint8Array(runner.process(instance(), command, {} as never).persistent ?? []);
  return { runner, neighbour: () => ask(runner, instance(), 'show') };
}

/** The code of what is thrown, or the answer. */
function outcomeOf(runner: SandboxRunner, source: string): string {
  try {
    return ask(runner, instanceOf(packageOf(source)));
  } catch (thrown) {
    assert.ok(thrown instanceof TapError, String(thrown));
    return thrown.code;
  }
}

const HUGE = '2 ** 53 - 1';
const call = (body: string) => applet(`${body}; return text('went on');`);
const tried = (body: string) =>
  applet(`try { return text(${body}); } catch (fault) { return text(fault.code ?? fault.name); }`);

const ESCAPES: readonly (readonly [string, string, string | RegExp])[] = [
  [
    'no require, process, module or timer',
    tried(
      '[typeof require, typeof process, typeof module, typeof setTimeout, typeof WebAssembly, typeof Worker, typeof fetch, typeof Date].join()',
    ),
    `${'undefined,'.repeat(8)}`.slice(0, -1),
  ],
  [
    'import of a built-in module',
    `import { readFileSync } from 'node:fs';\n${applet('return ok()')}`,
    'ERR_APPLET_CODE',
  ],
  ['import of a file', `import x from '/etc/passwd';\n${applet('return ok()')}`, 'ERR_APPLET_CODE'],
  [
    'import at run time',
    applet(
      `let seen = 'pending'; import('node:child_process').then(() => { seen = 'done'; }, () => { seen = 'refused'; }); return text(seen);`,
    ),
    'pending',
  ],
  [
    'a module that waits',
    `await new Promise(() => {});\n${applet('return ok()')}`,
    'ERR_APPLET_CODE',
  ],
  ['no module at all', 'this is (no JavaScript', 'ERR_APPLET_CODE'],
  ['no createApplet', 'export const createPaymentApplication = 1;', 'ERR_APPLET_CODE'],
  ['createApplet that gives nothing', 'export const createApplet = () => null;', 'ERR_APPLET_CODE'],
  ['eval', tried("eval('1')"), 'ReferenceError'],
  ['the constructor of functions', tried("(() => {}).constructor('return 1')()"), 'TypeError'],
  [
    'the constructor of generators',
    tried("(function* () {}).constructor('yield 1')()"),
    'TypeError',
  ],
  [
    'the constructor of async functions',
    tried("(async () => {}).constructor('return 1')()"),
    'TypeError',
  ],
  [
    'the constructor of what the host gave',
    tried("host.random.bytes.constructor('return globalThis.process')()"),
    'TypeError',
  ],
  ['chance without a source', tried('Math.random()'), 'TypeError'],
  [
    'the stack of an error names no file of the host',
    applet(
      'try { host.objects.read({}); } catch (fault) { return text(/work|node|\\.ts/.test(fault.stack + fault.message)); }',
    ),
    'false',
  ],
  [
    'a service that there is not',
    applet('return text(Object.keys(host).join() + typeof host.fs)'),
    /undefined$/,
  ],
  ['endless loop', call('for (;;);'), 'ERR_APPLET_TIME'],
  [
    'endless loop that catches everything',
    call('for (;;) { try { for (;;); } catch {} }'),
    'ERR_APPLET_TIME',
  ],
  ['endless loop while it is loaded', `for (;;);\n${applet('return ok()')}`, 'ERR_APPLET_TIME'],
  [
    'endless loop in the library of the interpreter',
    call(`[].indexOf.call({ length: ${HUGE} }, 1)`),
    'ERR_APPLET_TIME',
  ],
  ['endless set of a list with holes', call('new Set(new Array(2 ** 32 - 1))'), 'ERR_APPLET_TIME'],
  ['endless regular expression', call("/(a+)+$/.test('a'.repeat(64) + 'b')"), 'ERR_APPLET_TIME'],
  [
    'huge arithmetic',
    call('let n = 3n; for (;;) n = n * n % (2n ** 65536n - 1n)'),
    'ERR_APPLET_TIME',
  ],
  ['endless host calls', call('for (;;) host.clock.nowMs()'), /^ERR_APPLET_(HOST_CALLS|TIME)$/],
  [
    'endless iteration',
    call('for (const x of (function* () { for (;;) yield 1; })());'),
    'ERR_APPLET_TIME',
  ],
  ['deep recursion', call('(function f() { f(); })()'), 'ERR_APPLET_STACK'],
  ['deep recursion in JSON', call("JSON.parse('['.repeat(1e6))"), /^ERR_APPLET_(STACK|FAULT)$/],
  [
    'deep recursion that is caught and begun again',
    call('const f = () => { try { f(); } catch { f(); } }; f()'),
    /^ERR_APPLET_(TIME|STACK)$/,
  ],
  [
    'memory in objects',
    call('const all = []; for (;;) all.push({ n: [1, 2, 3] })'),
    'ERR_APPLET_MEMORY',
  ],
  [
    'memory in typed arrays',
    call('const all = []; for (;;) all.push(new Uint8Array(1e5).fill(1))'),
    'ERR_APPLET_MEMORY',
  ],
  ['memory in one typed array', call('new Uint8Array(1e9)'), 'ERR_APPLET_MEMORY'],
  [
    'memory in texts',
    call("let s = 'x'; for (;;) s = s + s + 'y'; s.charCodeAt(5)"),
    'ERR_APPLET_MEMORY',
  ],
  [
    'memory in a growing buffer',
    call('new ArrayBuffer(8, { maxByteLength: 2 ** 31 }).resize(2 ** 30)'),
    /^ERR_APPLET_(MEMORY|FAULT)$/,
  ],
  ['bytes expected, text came', tried("host.ciphers.sha1('abc')"), 'ERR_APPLET_HOST_CALL'],
  ['bytes expected, a list came', tried('host.ciphers.sha1([1, 2, 3])'), 'ERR_APPLET_HOST_CALL'],
  [
    'bytes expected, what only looks like them came',
    tried('host.ciphers.sha1({ length: 3, buffer: new ArrayBuffer(3) })'),
    'ERR_APPLET_HOST_CALL',
  ],
  [
    'bytes expected, a view of wider numbers came',
    tried('host.ciphers.sha1(new Float64Array(4))'),
    'ERR_APPLET_HOST_CALL',
  ],
  ['bytes expected, nothing came', tried('host.ciphers.sha1()'), 'ERR_APPLET_HOST_CALL'],
  [
    'a key of a wrong length for a cipher',
    tried('host.ciphers.aesEcbEncrypt(new Uint8Array(5), new Uint8Array(16))'),
    'ERR_APPLET_HOST_CALL',
  ],
  ['a length that is no number', tried("host.random.bytes('9')"), 'ERR_APPLET_HOST_CALL'],
  ['a negative length', tried('host.random.bytes(-1)'), 'ERR_APPLET_HOST_CALL'],
  ['a huge length', tried('host.random.bytes(1e12)'), 'ERR_APPLET_HOST_CALL'],
  ['a length that is not finite', tried('host.random.bytes(NaN)'), 'ERR_APPLET_HOST_CALL'],
  ['a function', tried('host.objects.write("a", () => {})'), 'ERR_APPLET_HOST_CALL'],
  ['a symbol', tried('host.objects.write(Symbol(), new Uint8Array(1))'), 'ERR_APPLET_HOST_CALL'],
  [
    'a value that holds itself',
    tried('(() => { const a = {}; a.a = a; return host.channel.wrap(a); })()'),
    'ERR_APPLET_HOST_CALL',
  ],
  [
    'a name that is a path',
    tried("host.objects.write('../other/balance', new Uint8Array(1))"),
    'ERR_APPLET_LIMIT',
  ],
  [
    'a name of the prototype',
    tried("host.objects.write('__proto__', Uint8Array.of(7)) + host.objects.names().join()"),
    /__proto__$/,
  ],
  [
    'a getter that throws',
    tried("host.objects.write({ get x() { throw new RangeError('mine'); } }, new Uint8Array(1))"),
    'RangeError',
  ],
  [
    'a getter that never ends',
    call('host.channel.wrap({ get data() { for (;;); } })'),
    'ERR_APPLET_TIME',
  ],
  [
    'a proxy that answers everything',
    tried(
      'host.channel.wrap(new Proxy({}, { get: () => 1, ownKeys: () => ["data"], getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }) }))',
    ),
    'ERR_APPLET_ANSWER',
  ],
  ['too many bytes', tried('host.ciphers.sha1(new Uint8Array(2 ** 21))'), 'ERR_APPLET_HOST_CALL'],
  ['too long a text', tried("host.objects.read('x'.repeat(2 ** 21))"), 'ERR_APPLET_HOST_CALL'],
  [
    'too many byte arrays',
    tried('host.ciphers.sha1(Array.from({ length: 1000 }, () => new Uint8Array(1)))'),
    'ERR_APPLET_HOST_CALL',
  ],
  [
    'too large an object',
    tried("host.objects.write('a', new Uint8Array(2 ** 17))"),
    'ERR_APPLET_LIMIT',
  ],
  [
    'too many objects',
    applet(
      "try { for (let i = 0; ; i++) host.objects.write('a' + i, new Uint8Array(1)); } catch (fault) { return text(fault.code); }",
    ),
    'ERR_APPLET_LIMIT',
  ],
  ['the object of another application', tried("host.objects.read('balance')"), 'null'],
  [
    'the names of other applications',
    tried('host.objects.names().length + host.keys.names().length'),
    '0',
  ],
  [
    'the key of another application',
    tried("host.keys.mac('purse', new Uint8Array(1))"),
    'ERR_APPLET_KEY',
  ],
  [
    'a forged handle',
    tried("host.keys.mac({ name: 'purse', kind: 'aes' }, new Uint8Array(1))"),
    'ERR_APPLET_HOST_CALL',
  ],
  [
    'a handle with the name of the other in front',
    tried(`host.keys.mac('${NEIGHBOUR_AID}/purse', new Uint8Array(1))`),
    'ERR_APPLET_LIMIT',
  ],
  [
    'a key may not do more than its rules say',
    applet(
      "host.keys.generate('k', { kind: 'aes', usages: ['mac'] }); try { host.keys.encipher('k', new Uint8Array(16), new Uint8Array(16)); } catch (fault) { return text(fault.code); }",
    ),
    'ERR_APPLET_KEY',
  ],
  [
    'a rule that there is not',
    tried("host.keys.generate('k', { kind: 'aes', usages: ['read'] })"),
    'ERR_APPLET_HOST_CALL',
  ],
  [
    'what is known of a key holds no key',
    applet(
      "const facts = host.keys.generate('k', { kind: 'ecP256', usages: ['sign'] }); return text(JSON.stringify(Object.keys(facts)) + facts.publicKey.length);",
    ),
    '["kind","usages","publicKey","checkValue"]65',
  ],
  ['a lock of itself', tried('host.lifeCycle.change(0x87)'), 'ERR_APPLET_HOST_CALL'],
  [
    'the channel of its domain where there is no session',
    tried('host.channel.decipher(new Uint8Array(16))'),
    'null',
  ],
  ['a commit outside of a conversation', tried('host.objects.commit()'), 'ERR_APPLET_HOST_CALL'],
  [
    'an answer that is none',
    applet('return { data: "9000", statusWord: 1 };'),
    'ERR_APPLET_ANSWER',
  ],
  [
    'an answer with a word out of range',
    applet('return { data: new Uint8Array(1), statusWord: 0x1ffff };'),
    'ERR_APPLET_ANSWER',
  ],
  [
    'an answer with a behaviour',
    applet(
      'return { get data() { return new Uint8Array(2); }, get statusWord() { return "9000"; } };',
    ),
    'ERR_APPLET_ANSWER',
  ],
  ['a thrown text', applet("throw 'ERR_STORE_CORRUPT';"), 'ERR_APPLET_FAULT'],
  [
    'a thrown fault whose code is no code',
    applet("throw { code: 'rm -rf /', message: 'x' };"),
    'ERR_APPLET_FAULT',
  ],
  ['a thrown proxy', applet('throw new Proxy({}, { get() { throw 1; } });'), 'ERR_APPLET_FAULT'],
  [
    'a fault of its own goes out as it is',
    applet("throw Object.assign(new Error('x'), { code: 'ERR_LOYALTY_FULL', data: {} });"),
    'ERR_LOYALTY_FULL',
  ],
];

const { runner, neighbour } = prepared();
const before = neighbour();

for (const [what, source, expected] of ESCAPES) {
  test(`escape: ${what}`, () => {
    const outcome = outcomeOf(runner, source);
    if (typeof expected === 'string') assert.equal(outcome, expected);
    else assert.match(outcome, expected);
    assert.equal(outcomeOf(runner, applet("return text('alive')")), 'alive');
    assert.equal(neighbour(), before);
  });
}

test('what an applet does to its own language reaches neither the host nor another applet', () => {
  const polluted = `
    Object.prototype.fault = { code: 'ERR_INTERNAL', message: 'x', data: {} };
    Object.prototype.statusWord = 0x9000;
    Array.prototype.map = function () { return ['objects.read', ['balance']]; };
    JSON.stringify = () => '["objects.read",["balance"]]';
    JSON.parse = () => ({ value: 'polluted' });
    Uint8Array.prototype.slice = function () { return { buffer: 'no buffer' }; };
    String.prototype.split = () => [];
    Object.defineProperty(Array.prototype, 0, { set() { throw new Error('set'); } });
    ${applet("host.objects.read('x'); return text('polluted');")}`;
  const outcome = outcomeOf(runner, polluted);
  assert.match(outcome, /^ERR_APPLET_/);
  assert.equal(({} as Record<string, unknown>)['fault'], undefined);
  assert.equal(JSON.stringify([1]), '[1]');
  assert.equal(neighbour(), before);
});

test('an endless conversation is bounded by whoever runs it, and its sandbox lives on', () => {
  const endless = packageOf(
    applet('return ok()', "*converse() { for (;;) yield { call: 'clock' }; }"),
  );
  const conversation = runner.converse(instanceOf(endless), null);
  let step = conversation.next();
  for (let count = 0; count < 1000; count++) step = conversation.next(0);
  assert.deepEqual(step.value, { call: 'clock' });
  const busy = () => ask(runner, instanceOf(endless));
  assert.throws(busy, { code: 'ERR_APPLET_BUSY' });
  conversation.return(undefined as never);
  assert.equal(ask(runner, instanceOf(endless)), '');
  assert.equal(neighbour(), before);
});

for (const [what, yielded] of [
  ['nothing', 'undefined'],
  ['a text', "'clock'"],
  ['a call that there is not', "{ call: 'spawn', command: 'sh' }"],
  ['a call named like a method', "{ call: 'toString' }"],
  ['a command of text', "{ call: 'cardTransmit', command: '00A4' }"],
  ['a command of the wrong kind of view', "{ call: 'cardTransmit', command: new Uint16Array(4) }"],
  ['a server name with a path', "{ call: 'channelOpen', serverName: '../../etc' }"],
  ['a length below zero', "{ call: 'random', lengthBytes: -1 }"],
  ['facts that nest', "{ call: 'hop', name: 'tap', facts: { a: { b: 1 } } }"],
  [
    'a PAN that is no secret',
    "{ call: 'sealPin', pan: '62', kind: 'purchase', amountMinor: '1', currency: '156', merchantName: 'x', origin: 'y' }",
  ],
] as const) {
  test(`a conversation that asks for ${what} ends with its code`, () => {
    const code = packageOf(applet('return ok()', `*converse() { yield ${yielded}; }`));
    const conversation = runner.converse(instanceOf(code), null);
    assert.throws(() => conversation.next(), { code: 'ERR_APPLET_HOST_CALL' });
    assert.equal(ask(runner, instanceOf(code)), '');
  });
}

test('time is bounded by the clock, too: a slow machine is no way to stay', () => {
  let nowMs = 0;
  const slow = sandbox({ clock: { nowMs: () => (nowMs += 100) } });
  const source = applet('let n = 0; while (n < 2e6) n += 1; return text(n);');
  assert.equal(outcomeOf(sandbox({ clock: systemClock }), source), '2000000');
  assert.equal(outcomeOf(slow, source), 'ERR_APPLET_TIME');
});

test('a load file whose module is not named by it does not start', () => {
  const instance = instanceOf(packageOf(applet('return ok()')), { moduleAid: NEIGHBOUR_AID });
  assert.throws(() => ask(runner, instance), { code: 'ERR_APPLET_CODE' });
  assert.throws(() => ask(runner, instanceOf(new Uint8Array(40))), { code: 'ERR_GP_PACKAGE' });
  assert.deepEqual(runner.modules(packageOf('x')), [AID]);
});
