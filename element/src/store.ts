/**
 * The element's store: one file with two slots, each sealed by AES-256-GCM under a key file.
 * A write goes to the older slot through O_DSYNC (fsync is refused under the permission model),
 * so that a kill at any moment leaves the previous or the new state, whole.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { ElementError } from './errors.ts';

/** Bytes of one slot; a state that does not fit is refused before anything is written. */
export const STORE_SLOT_BYTES = 131_072;
const STORE_FILE = 'element.store';
const KEY_FILE = 'element.key';
const KEY_BYTES = 32;
const MAGIC = Buffer.from('TAPNPAY1', 'latin1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Magic, sequence (8), length (4), nonce, tag. */
const HEADER_BYTES = MAGIC.length + 8 + 4 + NONCE_BYTES + TAG_BYTES;
const SLOT_COUNT = 2;

type Slot = { readonly index: number; readonly sequence: bigint; readonly plain: Buffer };

/** Keeps one text durably; every write is all or nothing. */
export class ElementStore {
  readonly #path: string;
  readonly #key: Buffer;
  readonly #random: RandomSource;
  #current: Slot;

  constructor(directory: string, random: RandomSource) {
    this.#path = join(directory, STORE_FILE);
    this.#random = random;
    const exists = existsSync(this.#path);
    this.#key = openKey(join(directory, KEY_FILE), { mayCreate: !exists, random });
    if (!exists) this.#initialise();
    this.#current = this.#newest();
  }

  /** The last durable text; empty in a new store. */
  read(): string {
    return this.#current.plain.toString('utf8');
  }

  /**
   * Returns when the text is on the disk.
   * @throws ElementError `ERR_STORE_SIZE`; `ERR_STORE_FORK` when another process wrote meanwhile.
   */
  write(text: string): void {
    if (this.#newest().sequence !== this.#current.sequence) {
      throw new ElementError('ERR_STORE_FORK', 'another process writes this store');
    }
    const plain = Buffer.from(text, 'utf8');
    const index = (this.#current.index + 1) % SLOT_COUNT;
    const next = { index, sequence: this.#current.sequence + 1n, plain };
    const fd = openSync(this.#path, constants.O_WRONLY | constants.O_DSYNC);
    try {
      writeWhole(fd, this.#seal(next), index * STORE_SLOT_BYTES);
    } finally {
      closeSync(fd);
    }
    this.#current.plain.fill(0);
    this.#current = next;
  }

  /** Both slots valid and empty, put in place in one step: later, "none valid" is damage. */
  #initialise(): void {
    const fresh = `${this.#path}.new`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC;
    const fd = openSync(fresh, flags, 0o600);
    try {
      for (let index = 0; index < SLOT_COUNT; index++) {
        const slot = this.#seal({ index, sequence: BigInt(index + 1), plain: Buffer.alloc(0) });
        const padded = Buffer.concat([slot, Buffer.alloc(STORE_SLOT_BYTES - slot.length)]);
        writeWhole(fd, padded, index * STORE_SLOT_BYTES);
      }
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, this.#path);
  }

  #newest(): Slot {
    let newest: Slot | null = null;
    const fd = openSync(this.#path, constants.O_RDONLY);
    try {
      for (let index = 0; index < SLOT_COUNT; index++) {
        const slot = this.#open(fd, index);
        if (slot !== null && (newest === null || slot.sequence > newest.sequence)) newest = slot;
      }
    } finally {
      closeSync(fd);
    }
    if (newest !== null) return newest;
    throw new ElementError('ERR_STORE_CORRUPT', 'no slot of the store opens under its key');
  }

  #seal(slot: Slot): Buffer {
    if (HEADER_BYTES + slot.plain.length > STORE_SLOT_BYTES) {
      throw new ElementError('ERR_STORE_SIZE', 'the state does not fit a slot', {
        lengthBytes: slot.plain.length,
      });
    }
    const facts = slotFacts(slot.sequence, slot.plain.length);
    const nonce = this.#random.bytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    cipher.setAAD(Buffer.concat([facts, Buffer.of(slot.index)]));
    const sealed = Buffer.concat([cipher.update(slot.plain), cipher.final()]);
    return Buffer.concat([facts, nonce, cipher.getAuthTag(), sealed]);
  }

  /** The slot's state, or null when it is torn or foreign. */
  #open(fd: number, index: number): Slot | null {
    const header = readWhole(fd, HEADER_BYTES, index * STORE_SLOT_BYTES);
    if (header === null || !header.subarray(0, MAGIC.length).equals(MAGIC)) return null;
    const sequence = header.readBigUInt64BE(MAGIC.length);
    const length = header.readUInt32BE(MAGIC.length + 8);
    if (HEADER_BYTES + length > STORE_SLOT_BYTES) return null;
    const sealed = readWhole(fd, length, index * STORE_SLOT_BYTES + HEADER_BYTES);
    if (sealed === null) return null;
    const nonceStart = MAGIC.length + 12;
    const tagStart = nonceStart + NONCE_BYTES;
    const nonce = header.subarray(nonceStart, tagStart);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce);
    decipher.setAAD(Buffer.concat([slotFacts(sequence, length), Buffer.of(index)]));
    decipher.setAuthTag(header.subarray(tagStart));
    try {
      return { index, sequence, plain: Buffer.concat([decipher.update(sealed), decipher.final()]) };
    } catch {
      // A wrong tag is how a write cut off by a kill looks; the other slot holds the state.
      return null;
    }
  }
}

function slotFacts(sequence: bigint, lengthBytes: number): Buffer {
  const facts = Buffer.alloc(MAGIC.length + 12);
  MAGIC.copy(facts);
  facts.writeBigUInt64BE(sequence, MAGIC.length);
  facts.writeUInt32BE(lengthBytes, MAGIC.length + 8);
  return facts;
}

function openKey(
  path: string,
  { mayCreate, random }: { readonly mayCreate: boolean; readonly random: RandomSource },
): Buffer {
  if (mayCreate) {
    const fresh = `${path}.new`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC;
    const fd = openSync(fresh, flags, 0o600);
    writeWhole(fd, random.bytes(KEY_BYTES), 0);
    closeSync(fd);
    renameSync(fresh, path);
  }
  const key = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  if (key.length === KEY_BYTES) return key;
  throw new ElementError('ERR_STORE_CORRUPT', 'the key file of the store is missing or cut off');
}

function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

function readWhole(fd: number, lengthBytes: number, position: number): Buffer | null {
  const bytes = Buffer.alloc(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const got = readSync(fd, bytes, done, lengthBytes - done, position + done);
    if (got === 0) return null;
    done += got;
  }
  return bytes;
}
