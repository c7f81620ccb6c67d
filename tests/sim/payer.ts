/**
 * A payer: a real virtual card at the real contact kernel, and what the payment application does
 * around it, over a channel that may break. Cards are pulled, PINs are wrong, answers are bent.
 */
import { currencyExponent, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptKsn,
  aesDukptWorkingKey,
  encipherPinBlockFormat4,
  nextAesDukptCounter,
} from '@tapnpay/protocol/crypto';
import { createVirtualIcc, type VirtualIcc } from '@tapnpay/protocol/emv/icc';
import {
  type ContactOutcome,
  contactTransaction,
  driveKernel,
  type OnlineAnswer,
  type OnlineRequest,
  type PinEntry,
  type TerminalProfile,
  terminalProfileOf,
} from '@tapnpay/protocol/emv/terminal';
import { decodeResponse, encodeCommand, type ResponseApdu } from '@tapnpay/protocol/iso7816';
import { nodeCiphers } from '@tapnpay/protocol/node';
import {
  type GatewayMessage,
  type PaymentOutcome,
  paymentSignatureInput,
  type SealedCompletion,
  type SealedPayment,
  type SignedOrder,
} from '@tapnpay/protocol/wire';
import type { GatewayCore } from '../../online/src/gateway/core.ts';
import type { ChannelPeer } from '../../online/src/gateway/payment/peer.ts';
import { Channel, ChannelLost, type ChannelWorld } from './channel.ts';
import type { History } from './history.ts';
import { elementSignature } from './parties.ts';
import { SIM_PIN, type SimPayer } from './system.ts';

type Authorisation = Extract<GatewayMessage, { type: 'authorisation' }>;

/** What goes wrong on the payer's side of one tap. */
export type TapFaults = {
  readonly wrongPin: boolean;
  /** The card's cryptogram arrives with one bit turned. */
  readonly bentArqc: boolean;
  /** The issuer's proof reaches the card with one bit turned: it answers AAC. */
  readonly bentArpc: boolean;
  /** Pulled after the request, before the second GENERATE AC. */
  readonly pulled: boolean;
  /** The completion never leaves the element. */
  readonly completionLost: boolean;
  /** The sealed payment, and the completion, reach the gateway twice at the same time. */
  readonly sentTwice: boolean;
};

/** How a tap ended for the payer, and of which payment that was said. */
export type TapEnd = {
  readonly outcome: PaymentOutcome | 'refused';
  readonly paymentId: string | null;
};

const TERMINAL: TerminalProfile = terminalProfileOf(
  {
    terminalTransactionQualifiers: '26000080',
    countryCode: '0156',
    terminalType: '22',
    terminalCapabilities: 'E040C0',
    additionalTerminalCapabilities: 'F000F0A001',
    aids: [
      {
        aid: 'A000000333',
        applicationVersion: '0030',
        tacDefault: 'D84000A800',
        tacDenial: '0010000000',
        tacOnline: 'D84004F800',
        floorLimitMinor: '0',
        defaultDdol: '9F3704',
        contactless: null,
      },
    ],
    caPublicKeys: [],
  },
  {
    ciphers: nodeCiphers,
    currency: '156',
    currencyExponent: currencyExponent('156'),
    interfaceDeviceSerialNumber: 'SIM00001',
  },
);

/** Thrown at the kernel by a card that is not there. */
class CardPulled extends Error {}

/** One card and its element. */
export class Payer {
  readonly name: string;
  readonly #world: ChannelWorld;
  readonly #history: History;
  readonly #facts: SimPayer;
  readonly #card: VirtualIcc;
  #pinCounter = 0;
  #isTapping = false;

  constructor(world: ChannelWorld, history: History, facts: SimPayer) {
    this.#world = world;
    this.#history = history;
    this.#facts = facts;
    this.name = facts.elementId;
    const { random } = world;
    this.#card = createVirtualIcc({ image: facts.image, ciphers: nodeCiphers, random });
  }

  /** Taps for an order; one tap at a time. Never throws. */
  async tap(orderId: string, faults: TapFaults): Promise<TapEnd> {
    const { clock } = this.#world;
    while (this.#isTapping) await clock.sleep(500);
    this.#isTapping = true;
    try {
      const end = await this.#tap(orderId, faults);
      this.#history.add(this.name, 'tapEnded', { orderId, ...end });
      return end;
    } catch (fault) {
      if (fault instanceof ChannelLost) return { outcome: 'unknown', paymentId: null };
      const code = fault instanceof Error && 'code' in fault ? fault.code : String(fault);
      this.#history.add(this.name, 'tapRefused', { orderId, code });
      return { outcome: 'refused', paymentId: null };
    } finally {
      this.#isTapping = false;
    }
  }

  async #tap(orderId: string, faults: TapFaults): Promise<TapEnd> {
    const { random } = this.#world;
    const struck = Object.entries(faults).filter(([, isOn]) => isOn);
    const names = struck.map(([name]) => name).join('+');
    this.#history.add(this.name, 'tap', { orderId, ...(names !== '' && { faults: names }) });
    for (const [name] of struck) this.#world.counts.add(name);
    const channel = new Channel(this.#world);
    const peer = channel.peer(this.#facts, toHex(random.bytes(32)));
    const asked = await channel.ask((core) => core.requestOrder(peer, orderId));
    if (asked.type !== 'signedOrder') throw new Error(`unexpected ${asked.type}`);
    const tap = new Tap({ channel, peer, order: asked.order, faults, payer: this });
    const outcome = await tap.run();
    return tap.complete(outcome);
  }

  /** The world of this payer's taps. */
  get world(): ChannelWorld {
    return this.#world;
  }

  get card(): VirtualIcc {
    return this.#card;
  }

  get element(): SimPayer {
    return this.#facts;
  }

  /** A PIN block under the element's next DUKPT key. @see X9.24-3 */
  pinBlock(pin: string): { readonly block: string; readonly ksn: string } {
    this.#pinCounter = nextAesDukptCounter(this.#pinCounter);
    const { initialKey, initialKeyId, record } = this.#facts;
    const keyId = fromHex(initialKeyId);
    const counter = this.#pinCounter;
    const key = aesDukptWorkingKey(nodeCiphers, initialKey, keyId, counter, 'pinEncryption');
    const random8 = this.#world.random.bytes(8);
    const block = encipherPinBlockFormat4(nodeCiphers, key, { pin, pan: record.pan, random8 });
    return { block: toHex(block), ksn: toHex(aesDukptKsn(keyId, counter)) };
  }
}

/** One transaction of the kernel. */
class Tap {
  readonly #channel: Channel;
  readonly #peer: ChannelPeer;
  readonly #order: SignedOrder;
  readonly #faults: TapFaults;
  readonly #payer: Payer;
  #authorisation: Authorisation | null = null;
  #refusal: unknown = null;
  #isPulled = false;

  constructor(facts: {
    readonly channel: Channel;
    readonly peer: ChannelPeer;
    readonly order: SignedOrder;
    readonly faults: TapFaults;
    readonly payer: Payer;
  }) {
    this.#channel = facts.channel;
    this.#peer = facts.peer;
    this.#order = facts.order;
    this.#faults = facts.faults;
    this.#payer = facts.payer;
  }

  async run(): Promise<ContactOutcome> {
    const { card, world } = this.#payer;
    card.reset();
    const order = this.#order;
    const kernel = contactTransaction({
      ciphers: nodeCiphers,
      terminal: TERMINAL,
      amountMinor: BigInt(order.amountMinor),
      otherAmountMinor: 0n,
      transactionType: 0x00,
      dateYymmdd: order.dateYymmdd,
      timeHhmmss: order.timeHhmmss,
      sequenceCounter: 1,
      forceOnline: true,
      merchant: { merchantId: order.merchantId, terminalId: order.terminalId },
    });
    return driveKernel(kernel, {
      transmit: (command) => {
        if (this.#isPulled) throw new CardPulled('the card was pulled');
        return this.#bent(command.ins, decodeResponse(card.transmit(encodeCommand(command))));
      },
      random: (lengthBytes) => world.random.bytes(lengthBytes),
      selectApplication: () => 0,
      enterPin: async (): Promise<PinEntry> => {
        await world.clock.sleep(world.random.between(800, 4_000));
        return 'entered';
      },
      authorise: (request) => this.#authorise(request),
    });
  }

  /** The card's first cryptogram (9F26) with a bit turned, if this tap has that fault. */
  #bent(ins: number, response: ResponseApdu): ResponseApdu {
    const isFirst = ins === 0xae && this.#authorisation === null;
    if (!this.#faults.bentArqc || !isFirst) return response;
    const hex = toHex(response.data);
    const at = hex.indexOf('9F2608');
    const isTemplate80 = hex.startsWith('80');
    // Format 1: 80 length, 9F27 (1), 9F36 (2), 9F26 (8). @see EMV 4.3 B3 §6.5.5.4
    const offset = isTemplate80 ? 5 : at / 2 + 3;
    const data = response.data.slice();
    data[offset] = (data[offset] ?? 0) ^ 1;
    return { ...response, data };
  }

  async #authorise(request: OnlineRequest): Promise<OnlineAnswer> {
    const payment = this.#seal(request);
    try {
      const answer = await this.#ask((core) => core.pay(this.#peer, payment));
      if (answer.type !== 'authorisation') throw new Error(`unexpected ${answer.type}`);
      this.#authorisation = answer;
      this.#isPulled = this.#faults.pulled;
      return this.#answerOf(answer);
    } catch (fault) {
      // Refused before the commit point, or lost: the card is ended, the gateway's word decides.
      this.#refusal = fault;
      return { result: 'unknown' };
    }
  }

  #answerOf(answer: Authorisation): OnlineAnswer {
    const { result, responseCode, issuerAuthenticationData, scripts } = answer;
    if (result !== 'answered' || responseCode === null) return { result: 'unknown' };
    if (issuerAuthenticationData === null) {
      return { result, responseCode, scripts: scripts.map(fromHex) };
    }
    const proof = fromHex(issuerAuthenticationData);
    if (this.#faults.bentArpc) proof[0] = (proof[0] ?? 0) ^ 1;
    return {
      result,
      responseCode,
      issuerAuthenticationData: proof,
      scripts: scripts.map(fromHex),
    };
  }

  /** The sealed payment as the payment application makes it. */
  #seal(request: OnlineRequest): SealedPayment {
    const order = this.#order;
    const field55 = toHex(request.field55);
    const digits = this.#faults.wrongPin ? '654321' : SIM_PIN;
    const pin = request.pinRequired ? this.#payer.pinBlock(digits) : null;
    const { exporter } = this.#peer;
    const pinBlock = pin?.block ?? null;
    const input = paymentSignatureInput({ order, exporter, field55, pinBlock });
    return {
      orderId: order.orderId,
      interface: 'contact',
      pan: request.pan.expose(),
      panSequenceNumber: request.panSequenceNumber.expose(),
      expiryYymm: request.expiryYymm.expose(),
      applicationLabel: 'PBOC DEBIT',
      track2: request.track2?.expose() ?? '',
      field55,
      pin,
      signature: elementSignature(this.#payer.element.elementId, input),
    };
  }

  /** Tells how the card ended and hears the final word. @throws ChannelLost, TapError. */
  async complete(outcome: ContactOutcome): Promise<TapEnd> {
    const authorisation = this.#authorisation;
    if (!authorisation) {
      if (this.#refusal !== null) throw this.#refusal;
      const isDeclined = outcome.outcome === 'declined';
      return { outcome: isDeclined ? 'declined' : 'cancelled', paymentId: null };
    }
    if (this.#faults.completionLost) {
      this.#channel.close();
      throw new ChannelLost('ERR_CHANNEL_CLOSED', 'the element lost its channel');
    }
    const { second } = outcome;
    const isApproved = outcome.outcome === 'approved' && authorisation.result === 'answered';
    const type = second?.type === 'TC' || second?.type === 'AAC' ? second.type : null;
    const completion: SealedCompletion = {
      paymentId: authorisation.paymentId,
      secondType: type,
      second: type === null || !second ? null : toHex(second.value),
      tvr: toHex(outcome.tvr),
      tsi: toHex(outcome.tsi),
      scriptResults: outcome.scriptResults.map(toHex).join(''),
      outcome: isApproved ? 'approved' : 'declined',
    };
    const result = await this.#ask((core) => core.complete(this.#peer, completion));
    this.#channel.close();
    if (result.type !== 'result') throw new Error(`unexpected ${result.type}`);
    const { paymentId } = authorisation;
    // An approval that the card did not confirm is a contradiction, and no paid order.
    const isContradiction = result.outcome === 'approved' && !isApproved;
    return { outcome: isContradiction ? 'unknown' : result.outcome, paymentId };
  }

  /** One answer; the same may be asked twice at once, and then the first one is heard. */
  #ask<Answer>(work: (core: GatewayCore) => Promise<Answer>): Promise<Answer> {
    const first = this.#channel.ask(work);
    if (this.#faults.sentTwice && this.#channel.isOpen) {
      this.#channel.ask(work).catch(() => undefined);
    }
    return first;
  }
}
