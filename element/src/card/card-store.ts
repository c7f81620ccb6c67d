/**
 * The card's durable state: a root in two sealed slots, and long bytes in a file of blobs. First
 * the new bytes are written where nothing lies, then the root that names them: a kill between any
 * two writes leaves the state before or the one after.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import type {
  CardEntry,
  CardState,
  CardStore,
  LoadFile,
} from '@tapnpay/protocol/globalplatform/oncard';
import { ElementError } from '../errors.ts';
import type { ElementStore } from '../store.ts';
import { SlotFile } from '../store-slots.ts';
import { BlobFile, type BlobPlace } from './blobs.ts';
import {
  decodePiece,
  encodePiece,
  type Piece,
  type PieceText,
  type StateText,
  stateOf,
} from './state-text.ts';

const ROOT_FILE = 'card.store';
const BLOB_FILE = 'card.blobs';
const MAGIC = 'TAPCARD1';
const FORMAT = 1;
/** A root of as many entries as the card has, each as long as it may stand there. */
export const CARD_ROOT_BYTES_MAX = 1_048_576;

/** What a card is born with and never changes; JSON, opaque here. */
export type BirthRecord = Readonly<Record<string, unknown>>;
type Root = { readonly format: number; readonly birth: BirthRecord; readonly state: StateText };

/** The store of the one card of an element. */
export class ElementCardStore implements CardStore {
  readonly #slots: SlotFile;
  readonly #blobs: BlobFile;
  readonly birth: BirthRecord;
  readonly #state: CardState;
  /** What is durable now, and by which object: what did not change is the same object. */
  #pieces: Map<object, Piece> = new Map();
  #places: Map<Uint8Array, BlobPlace> = new Map();

  private constructor(slots: SlotFile, blobs: BlobFile) {
    this.#slots = slots;
    this.#blobs = blobs;
    const root = readRoot(slots);
    this.birth = root.birth;
    this.#state = stateOf(root.state, (text) => this.#decode(text));
  }

  /** The card of a directory; null before its birth. @throws ElementError `ERR_STORE_CORRUPT`. */
  static open(store: ElementStore, random: RandomSource): ElementCardStore | null {
    const facts = filesOf(store, random);
    if (!existsSync(facts.slots.path)) return null;
    return new ElementCardStore(new SlotFile(facts.slots), new BlobFile(facts.blobs));
  }

  /** Makes the first state durable; a kill in it leaves no card, or this one. */
  static create(
    store: ElementStore,
    random: RandomSource,
    first: { readonly birth: BirthRecord; readonly state: CardState },
  ): ElementCardStore {
    const facts = filesOf(store, random);
    if (existsSync(facts.slots.path)) {
      throw new ElementError('ERR_ELEMENT_BORN', 'this element has its card already');
    }
    const blobs = new BlobFile(facts.blobs);
    blobs.create();
    const places: BlobPlace[] = [];
    const keep = (bytes: Uint8Array): BlobPlace => {
      const place = blobs.write(bytes, places);
      places.push(place);
      return place;
    };
    const pieces = piecesOf(first.state, (value) => encodePiece(value, keep));
    const root = encodeRoot(first.birth, first.state, pieces);
    return new ElementCardStore(SlotFile.create(facts.slots, root), blobs);
  }

  /** How many states there were; it never goes back. */
  get sequence(): bigint {
    return this.#slots.sequence;
  }

  /** The state as it was when the store was opened. */
  load(): CardState {
    return this.#state;
  }

  /** @throws ElementError `ERR_STORE_SIZE`, `ERR_STORE_FORK`; then nothing has changed. */
  commit(next: CardState): void {
    // Another process could take the same free place.
    this.#slots.assertAlone();
    const places = new Map<Uint8Array, BlobPlace>();
    const fresh: BlobPlace[] = [];
    const keep = (bytes: Uint8Array): BlobPlace => {
      const known = this.#places.get(bytes) ?? places.get(bytes);
      const place = known ?? this.#blobs.write(bytes, [...this.#taken(), ...fresh]);
      if (known === undefined) fresh.push(place);
      places.set(bytes, place);
      return place;
    };
    const pieces = piecesOf(next, (value) => this.#pieces.get(value) ?? encodePiece(value, keep));
    this.#slots.write(encodeRoot(this.birth, next, pieces));
    const live = new Set([...pieces.values()].flatMap((piece) => piece.places));
    this.#places = new Map([...this.#places, ...places].filter(([, place]) => live.has(place)));
    this.#pieces = pieces;
  }

  *#taken(): Generator<BlobPlace> {
    for (const { places } of this.#pieces.values()) yield* places;
  }

  #decode<Value extends CardEntry | LoadFile>(text: PieceText): Value {
    const decoded = decodePiece<Value>(text, (place) => this.#blobs.read(place));
    this.#pieces.set(decoded.value, decoded.piece);
    for (const [bytes, place] of decoded.blobs) this.#places.set(bytes, place);
    return decoded.value;
  }
}

function filesOf(store: ElementStore, random: RandomSource) {
  const { directory } = store;
  return {
    slots: {
      ...{ path: join(directory, ROOT_FILE), key: store.keyFor('card root'), random },
      ...{ magic: MAGIC, slotBytes: CARD_ROOT_BYTES_MAX },
    },
    blobs: { path: join(directory, BLOB_FILE), key: store.keyFor('card blobs'), random },
  };
}

function piecesOf(
  state: CardState,
  encode: (value: CardEntry | LoadFile) => Piece,
): Map<object, Piece> {
  const values = [...state.entries, ...state.loadFiles];
  return new Map(values.map((value) => [value, encode(value)]));
}

function encodeRoot(
  birth: BirthRecord,
  state: CardState,
  pieces: ReadonlyMap<object, Piece>,
): Buffer {
  const textOf = (value: object): PieceText => pieces.get(value)?.text ?? '';
  const { lifeCycle, issuerDomainAid } = state;
  const entries = state.entries.map(textOf);
  const loadFiles = state.loadFiles.map(textOf);
  const text: StateText = { lifeCycle, issuerDomainAid, entries, loadFiles };
  return Buffer.from(JSON.stringify({ format: FORMAT, birth, state: text } satisfies Root), 'utf8');
}

function readRoot(slots: SlotFile): Root {
  const root: Root = JSON.parse(slots.read().toString('utf8'));
  if (root.format === FORMAT) return root;
  throw new ElementError('ERR_STORE_CORRUPT', `a card of format ${root.format}`);
}
