/**
 * One payment, from the sealed card data to the answer for the card: the gateway's transaction as
 * a table of named steps. Up to `commit` nothing is charged and a refusal is an error; after it
 * every way out is a durable state. @see docs/a-tap.md, hops 7, 8, 11, 12
 */
import { maskPan, Secret } from '@tapnpay/protocol/bytes';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import {
  type GatewayMessage,
  Hop,
  type HopRecord,
  type SealedPayment,
  type SignedOrder,
} from '@tapnpay/protocol/wire';
import { joinTrace, traceIdOfParts, uuidv7 } from '../../runtime/index.ts';
import {
  checkAttestation,
  checkAttestedVerification,
  refuseAttestation,
} from '../elements/attestation.ts';
import type { KeptAttestation } from '../elements/model.ts';
import { GatewayError } from '../errors.ts';
import { HOPS_BEFORE_RETURN, LEAVE_MS, strike } from '../lab.ts';
import { localTime } from '../local-time.ts';
import { acceptorOf } from '../merchants/directory.ts';
import type { Order, Payment } from '../model.ts';
import { payableOrder, refusalOf } from '../orders.ts';
import { CONTACTLESS_LIMITS } from '../parameters.ts';
import { type GatewayPorts, type LineKeys, reachHop } from '../ports.ts';
import type { BeginRefusal } from '../store.ts';
import {
  cardFactsOf,
  checkCardData,
  type Field55,
  pinCounterOf,
  reversalField55,
} from './card-data.ts';
import {
  buildRequest,
  entryModeOf,
  flipMacBit,
  type OriginalRequest,
  withMac,
} from './messages.ts';
import type { ChannelPeer } from './peer.ts';
import { settlePayment } from './settle.ts';
import { judgeAnswer, type Verdict } from './verdict.ts';

/** Slack after the switch's time-out before the sweep takes a `sending` payment for lost. */
const SENDING_GRACE_MS = 10_000;

/** Where no parameters are published. */
const TAP_LIMIT_MINOR = BigInt(CONTACTLESS_LIMITS.transactionLimitMinor);

/** What the steps know of the payment under way. Later steps fill in the later fields. */
type PaymentContext = {
  readonly peer: ChannelPeer;
  readonly sealed: Secret<SealedPayment>;
  readonly hops: readonly HopRecord[];
  readonly order?: Order;
  readonly signedOrder?: SignedOrder;
  readonly attestation?: KeptAttestation;
  readonly field55?: Secret<Field55>;
  readonly keys?: LineKeys;
  readonly pin?: { readonly block: string; readonly counter: number } | null;
  readonly original?: Secret<OriginalRequest>;
  readonly message?: Iso8583Message;
  readonly payment?: Payment;
  readonly answer?: Iso8583Message | 'timeout';
  readonly verdict?: Verdict;
};
type Step = (ports: GatewayPorts, context: PaymentContext) => Promise<Partial<PaymentContext>>;

/** The steps in order. The name of a step is what the log calls it. */
export const PAYMENT_STEPS: readonly (readonly [name: string, step: Step])[] = [
  ['checkOrder', checkOrder],
  ['verifyAttestation', verifyAttestation],
  ['checkCard', checkCard],
  ['assessRisk', assessRisk],
  ['readyLine', readyLine],
  ['translatePin', translatePin],
  ['enrich', enrich],
  ['commit', commit],
  ['send', send],
  ['judge', judge],
  ['settle', settle],
];

/**
 * Runs the steps. @throws GatewayError before the commit point: nothing was sent, nothing charged.
 * After it the answer is always an `authorisation`.
 */
export async function pay(
  ports: GatewayPorts,
  peer: ChannelPeer,
  payment: SealedPayment,
): Promise<GatewayMessage> {
  const facts = { orderId: payment.orderId, interface: payment.interface };
  const seal = reachHop(ports, { n: Hop.seal, name: 'seal', facts });
  let context: PaymentContext = {
    peer,
    sealed: new Secret(payment, maskPan(payment.pan)),
    hops: [peer.channelHop, seal],
  };
  for (const [name, step] of PAYMENT_STEPS) {
    try {
      context = { ...context, ...(await step(ports, context)) };
    } catch (fault) {
      const code = fault instanceof GatewayError ? fault.code : 'ERR_INTERNAL';
      ports.log({ event: 'paymentStepFailed', step: name, orderId: payment.orderId, code });
      if (!context.payment) throw fault;
      context = { ...context, verdict: lost(name) };
      await settleFault(ports, context, name);
      break;
    }
  }
  return answerOf(ports, context);
}

/** After the commit point a fault is an unknown end; if that cannot be written, a sweep will. */
async function settleFault(
  ports: GatewayPorts,
  context: PaymentContext,
  failedStep: string,
): Promise<void> {
  if (failedStep === 'settle') return;
  await settle(ports, context).catch((fault: unknown) => {
    const code = fault instanceof GatewayError ? fault.code : 'ERR_INTERNAL';
    ports.log({ event: 'paymentStepFailed', step: 'settleFault', code });
  });
}

function lost(step: string): Verdict {
  return { kind: 'unknown', reason: `fault:${step}`, responseCode: null };
}

/** The order is open, and this channel was given it, not too long ago. */
async function checkOrder(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const { orderId } = context.sealed.expose();
  const order = await payableOrder(ports, orderId);
  strike(ports, order.fault, ['seal']);
  const issued = context.peer.signedOrders.get(orderId);
  if (!issued) {
    throw new GatewayError('ERR_ORDER_UNSIGNED', 'the order was not asked for on this channel');
  }
  if (issued.atMs + ports.profile.signedOrderLifetimeMs <= ports.clock.nowMs()) {
    throw new GatewayError('ERR_ORDER_STALE', 'the order was signed too long ago; ask again');
  }
  const facts = { orderId, amountMinor: String(order.amountMinor) };
  const ordered: HopRecord = {
    n: Hop.order,
    name: 'order',
    party: 'gateway',
    atMs: order.createdAtMs,
    facts,
  };
  return { order, signedOrder: issued.order, hops: [ordered, ...context.hops] };
}

/** Element, code, channel, order and card data under the element's own key. */
async function verifyAttestation(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const order = known(context.signedOrder);
  const payment = context.sealed.expose();
  return { attestation: checkAttestation(ports, context.peer, { payment, order }) };
}

async function checkCard(
  { parameters }: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const payment = context.sealed.expose();
  const tapLimitMinor = (await parameters?.tapLimitMinor()) ?? TAP_LIMIT_MINOR;
  const field55 = checkCardData(payment, known(context.signedOrder), tapLimitMinor);
  checkAttestedVerification(payment, field55);
  return { field55: new Secret(field55) };
}

/** The installation's own rules. A refusal is in the decision log before it is told. */
async function assessRisk(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const { pan } = context.sealed.expose();
  const { elementId } = context.peer;
  const decision = await ports.risk?.assess({ order: known(context.order), elementId, pan });
  if (decision?.decision !== 'refused') return {};
  const { decisionId } = decision;
  throw new GatewayError('ERR_RISK_REFUSED', 'a risk rule refused the payment', { decisionId });
}

async function readyLine(ports: GatewayPorts): Promise<Partial<PaymentContext>> {
  const keys = ports.line.keys();
  if (keys) return { keys };
  throw new GatewayError('ERR_SWITCH_UNAVAILABLE', 'the line to the switch is not established');
}

/** ISO 9564-1 format 4 under the element's DUKPT key -> format 0 under the line's PIN key. */
async function translatePin(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const { pin, pan } = context.sealed.expose();
  if (pin === null) return { pin: null };
  const counter = pinCounterOf(pin.ksn, context.peer.initialKeyId);
  const translated = await ports.hsm
    .call({
      command: 'translatePin',
      from: { key: ports.profile.baseKey, format: 4, ksn: pin.ksn },
      toKey: known(context.keys).pin,
      pan,
      pinBlock: pin.block,
    })
    .catch((cause: unknown) => {
      throw new GatewayError('ERR_HSM_UNAVAILABLE', 'the PIN was not translated', {}, cause);
    });
  return { pin: { block: translated.pinBlock, counter } };
}

/** The complete 0200 or 0100 with its trace numbers and MAC. */
async function enrich(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const { hsm, clock, store } = ports;
  const payment = context.sealed.expose();
  const signedOrder = known(context.signedOrder);
  const stan = await store.nextStan();
  const now = localTime(clock.nowMs());
  const pin = context.pin ?? null;
  const original: OriginalRequest = {
    kind: transactionKindOf(known(context.order)),
    pan: payment.pan,
    panSequenceNumber: payment.panSequenceNumber,
    amount: signedOrder.amountMinor.padStart(12, '0'),
    transmission: now.transmission,
    stan,
    localTime: signedOrder.timeHhmmss,
    localDate: signedOrder.dateYymmdd.slice(2),
    entryMode: entryModeOf({ interface: payment.interface, withPin: pin !== null }),
    retrievalReference: now.yearDayHour + stan,
    currency: signedOrder.currency,
    field55: reversalField55(known(context.field55).expose()),
  };
  const { expiryYymm, track2, field55 } = payment;
  const extras = { expiryYymm, track2, field55, pinBlock: pin?.block ?? null };
  const acceptor = await acceptorOf(ports, signedOrder.merchantId);
  joinTrace(traceIdOfParts({ ...original, acquirer: acceptor.acquirerId }));
  const request = buildRequest(acceptor, original, extras);
  const sealed = await withMac(hsm, known(context.keys).mac, request).catch((cause: unknown) => {
    throw new GatewayError('ERR_HSM_UNAVAILABLE', 'the request got no MAC', {}, cause);
  });
  const message = context.order?.fault === 'flip-mac' ? flipMacBit(sealed) : sealed;
  return { original: new Secret(original), message };
}

function transactionKindOf({ kind, captureMode }: Order): OriginalRequest['kind'] {
  if (kind === 'ecashLoad') return 'designatedLoad';
  return captureMode === 'manual' ? 'preAuthorisation' : 'sale';
}

/** THE commit point: from the durable `sending` row on, the payment is unknown until answered. */
async function commit(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const { clock, random, profile, store, vault } = ports;
  const { peer } = context;
  const order = known(context.order);
  const original = known(context.original).expose();
  const nowMs = clock.nowMs();
  if (!peer.isOpen()) {
    throw new GatewayError('ERR_CHANNEL_LOST', 'the channel closed before the payment was sent');
  }
  const payment: Payment = {
    paymentId: uuidv7(clock, random),
    orderId: order.orderId,
    elementId: peer.elementId,
    interface: context.sealed.expose().interface,
    state: 'sending',
    amountMinor: order.amountMinor,
    currency: order.currency,
    panMasked: maskPan(original.pan),
    card: cardFactsOf(context.sealed.expose(), known(context.field55).expose()),
    stan: original.stan,
    retrievalReference: original.retrievalReference,
    transmission: original.transmission,
    sealedOriginal: vault.seal(JSON.stringify(original)),
    responseCode: null,
    approvalCode: null,
    issuer: null,
    second: null,
    secondType: null,
    tsi: null,
    settlementDate: null,
    reason: null,
    deadlineMs: nowMs + profile.switchTimeoutMs + SENDING_GRACE_MS,
    sequence: 0,
    hops: context.hops,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
  const begun = await store.beginPayment(payment, {
    nowMs,
    pinCounter: context.pin?.counter ?? null,
    attestation: known(context.attestation),
  });
  if (begun.refused !== null) throw await commitRefusal(ports, context, begun);
  return { payment, hops: [] };
}

async function commitRefusal(
  ports: GatewayPorts,
  { peer, attestation }: PaymentContext,
  refusal: BeginRefusal,
): Promise<GatewayError> {
  switch (refusal.refused) {
    case 'counter':
    case 'loadFile':
    case 'parameters':
      return refuseAttestation(ports, { peer, kept: known(attestation), refusal });
    case 'order':
      return (
        refusalOf(refusal.status) ?? new GatewayError('ERR_ORDER_BUSY', 'the order is not free')
      );
    case 'pinCounter':
      return new GatewayError('ERR_PIN_KSN', 'the PIN key was used before');
    case 'element':
      return new GatewayError('ERR_ELEMENT_LOCKED', 'the element is locked');
    case 'trace':
      return new GatewayError('ERR_TRACE_NUMBER', 'the trace number is taken; try again');
  }
}

async function send(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const { paymentId, stan, retrievalReference } = known(context.payment);
  const request = reachHop(ports, {
    n: Hop.request,
    name: 'request',
    facts: { paymentId, mti: known(context.message).mti, stan, retrievalReference },
  });
  const hops = [...context.hops, request];
  const { fault } = known(context.order);
  strike(ports, fault, ['request']);
  const sending = ports.line.send(known(context.message), ports.profile.switchTimeoutMs);
  if (fault === null) return { answer: await sending, hops };
  ports.clock.startTimer(LEAVE_MS, () => strike(ports, fault, HOPS_BEFORE_RETURN));
  return { answer: await sending, hops };
}

async function judge(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const verdict = await judgeAnswer({
    hsm: ports.hsm,
    macKey: known(context.keys).mac,
    request: known(context.message),
    answer: known(context.answer),
  });
  const { paymentId } = known(context.payment);
  const { kind, responseCode } = verdict;
  const facts = { paymentId, verdict: kind, responseCode };
  const returned = reachHop(ports, { n: Hop.return, name: 'return', facts });
  strike(ports, known(context.order).fault, ['return']);
  return { verdict, hops: [...context.hops, returned] };
}

async function settle(
  ports: GatewayPorts,
  context: PaymentContext,
): Promise<Partial<PaymentContext>> {
  const order = known(context.order);
  const payment = known(context.payment);
  const verdict = known(context.verdict);
  const settled = await settlePayment(ports, { order, payment, verdict, hops: context.hops });
  const { changed } = settled;
  if (changed?.state === 'authorised') {
    context.peer.authorised.set(payment.paymentId, { order, payment: changed });
  }
  return { verdict: settled.verdict };
}

/** What the application is told; hop 12 is reached when a contact card has something to finish. */
function answerOf(ports: GatewayPorts, context: PaymentContext): GatewayMessage {
  const { paymentId, interface: wire } = known(context.payment);
  const verdict = known(context.verdict);
  if (wire === 'contact') {
    const facts = { paymentId, verdict: verdict.kind, responseCode: verdict.responseCode };
    const finish = reachHop(ports, { n: Hop.finish, name: 'finish', facts });
    context.peer.finishHops.set(paymentId, finish);
    strike(ports, context.order?.fault ?? null, ['finish']);
  }
  if (verdict.kind === 'unknown') {
    const none = { responseCode: verdict.responseCode, issuerAuthenticationData: null };
    return { type: 'authorisation', paymentId, result: 'unknown', ...none, scripts: [] };
  }
  const { responseCode, issuerAuthenticationData, scripts } = verdict;
  const facts = { responseCode, issuerAuthenticationData, scripts };
  return { type: 'authorisation', paymentId, result: 'answered', ...facts };
}

/** A field an earlier step has filled in; its absence is a mistake of the table. */
function known<T>(value: T | undefined): T {
  if (value === undefined) throw new GatewayError('ERR_INTERNAL', 'payment steps out of order');
  return value;
}
