/**
 * Debit/credit acceptance (借贷记受理): drives the kernel of the card's interface with the element's
 * host calls and seals the card's cryptogram for the gateway.
 */
import { fromHex, type Secret, TapError, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  hasBit,
  TAG_9F34_CVM_RESULTS,
  TAG_50_APPLICATION_LABEL,
  TAG_95_TERMINAL_VERIFICATION_RESULTS,
  TVR_1_DDA_FAILED,
  TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED,
  TVR_1_SDA_FAILED,
} from '@tapnpay/protocol/emv/data';
import {
  contactlessTransaction,
  contactTransaction,
  type Kernel,
  type KernelAnswer,
  type KernelOutcome,
  type KernelRequest,
  type OnlineAnswer,
  type OnlineRequest,
  type Phase,
  type PhaseFacts,
  type PinEntry,
  type TerminalProfile,
  type TerminalTransaction,
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
  CardInterface,
  EncipheredPin,
  GatewayMessage,
  HopName,
  HostConversation,
  SealedPayment,
  SignedOrder,
} from '@tapnpay/protocol/wire';
import { type GatewayConversation, ISSUER_TIMEOUT_MS } from './communication.ts';
import { shownOrder, transactionTypeOf } from './ecash.ts';
import { AppletError, GatewayRefusal } from './errors.ts';
import { ask, passHop } from './host.ts';
import { isSandboxCa, type ManagedParameters } from './parameters.ts';
import { attestPayment } from './security.ts';

const SEQUENCE_COUNTER_MODULUS = 100_000_000;
const INS_SELECT = 0xa4;
const INS_READ_RECORD = 0xb2;
const RID_BYTES = 5;
const TAG_8F_CA_INDEX = '8F';
/** Characters of 9F4E, which no encoding but ASCII has. */
const MERCHANT_NAME_CHARACTERS_MAX = 20;
/** Characters of the label on a receipt. */
const LABEL_CHARACTERS_MAX = 32;

/**
 * Phases after which a hop is passed. In qPBOC the answer to GET PROCESSING OPTIONS is the
 * cryptogram, the checks follow it, and the card is not brought to a second one.
 */
const HOPS_OF_PHASE: Readonly<
  Record<CardInterface, Readonly<Partial<Record<Phase, readonly HopName[]>>>>
> = {
  contact: {
    readApplicationData: ['tap'],
    terminalActionAnalysis: ['check'],
    firstGenerateAc: ['cryptogram'],
    completion: ['finish'],
  },
  contactless: {
    readApplicationData: ['tap', 'cryptogram'],
    transactionDecision: ['check'],
  },
};

type Authorisation = Extract<GatewayMessage, { type: 'authorisation' }>;

/** How far a payment came. */
export type Progress = {
  /** The sealed payment left the element: from here on only the gateway knows. */
  readonly sent: boolean;
  readonly authorisation: Authorisation | null;
  /** The fault that kept the request from the gateway, or its answer from us. */
  readonly fault: TapError | null;
};

/** Nothing left the element yet. */
export const NO_PROGRESS: Progress = { sent: false, authorisation: null, fault: null };

/** What one presentation of a card stands on. */
export type AcceptanceFacts = {
  readonly context: ApplicationContext<CipherProvider>;
  readonly parameters: ManagedParameters;
  readonly terminal: TerminalProfile;
  readonly gateway: GatewayConversation;
  readonly order: SignedOrder;
  readonly interface: CardInterface;
};

/** The card's side of a payment: one card, presented once. */
export class Acceptance {
  readonly #facts: AcceptanceFacts;
  #pin: EncipheredPin | null = null;
  #rid = '';
  #caIndex: number | null = null;
  #isAuthenticated = false;
  progress: Progress = NO_PROGRESS;

  constructor(facts: AcceptanceFacts) {
    this.#facts = facts;
  }

  /** Runs the kernel to its end. @throws TapError what neither kernel nor gateway could absorb. */
  *run(): HostConversation<KernelOutcome> {
    const transaction = yield* this.#transaction();
    const isContact = this.#facts.interface === 'contact';
    const kernel: Kernel<KernelOutcome> = isContact
      ? contactTransaction(transaction)
      : contactlessTransaction(transaction);
    let step = kernel.next(undefined);
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

  *#transaction(): HostConversation<TerminalTransaction> {
    const { context, order, terminal } = this.#facts;
    const { amountMinor, dateYymmdd, timeHhmmss } = order;
    const { merchantId, merchantName, terminalId } = order;
    const nowMs = yield* ask({ call: 'clock' });
    const name = merchantName.slice(0, MERCHANT_NAME_CHARACTERS_MAX);
    return {
      ciphers: context.ciphers,
      terminal,
      amountMinor: BigInt(amountMinor),
      otherAmountMinor: 0n,
      transactionType: transactionTypeOf(order),
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
        // The parameters give this terminal no offline PIN.
        return request.purpose === 'online' ? yield* this.#enterPin(request.pan) : 'unavailable';
      case 'referral':
        return 'declined';
      case 'verifyPin':
      case 'storeOfflineApproval':
        throw new AppletError('ERR_CARD_DATA', `${request.kind} is not in the parameters`);
      case 'authorise':
        return yield* this.#authorise(request.request);
      case 'releaseCard':
        yield* ask({ call: 'releaseCard' });
        return undefined;
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
    this.#pin = yield* ask({ call: 'sealPin', pan, ...shownOrder(this.#facts.order) });
    return this.#pin === null ? 'cancelled' : 'entered';
  }

  *#phase(request: Extract<KernelRequest, { kind: 'phase' }>): HostConversation<void> {
    const { phase, tvr } = request;
    const facts: PhaseFacts = {
      ...request.facts,
      interface: this.#facts.interface,
      tvr: toHex(tvr),
      tsi: toHex(request.tsi),
    };
    if (phase === 'offlineDataAuthentication') {
      const bad = [
        TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED,
        TVR_1_SDA_FAILED,
        TVR_1_DDA_FAILED,
      ];
      this.#isAuthenticated = !bad.some((bit) => hasBit(tvr, bit));
    }
    const hops = HOPS_OF_PHASE[this.#facts.interface][phase] ?? [];
    for (const hop of hops) yield* passHop(hop, facts);
  }

  /**
   * Seals, sends and waits. Faults become answers for the kernel, so that the card is always
   * brought to its end. The answer is then "unknown" even where nothing was sent: unlike "unable"
   * it never ends in an offline approval (Y3), which this system does not capture.
   */
  *#authorise(request: OnlineRequest): HostConversation<OnlineAnswer> {
    const { gateway } = this.#facts;
    try {
      const payment = yield* this.#seal(request);
      const { orderId } = payment;
      yield* passHop('seal', { orderId, withPin: payment.pin !== null });
      this.progress = { ...this.progress, sent: true };
      yield* gateway.send({ type: 'payment', payment });
      const authorisation = yield* gateway.expect('authorisation', ISSUER_TIMEOUT_MS);
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
    const { order } = this.#facts;
    const field55 = toHex(request.field55);
    const pin =
      this.#pin === null ? null : { block: toHex(this.#pin.block), ksn: toHex(this.#pin.ksn) };
    const pinBlock = pin?.block ?? null;
    const { version } = this.#facts.parameters;
    const verified = { parameterVersion: version, ...verificationOf(request) };
    return {
      orderId: order.orderId,
      interface: this.#facts.interface,
      applicationLabel: labelOf(request),
      pan: request.pan.expose(),
      panSequenceNumber: request.panSequenceNumber.expose(),
      expiryYymm: request.expiryYymm.expose(),
      track2: track2.expose(),
      field55,
      pin,
      attestation: yield* attestPayment({ order, field55, pinBlock, ...verified }),
    };
  }
}

/** How terminal and cardholder were verified. @see EMV 4.3 B3 Annex C5, Annex C3 */
function verificationOf({ values }: OnlineRequest): {
  readonly tvr: string;
  readonly cvmResults: string;
} {
  const hex = (tag: string, lengthBytes: number): string =>
    toHex(values.get(tag) ?? new Uint8Array(lengthBytes));
  return {
    tvr: hex(TAG_95_TERMINAL_VERIFICATION_RESULTS, 5),
    cvmResults: hex(TAG_9F34_CVM_RESULTS, 3),
  };
}

/** The card's label in what a receipt can print. @see EMV 4.3 B3 Annex A, tag 50 */
function labelOf({ values }: OnlineRequest): string {
  const label = values.get(TAG_50_APPLICATION_LABEL) ?? new Uint8Array(0);
  const printable = label.filter((byte) => byte >= 0x20 && byte <= 0x7e);
  return String.fromCharCode(...printable.subarray(0, LABEL_CHARACTERS_MAX)).trim();
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
