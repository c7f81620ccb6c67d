/** One payment as the agent sees it: it carries APDUs, TLS records and the sealed PIN. */
import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { type Clock, errorBody, fromHex, Secret, toHex } from '@tapnpay/protocol/bytes';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import {
  checkShape,
  type ElementPayResult,
  elementPayResultShape,
  Hop,
  type HopRecord,
} from '@tapnpay/protocol/wire';
import { type ApduRecord, traceCard } from './apdu-trace.ts';
import type { ElementActivity, ElementProcess } from './element-process.ts';
import { RecordRelay } from './record-relay.ts';
import { systemClock } from './system.ts';

/** Where the gateway's listener for payment applications is, and its name in its certificate. */
export type GatewayTls = {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
};

/** What a payment needs. */
export type PaymentRequest = {
  readonly element: ElementProcess;
  readonly orderId: string;
  readonly gatewayTls: GatewayTls;
  readonly card: CardChannel;
  /** Digits typed by the cardholder, or null when none are given. */
  readonly pin: string | null;
  readonly onHop?: (record: HopRecord) => void;
  /** Masked exchanges with the card. */
  readonly onApdu?: (record: ApduRecord) => void;
  readonly clock?: Clock;
};

/**
 * Runs one payment to its end.
 * @throws TapError the element's code when no payment could be tried (`ERR_ELEMENT_...`), or when
 * the element was lost on the way: then nothing is known about the outcome.
 */
export async function payWithElement(request: PaymentRequest): Promise<ElementPayResult> {
  const { element, orderId, gatewayTls, clock = systemClock } = request;
  const courier = new PaymentCourier(request);
  const facts = { orderId };
  request.onHop?.({ n: Hop.ask, name: 'ask', party: 'agent', atMs: clock.nowMs(), facts });
  const { serverName } = gatewayTls;
  try {
    const result = await element.request(
      { type: 'pay', orderId, interface: 'contact', serverName },
      (event) => courier.onActivity(event),
    );
    return checkShape(elementPayResultShape, result, 'result');
  } finally {
    courier.close();
  }
}

/** Answers what the element asks during one payment. */
class PaymentCourier {
  readonly #request: PaymentRequest;
  readonly #card: CardChannel;
  readonly #pin: Secret<string> | null;
  #relay: RecordRelay | null = null;
  #closed = false;

  constructor(request: PaymentRequest) {
    const { card, onApdu, pin } = request;
    this.#request = request;
    this.#card = onApdu === undefined ? card : traceCard(card, onApdu);
    this.#pin = pin === null ? null : new Secret(pin);
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
      case 'apdu':
        this.#transmit(fromHex(event.command));
        break;
      case 'pinRequest':
        this.#answerPin(event.publicKeySpki);
        break;
      case 'hop':
        this.#request.onHop?.(event.record);
        break;
    }
  }

  close(): void {
    this.#closed = true;
    this.#relay?.destroy();
  }

  #openRelay(): void {
    const { element, gatewayTls } = this.#request;
    this.#relay?.destroy();
    this.#relay = new RecordRelay(gatewayTls, {
      onOpened: () => element.send({ type: 'channelOpened' }),
      onRecords: (records) => {
        const base64 = Buffer.from(records).toString('base64');
        element.send({ type: 'channelData', base64 });
      },
      onClosed: () => element.send({ type: 'channelClosed' }),
    });
  }

  #transmit(command: Uint8Array): void {
    const { element } = this.#request;
    this.#card.transmit(command).then(
      (answer) =>
        this.#unlessClosed(() => element.send({ type: 'apduAnswer', response: toHex(answer) })),
      (fault: unknown) =>
        this.#unlessClosed(() => element.send({ type: 'apduFault', error: errorBody(fault) })),
    );
  }

  #answerPin(publicKeySpki: string): void {
    const { element } = this.#request;
    const sealedPin = this.#pin === null ? null : sealPin(this.#pin, publicKeySpki);
    element.send({ type: 'pinAnswer', sealedPin });
  }

  #unlessClosed(action: () => void): void {
    if (!this.#closed) action();
  }
}

/** PIN digits in ASCII under RSA-OAEP with SHA-256, for the element's key of this payment. */
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
