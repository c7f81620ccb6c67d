/**
 * What runs inside a sandbox before the applet: it builds the applet's host from one function, and
 * carries calls and answers as text and bytes. Only its text goes there, so that each function must
 * be whole in itself. An applet can break it; that breaks the applet and nothing else.
 */

/** The one function of the outside: a text and bytes in, a text and bytes out. */
type Call = (
  text: string,
  ...buffers: readonly ArrayBuffer[]
) => readonly [string, ...ArrayBuffer[]];
/** What the outside calls: an operation with its arguments; the answer goes through `Call`. */
type Dispatch = (text: string, ...buffers: readonly ArrayBuffer[]) => void;
type Body = { readonly code: string; readonly message: string; readonly data: unknown };
type Answer = { readonly value?: unknown; readonly fault?: Body };
type Functions = Record<string, (...values: never[]) => unknown>;

/** Takes away what makes code of data or chance without a source. */
export function hardenGuest(): void {
  const refuse = (): never => {
    throw new TypeError('code that is not in the load file does not run');
  };
  const kinds = [() => {}, function* () {}, async () => {}, async function* () {}];
  for (const kind of kinds) {
    Object.defineProperty(Object.getPrototypeOf(kind), 'constructor', { value: refuse });
  }
  Object.assign(globalThis, { Function: refuse });
  Reflect.deleteProperty(globalThis, 'eval');
  Reflect.deleteProperty(Math, 'random');
}

/** The applet's side of the wall. */
export function guestRuntime(
  call: Call,
): (createApplet: (...values: unknown[]) => Functions) => Dispatch {
  const fault = (code: string, message: string, data: unknown): Error =>
    Object.assign(new Error(message), { code, data });
  const treeOf = (value: unknown, buffers: ArrayBuffer[], depth: number): unknown => {
    if (depth > 16) throw fault('ERR_APPLET_HOST_CALL', 'a value is nested too deeply', {});
    const inner = (item: unknown): unknown => treeOf(item, buffers, depth + 1);
    if (value === undefined || value === null) return null;
    if (typeof value === 'bigint') return { $bigint: String(value) };
    if (value instanceof Uint8Array) {
      const isWhole = value.byteLength === value.buffer.byteLength;
      const { buffer } = isWhole ? value : value.slice();
      return { $bytes: buffers.push(buffer as ArrayBuffer) - 1 };
    }
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw fault('ERR_APPLET_HOST_CALL', `a ${typeof value} cannot cross`, {});
    }
    if (typeof value !== 'object') return value;
    if (Array.isArray(value)) return value.map(inner);
    const secret = value as { expose?: () => unknown };
    if (typeof secret.expose === 'function') return { $secret: inner(secret.expose()) };
    const tree: Record<string, unknown> = {};
    for (const [name, item] of Object.entries(value)) {
      if (item !== undefined) tree[name] = inner(item);
    }
    return tree;
  };
  const built = (tree: unknown, buffers: readonly ArrayBuffer[]): unknown => {
    if (typeof tree !== 'object' || tree === null) return tree;
    if (Array.isArray(tree)) return tree.map((item) => built(item, buffers));
    const entries = Object.entries(tree);
    const [name, inner] = entries.length === 1 ? (entries[0] as [string, unknown]) : ['', null];
    if (name === '$bytes') return new Uint8Array(buffers[inner as number] as ArrayBuffer);
    if (name === '$bigint') return BigInt(inner as string);
    if (name === '$secret') {
      const hidden = built(inner, buffers);
      return { expose: () => hidden, toString: () => '[secret]', toJSON: () => '[secret]' };
    }
    for (const entry of entries) entry[1] = built(entry[1], buffers);
    return Object.fromEntries(entries);
  };
  const send = (service: string, values: unknown): readonly [string, ...ArrayBuffer[]] => {
    const buffers: ArrayBuffer[] = [];
    const tree = treeOf(values, buffers, 0);
    return call(JSON.stringify([service, tree]), ...buffers);
  };
  const ask = (service: string, values: unknown): unknown => {
    const [text, ...buffers] = send(service, values);
    const answer = built(JSON.parse(text), buffers) as Answer;
    const refused = answer.fault;
    if (refused) throw fault(refused.code, refused.message, refused.data);
    return answer.value;
  };
  const group = (prefix: string, names: string): Functions => {
    const made: Functions = {};
    for (const name of names.split(' ')) {
      made[name] = (...values: unknown[]) => ask(`${prefix}.${name}`, values);
    }
    return made;
  };
  const hostOf = (instanceAid: string): object => ({
    instanceAid,
    objects: group('objects', 'read write remove names commit'),
    keys: group('keys', 'generate take facts remove names mac encipher decipher sign'),
    channel: group('channel', 'securityLevel authenticate unwrap wrap decipher'),
    lifeCycle: group('lifeCycle', 'state change'),
    signatures: group('signatures', 'isEcdsaP256'),
    ciphers: group(
      'ciphers',
      'sha1 sha256 sm3 hmacSha256 aesEcbEncrypt aesEcbDecrypt sm4EcbEncrypt sm4EcbDecrypt' +
        ' isSm2Signature',
    ),
    random: group('random', 'bytes'),
    clock: group('clock', 'nowMs'),
  });
  const bodyOf = (thrown: unknown): object => {
    // The interpreter throws null where it has no memory left for an error.
    if (thrown === null) return { name: 'InternalError', message: 'out of memory' };
    const { name, code, message, data } = Object(thrown);
    return { name, code, message: String(message ?? thrown), data: data ?? {} };
  };
  return (createApplet) => {
    let applet: Functions = {};
    let conversation: Generator | null = null;
    const method = (name: string, values: unknown[], otherwise: unknown): unknown => {
      const own = applet[name];
      if (own === undefined || own === null) return otherwise;
      return Reflect.apply(own, applet, values);
    };
    const stepOf = ({ done, value }: IteratorResult<unknown>): object =>
      done === true ? { isDone: true, result: value } : { isDone: false, call: value };
    const response = (statusWord: number): object => ({ data: new Uint8Array(0), statusWord });
    const operations: Record<string, (...values: unknown[]) => unknown> = {
      make(moduleAid, instanceAid) {
        applet = createApplet(moduleAid, hostOf(String(instanceAid)));
        if (typeof applet !== 'object' || applet === null) {
          throw fault('ERR_APPLET_CODE', 'createApplet gave no applet', {});
        }
      },
      install: (parameters) => void method('install', [parameters], null),
      select: (command) => method('select', [command], response(0x9000)),
      process: (command) => method('process', [command], response(0x6d00)),
      personalise: (data) => method('personalise', [data], response(0x6985)),
      deselect: () => void method('deselect', [], null),
      converse(intent) {
        conversation = method('converse', [intent], null) as Generator | null;
        if (!conversation) throw fault('ERR_APPLET_CODE', 'the applet has no conversation', {});
        return stepOf(conversation.next());
      },
      answer: (value) => stepOf((conversation as Generator).next(value)),
      fault(body) {
        const { code, message, data } = body as Body;
        return stepOf((conversation as Generator).throw(fault(code, message, data)));
      },
    };
    return (text, ...buffers) => {
      let reply: object;
      try {
        const [operation, values] = built(JSON.parse(text), buffers) as [string, unknown[]];
        reply = { value: operations[operation]?.(...values) };
        send('reply', reply);
      } catch (thrown) {
        send('reply', { fault: bodyOf(thrown) });
      }
    };
  };
}
