/**
 * A file with two slots, each sealed by AES-256-GCM. A write goes to the older slot through O_DSYNC
 * (fsync is refused under the permission model), so that a kill at any moment leaves the previous
 * or the new content, whole.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { closeSync, constants, openSync, renameSync } from 'node:fs';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { ElementError } from './errors.ts';
import { readWhole, writeWhole } from './store-files.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAGIC_BYTES = 8;
/** Magic, sequence (8), length (4). */
const FACTS_BYTES = MAGIC_BYTES + 8 + 4;
const HEADER_BYTES = FACTS_BYTES + NONCE_BYTES + TAG_BYTES;
const SLOT_COUNT = 2;

/** What a file of slots is made with. */
export type SlotFacts = {
  readonly path: string;
  /** 32 bytes, of this file alone. */
  readonly key: Buffer;
  /** Eight characters that say what the file is. */
  readonly magic: string;
  /** Bytes of one slot; content that does not fit is refused before anything is written. */
  readonly slotBytes: number;
  readonly random: RandomSource;
};

type Slot = { readonly index: number; readonly sequence: bigint; readonly plain: Buffer };

/** Keeps one content durably; every write is all or nothing. */
export class SlotFile {
  readonly #facts: SlotFacts;
  readonly #magic: Buffer;
  #current: Slot;

  /** Opens one that exists. @throws ElementError `ERR_STORE_CORRUPT`. */
  constructor(facts: SlotFacts) {
    this.#facts = facts;
    this.#magic = Buffer.from(facts.magic, 'latin1');
    this.#current = this.#newest();
  }

  /**
   * Makes a new one, put in place in one step: later, "no slot is valid" is damage.
   * @param first the content that it is born with.
   */
  static create(facts: SlotFacts, first: Uint8Array): SlotFile {
    const magic = Buffer.from(facts.magic, 'latin1');
    const fresh = `${facts.path}.new`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC;
    const fd = openSync(fresh, flags, 0o600);
    try {
      for (let index = 0; index < SLOT_COUNT; index++) {
        const slot = { index, sequence: BigInt(index + 1), plain: Buffer.from(first) };
        const sealed = seal(facts, magic, slot);
        const padded = Buffer.concat([sealed, Buffer.alloc(facts.slotBytes - sealed.length)]);
        writeWhole(fd, padded, index * facts.slotBytes);
      }
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, facts.path);
    return new SlotFile(facts);
  }

  /** How many contents there were; it never goes back. */
  get sequence(): bigint {
    return this.#current.sequence;
  }

  /** The last durable content. */
  read(): Buffer {
    return this.#current.plain;
  }

  /**
   * Returns when the content is on the disk.
   * @throws ElementError `ERR_STORE_SIZE`; `ERR_STORE_FORK` when another process wrote meanwhile.
   */
  write(content: Uint8Array): void {
    this.assertAlone();
    const plain = Buffer.from(content);
    const index = (this.#current.index + 1) % SLOT_COUNT;
    const next = { index, sequence: this.#current.sequence + 1n, plain };
    const sealed = seal(this.#facts, this.#magic, next);
    const fd = openSync(this.#facts.path, constants.O_WRONLY | constants.O_DSYNC);
    try {
      writeWhole(fd, sealed, index * this.#facts.slotBytes);
    } finally {
      closeSync(fd);
    }
    this.#current.plain.fill(0);
    this.#current = next;
  }

  /** @throws ElementError `ERR_STORE_FORK` when another process wrote since. */
  assertAlone(): void {
    if (this.#newest().sequence === this.#current.sequence) return;
    throw new ElementError('ERR_STORE_FORK', 'another process writes this store');
  }

  #newest(): Slot {
    let newest: Slot | null = null;
    const fd = openSync(this.#facts.path, constants.O_RDONLY);
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

  /** The slot's content, or null when it is torn or foreign. */
  #open(fd: number, index: number): Slot | null {
    const { slotBytes, key } = this.#facts;
    const header = readWhole(fd, HEADER_BYTES, index * slotBytes);
    if (header === null || !header.subarray(0, MAGIC_BYTES).equals(this.#magic)) return null;
    const sequence = header.readBigUInt64BE(MAGIC_BYTES);
    const length = header.readUInt32BE(MAGIC_BYTES + 8);
    if (HEADER_BYTES + length > slotBytes) return null;
    const sealed = readWhole(fd, length, index * slotBytes + HEADER_BYTES);
    if (sealed === null) return null;
    const tagStart = FACTS_BYTES + NONCE_BYTES;
    const nonce = header.subarray(FACTS_BYTES, tagStart);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    const facts = slotFacts(this.#magic, sequence, length);
    decipher.setAAD(Buffer.concat([facts, Buffer.of(index)]));
    decipher.setAuthTag(header.subarray(tagStart));
    try {
      return { index, sequence, plain: Buffer.concat([decipher.update(sealed), decipher.final()]) };
    } catch {
      // A wrong tag is how a write cut off by a kill looks; the other slot holds the content.
      return null;
    }
  }
}

function seal({ slotBytes, random, key }: SlotFacts, magic: Buffer, slot: Slot): Buffer {
  if (HEADER_BYTES + slot.plain.length > slotBytes) {
    throw new ElementError('ERR_STORE_SIZE', 'the state does not fit a slot', {
      lengthBytes: slot.plain.length,
    });
  }
  const facts = slotFacts(magic, slot.sequence, slot.plain.length);
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.concat([facts, Buffer.of(slot.index)]));
  const sealed = Buffer.concat([cipher.update(slot.plain), cipher.final()]);
  return Buffer.concat([facts, nonce, cipher.getAuthTag(), sealed]);
}

function slotFacts(magic: Buffer, sequence: bigint, lengthBytes: number): Buffer {
  const facts = Buffer.alloc(FACTS_BYTES);
  magic.copy(facts);
  facts.writeBigUInt64BE(sequence, MAGIC_BYTES);
  facts.writeUInt32BE(lengthBytes, MAGIC_BYTES + 8);
  return facts;
}
