/** The gateway of a laboratory tells what it does for each payment; no step of it is different. */
import { maskPan } from '@tapnpay/protocol/bytes';
import type {
  GatewayMessage,
  HopName,
  SealedCompletion,
  SealedPayment,
} from '@tapnpay/protocol/wire';
import {
  type SeenThing,
  type Tracer,
  tracedHsm,
  traceExchange,
  tracePostings,
  watched,
} from '../runtime/index.ts';
import { GatewayCore } from './core.ts';
import type { NewPosting } from './model.ts';
import type { ChannelPeer } from './payment/peer.ts';
import type { GatewayPorts } from './ports.ts';

/** The core over ports that write what passes them; without a tracer the core as it is. */
export function gatewayCore(ports: GatewayPorts, tracer: Tracer | undefined): GatewayCore {
  return tracer ? new TracedCore(tracedPorts(ports, tracer), tracer) : new GatewayCore(ports);
}

function tracedPorts(ports: GatewayPorts, tracer: Tracer): GatewayPorts {
  const { line } = ports;
  return {
    ...ports,
    tracer,
    hsm: tracedHsm(ports.hsm, tracer),
    line: {
      keys: () => line.keys(),
      send: (message, timeoutMs) =>
        traceExchange(tracer, { message, peer: 'switch' }, () => line.send(message, timeoutMs)),
    },
    store: watched(ports.store, {
      beginPayment: (begun, { paymentId, retrievalReference }) => {
        if (begun.refused === null) tracer.refer(paymentId, retrievalReference);
      },
      changePayment: (changed, { to, postings }) => {
        if (changed && postings) tracePostings(tracer, to, postings.map(seenPosting));
      },
      changeOperation: (changed, { postings }) => {
        if (!changed || !postings) return;
        tracePostings(tracer, changed.operation.kind, postings(changed).map(seenPosting));
      },
    }),
    // What is woken by one payment works for many.
    wake: () => tracer.outside(() => ports.wake()),
  };
}

function seenPosting({ transactionId, leg, ...rest }: NewPosting): NewPosting & {
  readonly entryId: string;
} {
  return { ...rest, transactionId, leg, entryId: `${transactionId}/${leg}` };
}

/** Each of the application's messages is one entry into the work for its payment. */
class TracedCore extends GatewayCore {
  readonly #tracer: Tracer;

  constructor(ports: GatewayPorts, tracer: Tracer) {
    super(ports);
    this.#tracer = tracer;
  }

  override requestOrder(peer: ChannelPeer, orderId: string): Promise<GatewayMessage> {
    return this.#tracer.run({ references: [orderId], hop: 'channel' }, async () => {
      const { atMs, facts } = peer.channelHop;
      this.#tracer.trace({ kind: 'channel', title: 'handshake', data: facts, atMs });
      return this.#told(await super.requestOrder(peer, orderId));
    });
  }

  override pay(peer: ChannelPeer, payment: SealedPayment): ReturnType<GatewayCore['pay']> {
    // A contactless card hears nothing any more: what comes back belongs to hop 11.
    const hop = payment.interface === 'contact' ? 'finish' : 'return';
    return this.#tracer.run({ references: [payment.orderId], hop: 'request' }, async () => {
      this.#tracer.trace(paymentSeen(payment));
      return this.#told(await super.pay(peer, payment), hop);
    });
  }

  override complete(
    peer: ChannelPeer,
    completion: SealedCompletion,
  ): ReturnType<GatewayCore['complete']> {
    const { paymentId } = completion;
    return this.#tracer.run({ references: [paymentId], hop: 'confirm' }, async () => {
      this.#tracer.trace(completionSeen(completion));
      return this.#told(await super.complete(peer, completion));
    });
  }

  #told<T extends GatewayMessage | readonly GatewayMessage[]>(told: T, hop?: HopName): T {
    for (const message of [told].flat() as readonly GatewayMessage[]) {
      const seen = answerSeen(message);
      if (seen) this.#tracer.trace({ ...(hop && { hop }), ...seen });
    }
    return told;
  }
}

function paymentSeen(payment: SealedPayment): SeenThing {
  const { pan, panSequenceNumber, field55, pin, applicationLabel } = payment;
  return {
    kind: 'channel',
    title: 'payment',
    hop: 'seal',
    data: {
      direction: 'received',
      interface: payment.interface,
      applicationLabel,
      panMasked: maskPan(pan),
      panSequenceNumber,
      trackTwoDigits: payment.track2.length,
      chipDataBytes: field55.length / 2,
      pinBlockBytes: pin ? pin.block.length / 2 : null,
      pinKsn: pin?.ksn ?? null,
      ...attestedSeen(payment),
    },
  };
}

function attestedSeen({ attestation }: SealedPayment): SeenThing['data'] {
  const { counter, loadFileHash, lifeCycle, parameterVersion, signature } = attestation;
  const element = { counter, loadFileHash, lifeCycle, parameterVersion };
  return { ...element, signatureBytes: signature.length / 2 };
}

function completionSeen(completion: SealedCompletion): SeenThing {
  const { secondType, second, tvr, tsi, scriptResults, outcome } = completion;
  const data = { direction: 'received', outcome, secondType, second, tvr, tsi, scriptResults };
  return { kind: 'channel', title: 'completion', data };
}

/** What goes back to the application. */
function answerSeen(message: GatewayMessage): SeenThing | null {
  if (message.type === 'signedOrder') {
    const { merchantName, terminalId, amountMinor, currency, origin } = message.order;
    const order = { merchantName, terminalId, amountMinor, currency, origin };
    return { kind: 'channel', title: 'signedOrder', data: { direction: 'sent', ...order } };
  }
  if (message.type === 'authorisation') {
    const { paymentId, result, responseCode, issuerAuthenticationData, scripts } = message;
    const answer = { paymentId, result, responseCode, issuerAuthenticationData };
    const data = { direction: 'sent', ...answer, scripts: scripts.length };
    return { kind: 'channel', title: 'authorisation', data };
  }
  if (message.type !== 'result') return null;
  const { paymentId, outcome, responseCode } = message;
  const data = { direction: 'sent', paymentId, outcome, responseCode };
  return { kind: 'channel', title: 'result', hop: 'tell', data };
}
