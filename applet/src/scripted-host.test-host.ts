/** The element's side of the host calls for tests: a card and a scripted gateway in memory. */
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { Iso7816Error } from '@tapnpay/protocol/iso7816';
import { attest } from '@tapnpay/protocol/node';
import {
  applicationMessageShape,
  type CardInterface,
  type CardRequest,
  type ChannelFacts,
  checkShape,
  encodeJsonFrame,
  type HopRecord,
  type HostAnswers,
  type HostCall,
  type HostConversation,
  JsonFrameDecoder,
  type PaymentAttestation,
  type PaymentClaim,
  type SignedParameterSet,
} from '@tapnpay/protocol/wire';
import {
  TEST_ELEMENT_ID,
  TEST_LOAD_FILE_HASH,
  TEST_PARAMETER_KEY_SPKI,
  type TestGateway,
} from '../../protocol/node/gateway.test-peer.ts';
import { AppletError } from './errors.ts';

const EXPORTER = new Uint8Array(32).fill(0xe5);

type Transmit = (command: Uint8Array) => Uint8Array;

/** How one request for a card is answered. */
export type Presentation =
  | {
      readonly interface: CardInterface;
      /** The card is gone before this APDU of the presentation, counted from 1. */
      readonly removedBefore?: number;
      /** The code of its going; ERR_CARD_REMOVED when none is said. */
      readonly code?: string;
    }
  | { readonly fault: string };

/** What the host does otherwise. */
export type HostScript = {
  /** One contact card when nothing is said. After the last one ERR_CARD_REMOVED. */
  readonly presentations?: readonly Presentation[];
  /** Shorthand: one contact card, pulled before this APDU. */
  readonly cardRemovedBefore?: number;
  readonly pin?: 'entered' | 'cancelled';
  /** The card leaves at the PIN of these presentations. */
  readonly cardRemovedAtPin?: readonly number[];
  readonly channel?: Partial<ChannelFacts>;
  /** Splits what the gateway says into pieces of this many bytes. */
  readonly pieceBytes?: number;
};

/** Answers calls at once and remembers what was asked. */
export class ScriptedHost {
  readonly hops: Pick<HopRecord, 'name' | 'facts'>[] = [];
  readonly calls: HostCall[] = [];
  readonly requests: CardRequest[] = [];
  readonly stored: SignedParameterSet[] = [];
  /** Attempt and reason of each request for a token's card. */
  readonly tokenRequests: (readonly [number, string | null])[] = [];
  readonly #powerUp: (cardInterface: CardInterface) => Transmit;
  readonly #gateway: TestGateway;
  readonly #script: HostScript;
  readonly #client = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #decoder = new JsonFrameDecoder(32_768);
  #incoming: Uint8Array[] = [];
  #isClosed = false;
  #card: Transmit | null = null;
  #pinCount = 0;
  #counter = 0;

  constructor(
    powerUp: (cardInterface: CardInterface) => Transmit,
    gateway: TestGateway,
    script: HostScript = {},
  ) {
    this.#powerUp = powerUp;
    this.#gateway = gateway;
    this.#script = script;
  }

  run<Result>(conversation: HostConversation<Result>): Result {
    let step = conversation.next();
    while (!step.done) {
      let answer: unknown;
      try {
        this.calls.push(step.value);
        answer = this.#answer(step.value);
      } catch (fault) {
        step = conversation.throw(fault);
        continue;
      }
      step = conversation.next(answer);
    }
    return step.value;
  }

  #answer(call: HostCall): HostAnswers[HostCall['call']] {
    switch (call.call) {
      case 'presentCard':
        return this.#present(call);
      case 'presentTokenCard': {
        const { attempt, reason } = call;
        this.tokenRequests.push([attempt, reason]);
        return this.#presented(this.tokenRequests.length);
      }
      case 'releaseCard':
        this.#card = null;
        return null;
      case 'cardTransmit':
        if (this.#card === null) throw new Iso7816Error('ERR_CARD_REMOVED', 'no card is there');
        return this.#card(call.command);
      case 'channelOpen':
        return { protocol: 'TLSv1.3', mutual: true, resumed: false, ...this.#script.channel };
      case 'channelSend':
        return this.#send(call.data);
      case 'channelReceive':
        return this.#receive();
      case 'channelClose':
        this.#isClosed = true;
        return null;
      case 'exporter':
        return EXPORTER;
      case 'attest':
        return this.#attest(call);
      case 'storeParameters':
        this.stored.push(call.set);
        return null;
      case 'verifySignature': {
        const isOrder = call.key === 'order';
        const spki = isOrder ? this.#gateway.orderPublicKeySpki : TEST_PARAMETER_KEY_SPKI;
        const der = Buffer.from(fromHex(spki));
        const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
        const options = { key, dsaEncoding: 'ieee-p1363' } as const;
        return verify('sha256', call.data, options, call.signature);
      }
      case 'sealPin':
        return this.#sealPin();
      case 'random':
        return new Uint8Array(call.lengthBytes).fill(0x37);
      case 'clock':
        return 1_782_000_000_000;
      case 'hop':
        this.hops.push({ name: call.name, facts: call.facts });
        return null;
    }
  }

  #attest({ call: _, ...claim }: PaymentClaim & { readonly call: 'attest' }): PaymentAttestation {
    this.#counter += 1;
    const element = {
      ...{ elementId: TEST_ELEMENT_ID, loadFileHash: TEST_LOAD_FILE_HASH },
      lifeCycle: 'operable' as const,
      ...{ counter: this.#counter, exporter: toHex(EXPORTER) },
    };
    return attest(this.#client.privateKey, element, claim);
  }

  #present({ call: _, ...request }: CardRequest & { readonly call: 'presentCard' }): CardInterface {
    this.requests.push(request);
    return this.#presented(this.requests.length);
  }

  /** The card of a presentation, counted from 1. */
  #presented(count: number): CardInterface {
    const { presentations, cardRemovedBefore } = this.#script;
    const one: Presentation =
      cardRemovedBefore === undefined
        ? { interface: 'contact' }
        : { interface: 'contact', removedBefore: cardRemovedBefore };
    const next = (presentations ?? [one])[count - 1];
    if (next === undefined) throw codedFault('ERR_CARD_REMOVED');
    if ('fault' in next) throw codedFault(next.fault);
    const transmit = this.#powerUp(next.interface);
    const { removedBefore = Number.POSITIVE_INFINITY, code = 'ERR_CARD_REMOVED' } = next;
    let commands = 0;
    this.#card = (command) => {
      commands += 1;
      if (commands >= removedBefore) throw codedFault(code);
      return transmit(command);
    };
    return next.interface;
  }

  #sealPin(): HostAnswers['sealPin'] {
    const block = new Uint8Array(16).fill(0xb4 + this.#pinCount);
    this.#pinCount += 1;
    if (this.#script.cardRemovedAtPin?.includes(this.requests.length)) {
      throw codedFault('ERR_CARD_REMOVED');
    }
    if (this.#script.pin === 'cancelled') return null;
    return { block, ksn: new Uint8Array(12).fill(this.#pinCount) };
  }

  #send(data: Uint8Array): null {
    if (this.#isClosed) throw channelClosed();
    const spki = this.#client.publicKey.export({ type: 'spki', format: 'der' });
    const peer = { publicKeySpki: toHex(spki), exporter: toHex(EXPORTER) };
    for (const frame of this.#decoder.push(data)) {
      const message = checkShape(applicationMessageShape, frame, 'message');
      const reply = this.#gateway.answer(message, peer);
      if (reply === 'close') {
        this.#isClosed = true;
        continue;
      }
      for (const part of reply) this.#queue(encodeJsonFrame(part, 100_000));
    }
    return null;
  }

  #queue(bytes: Uint8Array): void {
    const pieceBytes = this.#script.pieceBytes ?? bytes.length;
    for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
      this.#incoming.push(bytes.slice(offset, offset + pieceBytes));
    }
  }

  #receive(): Uint8Array {
    const next = this.#incoming.shift();
    if (next) return next;
    throw channelClosed();
  }
}

function channelClosed(): AppletError {
  return codedFault('ERR_CHANNEL_CLOSED');
}

/** The codes are the element's and the agent's; here only the code matters. */
function codedFault(code: string): AppletError {
  return new AppletError(code as AppletError['code'], 'scripted');
}
