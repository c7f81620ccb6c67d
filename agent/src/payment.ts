/** One payment as the agent sees it: it carries cards, APDUs, TLS records and the sealed PIN. */
import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { type Clock, errorBody, fromHex, type Secret, toHex } from '@tapnpay/protocol/bytes';
import { type CardChannel, Iso7816Error } from '@tapnpay/protocol/iso7816';
import {
  type CardInterface,
  type CardRequest,
  checkShape,
  type ElementCommand,
  type ElementPayResult,
  elementPayResultShape,
  Hop,
  type HopRecord,
  type ShownOrder,
} from '@tapnpay/protocol/wire';
import { type ApduRecord, traceCard } from './apdu-trace.ts';
import type { ElementActivity, ElementProcess } from './element-process.ts';
import type { Relay, RelayListener } from './record-relay.ts';
import { systemClock } from './system.ts';

/** A card that a person has just inserted or tapped for this payment. */
export type PresentedCard = { readonly interface: CardInterface; readonly card: CardChannel };

/** The element wants the PIN sealed to this key of one presentation, SPKI hex. */
export type PinAsk = ShownOrder & { readonly publicKeySpki: string };

/** A masked exchange with the card of one presentation; numbers start at 1 in each. */
export type PaymentApdu = ApduRecord & {
  readonly attempt: number;
  readonly interface: CardInterface;
};

/** What a payment needs. */
export type PaymentRequest = {
  readonly element: ElementProcess;
  readonly orderId: string;
  /** The gateway's name in its certificate. */
  readonly serverName: string;
  /** Opens the way to the gateway; nothing is told to the listener before this returns. */
  readonly openRelay: (listener: RelayListener) => Relay;
  /**
   * Gets a person's consent and a fresh card. Rejects with a TapError `ERR_USER_CANCELLED`,
   * `ERR_CARD_TIMEOUT` or `ERR_CARD_REMOVED`: then the payment ends and nothing is charged.
   */
  readonly presentCard: (ask: CardRequest) => Promise<PresentedCard>;
  /**
   * RSA-OAEP (SHA-256) of the ASCII digits, hex; null: none is given, the payment ends. Rejects
   * with `ERR_CARD_REMOVED` when the card left meanwhile (it is asked for again) or with
   * `ERR_USER_CANCELLED`.
   */
  readonly enterPin: (ask: PinAsk) => Promise<string | null>;
  /** Nothing more is asked of the card: it may be taken away. */
  readonly onCardDone?: () => void;
  readonly onHop?: (record: HopRecord) => void;
  readonly onApdu?: (record: PaymentApdu) => void;
  readonly clock?: Clock;
};

/**
 * Runs one payment to its end. What is still asked of a person then has no meaning any more: a
 * late answer is dropped.
 * @throws TapError the element's code when no payment could be tried (`ERR_ELEMENT_...`), or when
 * the element was lost on the way: then nothing is known about the outcome.
 */
export async function payWithElement(request: PaymentRequest): Promise<ElementPayResult> {
  const { element, orderId, serverName, clock = systemClock } = request;
  const courier = new PaymentCourier(request);
  const facts = { orderId };
  request.onHop?.({ n: Hop.ask, name: 'ask', party: 'agent', atMs: clock.nowMs(), facts });
  try {
    const result = await element.request({ type: 'pay', orderId, serverName }, (event) =>
      courier.onActivity(event),
    );
    return checkShape(elementPayResultShape, result, 'result');
  } finally {
    courier.close();
  }
}

/** Answers what the element asks during one payment. */
class PaymentCourier {
  readonly #request: PaymentRequest;
  #card: CardChannel | null = null;
  #relay: Relay | null = null;
  #closed = false;
  /** Number of the element's last question: the answer to an older one came too late. */
  #question = 0;

  constructor(request: PaymentRequest) {
    this.#request = request;
  }

  onActivity(event: ElementActivity): void {
    switch (event.type) {
      case 'openChannel':
        this.#openRelay();
        break;
      case 'channelData':
        this.#relay?.send(Buffer.from(event.base64, 'base64'));
        break;
      case 'channelEnd':
        this.#relay?.end();
        break;
      case 'cardRequest':
        this.#present(event);
        break;
      case 'apdu':
        this.#transmit(fromHex(event.command));
        break;
      case 'cardDone':
        this.#request.onCardDone?.();
        break;
      case 'pinRequest':
        this.#enterPin(event);
        break;
      case 'hop':
        this.#request.onHop?.(event.record);
        break;
    }
  }

  close(): void {
    this.#closed = true;
    this.#card = null;
    this.#relay?.destroy();
  }

  #openRelay(): void {
    const { element, openRelay } = this.#request;
    this.#relay?.destroy();
    const tell = (command: ElementCommand) => {
      if (!this.#closed) element.send(command);
    };
    this.#relay = openRelay({
      onOpened: () => tell({ type: 'channelOpened' }),
      onRecords: (records) => {
        tell({ type: 'channelData', base64: Buffer.from(records).toString('base64') });
      },
      onClosed: () => tell({ type: 'channelClosed' }),
    });
  }

  #present({ type: _, ...ask }: Extract<ElementActivity, { type: 'cardRequest' }>): void {
    // The card of the presentation before is no longer this payment's.
    this.#card = null;
    this.#answer({
      asked: () => this.#request.presentCard(ask),
      answer: (presented) => {
        this.#card = this.#traced(presented, ask.attempt);
        return { type: 'cardAnswer', interface: presented.interface };
      },
      refusal: (error) => ({ type: 'cardFault', error }),
    });
  }

  #traced(presented: PresentedCard, attempt: number): CardChannel {
    const { onApdu } = this.#request;
    if (onApdu === undefined) return presented.card;
    const facts = { attempt, interface: presented.interface };
    return traceCard(presented.card, (record) => onApdu({ ...record, ...facts }));
  }

  #transmit(command: Uint8Array): void {
    const card = this.#card;
    this.#answer({
      asked: async () => {
        if (card !== null) return await card.transmit(command);
        throw new Iso7816Error('ERR_CARD_REMOVED', 'no card was presented');
      },
      answer: (response) => ({ type: 'apduAnswer', response: toHex(response) }),
      refusal: (error) => ({ type: 'apduFault', error }),
    });
  }

  #enterPin({ type: _, ...ask }: Extract<ElementActivity, { type: 'pinRequest' }>): void {
    this.#answer({
      asked: () => this.#request.enterPin(ask),
      answer: (sealedPin) => ({ type: 'pinAnswer', sealedPin }),
      refusal: (error) => ({ type: 'pinFault', error }),
    });
  }

  /** Asks and answers, unless the payment ended or the element has gone on meanwhile. */
  #answer<T>(question: {
    readonly asked: () => Promise<T>;
    readonly answer: (value: T) => ElementCommand;
    readonly refusal: (error: ReturnType<typeof errorBody>) => ElementCommand;
  }): void {
    const number = ++this.#question;
    const send = (command: () => ElementCommand) => {
      if (!this.#closed && number === this.#question) this.#request.element.send(command());
    };
    // A synchronous throw is a refusal too.
    Promise.resolve()
      .then(question.asked)
      .then(
        (value) => send(() => question.answer(value)),
        (fault: unknown) => send(() => question.refusal(errorBody(fault))),
      );
  }
}

/** PIN digits in ASCII under RSA-OAEP with SHA-256, for the element's key of this presentation. */
export function sealPin(pin: Secret<string>, publicKeySpki: string): string {
  const der = Buffer.from(fromHex(publicKeySpki));
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const digits = Buffer.from(pin.expose(), 'latin1');
  try {
    return toHex(publicEncrypt({ key, padding, oaepHash: 'sha256' }, digits));
  } finally {
    digits.fill(0);
  }
}
