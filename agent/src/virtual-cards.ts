/**
 * The virtual cards: images on disk, run by the virtual card of `emv/icc`. A card's new counters
 * are durable before its answer leaves, as in a real chip's memory.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { maskPan, type RandomSource } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { type IccImage, parseIccImage } from '@tapnpay/protocol/emv/data';
import { createVirtualIcc } from '@tapnpay/protocol/emv/icc';
import { type CardChannel, Iso7816Error } from '@tapnpay/protocol/iso7816';
import { replaceFile } from './durable-file.ts';
import { AgentError } from './errors.ts';

const CARD_FILE = /^([a-z0-9][a-z0-9-]{0,31})\.json$/;
const INSERTED_FILE = 'inserted';

/** What may be shown of a virtual card. */
export type VirtualCardSummary = {
  readonly name: string;
  readonly label: string;
  readonly panMasked: string;
  readonly expiryYymm: string;
  readonly applicationTransactionCounter: number;
  readonly inserted: boolean;
};

/** What runs the cards. */
export type VirtualCardPorts = {
  readonly directory: string;
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
};

/** The cards of one directory and the one slot that a card can be inserted in. */
export class VirtualCards {
  readonly #ports: VirtualCardPorts;
  /** Counts insertions and removals: a channel lives only as long as its insertion. */
  #insertion = 0;

  constructor(ports: VirtualCardPorts) {
    mkdirSync(ports.directory, { recursive: true, mode: 0o700 });
    this.#ports = ports;
  }

  /** All cards in the order of their names. */
  list(): readonly VirtualCardSummary[] {
    const inserted = this.inserted();
    return readdirSync(this.#ports.directory)
      .map((file) => CARD_FILE.exec(file)?.[1])
      .filter((name) => name !== undefined)
      .sort()
      .map((name) => {
        const image = this.#load(name);
        return {
          name,
          label: image.label,
          panMasked: maskPan(image.pan),
          expiryYymm: image.expiryYymm,
          applicationTransactionCounter: image.state.atc,
          inserted: name === inserted,
        };
      });
  }

  /**
   * Stores a personalised card under a new name.
   * @throws AgentError `ERR_CARD_NAME`, `ERR_CARD_EXISTS`; EmvDataError `ERR_EMV_IMAGE`.
   */
  add(name: string, imageText: string): void {
    const path = this.#path(name);
    const image = parseIccImage(imageText);
    if (existsSync(path)) {
      throw new AgentError('ERR_CARD_EXISTS', `card ${name} is there already`, { card: name });
    }
    replaceFile(path, JSON.stringify(image));
  }

  /** Name of the inserted card, or null. */
  inserted(): string | null {
    const path = join(this.#ports.directory, INSERTED_FILE);
    if (!existsSync(path)) return null;
    const name = readFileSync(path, 'utf8').trim();
    return CARD_FILE.test(`${name}.json`) ? name : null;
  }

  /** Puts the card in and powers it up; a card that was in is taken out. */
  insert(name: string): CardChannel {
    const image = this.#load(name);
    replaceFile(join(this.#ports.directory, INSERTED_FILE), name);
    this.#insertion += 1;
    return this.#channel(name, image, this.#insertion);
  }

  /** Takes the card out; its channel answers `ERR_CARD_REMOVED` from now on. */
  remove(): void {
    this.#insertion += 1;
    rmSync(join(this.#ports.directory, INSERTED_FILE), { force: true });
  }

  #channel(name: string, image: IccImage, insertion: number): CardChannel {
    const { ciphers, random } = this.#ports;
    const path = this.#path(name);
    const icc = createVirtualIcc({ image, ciphers, random });
    let durable = JSON.stringify(image);
    return {
      transmit: async (command) => {
        if (insertion !== this.#insertion) throw cardRemoved();
        const answer = icc.transmit(command);
        const next = JSON.stringify(icc.image());
        if (next !== durable) {
          replaceFile(path, next);
          durable = next;
        }
        return answer;
      },
    };
  }

  #load(name: string): IccImage {
    const path = this.#path(name);
    if (!existsSync(path)) {
      throw new AgentError('ERR_CARD_UNKNOWN', `there is no card ${name}`, { card: name });
    }
    return parseIccImage(readFileSync(path, 'utf8'));
  }

  #path(name: string): string {
    if (CARD_FILE.test(`${name}.json`)) return join(this.#ports.directory, `${name}.json`);
    throw new AgentError('ERR_CARD_NAME', 'a card name is a-z, 0-9 and -, at most 32 characters');
  }
}

/** The fault of a card that is not there any more. */
export function cardRemoved(data: Readonly<Record<string, number>> = {}): Iso7816Error {
  return new Iso7816Error('ERR_CARD_REMOVED', 'the card was removed', data);
}
