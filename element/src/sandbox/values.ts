/**
 * How values cross the wall of a sandbox: a text in JSON and a list of byte arrays. Nothing that
 * has a behaviour (getter, proxy, function, prototype) can come through, on either side.
 *
 * What JSON has not is an object with one field: `$bytes` (index in the list), `$bigint` or
 * `$secret`.
 */
import { Secret } from '@tapnpay/protocol/bytes';
import { wrongCall } from './errors.ts';

/** A value on its way. */
export type Crossing = { readonly text: string; readonly buffers: readonly Uint8Array[] };

/** Longest text of one crossing. */
export const CROSSING_CHARACTERS_MAX: number = 1024 * 1024;
/** Byte arrays of one crossing, and their bytes together. */
export const CROSSING_BUFFERS_MAX = 512;
export const CROSSING_BYTES_MAX: number = 1024 * 1024;
/** Nesting and number of values of one crossing. */
const DEPTH_MAX = 16;
const VALUES_MAX = 20_000;

/** Packs a value of our own. @throws SandboxError for what cannot cross: a defect of ours. */
export function packValue(value: unknown): Crossing {
  const buffers: Uint8Array[] = [];
  return { text: JSON.stringify(treeOf(value, buffers, 0)), buffers };
}

function treeOf(value: unknown, buffers: Uint8Array[], depth: number): unknown {
  if (depth > DEPTH_MAX) throw wrongCall('a value is nested too deeply');
  const inner = (item: unknown): unknown => treeOf(item, buffers, depth + 1);
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'bigint') return { $bigint: String(value) };
  if (value instanceof Uint8Array) return { $bytes: buffers.push(value) - 1 };
  if (value instanceof Secret) return { $secret: inner(value.expose()) };
  if (Array.isArray(value)) return value.map(inner);
  if (typeof value !== 'object') throw wrongCall(`a ${typeof value} cannot cross`);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([name, item]) => [name, inner(item)]));
}

/** Unpacks what came from an applet. @throws SandboxError `ERR_APPLET_HOST_CALL`. */
export function unpackValue({ text, buffers }: Crossing): unknown {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    throw wrongCall('no JSON came');
  }
  return new Unpacker(buffers).value(tree, 0);
}

class Unpacker {
  readonly #buffers: readonly Uint8Array[];
  #count = 0;

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = buffers;
  }

  value(tree: unknown, depth: number): unknown {
    this.#count += 1;
    if (depth > DEPTH_MAX || this.#count > VALUES_MAX) throw wrongCall('a value is too large');
    if (typeof tree !== 'object' || tree === null) return tree;
    if (Array.isArray(tree)) return tree.map((item) => this.value(item, depth + 1));
    const entries = Object.entries(tree);
    const [name, inner] = entries[0] ?? [];
    if (entries.length === 1 && name?.startsWith('$')) return this.#marked(name, inner, depth);
    return Object.fromEntries(entries.map(([key, item]) => [key, this.value(item, depth + 1)]));
  }

  #marked(name: string, inner: unknown, depth: number): unknown {
    if (name === '$secret') return new Secret(this.value(inner, depth + 1));
    if (name === '$bigint' && typeof inner === 'string' && /^-?[0-9]{1,400}$/.test(inner)) {
      return BigInt(inner);
    }
    const found = name === '$bytes' && typeof inner === 'number' ? this.#buffers[inner] : undefined;
    if (found === undefined) throw wrongCall('a mark that is not known');
    return found;
  }
}
