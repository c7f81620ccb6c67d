/**
 * Gives a WebAssembly module a counter that every loop takes one from: at zero it traps. So each
 * loop has an end, also those of the interpreter's own library, which asks nobody whether to go on;
 * and the count is the same on every machine.
 * @see WASM 2.0 §5
 */

/** Name of the exported global, a mutable i32. */
export const FUEL_EXPORT = 'fuel';

const SECTION = { import: 2, global: 6, export: 7, code: 10, custom: 0 } as const;
const KIND_GLOBAL = 3;
const HEADER_BYTES = 8;
const OP_LOOP = 0x03;
const OP_BR_TABLE = 0x0e;
const OP_SELECT_TYPED = 0x1c;
const OP_F32_CONST = 0x43;
const OP_F64_CONST = 0x44;
const OP_PREFIX = 0xfc;
/** Immediates of an instruction, all of them LEB128 numbers; what is not here has none. */
const NUMBERS_OF: Uint8Array = new Uint8Array(256);
for (const op of [0x02, 0x03, 0x04, 0x0c, 0x0d, 0x10, 0xd0, 0xd2]) NUMBERS_OF[op] = 1;
NUMBERS_OF.fill(1, 0x20, 0x27);
NUMBERS_OF.fill(2, 0x28, 0x3f);
NUMBERS_OF.fill(1, 0x3f, 0x43);
NUMBERS_OF[0x11] = 2;
/** The same of instructions behind the prefix FC: bulk memory. */
const NUMBERS_OF_PREFIXED: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1];
/** Instructions of SIMD and later proposals: a module with them is not read. */
const OP_UNKNOWN_MIN = 0xd3;

/** Reads numbers and parts one after another. */
class Reader {
  readonly bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  get isAtEnd(): boolean {
    return this.offset >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.offset];
    if (value === undefined) throw new RangeError('the module is cut off');
    this.offset += 1;
    return value;
  }

  /** Unsigned LEB128 of 32 bits. */
  count(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number is too long');
  }

  /** Passes over LEB128 numbers of any sign and size. */
  skipNumbers(count: number): void {
    for (let index = 0; index < count; index++) while (this.byte() >= 0x80);
  }

  take(length: number): Uint8Array {
    const part = this.bytes.subarray(this.offset, this.offset + length);
    if (part.length !== length) throw new RangeError('the module is cut off');
    this.offset += length;
    return part;
  }
}

function leb(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function joined(parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** The module with its counter. @throws RangeError for what is no module that this can read. */
export function meteredModule(module: Uint8Array): Uint8Array {
  const reader = new Reader(module, HEADER_BYTES);
  const sections: { readonly id: number; readonly body: Uint8Array }[] = [];
  while (!reader.isAtEnd) {
    const id = reader.byte();
    const body = reader.take(reader.count());
    if (id !== SECTION.custom) sections.push({ id, body });
  }
  // A module without globals of its own gets the section, in the order of the standard.
  if (!sections.some(({ id }) => id === SECTION.global)) {
    const next = sections.findIndex(({ id }) => id > SECTION.global);
    sections.splice(next, 0, { id: SECTION.global, body: Uint8Array.of(0) });
  }
  const bodyOf = (wanted: number): Uint8Array =>
    sections.find(({ id }) => id === wanted)?.body ?? Uint8Array.of(0);
  const fuel = importedGlobals(bodyOf(SECTION.import)) + new Reader(bodyOf(SECTION.global)).count();
  const name = [...FUEL_EXPORT].map((letter) => letter.charCodeAt(0));
  const changed: Readonly<Record<number, (body: Uint8Array) => Uint8Array>> = {
    // i32, mutable, from constant 0.
    [SECTION.global]: (body) => withItem(body, [0x7f, 0x01, 0x41, 0x00, 0x0b]),
    [SECTION.export]: (body) => withItem(body, [name.length, ...name, KIND_GLOBAL, ...leb(fuel)]),
    [SECTION.code]: (body) => meteredCode(body, fuel),
  };
  const parts = sections.flatMap(({ id, body }) => {
    const next = changed[id]?.(body) ?? body;
    return [Uint8Array.of(id), leb(next.length), next];
  });
  return joined([module.subarray(0, HEADER_BYTES), ...parts]);
}

/** Globals that are imported count in front of the module's own. */
function importedGlobals(body: Uint8Array): number {
  const reader = new Reader(body);
  let globals = 0;
  for (let rest = reader.count(); rest > 0; rest--) {
    for (let part = 0; part < 2; part++) reader.take(reader.count());
    const kind = reader.byte();
    if (kind === KIND_GLOBAL) {
      globals += 1;
      reader.take(2);
    } else if (kind === 0) {
      reader.count();
    } else {
      // A table's limits come after its type, a memory's at once.
      if (kind === 1) reader.byte();
      const hasMost = (reader.byte() & 1) === 1;
      reader.skipNumbers(hasMost ? 2 : 1);
    }
  }
  return globals;
}

/** A vector with one item more at its end. */
function withItem(body: Uint8Array, item: readonly number[]): Uint8Array {
  const reader = new Reader(body);
  const count = reader.count();
  return joined([leb(count + 1), body.subarray(reader.offset), item]);
}

function meteredCode(body: Uint8Array, fuel: number): Uint8Array {
  const reader = new Reader(body);
  const count = reader.count();
  const parts: (Uint8Array | readonly number[])[] = [leb(count)];
  for (let index = 0; index < count; index++) {
    const code = meteredFunction(reader.take(reader.count()), fuel);
    parts.push(leb(code.length), code);
  }
  return joined(parts);
}

function meteredFunction(code: Uint8Array, fuel: number): Uint8Array {
  // global.get, i32.eqz, if unreachable end, global.get, i32.const 1, i32.sub, global.set
  const get = [0x23, ...leb(fuel)];
  const toll = [...get, 0x45, 0x04, 0x40, 0x00, 0x0b, ...get, 0x41, 0x01, 0x6b, 0x24, ...leb(fuel)];
  const reader = new Reader(code);
  for (let groups = reader.count(); groups > 0; groups--) reader.skipNumbers(2);
  const parts: (Uint8Array | readonly number[])[] = [];
  let copied = 0;
  while (!reader.isAtEnd) {
    const isLoop = passInstruction(reader) === OP_LOOP;
    if (!isLoop) continue;
    parts.push(code.subarray(copied, reader.offset), toll);
    copied = reader.offset;
  }
  return joined([...parts, code.subarray(copied)]);
}

/** Passes over one instruction; answers its operation. */
function passInstruction(reader: Reader): number {
  const operation = reader.byte();
  if (operation === OP_F32_CONST) reader.take(4);
  else if (operation === OP_F64_CONST) reader.take(8);
  else if (operation === OP_BR_TABLE) reader.skipNumbers(reader.count() + 1);
  else if (operation === OP_SELECT_TYPED) reader.take(reader.count());
  else if (operation === OP_PREFIX) {
    const numbers = NUMBERS_OF_PREFIXED[reader.count()];
    if (numbers === undefined) throw new RangeError('an instruction that is not known');
    reader.skipNumbers(numbers);
  } else if (operation >= OP_UNKNOWN_MIN) {
    throw new RangeError('an instruction that is not known');
  } else reader.skipNumbers(NUMBERS_OF[operation] ?? 0);
  return operation;
}
