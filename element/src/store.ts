/** The element's own store: one durable text, sealed under the key file of its directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { derivedStoreKey, openStoreKey } from './store-key.ts';
import { SlotFile } from './store-slots.ts';

/** Bytes of one slot; a state that does not fit is refused before anything is written. */
export const STORE_SLOT_BYTES = 131_072;
const STORE_FILE = 'element.store';
const MAGIC = 'TAPNPAY1';

/** Keeps one text durably; every write is all or nothing. */
export class ElementStore {
  readonly directory: string;
  readonly #key: Buffer;
  readonly #slots: SlotFile;

  /** @throws ElementError `ERR_STORE_CORRUPT`. */
  constructor(directory: string, random: RandomSource) {
    this.directory = directory;
    const path = join(directory, STORE_FILE);
    const exists = existsSync(path);
    this.#key = openStoreKey(directory, { mayCreate: !exists, random });
    const facts = { path, key: this.#key, magic: MAGIC, slotBytes: STORE_SLOT_BYTES, random };
    this.#slots = exists ? new SlotFile(facts) : SlotFile.create(facts, new Uint8Array());
  }

  /** The last durable text; empty in a new store. */
  read(): string {
    return this.#slots.read().toString('utf8');
  }

  /**
   * Returns when the text is on the disk.
   * @throws ElementError `ERR_STORE_SIZE`; `ERR_STORE_FORK` when another process wrote meanwhile.
   */
  write(text: string): void {
    this.#slots.write(Buffer.from(text, 'utf8'));
  }

  /** A key for another file of the same directory. */
  keyFor(use: string): Buffer {
    return derivedStoreKey(this.#key, use);
  }
}
