/** The element's side of the host calls: it answers one application during one payment. */
import { createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type Clock, fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  type ApplicationLifeCycle,
  CARD_ATTEMPTS_MAX,
  type CardInterface,
  CHANNEL_EXPORTER_LABEL,
  type ChannelFacts,
  type ElementEvent,
  Hop,
  type HopName,
  type HopRecord,
  type HostAnswers,
  type HostCall,
  type HostConversation,
  type KeyHandle,
  type PaymentAttestation,
} from '@tapnpay/protocol/wire';
import { attestPayment } from './attestation.ts';
import { SecureChannel } from './channel.ts';
import { ElementError } from './errors.ts';
import { keepParameters } from './parameters.ts';
import { createPinKey, encipherPin, type PinKey } from './pin.ts';
import { Question } from './question.ts';
import type { ElementIdentity, ElementState } from './state.ts';
import { PaymentTickets } from './tickets.ts';

/** Longest wait for a person's consent and card; the agent's own, 180 s in all, end before it. */
export const CARD_TIMEOUT_MS = 200_000;
/** Longest wait for a card's answer. */
export const APDU_TIMEOUT_MS = 60_000;
/** Longest wait for a person at the PIN window; the agent's own 120 s end before it. */
export const PIN_TIMEOUT_MS = 130_000;
/** Most host calls of one payment; an application that asks for more is out of hand. */
export const HOST_CALLS_MAX = 10_000;
/** Most random bytes of one call. */
const RANDOM_BYTES_MAX = 1024;
/** Longest exporter value of one call. */
const EXPORTER_BYTES_MAX = 64;
/** Exporter value of an attestation, the length that the gateway asks for. */
const EXPORTER_BYTES = 32;

/** What the host needs from the outside. */
export type HostPorts = {
  readonly state: ElementState;
  readonly identity: ElementIdentity;
  /** SHA-256 of the load file whose code the conversation is, hex. */
  readonly loadFileHash: string;
  /** The payment application's life cycle, as it stands at each call. */
  readonly lifeCycle: () => ApplicationLifeCycle;
  readonly ciphers: CipherProvider;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly emit: (event: ElementEvent) => void;
};

/** Answers host calls; the session feeds it what the agent says. */
export class Host {
  readonly #ports: HostPorts;
  readonly #clientKey: KeyObject;
  readonly #keys: Readonly<Record<KeyHandle, KeyObject>>;
  readonly channel: SecureChannel;
  readonly tickets: PaymentTickets;
  /** What the agent answers: how a card was presented, an APDU, the sealed PIN or null. */
  readonly presentation: Question<CardInterface>;
  readonly apdu: Question<Uint8Array>;
  readonly pin: Question<Uint8Array | null>;
  #pinKey: Promise<PinKey> | null = null;
  /** A card was presented whose PIN was not asked for yet. */
  #isPinOpen = false;
  #presentations = 0;
  #hasCard = false;
  #presentedAtMs = 0;
  #sandboxMs = 0;

  constructor(ports: HostPorts) {
    const { state, identity, emit, clock } = ports;
    this.#ports = ports;
    this.#clientKey = createPrivateKey({
      key: Buffer.from(fromHex(identity.clientKeyPkcs8.expose())),
      format: 'der',
      type: 'pkcs8',
    });
    this.#keys = {
      order: publicKeyOf(identity.orderPublicKeySpki),
      parameters: publicKeyOf(identity.parameterPublicKeySpki),
    };
    this.channel = new SecureChannel(
      {
        open: () => emit({ type: 'openChannel' }),
        send: (records) =>
          emit({ type: 'channelData', base64: Buffer.from(records).toString('base64') }),
        end: () => emit({ type: 'channelEnd' }),
      },
      clock,
    );
    this.tickets = new PaymentTickets({ state, identity, clock });
    this.presentation = new Question('card', clock);
    this.apdu = new Question('card answer', clock);
    this.pin = new Question('PIN', clock);
  }

  /** Runs a conversation to its end. Faults go into it; what it throws comes out. */
  async run<Result>(conversation: HostConversation<Result>): Promise<Result> {
    let step = this.#timed(() => conversation.next());
    for (let count = 0; !step.done; count++) {
      if (count >= HOST_CALLS_MAX) {
        // It ends here, and whoever runs it hears of that.
        conversation.return(undefined as never);
        throw new ElementError('ERR_ELEMENT_APPLICATION', `more than ${HOST_CALLS_MAX} host calls`);
      }
      let answer: unknown;
      try {
        answer = await this.#answer(step.value);
      } catch (fault) {
        step = this.#timed(() => conversation.throw(fault));
        continue;
      }
      step = this.#timed(() => conversation.next(answer));
    }
    return step.value;
  }

  /** Counts the application's own time: all of it is spent in the sandbox. */
  #timed<Step>(advance: () => Step): Step {
    const startedMs = performance.now();
    try {
      return advance();
    } finally {
      this.#sandboxMs += performance.now() - startedMs;
    }
  }

  /** How long the card has been here when its payment is sealed, and how long the sandbox ran. */
  #timesAt(name: HopName): HopRecord['facts'] {
    if (name !== 'seal') return {};
    const tapToSealedMs = rounded(performance.now() - this.#presentedAtMs);
    return { tapToSealedMs, sandboxMs: rounded(this.#sandboxMs) };
  }

  /** Makes the next PIN's key while the channel opens or a person looks for the card. */
  preparePin(): void {
    this.#pinKey ??= createPinKey();
    this.#pinKey.catch(() => {});
  }

  /** Lets go of the channel and the payment's PIN key. */
  async close(): Promise<void> {
    this.#pinKey = null;
    await this.channel.close();
  }

  async #answer(call: HostCall): Promise<HostAnswers[HostCall['call']]> {
    const { clock, random, emit } = this.#ports;
    switch (call.call) {
      case 'presentCard':
        return await this.#presentCard(call);
      case 'presentTokenCard':
        return await this.#presentTokenCard(call);
      case 'releaseCard':
        this.#hasCard = false;
        emit({ type: 'cardDone' });
        return null;
      case 'cardTransmit':
        return await this.#transmit(call.command);
      case 'channelOpen':
        return await this.#openChannel(call.serverName);
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
      case 'attest':
        return this.#attest(call);
      case 'verifySignature': {
        const key = { key: this.#keys[call.key], dsaEncoding: 'ieee-p1363' } as const;
        return verify('sha256', call.data, key, call.signature);
      }
      case 'storeParameters':
        keepParameters(this.#ports.state, this.#ports.identity, call.set);
        return null;
      case 'sealPin':
        return await this.#sealPin(call);
      case 'random':
        return random.bytes(bounded(call.lengthBytes, RANDOM_BYTES_MAX));
      case 'clock':
        return clock.nowMs();
      case 'hop': {
        const { name, facts } = call;
        const place = { n: Hop[name], name, party: 'element', atMs: clock.nowMs() };
        emit({ type: 'hop', record: { ...place, facts: { ...facts, ...this.#timesAt(name) } } });
        return null;
      }
    }
  }

  #attest({ call: _, ...claim }: Extract<HostCall, { call: 'attest' }>): PaymentAttestation {
    const { state, identity, loadFileHash, lifeCycle } = this.#ports;
    const { elementId } = identity;
    const exporter = () => toHex(this.channel.exporter(CHANNEL_EXPORTER_LABEL, EXPORTER_BYTES));
    const key = this.#clientKey;
    return attestPayment({ state, key, elementId, loadFileHash, lifeCycle, exporter }, claim);
  }

  async #openChannel(serverName: string): Promise<ChannelFacts> {
    const { identity } = this.#ports;
    const channel = await this.channel.open({
      caPem: identity.caPem,
      certificatePem: identity.certificatePem,
      clientKeyPem: this.#clientKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      serverName,
      takeTicket: () => this.tickets.take(serverName),
      onTicket: (ticket) => this.tickets.add(ticket),
    });
    this.tickets.opened(channel);
    return channel;
  }

  async #presentCard(call: Extract<HostCall, { call: 'presentCard' }>): Promise<CardInterface> {
    this.#countPresentation();
    // A key whose PIN was asked for does not come back: each presentation has its own.
    this.preparePin();
    const { call: _, ...request } = call;
    const presented = await this.presentation.ask({
      emit: () => this.#ports.emit({ type: 'cardRequest', ...request }),
      timeoutMs: CARD_TIMEOUT_MS,
      late: () => new ElementError('ERR_CARD_TIMEOUT', 'nobody presented a card in time'),
      unless: this.channel.untilLost(),
    });
    this.#isPinOpen = true;
    this.#hasCard = true;
    this.#presentedAtMs = performance.now();
    this.#sandboxMs = 0;
    return presented;
  }

  /** A token asks for no PIN: no key is made for one. */
  async #presentTokenCard(
    call: Extract<HostCall, { call: 'presentTokenCard' }>,
  ): Promise<CardInterface> {
    this.#countPresentation();
    const { attempt, reason } = call;
    const presented = await this.presentation.ask({
      emit: () => this.#ports.emit({ type: 'tokenCardRequest', attempt, reason }),
      timeoutMs: CARD_TIMEOUT_MS,
      late: () => new ElementError('ERR_CARD_TIMEOUT', 'nobody presented a card in time'),
    });
    this.#hasCard = true;
    this.#presentedAtMs = performance.now();
    this.#sandboxMs = 0;
    return presented;
  }

  #countPresentation(): void {
    this.#hasCard = false;
    this.#presentations += 1;
    if (this.#presentations <= CARD_ATTEMPTS_MAX) return;
    const text = `more than ${CARD_ATTEMPTS_MAX} cards asked for`;
    throw new ElementError('ERR_ELEMENT_APPLICATION', text);
  }

  async #transmit(command: Uint8Array): Promise<Uint8Array> {
    if (!this.#hasCard) {
      throw new ElementError('ERR_ELEMENT_APPLICATION', 'no card was presented for this payment');
    }
    // Not `unless` the channel is lost: after the request the card is brought to its end.
    return await this.apdu.ask({
      emit: () => this.#ports.emit({ type: 'apdu', command: toHex(command) }),
      timeoutMs: APDU_TIMEOUT_MS,
      late: () => new ElementError('ERR_CARD_TRANSPORT', 'the card does not answer'),
    });
  }

  async #sealPin(call: Extract<HostCall, { call: 'sealPin' }>): Promise<HostAnswers['sealPin']> {
    // One block for one presentation: an application is no oracle for PINs.
    const made = this.#pinKey;
    if (made === null || !this.#isPinOpen) {
      throw new ElementError('ERR_PIN_REPEATED', 'no card is presented whose PIN was not asked');
    }
    this.#pinKey = null;
    this.#isPinOpen = false;
    const pinKey = await made;
    const { kind, amountMinor, currency, merchantName, origin, pan } = call;
    const { publicKeySpki } = pinKey;
    // Field by field: an application's other words must not take the place of the key.
    const shown = { kind, amountMinor, currency, merchantName, origin };
    const sealedPin = await this.pin.ask({
      emit: () => this.#ports.emit({ type: 'pinRequest', publicKeySpki, ...shown }),
      timeoutMs: PIN_TIMEOUT_MS,
      late: () => new ElementError('ERR_PIN_TIMEOUT', 'nobody entered a PIN in time'),
      unless: this.channel.untilLost(),
    });
    if (sealedPin === null) return null;
    const { state, ciphers, random } = this.#ports;
    const randomBytes = (lengthBytes: number) => random.bytes(lengthBytes);
    return encipherPin({ sealedPin, pinKey, pan, state, ciphers, randomBytes });
  }
}

function publicKeyOf(spkiHex: string): KeyObject {
  const key = Buffer.from(fromHex(spkiHex));
  return createPublicKey({ key, format: 'der', type: 'spki' });
}

/** Hundredths of a millisecond. */
function rounded(ms: number): number {
  return Math.round(100 * ms) / 100;
}

function bounded(lengthBytes: number, max: number): number {
  if (Number.isInteger(lengthBytes) && lengthBytes >= 0 && lengthBytes <= max) return lengthBytes;
  throw new ElementError('ERR_ELEMENT_APPLICATION', `${lengthBytes} bytes asked, ${max} allowed`);
}
