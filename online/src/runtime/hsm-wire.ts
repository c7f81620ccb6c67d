/** The HSM's wire as both its ends use it: limits, proofs of the hello, and frames. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ErrorBody } from '@tapnpay/protocol/bytes';
import { WireError } from '@tapnpay/protocol/wire';

/** Longest frame in either direction. */
export const HSM_FRAME_BYTES_MAX: number = 1 << 20;
/** Most requests in one frame. */
export const HSM_BATCH_MAX = 64;
/** How long either side waits for the other's half of the hello. */
export const HSM_HELLO_TIMEOUT_MS = 5_000;
export const HSM_NONCE_BYTES = 32;
const LENGTH_BYTES = 4;

/** First frame, from the HSM. */
export type HsmGreeting = { readonly nonce: string };
/** Second frame, from the caller; `proof` is `callerProof`. */
export type HsmHello = { readonly caller: string; readonly nonce: string; readonly proof: string };
/** Third frame, from the HSM; `proof` is `hsmProof`, so that nobody else answers for it. */
export type HsmWelcome = { readonly proof: string };
/** The HSM's last frame on a connection that it gives up. */
export type HsmRefusal = { readonly error: ErrorBody };
/** Answer to one request of a batch. */
export type HsmReply = { readonly ok: unknown } | { readonly error: ErrorBody };
/** Answer to an `HsmFrame`, replies in the order of its batch. */
export type HsmReplyFrame = { readonly id: number; readonly replies: readonly HsmReply[] };

/** HMAC-SHA256(token, HSM's nonce ‖ caller), hex. */
export function callerProof(tokenHex: string, nonceHex: string, caller: string): string {
  return proof(tokenHex, [Buffer.from(nonceHex, 'hex'), Buffer.from(caller, 'utf8')]);
}

/** HMAC-SHA256(token, "hsm" ‖ caller's nonce ‖ HSM's nonce), hex. */
export function hsmProof(
  tokenHex: string,
  nonces: { readonly caller: string; readonly hsm: string },
): string {
  const parts = [nonces.caller, nonces.hsm].map((nonce) => Buffer.from(nonce, 'hex'));
  return proof(tokenHex, [Buffer.from('hsm', 'utf8'), ...parts]);
}

/** Equality of two proofs whose time does not depend on where they differ. */
export function isSameProof(left: string, right: string): boolean {
  const a = Buffer.from(left, 'utf8');
  const b = Buffer.from(right, 'utf8');
  return a.length === b.length && timingSafeEqual(a, b);
}

function proof(tokenHex: string, parts: readonly Uint8Array[]): string {
  const hmac = createHmac('sha256', Buffer.from(tokenHex, 'hex'));
  for (const part of parts) hmac.update(part);
  return hmac.digest('hex').toUpperCase();
}

/** JSON text as a frame. @throws WireError `ERR_FRAME_LENGTH`. */
export function encodeHsmFrame(json: string): Uint8Array {
  const lengthBytes = Buffer.byteLength(json);
  if (lengthBytes > HSM_FRAME_BYTES_MAX) throw wrongLength(lengthBytes);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + lengthBytes);
  frame.writeUInt32BE(lengthBytes, 0);
  frame.write(json, LENGTH_BYTES, 'utf8');
  return frame;
}

/** Cuts a byte stream into JSON values; it holds at most one frame beside the last chunk. */
export class HsmFrameDecoder {
  #chunks: Uint8Array[] = [];
  #heldBytes = 0;
  #wantedBytes = LENGTH_BYTES;

  /**
   * The values completed by `chunk`, in order.
   * @throws WireError `ERR_FRAME_LENGTH` (empty or over the limit), `ERR_FRAME_JSON`.
   */
  push(chunk: Uint8Array): readonly unknown[] {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wantedBytes) return [];
    const held = this.#chunks.length === 1 ? Buffer.from(chunk) : Buffer.concat(this.#chunks);
    const values: unknown[] = [];
    let offset = 0;
    while (held.length - offset >= LENGTH_BYTES) {
      const lengthBytes = held.readUInt32BE(offset);
      if (lengthBytes === 0 || lengthBytes > HSM_FRAME_BYTES_MAX) throw wrongLength(lengthBytes);
      const start = offset + LENGTH_BYTES;
      if (held.length - start < lengthBytes) break;
      values.push(parse(held.toString('utf8', start, start + lengthBytes)));
      offset = start + lengthBytes;
    }
    this.#keep(held.subarray(offset));
    return values;
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
    const isLengthKnown = rest.length >= LENGTH_BYTES;
    this.#wantedBytes = LENGTH_BYTES + (isLengthKnown ? rest.readUInt32BE(0) : 0);
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // The cause would quote the text.
    throw new WireError('ERR_FRAME_JSON', 'frame is no JSON', { lengthBytes: json.length });
  }
}

function wrongLength(lengthBytes: number): WireError {
  const text = `frame of ${lengthBytes} bytes, 1 to ${HSM_FRAME_BYTES_MAX} allowed`;
  return new WireError('ERR_FRAME_LENGTH', text, { lengthBytes });
}
