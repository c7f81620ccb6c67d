/**
 * What lasts of an instance: objects and keys, in one run of bytes that only the host reads. A
 * call works on a copy, so that all of it lasts or nothing.
 */
import { bytesToUtf8, fromHex, toHex, utf8ToBytes } from '@tapnpay/protocol/bytes';
import type { KeyKind, KeyUsage } from '@tapnpay/protocol/globalplatform/applet';
import { SandboxError } from './errors.ts';

/** A key in clear; it lives here and in the sealed store, never in an applet. */
export type StoredKey = {
  readonly kind: KeyKind;
  readonly usages: readonly KeyUsage[];
  readonly bytes: Uint8Array;
};

/** Objects of an instance, and bytes of one. */
export const OBJECTS_MAX = 256;
export const OBJECT_BYTES_MAX: number = 64 * 1024;
/** Keys of an instance. */
export const KEYS_MAX = 64;
const NAME_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
const FORMAT = 1;

type Stored = {
  readonly format: number;
  readonly objects: readonly (readonly [string, string])[];
  readonly keys: readonly (readonly [string, KeyKind, readonly KeyUsage[], string])[];
};

/** A name of an object or key. @throws SandboxError `ERR_APPLET_LIMIT`. */
export function checkedName(name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new SandboxError('ERR_APPLET_LIMIT', 'a name has 1 to 64 letters, digits, dots, dashes');
}

/** Objects and keys of one instance during one call. */
export class Vault {
  readonly #objects: Map<string, Uint8Array>;
  readonly #keys: Map<string, StoredKey>;
  #isChanged = false;

  /** Opens what lasted; a new instance has no bytes yet. */
  constructor(persistent: Uint8Array) {
    const stored = decoded(persistent);
    this.#objects = new Map(stored.objects.map(([name, hex]) => [name, fromHex(hex)]));
    this.#keys = new Map(
      stored.keys.map(([name, kind, usages, hex]) => [name, { kind, usages, bytes: fromHex(hex) }]),
    );
  }

  /** Whether anything was written. */
  get isChanged(): boolean {
    return this.#isChanged;
  }

  object(name: string): Uint8Array | null {
    return this.#objects.get(name) ?? null;
  }

  objectNames(): readonly string[] {
    return [...this.#objects.keys()].sort();
  }

  /** @throws SandboxError `ERR_APPLET_LIMIT`. */
  writeObject(name: string, bytes: Uint8Array): void {
    if (bytes.length > OBJECT_BYTES_MAX) {
      throw new SandboxError('ERR_APPLET_LIMIT', `an object of ${bytes.length} bytes`);
    }
    this.#assertRoom(this.#objects, checkedName(name), OBJECTS_MAX);
    this.#objects.set(name, bytes.slice());
    this.#isChanged = true;
  }

  removeObject(name: string): void {
    if (this.#objects.delete(name)) this.#isChanged = true;
  }

  key(name: string): StoredKey | null {
    return this.#keys.get(name) ?? null;
  }

  keyNames(): readonly string[] {
    return [...this.#keys.keys()].sort();
  }

  /** @throws SandboxError `ERR_APPLET_LIMIT`. */
  writeKey(name: string, key: StoredKey): void {
    this.#assertRoom(this.#keys, checkedName(name), KEYS_MAX);
    this.#keys.set(name, key);
    this.#isChanged = true;
  }

  removeKey(name: string): void {
    if (this.#keys.delete(name)) this.#isChanged = true;
  }

  /** The bytes that last; equal content gives equal bytes. */
  encode(): Uint8Array {
    const stored: Stored = {
      format: FORMAT,
      objects: this.objectNames().map((name) => [name, toHex(this.object(name) ?? NONE)] as const),
      keys: this.keyNames().flatMap((name) => {
        const key = this.key(name);
        return key ? [[name, key.kind, key.usages, toHex(key.bytes)] as const] : [];
      }),
    };
    return utf8ToBytes(JSON.stringify(stored));
  }

  #assertRoom(map: ReadonlyMap<string, unknown>, name: string, most: number): void {
    if (map.has(name) || map.size < most) return;
    throw new SandboxError('ERR_APPLET_LIMIT', `an instance has ${most} of them at most`);
  }
}

const NONE = new Uint8Array();

/** The element's own bytes, sealed in its store: that they are whole is checked there. */
function decoded(persistent: Uint8Array): Stored {
  if (persistent.length === 0) return { format: FORMAT, objects: [], keys: [] };
  const stored = JSON.parse(bytesToUtf8(persistent)) as Stored;
  if (stored.format === FORMAT) return stored;
  throw new SandboxError('ERR_APPLET_CODE', `objects of format ${stored.format}`);
}
