/** The element's side of the host calls: it answers one application during one payment. */
import { createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto';
import {
  type Clock,
  type ErrorBody,
  errorFromBody,
  fromHex,
  type RandomSource,
  type TapError,
  toHex,
} from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  type ElementEvent,
  Hop,
  type HostAnswers,
  type HostCall,
  type HostConversation,
} from '@tapnpay/protocol/wire';
import { SecureChannel } from './channel.ts';
import { signP1363 } from './enrolment.ts';
import { ElementError } from './errors.ts';
import { createPinKey, encipherPin, type PinKey } from './pin.ts';
import type { ElementIdentity, ElementState } from './state.ts';

/** Longest wait for a card's answer, a person's insertion included. */
export const APDU_TIMEOUT_MS = 60_000;
/** Longest wait for a person at the PIN window. */
export const PIN_TIMEOUT_MS = 120_000;
/** Most host calls of one payment; an application that asks for more is out of hand. */
export const HOST_CALLS_MAX = 10_000;
/** Most random bytes of one call. */
const RANDOM_BYTES_MAX = 1024;
/** Longest exporter value of one call. */
const EXPORTER_BYTES_MAX = 64;

/** What the host needs from the outside. */
export type HostPorts = {
  readonly state: ElementState;
  readonly identity: ElementIdentity;
  readonly ciphers: CipherProvider;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly emit: (event: ElementEvent) => void;
};

/** A question to the agent that waits for its answer. */
type Pending<T> = { readonly resolve: (value: T) => void; readonly reject: (e: Error) => void };

/** Answers host calls; the session feeds it what the agent says. */
export class Host {
  readonly #ports: HostPorts;
  readonly #clientKey: KeyObject;
  readonly #orderKey: KeyObject;
  readonly channel: SecureChannel;
  #pinKey: Promise<PinKey> | null;
  #card: Pending<Uint8Array> | null = null;
  #pin: Pending<Uint8Array | null> | null = null;

  constructor(ports: HostPorts) {
    const { identity, emit, clock } = ports;
    this.#ports = ports;
    this.#clientKey = createPrivateKey({
      key: Buffer.from(fromHex(identity.clientKeyPkcs8.expose())),
      format: 'der',
      type: 'pkcs8',
    });
    this.#orderKey = createPublicKey({
      key: Buffer.from(fromHex(identity.orderPublicKeySpki)),
      format: 'der',
      type: 'spki',
    });
    this.channel = new SecureChannel(
      {
        open: () => emit({ type: 'openChannel' }),
        send: (records) =>
          emit({ type: 'channelData', base64: Buffer.from(records).toString('base64') }),
        end: () => emit({ type: 'channelEnd' }),
      },
      clock,
    );
    // Made while the card is read, so that nobody waits for it at the PIN.
    this.#pinKey = createPinKey();
    this.#pinKey.catch(() => {});
  }

  /** Runs a conversation to its end. Faults go into it; what it throws comes out. */
  async run<Result>(conversation: HostConversation<Result>): Promise<Result> {
    let step = conversation.next();
    for (let count = 0; !step.done; count++) {
      if (count >= HOST_CALLS_MAX) {
        throw new ElementError('ERR_ELEMENT_APPLICATION', `more than ${HOST_CALLS_MAX} host calls`);
      }
      let answer: unknown;
      try {
        answer = await this.#answer(step.value);
      } catch (fault) {
        step = conversation.throw(fault);
        continue;
      }
      step = conversation.next(answer);
    }
    return step.value;
  }

  /** Lets go of the channel and the payment's PIN key. */
  async close(): Promise<void> {
    this.#pinKey = null;
    await this.channel.close();
  }

  /** The card's answer, or the fault that ended the tap. */
  onCard(answer: Uint8Array | ErrorBody): void {
    const pending = this.#card;
    if (pending === null) throw outOfSequence('a card answer that nobody asked for');
    this.#card = null;
    if (answer instanceof Uint8Array) pending.resolve(answer);
    else pending.reject(errorFromBody(answer));
  }

  /** The sealed PIN, or null when the person gave none. */
  onPin(sealedPin: Uint8Array | null): void {
    const pending = this.#pin;
    if (pending === null) throw outOfSequence('a PIN that nobody asked for');
    this.#pin = null;
    pending.resolve(sealedPin);
  }

  async #answer(call: HostCall): Promise<HostAnswers[HostCall['call']]> {
    const { clock, random, identity, emit } = this.#ports;
    switch (call.call) {
      case 'cardTransmit':
        return await this.#transmit(call.command);
      case 'channelOpen':
        return await this.channel.open({
          caPem: identity.caPem,
          certificatePem: identity.certificatePem,
          clientKeyPem: this.#clientKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
          serverName: call.serverName,
        });
      case 'channelSend':
        await this.channel.send(call.data);
        return null;
      case 'channelReceive':
        return await this.channel.receive(call.timeoutMs);
      case 'channelClose':
        await this.channel.close();
        return null;
      case 'exporter':
        return this.channel.exporter(call.label, bounded(call.lengthBytes, EXPORTER_BYTES_MAX));
      case 'sign':
        return signP1363(this.#clientKey, call.data);
      case 'verifySignature': {
        const key = { key: this.#orderKey, dsaEncoding: 'ieee-p1363' } as const;
        return verify('sha256', call.data, key, call.signature);
      }
      case 'sealPin':
        return await this.#sealPin(call);
      case 'random':
        return random.bytes(bounded(call.lengthBytes, RANDOM_BYTES_MAX));
      case 'clock':
        return clock.nowMs();
      case 'hop': {
        const { name, facts } = call;
        const record = { n: Hop[name], name, party: 'element', atMs: clock.nowMs(), facts };
        emit({ type: 'hop', record });
        return null;
      }
    }
  }

  async #transmit(command: Uint8Array): Promise<Uint8Array> {
    const answered = new Promise<Uint8Array>((resolve, reject) => {
      this.#card = { resolve, reject };
    });
    this.#ports.emit({ type: 'apdu', command: toHex(command) });
    const late = () => new ElementError('ERR_CARD_TRANSPORT', 'the card does not answer');
    return await this.#within(answered, APDU_TIMEOUT_MS, late);
  }

  async #sealPin(call: Extract<HostCall, { call: 'sealPin' }>): Promise<HostAnswers['sealPin']> {
    // One block for one payment: an application is no oracle for PINs.
    const made = this.#pinKey;
    if (made === null) throw new ElementError('ERR_PIN_REPEATED', 'the PIN was asked already');
    this.#pinKey = null;
    const pinKey = await made;
    const { amountMinor, currency, merchantName, origin, pan } = call;
    const answered = new Promise<Uint8Array | null>((resolve, reject) => {
      this.#pin = { resolve, reject };
    });
    const shown = { amountMinor, currency, merchantName, origin };
    this.#ports.emit({ type: 'pinRequest', publicKeySpki: pinKey.publicKeySpki, ...shown });
    const late = () => new ElementError('ERR_PIN_FORMAT', 'nobody entered a PIN in time');
    const sealedPin = await this.#within(answered, PIN_TIMEOUT_MS, late);
    if (sealedPin === null) return null;
    const { state, ciphers, random } = this.#ports;
    const randomBytes = (lengthBytes: number) => random.bytes(lengthBytes);
    return encipherPin({ sealedPin, pinKey, pan, state, ciphers, randomBytes });
  }

  async #within<T>(wanted: Promise<T>, timeoutMs: number, fault: () => TapError): Promise<T> {
    let cancel: () => void = () => {};
    const late = new Promise<never>((_, reject) => {
      cancel = this.#ports.clock.startTimer(timeoutMs, () => reject(fault()));
    });
    try {
      return await Promise.race([wanted, late]);
    } finally {
      cancel();
    }
  }
}

function bounded(lengthBytes: number, max: number): number {
  if (Number.isInteger(lengthBytes) && lengthBytes >= 0 && lengthBytes <= max) return lengthBytes;
  throw new ElementError('ERR_ELEMENT_APPLICATION', `${lengthBytes} bytes asked, ${max} allowed`);
}

function outOfSequence(what: string): ElementError {
  return new ElementError('ERR_ELEMENT_SEQUENCE', `the agent sent ${what}`);
}
