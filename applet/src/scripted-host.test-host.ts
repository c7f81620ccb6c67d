/** The element's side of the host calls for tests: a card and a scripted gateway in memory. */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { Iso7816Error } from '@tapnpay/protocol/iso7816';
import {
  applicationMessageShape,
  type ChannelFacts,
  checkShape,
  encodeJsonFrame,
  type HopRecord,
  type HostAnswers,
  type HostCall,
  type HostConversation,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import type { TestGateway } from '../../protocol/node/gateway.test-peer.ts';
import { AppletError } from './errors.ts';

const EXPORTER = new Uint8Array(32).fill(0xe5);

/** What the host does otherwise. */
export type HostScript = {
  /** The card is pulled before this APDU, counted from 1. */
  readonly cardRemovedBefore?: number;
  readonly pin?: 'entered' | 'cancelled';
  readonly channel?: Partial<ChannelFacts>;
  /** Splits what the gateway says into pieces of this many bytes. */
  readonly pieceBytes?: number;
};

/** Answers calls at once and remembers what was asked. */
export class ScriptedHost {
  readonly hops: Pick<HopRecord, 'name' | 'facts'>[] = [];
  readonly calls: HostCall[] = [];
  readonly #transmit: (command: Uint8Array) => Uint8Array;
  readonly #gateway: TestGateway;
  readonly #script: HostScript;
  readonly #client = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #decoder = new JsonFrameDecoder(32_768);
  #incoming: Uint8Array[] = [];
  #isClosed = false;
  #apduCount = 0;

  constructor(
    transmit: (command: Uint8Array) => Uint8Array,
    gateway: TestGateway,
    script: HostScript = {},
  ) {
    this.#transmit = transmit;
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
      case 'cardTransmit':
        this.#apduCount += 1;
        if (this.#apduCount >= (this.#script.cardRemovedBefore ?? Number.POSITIVE_INFINITY)) {
          throw new Iso7816Error('ERR_CARD_REMOVED', 'pulled');
        }
        return this.#transmit(call.command);
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
      case 'sign': {
        const key = { key: this.#client.privateKey, dsaEncoding: 'ieee-p1363' } as const;
        return new Uint8Array(sign('sha256', call.data, key));
      }
      case 'verifySignature': {
        const der = Buffer.from(fromHex(this.#gateway.orderPublicKeySpki));
        const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
        const options = { key, dsaEncoding: 'ieee-p1363' } as const;
        return verify('sha256', call.data, options, call.signature);
      }
      case 'sealPin':
        if (this.#script.pin === 'cancelled') return null;
        return { block: new Uint8Array(16).fill(0xb4), ksn: new Uint8Array(12).fill(0x01) };
      case 'random':
        return new Uint8Array(call.lengthBytes).fill(0x37);
      case 'clock':
        return 1_782_000_000_000;
      case 'hop':
        this.hops.push({ name: call.name, facts: call.facts });
        return null;
    }
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
  // The code is the element's; here only the code matters.
  return new AppletError('ERR_CHANNEL_CLOSED' as AppletError['code'], 'closed');
}
