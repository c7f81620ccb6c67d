/**
 * Long byte strings of the card, each sealed at a place of its own in one file. A new one goes only
 * where none lies that the durable state names, so that a write cut off harms nothing.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { ElementError } from '../errors.ts';
import { readWhole, writeWhole } from '../store-files.ts';

/** Where one lies, and the nonce and tag that open it: whoever has this has exactly those bytes. */
export type BlobPlace = {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Hex. */
  readonly seal: string;
};

/** Largest file: the card's memory twice, for what is replaced, and gaps. */
export const BLOB_FILE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Places begin at whole blocks: a disk that tears a block tears nobody else's. */
const BLOCK_BYTES = 4096;
const NONCE_BYTES = 12;
const SEAL_BYTES = 28;

/** The file; it only ever grows. */
export class BlobFile {
  readonly #path: string;
  readonly #key: Buffer;
  readonly #random: RandomSource;

  constructor(facts: {
    readonly path: string;
    readonly key: Buffer;
    readonly random: RandomSource;
  }) {
    this.#path = facts.path;
    this.#key = facts.key;
    this.#random = facts.random;
  }

  /** Makes an empty file; whatever lay there belonged to no state. */
  create(): void {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_DSYNC;
    closeSync(openSync(this.#path, flags, 0o600));
  }

  /**
   * Returns when the bytes are on the disk, clear of every place in `taken`.
   * @throws ElementError `ERR_STORE_SIZE`.
   */
  write(bytes: Uint8Array, taken: Iterable<BlobPlace>): BlobPlace {
    const offsetBytes = freeOffset(bytes.length, taken);
    const nonce = this.#random.bytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(bytes), cipher.final()]);
    const seal = Buffer.concat([nonce, cipher.getAuthTag()]).toString('hex');
    const fd = openSync(this.#path, constants.O_WRONLY | constants.O_DSYNC);
    try {
      writeWhole(fd, sealed, offsetBytes);
    } finally {
      closeSync(fd);
    }
    return { offsetBytes, lengthBytes: bytes.length, seal };
  }

  /** @throws ElementError `ERR_STORE_CORRUPT`. */
  read({ offsetBytes, lengthBytes, seal }: BlobPlace): Uint8Array {
    const facts = Buffer.from(seal, 'hex');
    const nonce = facts.subarray(0, NONCE_BYTES);
    const fd = openSync(this.#path, constants.O_RDONLY);
    try {
      const sealed = readWhole(fd, lengthBytes, offsetBytes);
      if (sealed === null || facts.length !== SEAL_BYTES) throw damaged();
      const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce);
      decipher.setAuthTag(facts.subarray(NONCE_BYTES));
      return new Uint8Array(
        opened(() => Buffer.concat([decipher.update(sealed), decipher.final()])),
      );
    } finally {
      closeSync(fd);
    }
  }
}

function opened(open: () => Buffer): Buffer {
  try {
    return open();
  } catch (cause) {
    throw damaged(cause);
  }
}

function damaged(cause?: unknown): ElementError {
  const message = 'a part of the state of the card was altered';
  return new ElementError('ERR_STORE_CORRUPT', message, {}, cause);
}

/** The first gap between the places that is large enough. */
function freeOffset(lengthBytes: number, taken: Iterable<BlobPlace>): number {
  let offset = 0;
  for (const place of [...taken].sort((left, right) => left.offsetBytes - right.offsetBytes)) {
    if (offset + lengthBytes <= place.offsetBytes) break;
    const end = place.offsetBytes + place.lengthBytes;
    offset = Math.max(offset, BLOCK_BYTES * Math.ceil(end / BLOCK_BYTES));
  }
  if (offset + lengthBytes <= BLOB_FILE_BYTES_MAX) return offset;
  throw new ElementError('ERR_STORE_SIZE', 'the store of the card is full', { lengthBytes });
}
