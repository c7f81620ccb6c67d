/**
 * The one GlobalPlatform card of an element: the pure card over this process's store, ciphers,
 * verifier and applications.
 */
import { createPrivateKey, sign } from 'node:crypto';
import {
  type Clock,
  type ErrorBody,
  fromHex,
  type RandomSource,
  toHex,
} from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  APPLICATION_0F_PERSONALIZED,
  isLocked,
  PAYMENT_INSTANCE_AID,
} from '@tapnpay/protocol/globalplatform/data';
import {
  type AppletInstance,
  type AppletRunner,
  type Card,
  type CardState,
  createCard,
  instanceOf,
} from '@tapnpay/protocol/globalplatform/oncard';
import type { CardBirth, CardFacts, PaymentApplicationState } from '@tapnpay/protocol/wire';
import { ElementError } from '../errors.ts';
import type { ElementStore } from '../store.ts';
import { type BornCard, bearCard, birthRecord, bornCardOf, profileOf } from './birth.ts';
import { ElementCardStore } from './card-store.ts';
import { cardVerifier } from './verifier.ts';

/** What the card stands on. */
export type ElementCardPorts = {
  readonly store: ElementStore;
  readonly ciphers: CipherProvider;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly random: RandomSource;
  readonly runner: AppletRunner;
  /** Faults of applications and store by their code. */
  readonly report: (fault: ErrorBody) => void;
};

/** A born card. */
export class ElementCard {
  readonly #born: BornCard;
  readonly #store: ElementCardStore;
  readonly #card: Card;

  private constructor(ports: ElementCardPorts, store: ElementCardStore) {
    this.#store = store;
    this.#born = bornCardOf(store.birth);
    this.#card = createCard(profileOf(this.#born), {
      ...{ ciphers: ports.ciphers, random: ports.random, clock: ports.clock, store },
      ...{ verifier: cardVerifier, runner: ports.runner, report: ports.report },
    });
  }

  /** The card of a store; null before its birth. @throws ElementError `ERR_STORE_CORRUPT`. */
  static open(ports: ElementCardPorts): ElementCard | null {
    const store = ElementCardStore.open(ports.store, ports.random);
    return store && new ElementCard(ports, store);
  }

  /** Makes the card of a store, once. @throws ElementError `ERR_ELEMENT_BORN`, `_BIRTH`. */
  static bear(ports: ElementCardPorts, birth: CardBirth): ElementCard {
    const { ciphers, random, clock } = ports;
    const { born, state } = bearCard(birth, { ciphers, random, nowMs: clock.nowMs() });
    const first = { birth: birthRecord(born), state };
    return new ElementCard(ports, ElementCardStore.create(ports.store, random, first));
  }

  /** One command, one answer; never throws for what is in the command. */
  process(command: Uint8Array): Uint8Array {
    return this.#card.process(command);
  }

  /** The manager has left: its sessions and selections are gone. */
  reset(): void {
    this.#card.reset();
  }

  /** The state as it was last made to last. */
  state(): CardState {
    return this.#card.state();
  }

  /** The payment application as it runs; null before its installation. */
  paymentInstance(): AppletInstance | null {
    const entry = this.state().entries.find(({ aid }) => aid === PAYMENT_INSTANCE_AID);
    return entry?.kind === 'application' ? instanceOf(this.state(), entry) : null;
  }

  /** Makes last what the payment application wrote. @throws GlobalPlatformError. */
  keepPaymentInstance(persistent: Uint8Array): void {
    this.#card.keepApplication(PAYMENT_INSTANCE_AID, persistent);
  }

  /** What the card says of itself to its agent; nothing of it is secret. */
  facts(): CardFacts {
    const { serialNumber, cplc, keyDiversificationData, attestationPublicKeySpki } = this.#born;
    return {
      ...{ serialNumber, attestationPublicKeySpki, cplc: toHex(cplc) },
      keyDiversificationData: toHex(keyDiversificationData),
      lifeCycle: this.state().lifeCycle,
      paymentApplication: paymentApplicationState(this.state()),
      commits: this.commits,
    };
  }

  /** States made durable since birth; a copy of the store that is put back has fewer. */
  get commits(): number {
    return Number(this.#store.sequence);
  }

  /** ECDSA P-256 with SHA-256, IEEE P1363, by the key that was made at birth. */
  attest(statement: Uint8Array): Uint8Array {
    const der = Buffer.from(fromHex(this.#born.attestationKeyPkcs8.expose()));
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    return new Uint8Array(sign('sha256', statement, { key, dsaEncoding: 'ieee-p1363' }));
  }
}

/**
 * What the registry says of the payment application (安装/可操作/锁定): operable is selectable and
 * personalised. @see GPCS 2.3.1 §5.3
 */
export function paymentApplicationState(state: CardState): PaymentApplicationState {
  const entry = state.entries.find(({ aid }) => aid === PAYMENT_INSTANCE_AID);
  if (entry === undefined) return 'absent';
  if (isLocked(entry.lifeCycle)) return 'locked';
  const isPersonalised =
    (entry.lifeCycle & APPLICATION_0F_PERSONALIZED) === APPLICATION_0F_PERSONALIZED;
  return isPersonalised ? 'operable' : 'installed';
}

/** SHA-256 of the load file that the payment application runs from; null while there is none. */
export function paymentLoadFileHash(state: CardState): Uint8Array | null {
  const entry = state.entries.find(({ aid }) => aid === PAYMENT_INSTANCE_AID);
  const file = state.loadFiles.find(({ aid }) => aid === entry?.loadFileAid);
  return file?.hash.slice() ?? null;
}

/** @throws ElementError `ERR_ELEMENT_NOT_BORN`. */
export function needCard(card: ElementCard | null): ElementCard {
  if (card !== null) return card;
  throw new ElementError('ERR_ELEMENT_NOT_BORN', 'this element has no card yet');
}
