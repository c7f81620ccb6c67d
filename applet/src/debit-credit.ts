/**
 * Debit/credit acceptance (借贷记受理): drives the contact kernel with the element's host calls
 * and seals the card's cryptogram for the gateway.
 */
import { fromHex, type Secret, TapError, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  hasBit,
  TVR_1_DDA_FAILED,
  TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED,
  TVR_1_SDA_FAILED,
} from '@tapnpay/protocol/emv/data';
import {
  type ContactOutcome,
  type ContactTransaction,
  contactTransaction,
  type KernelAnswer,
  type KernelRequest,
  type OnlineAnswer,
  type OnlineRequest,
  type PinEntry,
} from '@tapnpay/protocol/emv/terminal';
import {
  decodeResponse,
  decodeTlv,
  encodeCommand,
  findTlv,
  type ResponseApdu,
} from '@tapnpay/protocol/iso7816';
import type {
  ApplicationContext,
  EncipheredPin,
  GatewayMessage,
  HostConversation,
  SealedPayment,
  SignedOrder,
} from '@tapnpay/protocol/wire';
import { type GatewayConversation, ISSUER_TIMEOUT_MS } from './communication.ts';
import { AppletError, GatewayRefusal } from './errors.ts';
import { ask, passHop } from './host.ts';
import { isSandboxCa, terminalProfile } from './parameters.ts';
import { signPayment } from './security.ts';

/** Goods and services. @see EMV 4.3 B3 Annex A, tag 9C */
const TRANSACTION_TYPE_PURCHASE = 0x00;
const SEQUENCE_COUNTER_MODULUS = 100_000_000;
const INS_SELECT = 0xa4;
const INS_READ_RECORD = 0xb2;
const RID_BYTES = 5;
const TAG_8F_CA_INDEX = '8F';
/** Characters of 9F4E, which no encoding but ASCII has. */
const MERCHANT_NAME_CHARACTERS_MAX = 20;

type Authorisation = Extract<GatewayMessage, { type: 'authorisation' }>;

/** How far a payment came. */
export type Progress = {
  /** The sealed payment left the element: from here on only the gateway knows. */
  readonly sent: boolean;
  readonly authorisation: Authorisation | null;
  /** The fault that kept the request from the gateway, or its answer from us. */
  readonly fault: TapError | null;
};

/** The card's side of one payment. */
export class Acceptance {
  readonly #context: ApplicationContext<CipherProvider>;
  readonly #gateway: GatewayConversation;
  readonly #order: SignedOrder;
  #pin: EncipheredPin | null = null;
  #rid = '';
  #caIndex: number | null = null;
  #isAuthenticated = false;
  progress: Progress = { sent: false, authorisation: null, fault: null };

  constructor(facts: {
    readonly context: ApplicationContext<CipherProvider>;
    readonly gateway: GatewayConversation;
    readonly order: SignedOrder;
  }) {
    this.#context = facts.context;
    this.#gateway = facts.gateway;
    this.#order = facts.order;
  }

  /** Runs the kernel to its end. @throws TapError what neither kernel nor gateway could absorb. */
  *run(): HostConversation<ContactOutcome> {
    const kernel = contactTransaction(yield* this.#transaction());
    let step = kernel.next();
    while (!step.done) {
      let answer: KernelAnswer;
      try {
        answer = yield* this.#answer(step.value);
      } catch (fault) {
        step = kernel.throw(fault);
        continue;
      }
      step = kernel.next(answer);
    }
    return step.value;
  }

  *#transaction(): HostConversation<ContactTransaction> {
    const { ciphers } = this.#context;
    const { amountMinor, currency, dateYymmdd, timeHhmmss } = this.#order;
    const { merchantId, merchantName, terminalId } = this.#order;
    const nowMs = yield* ask({ call: 'clock' });
    const name = merchantName.slice(0, MERCHANT_NAME_CHARACTERS_MAX);
    return {
      ciphers,
      terminal: terminalProfile(this.#context, currency),
      amountMinor: BigInt(amountMinor),
      otherAmountMinor: 0n,
      transactionType: TRANSACTION_TYPE_PURCHASE,
      dateYymmdd,
      timeHhmmss,
      sequenceCounter: Math.floor(nowMs / 1000) % SEQUENCE_COUNTER_MODULUS,
      // The gateway captures nothing that its issuer has not seen.
      forceOnline: true,
      merchant: {
        merchantId,
        terminalId,
        ...(/^[\x20-\x7e]+$/.test(name) ? { nameAndLocation: name } : {}),
      },
    };
  }

  *#answer(request: KernelRequest): HostConversation<KernelAnswer> {
    switch (request.kind) {
      case 'transmit': {
        const command = encodeCommand(request.command);
        const response = decodeResponse(yield* ask({ call: 'cardTransmit', command }));
        this.#note(request.command.ins, request.command.data, response);
        return response;
      }
      case 'random':
        return yield* ask({ call: 'random', lengthBytes: request.lengthBytes });
      case 'selectApplication':
        // The kernel offers candidates by priority; the agent's card picker comes later.
        return request.candidates.length > 0 ? 0 : null;
      case 'enterPin':
        return yield* this.#enterPin(request.pan);
      case 'authorise':
        return yield* this.#authorise(request.request);
      case 'phase':
        yield* this.#phase(request);
        return undefined;
    }
  }

  /** Remembers which CA the card names: the PIN depends on it. */
  #note(ins: number, data: Uint8Array | undefined, response: ResponseApdu): void {
    if (ins === INS_SELECT && data !== undefined) this.#rid = toHex(data.subarray(0, RID_BYTES));
    if (ins !== INS_READ_RECORD) return;
    try {
      const index = findTlv(decodeTlv(response.data), TAG_8F_CA_INDEX)?.value[0];
      if (index !== undefined) this.#caIndex = index;
    } catch (fault) {
      // A malformed record is the kernel's to judge.
      if (!(fault instanceof TapError)) throw fault;
    }
  }

  *#enterPin(pan: Secret<string>): HostConversation<PinEntry> {
    const isSandboxCard =
      this.#isAuthenticated && this.#caIndex !== null && isSandboxCa(this.#rid, this.#caIndex);
    if (!isSandboxCard) return 'unavailable';
    const { amountMinor, currency, merchantName, origin } = this.#order;
    const shown = { amountMinor, currency, merchantName, origin };
    this.#pin = yield* ask({ call: 'sealPin', pan, ...shown });
    return this.#pin === null ? 'cancelled' : 'entered';
  }

  *#phase(request: Extract<KernelRequest, { kind: 'phase' }>): HostConversation<void> {
    const { phase, tvr } = request;
    const facts = { ...request.facts, tvr: toHex(tvr), tsi: toHex(request.tsi) };
    if (phase === 'offlineDataAuthentication') {
      const bad = [
        TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED,
        TVR_1_SDA_FAILED,
        TVR_1_DDA_FAILED,
      ];
      this.#isAuthenticated = !bad.some((bit) => hasBit(tvr, bit));
    }
    if (phase === 'readApplicationData') yield* passHop('tap', facts);
    if (phase === 'terminalActionAnalysis') yield* passHop('check', facts);
    if (phase === 'firstGenerateAc') yield* passHop('cryptogram', facts);
    if (phase === 'completion') yield* passHop('finish', facts);
  }

  /**
   * Seals, sends and waits. Faults become answers for the kernel, so that the card is always
   * brought to its end. The answer is then "unknown" even where nothing was sent: unlike "unable"
   * it never ends in an offline approval (Y3), which this system does not capture.
   */
  *#authorise(request: OnlineRequest): HostConversation<OnlineAnswer> {
    try {
      const payment = yield* this.#seal(request);
      const { orderId } = payment;
      yield* passHop('seal', { orderId, withPin: payment.pin !== null });
      this.progress = { ...this.progress, sent: true };
      yield* this.#gateway.send({ type: 'payment', payment });
      const authorisation = yield* this.#gateway.expect('authorisation', ISSUER_TIMEOUT_MS);
      this.progress = { ...this.progress, authorisation };
      return onlineAnswer(authorisation);
    } catch (fault) {
      if (!(fault instanceof TapError)) throw fault;
      // A refusal comes before the gateway's commit point; its inner faults may come after it.
      const isRefused = fault instanceof GatewayRefusal && fault.code !== 'ERR_INTERNAL';
      const sent = this.progress.sent && !isRefused;
      this.progress = { ...this.progress, sent, fault };
      return { result: 'unknown' };
    }
  }

  *#seal(request: OnlineRequest): HostConversation<SealedPayment> {
    const { track2, pinRequired } = request;
    if (track2 === null) {
      throw new AppletError('ERR_CARD_DATA', 'the card gives no track 2 equivalent data');
    }
    if (pinRequired !== (this.#pin !== null)) {
      throw new AppletError('ERR_CARD_DATA', 'cardholder verification and PIN disagree');
    }
    const order = this.#order;
    const field55 = toHex(request.field55);
    const pin =
      this.#pin === null ? null : { block: toHex(this.#pin.block), ksn: toHex(this.#pin.ksn) };
    const pinBlock = pin?.block ?? null;
    return {
      orderId: order.orderId,
      interface: 'contact',
      pan: request.pan.expose(),
      panSequenceNumber: request.panSequenceNumber.expose(),
      expiryYymm: request.expiryYymm.expose(),
      track2: track2.expose(),
      field55,
      pin,
      signature: yield* signPayment({ order, field55, pinBlock }),
    };
  }
}

function onlineAnswer(authorisation: Authorisation): OnlineAnswer {
  const { result, responseCode, issuerAuthenticationData, scripts } = authorisation;
  if (result !== 'answered') return { result: 'unknown' };
  if (responseCode === null) {
    throw new AppletError('ERR_CHANNEL_MESSAGE', 'the issuer answered without a response code');
  }
  return {
    result,
    responseCode,
    scripts: scripts.map(fromHex),
    ...(issuerAuthenticationData === null
      ? {}
      : { issuerAuthenticationData: fromHex(issuerAuthenticationData) }),
  };
}
