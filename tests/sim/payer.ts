/**
 * A payer: a real virtual card, inserted or tapped at the real kernels, and what the payment
 * application does around it, over a channel that may break. Cards are pulled, PINs are wrong,
 * answers are bent.
 */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptKsn,
  aesDukptWorkingKey,
  encipherPinBlockFormat4,
  nextAesDukptCounter,
} from '@tapnpay/protocol/crypto';
import { createVirtualIcc, type VirtualIcc } from '@tapnpay/protocol/emv/icc';
import {
  contactlessTransaction,
  contactTransaction,
  driveKernel,
  type Kernel,
  type KernelOutcome,
  type OnlineAnswer,
  type OnlineRequest,
  type PinEntry,
  type TerminalTransaction,
} from '@tapnpay/protocol/emv/terminal';
import {
  decodeResponse,
  decodeTlv,
  encodeCommand,
  flattenTlv,
  type ResponseApdu,
} from '@tapnpay/protocol/iso7816';
import { nodeCiphers, statementOf } from '@tapnpay/protocol/node';
import type {
  CardInterface,
  GatewayMessage,
  PaymentAttestation,
  PaymentOutcome,
  SealedCompletion,
  SealedPayment,
  SignedOrder,
} from '@tapnpay/protocol/wire';
import { withFinalWord } from '../../online/src/gateway/channel/session.ts';
import type { GatewayCore } from '../../online/src/gateway/core.ts';
import type { ChannelPeer } from '../../online/src/gateway/payment/peer.ts';
import { Channel, ChannelLost, type ChannelWorld } from './channel.ts';
import type { History } from './history.ts';
import { elementSignature, SIM_LOAD_FILE } from './parties.ts';
import { SIM_PIN, type SimPayer } from './system.ts';
import { bentCryptogram, TERMINAL, withoutFiles } from './terminal.ts';

type Authorisation = Extract<GatewayMessage, { type: 'authorisation' }>;
type Result = Extract<GatewayMessage, { type: 'result' }>;

const INS_GENERATE_AC = 0xae;
const INS_GET_PROCESSING_OPTIONS = 0xa8;

/** What goes wrong on the payer's side of one tap. */
export type TapFaults = {
  readonly wrongPin: boolean;
  /** The card's cryptogram arrives with one bit turned. */
  readonly bentArqc: boolean;
  /** The issuer's proof reaches the inserted card with one bit turned: it answers AAC. */
  readonly bentArpc: boolean;
  /**
   * Inserted: pulled after the request, before the second GENERATE AC. Tapped: out of the field
   * before its cryptogram was heard; it is tapped again.
   */
  readonly pulled: boolean;
  /** The completion never leaves the element; of a tap the final word is not heard. */
  readonly completionLost: boolean;
  /** The sealed payment, and the completion, reach the gateway twice at the same time. */
  readonly sentTwice: boolean;
  /** A stolen element pays with card data that it has seen, instead of asking the card. */
  readonly replayed: boolean;
};

/** How a tap ended for the payer, and of which payment that was said. */
export type TapEnd = {
  readonly outcome: PaymentOutcome | 'refused';
  readonly paymentId: string | null;
};

/** Thrown at the kernel by a card that is not there. */
class CardPulled extends Error {}

/** One card and its element. */
export class Payer {
  readonly name: string;
  readonly #world: ChannelWorld;
  readonly #history: History;
  readonly #facts: SimPayer;
  #card: VirtualIcc;
  #pinCounter = 0;
  #paymentCounter = 0;
  #isTapping = false;
  /** Field 55 of approved taps by amount, for who replays it. */
  readonly #seen: Map<string, string> = new Map();

  constructor(world: ChannelWorld, history: History, facts: SimPayer) {
    this.#world = world;
    this.#history = history;
    this.#facts = facts;
    this.name = facts.elementId;
    const { random } = world;
    this.#card = createVirtualIcc({ image: facts.image, ciphers: nodeCiphers, random });
  }

  /** Taps for an order; one tap at a time. Never throws. */
  async tap(orderId: string, presented: CardInterface, faults: TapFaults): Promise<TapEnd> {
    const { clock } = this.#world;
    while (this.#isTapping) await clock.sleep(500);
    this.#isTapping = true;
    try {
      const end = await this.#tap(orderId, presented, faults);
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

  async #tap(orderId: string, presented: CardInterface, faults: TapFaults): Promise<TapEnd> {
    const { random } = this.#world;
    const struck = Object.entries(faults).filter(([name, isOn]) => isOn && name !== 'replayed');
    const names = struck.map(([name]) => name).join('+');
    const named = names !== '' && { faults: names };
    this.#history.add(this.name, 'tap', { orderId, by: presented, ...named });
    for (const [name] of struck) this.#world.counts.add(name);
    const channel = new Channel(this.#world);
    const facts = { exporter: toHex(random.bytes(32)), counterAtHello: this.#paymentCounter };
    const peer = channel.peer(this.#facts, facts);
    const asked = await channel.ask((core) => core.requestOrder(peer, orderId));
    if (asked.type !== 'signedOrder') throw new Error(`unexpected ${asked.type}`);
    const { order } = asked;
    const tap = new Tap({ channel, peer, order, presented, faults, payer: this });
    const end = await tap.complete(await tap.run());
    if (end.outcome === 'approved' && tap.tapped !== null) {
      this.#seen.set(order.amountMinor, tap.tapped);
    }
    return end;
  }

  /** The world of this payer's taps. */
  get world(): ChannelWorld {
    return this.#world;
  }

  /** The card as it is powered now; its counter, keys and state go with it. */
  present(by: CardInterface): VirtualIcc {
    const { random } = this.#world;
    const image = this.#card.image();
    this.#card = createVirtualIcc({ image, ciphers: nodeCiphers, random, interface: by });
    return this.#card;
  }

  get element(): SimPayer {
    return this.#facts;
  }

  /** Field 55 for a tap of this amount: the card's, or one seen before. */
  field55(fresh: string, amountMinor: string, isReplayed: boolean): string {
    const seen = this.#seen.get(amountMinor);
    if (!isReplayed || seen === undefined) return fresh;
    this.#world.counts.add('replayed');
    this.#history.add(this.name, 'replayed', { amountMinor });
    return seen;
  }

  /** The counter of the element's next attestation. */
  nextPaymentCounter(): number {
    this.#paymentCounter += 1;
    return this.#paymentCounter;
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

/** One payment: the card's transactions up to the one that went online or ended. */
class Tap {
  readonly #channel: Channel;
  readonly #peer: ChannelPeer;
  readonly #order: SignedOrder;
  readonly #faults: TapFaults;
  readonly #payer: Payer;
  #presented: CardInterface;
  #authorisation: Authorisation | null = null;
  /** Of a tap; it comes with the authorisation. */
  #result: Result | null = null;
  #refusal: unknown = null;
  #tapped: string | null = null;
  #isPulled = false;
  #isTorn: boolean;

  constructor(facts: {
    readonly channel: Channel;
    readonly peer: ChannelPeer;
    readonly order: SignedOrder;
    readonly presented: CardInterface;
    readonly faults: TapFaults;
    readonly payer: Payer;
  }) {
    this.#channel = facts.channel;
    this.#peer = facts.peer;
    this.#order = facts.order;
    this.#presented = facts.presented;
    this.#faults = facts.faults;
    this.#payer = facts.payer;
    this.#isTorn = facts.faults.pulled;
  }

  /** Field 55 that the card gave to a tap; null when it was inserted. */
  get tapped(): string | null {
    return this.#tapped;
  }

  /** Presents the card, and again when it left the field too early or wants to be inserted. */
  async run(): Promise<KernelOutcome> {
    const { clock, random, counts } = this.#payer.world;
    for (;;) {
      try {
        const outcome = await this.#present();
        if (outcome.outcome !== 'tryAnotherInterface') return outcome;
        counts.add('inserted after a tap');
        this.#presented = 'contact';
      } catch (fault) {
        if (!(fault instanceof CardPulled)) throw fault;
        counts.add('torn tap');
      }
      await clock.sleep(random.between(500, 3_000));
    }
  }

  #present(): Promise<KernelOutcome> {
    const { world } = this.#payer;
    const card = this.#payer.present(this.#presented);
    return driveKernel(this.#kernel(), {
      transmit: (command) => {
        if (this.#isPulled) throw new CardPulled('the card was pulled');
        const response = decodeResponse(card.transmit(encodeCommand(command)));
        return this.#heard(command.ins, response);
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

  #kernel(): Kernel<KernelOutcome> {
    const order = this.#order;
    const transaction: TerminalTransaction = {
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
    };
    return this.#presented === 'contact'
      ? contactTransaction(transaction)
      : contactlessTransaction(transaction);
  }

  /** The card's answer as it arrives: the first cryptogram may be bent, or torn off. */
  #heard(ins: number, response: ResponseApdu): ResponseApdu {
    const isTap = this.#presented === 'contactless';
    const isCryptogram = ins === (isTap ? INS_GET_PROCESSING_OPTIONS : INS_GENERATE_AC);
    if (!isCryptogram || this.#authorisation !== null) return response;
    if (isTap && this.#isTorn) {
      this.#isTorn = false;
      throw new CardPulled('the card left the field');
    }
    const answer = isTap ? withoutFiles(response) : response;
    return this.#faults.bentArqc ? bentCryptogram(answer) : answer;
  }

  async #authorise(request: OnlineRequest): Promise<OnlineAnswer> {
    const payment = this.#seal(request);
    try {
      const [answer, result] = await this.#ask(async (core) =>
        withFinalWord(payment, await core.pay(this.#peer, payment)),
      );
      if (answer?.type !== 'authorisation') throw new Error(`unexpected ${answer?.type}`);
      this.#authorisation = answer;
      this.#result = result?.type === 'result' ? result : null;
      this.#isPulled = this.#presented === 'contact' && this.#faults.pulled;
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
    const field55 = this.#field55(toHex(request.field55));
    const digits = this.#faults.wrongPin ? '654321' : SIM_PIN;
    const pin = request.pinRequired ? this.#payer.pinBlock(digits) : null;
    return {
      orderId: order.orderId,
      interface: this.#presented,
      pan: request.pan.expose(),
      panSequenceNumber: request.panSequenceNumber.expose(),
      expiryYymm: request.expiryYymm.expose(),
      applicationLabel: 'PBOC DEBIT',
      track2: request.track2?.expose() ?? '',
      field55,
      pin,
      attestation: this.#attest(request, { field55, pinBlock: pin?.block ?? null }),
    };
  }

  /** The element's word on the payment. A replayed tap is attested with its own verification. */
  #attest(
    request: OnlineRequest,
    sealed: { readonly field55: string; readonly pinBlock: string | null },
  ): PaymentAttestation {
    const { elementId } = this.#payer.element;
    const { exporter } = this.#peer;
    const tags = flattenTlv(decodeTlv(fromHex(sealed.field55)));
    const hexOf = (tag: string, lengthBytes: number): string =>
      toHex(tags.get(tag) ?? request.values.get(tag) ?? new Uint8Array(lengthBytes));
    const counter = this.#payer.nextPaymentCounter();
    const code = { loadFileHash: SIM_LOAD_FILE, lifeCycle: 'operable' as const, counter };
    const seen = { parameterVersion: 1, tvr: hexOf('95', 5), cvmResults: hexOf('9F34', 3) };
    const claim = { ...sealed, ...seen, order: this.#order };
    const statement = statementOf({ elementId, exporter, ...code }, claim);
    return { ...code, ...seen, signature: elementSignature(elementId, statement) };
  }

  /** Only a tap can be replayed: an inserted card has the last word. */
  #field55(fresh: string): string {
    if (this.#presented === 'contact' || this.#faults.bentArqc) return fresh;
    this.#tapped = fresh;
    const { amountMinor } = this.#order;
    return this.#payer.field55(fresh, amountMinor, this.#faults.replayed);
  }

  /**
   * Tells how an inserted card ended and hears the final word; of a tap it is there already.
   * @throws ChannelLost, TapError.
   */
  async complete(outcome: KernelOutcome): Promise<TapEnd> {
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
    const isApproved = outcome.outcome === 'approved' && authorisation.result === 'answered';
    const result = this.#result ?? (await this.#confirm(outcome, authorisation, isApproved));
    this.#channel.close();
    const { paymentId } = authorisation;
    // An approval that the card did not confirm is a contradiction, and no paid order.
    const isContradiction = result.outcome === 'approved' && !isApproved;
    return { outcome: isContradiction ? 'unknown' : result.outcome, paymentId };
  }

  async #confirm(
    outcome: KernelOutcome,
    { paymentId }: Authorisation,
    isApproved: boolean,
  ): Promise<Result> {
    const { second } = outcome;
    const type = second?.type === 'TC' || second?.type === 'AAC' ? second.type : null;
    const completion: SealedCompletion = {
      paymentId,
      secondType: type,
      second: type === null || !second ? null : toHex(second.value),
      tvr: toHex(outcome.tvr),
      tsi: toHex(outcome.tsi),
      scriptResults: outcome.scriptResults.map(toHex).join(''),
      outcome: isApproved ? 'approved' : 'declined',
    };
    const result = await this.#ask((core) => core.complete(this.#peer, completion));
    if (result.type !== 'result') throw new Error(`unexpected ${result.type}`);
    return result;
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
