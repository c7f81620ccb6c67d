/**
 * The application protocol inside the channel: `hello` before trust, then orders, payments and
 * completions. One message at a time; a fault is answered by its code. No I/O.
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import {
  type ApplicationMessage,
  applicationMessageShape,
  CHANNEL_VERSION,
  checkShape,
  type GatewayMessage,
  Hop,
  type SealedPayment,
  WireError,
} from '@tapnpay/protocol/wire';
import type { GatewayCore } from '../core.ts';
import { GatewayError } from '../errors.ts';
import { type ChannelPeer, Remembered } from '../payment/peer.ts';
import { RESPONSE_00_APPROVED } from '../payment/verdict.ts';
import { reachHop } from '../ports.ts';

/** What TLS has established: whose certificate, which exporter, and whether it still stands. */
export type EstablishedChannel = {
  readonly elementId: string;
  /** SHA-256 of the client certificate, hex. */
  readonly certificateSha256: string;
  readonly exporter: string;
  readonly protocol: string;
  readonly isOpen: () => boolean;
};

/** The replies to one message, and whether the channel must end after them. */
export type SessionReply = { readonly replies: readonly GatewayMessage[]; readonly close: boolean };

/** Faults after which the peer is not listened to any more. */
const CLOSING_CODES: ReadonlySet<string> = new Set([
  'ERR_CHANNEL_STATE',
  'ERR_CHANNEL_VERSION',
  'ERR_ELEMENT_UNKNOWN',
  'ERR_ELEMENT_LOCKED',
  'ERR_ELEMENT_CLONED',
]);
/** Codes of the gateway's own condition: the card is told that nobody can be asked. */
const UNABLE_CODES: ReadonlySet<string> = new Set([
  'ERR_SWITCH_UNAVAILABLE',
  'ERR_HSM_UNAVAILABLE',
]);

/** The conversation with one payment application. */
export class ChannelSession {
  readonly #core: GatewayCore;
  readonly #channel: EstablishedChannel;
  #peer: ChannelPeer | null = null;

  constructor(core: GatewayCore, channel: EstablishedChannel) {
    this.#core = core;
    this.#channel = channel;
  }

  /** Takes one decoded frame; never throws. */
  async handle(value: unknown): Promise<SessionReply> {
    let message: ApplicationMessage | null = null;
    try {
      message = checkShape(applicationMessageShape, value, 'message');
      return { replies: await this.#answer(message), close: false };
    } catch (fault) {
      return this.#refuse(fault, message);
    }
  }

  #refuse(fault: unknown, message: ApplicationMessage | null): SessionReply {
    const { code, message: text, data } = publicFault(fault);
    const { elementId } = this.#channel;
    this.#core.ports.log({ event: 'channelFault', elementId, code });
    if (message?.type === 'payment' && UNABLE_CODES.has(code)) {
      const { orderId: paymentId } = message.payment;
      const none = { responseCode: null, issuerAuthenticationData: null, scripts: [] };
      const reply = { type: 'authorisation', paymentId, result: 'unable', ...none } as const;
      return { replies: [reply], close: false };
    }
    const close = fault instanceof WireError || CLOSING_CODES.has(code);
    return { replies: [{ type: 'error', code, message: text, data }], close };
  }

  async #answer(message: ApplicationMessage): Promise<readonly GatewayMessage[]> {
    if (message.type === 'hello') return [await this.#welcome(message)];
    const peer = this.#peer;
    if (!peer) throw new GatewayError('ERR_CHANNEL_STATE', 'hello comes first');
    switch (message.type) {
      case 'orderRequest':
        return [await this.#core.requestOrder(peer, message.orderId)];
      case 'parametersRequest':
        return [await this.#parameters()];
      case 'payment':
        return withFinalWord(message.payment, await this.#core.pay(peer, message.payment));
      case 'completion':
        return [await this.#core.complete(peer, message.completion)];
      case 'abandon':
        this.#core.abandon(peer, message.orderId, message.reason);
        return [];
    }
  }

  /** The application names itself; the certificate must say the same. Hop 3. */
  async #welcome(hello: Extract<ApplicationMessage, { type: 'hello' }>): Promise<GatewayMessage> {
    if (this.#peer) throw new GatewayError('ERR_CHANNEL_STATE', 'hello comes once');
    if (hello.version !== CHANNEL_VERSION) {
      const message = `this gateway speaks version ${CHANNEL_VERSION}`;
      throw new GatewayError('ERR_CHANNEL_VERSION', message, { version: hello.version });
    }
    const { elementId, certificateSha256, exporter, protocol, isOpen } = this.#channel;
    const element = await this.#core.ports.store.findElement(elementId);
    if (hello.elementId !== elementId || element?.certificateSha256 !== certificateSha256) {
      throw new GatewayError('ERR_ELEMENT_UNKNOWN', 'the certificate belongs to no such element');
    }
    if (element.state !== 'operable') {
      throw new GatewayError('ERR_ELEMENT_LOCKED', 'the element is locked');
    }
    const facts = { elementId, protocol, mutual: true };
    this.#peer = {
      elementId,
      publicKeySpki: element.publicKeySpki,
      initialKeyId: element.initialKeyId,
      exporter,
      counterAtHello: element.lastPaymentCounter,
      channelHop: reachHop(this.#core.ports, { n: Hop.channel, name: 'channel', facts }),
      isOpen,
      signedOrders: new Remembered(),
      finishHops: new Remembered(),
      authorised: new Remembered(),
    };
    const { clock, parameters } = this.#core.ports;
    const versions = (await parameters?.versions()) ?? { newest: 0, minimum: 0 };
    const version = CHANNEL_VERSION;
    return { type: 'welcome', version, timeMs: clock.nowMs(), parameters: versions };
  }

  /** The newest set, for an application that has an older one. */
  async #parameters(): Promise<GatewayMessage> {
    const set = await this.#core.ports.parameters?.signed();
    if (set) return { type: 'parameters', set };
    throw new GatewayError('ERR_CHANNEL_STATE', 'this gateway publishes no parameters');
  }
}

/**
 * A contact card is heard before the final word. A contactless one is gone: what the issuer said
 * is the end, and the result comes at once.
 */
export function withFinalWord(
  payment: Pick<SealedPayment, 'interface'>,
  answer: GatewayMessage,
): readonly GatewayMessage[] {
  if (payment.interface === 'contact' || answer.type !== 'authorisation') return [answer];
  const { paymentId, responseCode, result } = answer;
  const isApproved = responseCode === RESPONSE_00_APPROVED;
  const spoken = isApproved ? 'approved' : 'declined';
  const outcome = result === 'answered' ? spoken : 'unknown';
  return [answer, { type: 'result', paymentId, outcome, responseCode }];
}

/** What a peer may read of a fault: our own codes as they are, anything else without its text. */
export function publicFault(fault: unknown): ReturnType<typeof errorBody> {
  if (fault instanceof GatewayError || fault instanceof WireError) return errorBody(fault);
  return { code: 'ERR_INTERNAL', message: 'internal fault', data: {} };
}
