/**
 * Frames of the native port that are too long for one: cut into slices of their JSON text, and
 * joined again. All chunks of a frame follow one another; nothing comes between them.
 */
import { WireError } from './frames.ts';
import { checkShape, countShape, objectShape, type Shape, textShape } from './shape.ts';

/** Longest frame either way, in bytes. Browsers take 1 MiB from a host. */
export const NATIVE_FRAME_BYTES_MAX = 262_144;
/** Longest slice that we cut, in UTF-16 units: each is at most 3 bytes of a chunk's own JSON. */
export const NATIVE_CHUNK_CHARACTERS = 65_536;
/** Chunks of one frame. */
export const NATIVE_CHUNKS_MAX = 64;
/** Longest joined frame, in UTF-16 units. */
export const NATIVE_MESSAGE_CHARACTERS_MAX: number = NATIVE_CHUNKS_MAX * NATIVE_CHUNK_CHARACTERS;

/** A slice of one frame's JSON text. */
export type NativeChunk = {
  readonly type: 'chunk';
  /** The frame's number, of its sender's own. */
  readonly id: number;
  /** From 0 to `count` - 1, in this order. */
  readonly index: number;
  readonly count: number;
  readonly text: string;
};

const chunkFields = {
  id: countShape(),
  index: countShape(NATIVE_CHUNKS_MAX - 1),
  count: countShape(NATIVE_CHUNKS_MAX),
  text: textShape(NATIVE_FRAME_BYTES_MAX),
};
/** A chunk without its `type`. */
export const nativeChunkShape: Shape<Omit<NativeChunk, 'type'>> =
  objectShape<Omit<NativeChunk, 'type'>>(chunkFields);

/**
 * The frame itself when it is short enough, or its chunks.
 * @param id another number for each frame.
 * @throws WireError `ERR_FRAME_LENGTH` above `NATIVE_MESSAGE_CHARACTERS_MAX`.
 */
export function cutNativeFrame<T extends { readonly type: string }>(
  frame: T,
  id: number,
): readonly (T | NativeChunk)[] {
  const text = JSON.stringify(frame);
  return isWhole(text) ? [frame] : chunks(text, id);
}

/** The same for texts: what is to be sent for a frame of this JSON text. */
export function cutNativeText(text: string, id: number): readonly string[] {
  return isWhole(text) ? [text] : chunks(text, id).map((chunk) => JSON.stringify(chunk));
}

/** Bytes are counted only where the characters do not tell. */
function isWhole(text: string): boolean {
  if (3 * text.length <= NATIVE_FRAME_BYTES_MAX) return true;
  return text.length <= NATIVE_FRAME_BYTES_MAX && utf8Bytes(text) <= NATIVE_FRAME_BYTES_MAX;
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    // Half of a surrogate pair is 2 of its 4 bytes; JSON text has no lone one.
    const isSurrogate = unit >= 0xd800 && unit <= 0xdfff;
    bytes += unit < 0x80 ? 1 : unit < 0x800 || isSurrogate ? 2 : 3;
  }
  return bytes;
}

function chunks(text: string, id: number): readonly NativeChunk[] {
  const slices: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = sliceEnd(text, start);
    slices.push(text.slice(start, end));
    start = end;
  }
  if (slices.length > NATIVE_CHUNKS_MAX) throw tooLong(text.length);
  const count = slices.length;
  return slices.map((slice, index) => ({ type: 'chunk', id, index, count, text: slice }));
}

/** A surrogate pair is never cut: a browser's JSON may refuse half of one. */
function sliceEnd(text: string, start: number): number {
  const end = start + NATIVE_CHUNK_CHARACTERS;
  if (end >= text.length) return text.length;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
}

/** Joins the chunks of one side of a port. */
export class NativeJoiner {
  #texts: string[] = [];
  #heldCharacters = 0;
  #open: { readonly id: number; readonly count: number } | null = null;

  /** Characters that wait for the rest of their frame. */
  get heldCharacters(): number {
    return this.#heldCharacters;
  }

  /**
   * A parsed frame as it came in: itself, the joined frame at its last chunk, or null meanwhile.
   * After a throw nothing more can be read from the port.
   * @throws WireError `ERR_FRAME_CHUNK` (out of order, mixed, or a chunk of chunks),
   * `ERR_FRAME_LENGTH`, `ERR_FRAME_JSON`, `ERR_MESSAGE_FIELD`.
   */
  take(frame: unknown): unknown {
    if (frame === null) throw new WireError('ERR_MESSAGE_FIELD', 'frame is no object');
    if (!isChunk(frame)) {
      if (this.#open === null) return frame;
      throw chunkFault('a frame came between the chunks of another');
    }
    const chunk = checkShape(nativeChunkShape, frame, 'chunk');
    this.#keep(chunk);
    if (chunk.index + 1 < chunk.count) return null;
    return this.#joined();
  }

  #keep({ id, index, count, text }: Omit<NativeChunk, 'type'>): void {
    const open = this.#open ?? { id, count };
    if (open.id !== id || open.count !== count) throw chunkFault('chunks of two frames are mixed');
    if (index !== this.#texts.length || index >= count) throw chunkFault('a chunk is out of order');
    this.#heldCharacters += text.length;
    if (this.#heldCharacters > NATIVE_MESSAGE_CHARACTERS_MAX) throw tooLong(this.#heldCharacters);
    this.#open = open;
    this.#texts.push(text);
  }

  #joined(): unknown {
    const text = this.#texts.join('');
    this.#texts = [];
    this.#heldCharacters = 0;
    this.#open = null;
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch (cause) {
      const data = { characters: text.length };
      throw new WireError('ERR_FRAME_JSON', 'joined chunks are no JSON', data, cause);
    }
    if (frame === null || isChunk(frame)) throw chunkFault('chunks hold no frame');
    return frame;
  }
}

function isChunk(frame: unknown): boolean {
  return typeof frame === 'object' && frame !== null && 'type' in frame && frame.type === 'chunk';
}

function chunkFault(message: string): WireError {
  return new WireError('ERR_FRAME_CHUNK', message);
}

function tooLong(characters: number): WireError {
  const message = `frame of ${characters} characters, ${NATIVE_MESSAGE_CHARACTERS_MAX} allowed`;
  return new WireError('ERR_FRAME_LENGTH', message, { characters });
}
