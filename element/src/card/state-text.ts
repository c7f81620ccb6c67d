/**
 * The card's state as text: each entry and load file is a piece of its own, so that what did not
 * change is neither encoded nor written again. Long bytes and long pieces lie in the file of blobs.
 */
import type { CardEntry, CardState, LoadFile } from '@tapnpay/protocol/globalplatform/oncard';
import { ElementError } from '../errors.ts';
import type { BlobPlace } from './blobs.ts';

/** Longest byte string that stands in the text itself. */
export const INLINE_BYTES_MAX = 512;
/** Longest piece that stands in the root itself. */
export const INLINE_CHARACTERS_MAX = 2_048;

/** A piece as the root holds it: its text, or where that lies. */
export type PieceText = string | BlobPlace;
/** The state with every piece as text. */
export type StateText = {
  readonly lifeCycle: number;
  readonly issuerDomainAid: string;
  readonly entries: readonly PieceText[];
  readonly loadFiles: readonly PieceText[];
};
/** An encoded piece and all places that it needs. */
export type Piece = { readonly text: PieceText; readonly places: readonly BlobPlace[] };

/** Encodes one piece; `keep` makes bytes durable and says where they lie. */
export function encodePiece(
  value: CardEntry | LoadFile,
  keep: (bytes: Uint8Array) => BlobPlace,
): Piece {
  const places: BlobPlace[] = [];
  const placed = (bytes: Uint8Array): BlobPlace => {
    const place = keep(bytes);
    places.push(place);
    return place;
  };
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (!(inner instanceof Uint8Array)) return inner;
    return inner.length > INLINE_BYTES_MAX
      ? { $blob: placed(inner) }
      : { $bytes: Buffer.from(inner).toString('base64') };
  });
  if (text.length <= INLINE_CHARACTERS_MAX) return { text, places };
  return { text: placed(Buffer.from(text, 'utf8')), places };
}

/** Reads a piece back, with all places that it needs. @throws ElementError `ERR_STORE_CORRUPT`. */
export function decodePiece<Value extends CardEntry | LoadFile>(
  text: PieceText,
  read: (place: BlobPlace) => Uint8Array,
): { readonly value: Value; readonly blobs: ReadonlyMap<Uint8Array, BlobPlace>; piece: Piece } {
  const blobs = new Map<Uint8Array, BlobPlace>();
  const places: BlobPlace[] = typeof text === 'string' ? [] : [text];
  const json = typeof text === 'string' ? text : Buffer.from(read(text)).toString('utf8');
  const value: Value = JSON.parse(json, (_, inner: unknown) => {
    const { $bytes, $blob } = Object(inner) as { $bytes?: string; $blob?: BlobPlace };
    if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'));
    if ($blob === undefined) return inner;
    const bytes = read($blob);
    blobs.set(bytes, $blob);
    places.push($blob);
    return bytes;
  });
  return { value, blobs, piece: { text, places } };
}

/** The whole from its parts. @throws ElementError for a text of another program. */
export function stateOf(
  text: StateText,
  decode: <Value extends CardEntry | LoadFile>(piece: PieceText) => Value,
): CardState {
  const { lifeCycle, issuerDomainAid, entries, loadFiles } = text;
  if (!Array.isArray(entries) || !Array.isArray(loadFiles)) {
    throw new ElementError('ERR_STORE_CORRUPT', 'the state of the card has another form');
  }
  return {
    ...{ format: 1, lifeCycle, issuerDomainAid },
    entries: entries.map((piece) => decode<CardEntry>(piece)),
    loadFiles: loadFiles.map((piece) => decode<LoadFile>(piece)),
  };
}
