/**
 * The virtual cards: images on disk, run by the virtual card of `emv/icc`. A card's new counters
 * are durable before its answer leaves, as in a real chip's memory, and a card that is at a reader
 * is locked against every other process.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { maskPan, type RandomSource } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { type IccImage, iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import { createVirtualIcc, type VirtualIcc } from '@tapnpay/protocol/emv/icc';
import { type CardChannel, Iso7816Error } from '@tapnpay/protocol/iso7816';
import type { CardInterface, WalletCard } from '@tapnpay/protocol/wire';
import { type HeldLock, lockCard } from './directory-lock.ts';
import { replaceFile } from './durable-file.ts';
import { AgentError } from './errors.ts';
import { imageAtr } from './readers/virtual-card.ts';

const CARD_FILE = /^([a-z0-9][a-z0-9-]{0,31})\.json$/;

/** What runs the cards. */
export type VirtualCardPorts = {
  readonly directory: string;
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
  /** Told whenever a card comes or goes. */
  readonly onChange?: () => void;
};

/** How a card is held to the reader. */
export type PresentOptions = {
  /** The card is gone before this APDU of the presentation (1 is the first); null: it stays. */
  readonly liftAfter?: number | null;
};

/** A card at the reader. */
export type PresentedChannel = CardChannel & {
  readonly interface: CardInterface;
  /** Power anew: the card forgets the session and says its answer to reset. */
  readonly reset: () => Promise<Uint8Array>;
  /** Resolves when the card has power; rejects when its lock or its image does not allow it. */
  readonly ready: Promise<void>;
  /** False once the card was taken away. */
  readonly isThere: () => boolean;
};

/** Which card is at the reader, and how. */
export type ReaderSlot = { readonly name: string; readonly interface: CardInterface };

/** The cards of one directory and the one reader that a card can be at. */
export class VirtualCards {
  readonly #ports: VirtualCardPorts;
  #presentation: Presentation | null = null;
  /** Locks that are being let go: the next presentation waits for them. */
  #released: Promise<void> = Promise.resolve();

  constructor(ports: VirtualCardPorts) {
    mkdirSync(ports.directory, { recursive: true, mode: 0o700 });
    this.#ports = ports;
  }

  /** All cards in the order of their names. @throws EmvDataError `ERR_EMV_IMAGE`. */
  list(): readonly WalletCard[] {
    return readdirSync(this.#ports.directory)
      .map((file) => CARD_FILE.exec(file)?.[1])
      .filter((name) => name !== undefined)
      .sort()
      .map((name) => walletCard(name, this.#load(name)));
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

  /** The card at the reader of this process, or null. */
  presented(): ReaderSlot | null {
    const presentation = this.#presentation;
    return presentation && { name: presentation.name, interface: presentation.interface };
  }

  /**
   * Brings a card to the reader and powers it up; one that is there is taken away.
   * @throws AgentError `ERR_CARD_UNKNOWN`, `ERR_CARD_NAME`, `ERR_CARD_INTERFACE`; EmvDataError
   * `ERR_EMV_IMAGE`. `ready` and the channel reject with `ERR_CARD_IN_USE` when another process
   * has the card.
   */
  present(
    name: string,
    cardInterface: CardInterface,
    options: PresentOptions = {},
  ): PresentedChannel {
    const { interfaces } = walletCard(name, this.#load(name));
    if (!interfaces.includes(cardInterface)) {
      const message = `card ${name} has no ${cardInterface} interface`;
      throw new AgentError('ERR_CARD_INTERFACE', message, { card: name });
    }
    this.takeAway();
    const presentation = new Presentation({
      ports: this.#ports,
      name,
      path: this.#path(name),
      interface: cardInterface,
      liftAfter: options.liftAfter ?? null,
      after: this.#released,
      onGone: (gone) => this.#forget(gone),
    });
    this.#presentation = presentation;
    this.#ports.onChange?.();
    return presentation;
  }

  /** Takes the card away; its channel answers `ERR_CARD_REMOVED` from now on. */
  takeAway(): void {
    this.#presentation?.lift();
  }

  /** Puts a card into the contact reader. */
  insert(name: string): PresentedChannel {
    return this.present(name, 'contact');
  }

  /** Takes the card out. */
  remove(): void {
    this.takeAway();
  }

  /** Takes the card away and waits until its lock is free. */
  async close(): Promise<void> {
    this.takeAway();
    await this.#released;
  }

  #forget(gone: Presentation): void {
    const before = this.#released;
    this.#released = Promise.all([before, gone.released]).then(() => {});
    if (this.#presentation !== gone) return;
    this.#presentation = null;
    this.#ports.onChange?.();
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

type PresentationFacts = {
  readonly ports: VirtualCardPorts;
  readonly name: string;
  readonly path: string;
  readonly interface: CardInterface;
  readonly liftAfter: number | null;
  readonly after: Promise<void>;
  readonly onGone: (gone: Presentation) => void;
};

/** One card at the reader, from its coming to its going. */
class Presentation implements PresentedChannel {
  readonly #facts: PresentationFacts;
  readonly ready: Promise<void>;
  /** Resolves when the lock is free again. */
  released: Promise<void> = Promise.resolve();
  #lock: HeldLock | null = null;
  #icc: VirtualIcc | null = null;
  #durable = '';
  #apdus = 0;
  #isGone = false;

  constructor(facts: PresentationFacts) {
    this.#facts = facts;
    const locked = facts.after.then(() => lockCard(facts.path, facts.name));
    this.ready = locked.then((lock) => this.#powerUp(lock));
    // Whoever transmits hears of it; a card that nobody uses troubles nobody.
    this.ready.catch(() => this.lift());
  }

  get name(): string {
    return this.#facts.name;
  }

  get interface(): CardInterface {
    return this.#facts.interface;
  }

  isThere(): boolean {
    return !this.#isGone;
  }

  async reset(): Promise<Uint8Array> {
    if (this.#icc === null) await this.ready;
    if (this.#icc === null || this.#isGone) throw cardRemoved();
    this.#icc.reset();
    return imageAtr(this.#icc.image(), this.interface);
  }

  async transmit(command: Uint8Array): Promise<Uint8Array> {
    if (this.#icc === null) await this.ready;
    this.#apdus += 1;
    const { liftAfter } = this.#facts;
    if (liftAfter !== null && this.#apdus >= liftAfter) this.lift();
    const icc = this.#icc;
    if (icc === null || this.#isGone) throw cardRemoved({ apduNumber: this.#apdus });
    const answer = icc.transmit(command);
    const next = JSON.stringify(icc.image());
    if (next !== this.#durable) {
      replaceFile(this.#facts.path, next);
      this.#durable = next;
    }
    return answer;
  }

  lift(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    // A card without power may have its lock all the same.
    const release = () => this.#lock?.release();
    this.released = this.ready.then(release, release);
    this.#facts.onGone(this);
  }

  /** The image is read only now: the process that had the card before may have changed it. */
  #powerUp(lock: HeldLock): void {
    this.#lock = lock;
    const { ports, path } = this.#facts;
    const image = parseIccImage(readFileSync(path, 'utf8'));
    const { ciphers, random } = ports;
    this.#icc = createVirtualIcc({ image, ciphers, random, interface: this.#facts.interface });
    this.#durable = JSON.stringify(image);
  }
}

function walletCard(name: string, image: IccImage): WalletCard {
  const { pan, ...summary } = iccSummary(image);
  return { name, panMasked: maskPan(pan), ...summary, purpose: name };
}

/** The fault of a card that is not there any more. */
export function cardRemoved(data: Readonly<Record<string, number>> = {}): Iso7816Error {
  return new Iso7816Error('ERR_CARD_REMOVED', 'the card was removed', data);
}
