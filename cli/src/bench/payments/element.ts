/**
 * A simulated secure element of a load: enrolled at the gateway with a key pair of its own, its
 * mutual TLS 1.3 channel, true payment signatures and PIN blocks. What a payer's machine does for
 * itself alone (reading the card, checking the gateway's signature) is left out of the load.
 */
import {
  constants,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  sign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptKsn,
  aesDukptWorkingKey,
  encipherPinBlockFormat4,
  nextAesDukptCounter,
} from '@tapnpay/protocol/crypto';
import { attest, nodeCiphers, sha256Hex, systemRandom } from '@tapnpay/protocol/node';
import {
  type ApplicationMessage,
  CHANNEL_EXPORTER_LABEL,
  CHANNEL_FRAME_BYTES_MAX,
  CHANNEL_VERSION,
  type EnrolmentGrant,
  encodeJsonFrame,
  enrolmentInput,
  GATEWAY_SERVER_NAME,
  type GatewayMessage,
  JsonFrameDecoder,
  type PaymentOutcome,
  type SealedPayment,
} from '@tapnpay/protocol/wire';
import { shippedLoadFiles } from '../../system/element.ts';
import type { CardPayment } from './card.ts';

const ELEMENT_ID_BYTES = 8;
const TRANSPORT_KEY_BITS = 2048;
const EXPORTER_BYTES = 32;
const CARD_PIN = '123456';
/** How long the gateway may say nothing while something is waited for. */
const ANSWER_TIMEOUT_MS = 30_000;

/** How an element gets its certificate: `POST /v1/pairing-codes` and `/v1/enrolments`. */
export type Enroller = {
  readonly pairingCode: () => Promise<string>;
  readonly enrol: (request: unknown) => Promise<EnrolmentGrant>;
};

/** How one payment ended for the element. */
export type ElementEnd = {
  readonly paymentId: string;
  readonly outcome: PaymentOutcome;
  readonly responseCode: string | null;
};

/** A payment with everything that needs no channel: card data and PIN block. */
export type ReadyPayment = { readonly card: CardPayment; readonly pin: SealedPayment['pin'] };

/** The key that every simulated element gets its initial key under: made once, it is slow. */
export function transportKeys(): { readonly spki: string; readonly privateKey: KeyObject } {
  const pair = generateKeyPairSync('rsa', { modulusLength: TRANSPORT_KEY_BITS });
  return { spki: spkiOf(pair.publicKey), privateKey: pair.privateKey };
}

/** One enrolled element with at most one channel. */
export class SimulatedElement {
  readonly elementId: string;
  readonly #key: KeyObject;
  readonly #context: SecureContext;
  readonly #port: number;
  readonly #initialKeyId: Uint8Array;
  readonly #initialKey: Uint8Array;
  readonly #loadFileHash: string;
  #pinCounter = 0;
  #paymentCounter = 0;
  #ticket: Buffer | undefined;
  #channel: Channel | null = null;

  private constructor(facts: {
    readonly elementId: string;
    readonly key: KeyObject;
    readonly grant: EnrolmentGrant;
    readonly initialKey: Uint8Array;
    readonly port: number;
    readonly loadFileHash: string;
  }) {
    const { elementId, key, grant, initialKey, port } = facts;
    this.elementId = elementId;
    this.#key = key;
    this.#port = port;
    this.#loadFileHash = facts.loadFileHash;
    this.#initialKeyId = fromHex(grant.initialKeyId);
    this.#initialKey = initialKey;
    this.#context = createSecureContext({
      ca: grant.caPem,
      cert: grant.certificatePem,
      key: key.export({ type: 'pkcs8', format: 'pem' }),
      minVersion: 'TLSv1.3',
    });
  }

  /** Makes a key pair and has it certified. @throws the gateway's error. */
  static async enrol(options: {
    readonly enroller: Enroller;
    readonly transport: ReturnType<typeof transportKeys>;
    /** The gateway's listener for payment applications. */
    readonly port: number;
  }): Promise<SimulatedElement> {
    const { enroller, transport, port } = options;
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const elementId = toHex(systemRandom.bytes(ELEMENT_ID_BYTES));
    const facts = {
      elementId,
      publicKeySpki: spkiOf(pair.publicKey),
      transportKeySpki: transport.spki,
    };
    const input = Buffer.from(enrolmentInput(facts));
    const code = await enroller.pairingCode();
    const grant = await enroller.enrol({
      ...facts,
      pairingProof: toHex(createHmac('sha256', code).update(input).digest()),
      signature: signP1363(pair.privateKey, input),
    });
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const opened = privateDecrypt(
      { key: transport.privateKey, padding, oaepHash: 'sha256' },
      fromHex(grant.encipheredInitialKey),
    );
    const initialKey = new Uint8Array(opened);
    const [loadFile = ''] = shippedLoadFiles();
    const loadFileHash = sha256Hex(readFileSync(loadFile));
    const made = { elementId, key: pair.privateKey, grant, initialKey, port, loadFileHash };
    return new SimulatedElement(made);
  }

  /** PIN block and card data; part of no channel, so that it can be made before a load begins. */
  prepare(card: CardPayment): ReadyPayment {
    if (!card.withPin) return { card, pin: null };
    this.#pinCounter = nextAesDukptCounter(this.#pinCounter);
    const counter = this.#pinCounter;
    const key = aesDukptWorkingKey(
      nodeCiphers,
      this.#initialKey,
      this.#initialKeyId,
      counter,
      'pinEncryption',
    );
    const random8 = systemRandom.bytes(8);
    const block = encipherPinBlockFormat4(nodeCiphers, key, {
      ...{ pin: CARD_PIN, pan: card.pan, random8 },
    });
    return {
      card,
      pin: { block: toHex(block), ksn: toHex(aesDukptKsn(this.#initialKeyId, counter)) },
    };
  }

  /** Opens the channel and says hello; `resume` offers the last ticket. Tells if it was taken. */
  async open(options: { readonly resume: boolean }): Promise<{ readonly resumed: boolean }> {
    const socket = connect({
      ...{ host: '127.0.0.1', port: this.#port, servername: GATEWAY_SERVER_NAME },
      ...{ secureContext: this.#context, minVersion: 'TLSv1.3' as const },
      ...(options.resume && this.#ticket ? { session: this.#ticket } : {}),
    });
    socket.setNoDelay(true);
    socket.on('session', (ticket) => {
      this.#ticket = ticket;
    });
    await new Promise<void>((done, fail) => {
      socket.once('secureConnect', done);
      socket.once('error', fail);
    });
    const channel = new Channel(socket);
    this.#channel = channel;
    const { elementId } = this;
    const hello = { version: CHANNEL_VERSION, elementId, applicationVersion: '1.0.0' };
    channel.send({ type: 'hello', ...hello });
    await channel.expect('welcome');
    return { resumed: socket.isSessionReused() };
  }

  /** Ends the channel. */
  async close(): Promise<void> {
    const channel = this.#channel;
    this.#channel = null;
    await channel?.close();
  }

  /** Order request, sealed payment, completion of an inserted card, final word. */
  async pay(orderId: string, ready: ReadyPayment): Promise<ElementEnd> {
    const channel = this.#channel;
    if (!channel) throw new Error('the element has no channel');
    channel.send({ type: 'orderRequest', orderId });
    const { order } = await channel.expect('signedOrder');
    const { card, pin } = ready;
    const { field55 } = card;
    this.#paymentCounter += 1;
    const element = {
      ...{ elementId: this.elementId, loadFileHash: this.#loadFileHash },
      lifeCycle: 'operable' as const,
      ...{ counter: this.#paymentCounter, exporter: channel.exporter },
    };
    const claim = { order, parameterVersion: 1, field55 };
    const attestation = attest(this.#key, element, {
      ...{ ...claim, pinBlock: pin?.block ?? null, tvr: card.tvr, cvmResults: card.cvmResults },
    });
    const payment: SealedPayment = {
      ...{ orderId, interface: card.interface, pan: card.pan },
      ...{ panSequenceNumber: card.panSequenceNumber, expiryYymm: card.expiryYymm },
      ...{ applicationLabel: 'PBOC DEBIT', track2: card.track2, field55, pin, attestation },
    };
    channel.send({ type: 'payment', payment });
    const answer = await channel.expect('authorisation');
    const { paymentId, responseCode, result } = answer;
    if (card.interface === 'contact') {
      const isApproved = result === 'answered' && responseCode === '00';
      channel.send({
        type: 'completion',
        completion: {
          ...{ paymentId, secondType: isApproved ? 'TC' : 'AAC', second: '0102030405060708' },
          ...{ tvr: '0000008000', tsi: 'E800', scriptResults: '' },
          outcome: isApproved ? 'approved' : 'declined',
        },
      });
    }
    const { outcome } = await channel.expect('result');
    return { paymentId, outcome, responseCode };
  }
}

/** Messages of one TLS channel, one conversation at a time. */
class Channel {
  readonly exporter: string;
  readonly #socket: TLSSocket;
  readonly #decoder = new JsonFrameDecoder(CHANNEL_FRAME_BYTES_MAX);
  readonly #held: GatewayMessage[] = [];
  #waiter: { done: (message: GatewayMessage) => void; fail: (fault: Error) => void } | null = null;
  #fault: Error | null = null;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    const exported = socket.exportKeyingMaterial(
      EXPORTER_BYTES,
      CHANNEL_EXPORTER_LABEL,
      Buffer.alloc(0),
    );
    this.exporter = toHex(exported);
    socket.on('data', (chunk: Buffer) => {
      for (const message of this.#decoder.push(chunk)) this.#take(message as GatewayMessage);
    });
    // One timer for the channel: what is waited for was asked for a moment before.
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      if (this.#waiter) this.#fail(new Error('no answer'));
    });
    socket.on('error', (fault) => this.#fail(fault));
    socket.on('close', () => this.#fail(new Error('the gateway closed the channel')));
  }

  send(message: ApplicationMessage): void {
    this.#socket.write(encodeJsonFrame(message, CHANNEL_FRAME_BYTES_MAX));
  }

  /** The next message, which must be of this type. @throws TapError the gateway's refusal. */
  async expect<T extends GatewayMessage['type']>(
    type: T,
  ): Promise<Extract<GatewayMessage, { type: T }>> {
    const message = await this.#next();
    if (message.type === type) return message as Extract<GatewayMessage, { type: T }>;
    if (message.type === 'error') throw new TapError(message.code, message.message);
    throw new Error(`the gateway sent ${message.type}, not ${type}`);
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((done) => this.#socket.once('close', () => done()));
    this.#socket.end();
    await closed;
  }

  #next(): Promise<GatewayMessage> {
    const held = this.#held.shift();
    if (held) return Promise.resolve(held);
    if (this.#fault) return Promise.reject(this.#fault);
    return new Promise((done, fail) => {
      this.#waiter = { done, fail };
    });
  }

  #take(message: GatewayMessage): void {
    const waiter = this.#waiter;
    this.#waiter = null;
    if (waiter) waiter.done(message);
    else this.#held.push(message);
  }

  #fail(fault: Error): void {
    this.#fault ??= fault;
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.fail(this.#fault);
  }
}

function signP1363(key: KeyObject, data: Uint8Array): string {
  return toHex(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }));
}

function spkiOf(key: KeyObject): string {
  return toHex(key.export({ type: 'spki', format: 'der' }));
}
