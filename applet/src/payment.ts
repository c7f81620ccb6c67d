/** One payment of the payment application, from the channel to the result that can be told. */
import { toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type { KernelOutcome } from '@tapnpay/protocol/emv/terminal';
import type {
  ApplicationContext,
  ChannelFacts,
  ElementPayResult,
  GatewayMessage,
  HostConversation,
  PayIntent,
  SealedCompletion,
  SignedOrder,
} from '@tapnpay/protocol/wire';
import { GATEWAY_TIMEOUT_MS, GatewayConversation, ISSUER_TIMEOUT_MS } from './communication.ts';
import { NO_PROGRESS, type Progress } from './debit-credit.ts';
import { loadReason } from './ecash.ts';
import { codeOf } from './errors.ts';
import { ask, passHop } from './host.ts';
import { ManagedParameters } from './parameters.ts';
import { acceptCard, type CardEnd, secondOf } from './presentations.ts';
import { verifyOrder } from './security.ts';

type Context = ApplicationContext<CipherProvider>;
type GatewayResult = Extract<GatewayMessage, { type: 'result' }>;
type Ending = Pick<ElementPayResult, 'outcome' | 'reason' | 'charged'>;

/** Runs one payment. What it returns is final or honestly `unknown`; it throws on own defects. */
export function* payOrder(context: Context, intent: PayIntent): HostConversation<ElementPayResult> {
  const gateway = new GatewayConversation();
  let channel: ChannelFacts | null = null;
  let order: SignedOrder;
  let parameters: ManagedParameters;
  try {
    const { elementId } = context;
    const opened = yield* gateway.open({ serverName: intent.serverName, elementId });
    channel = opened.channel;
    yield* passHop('channel', { protocol: channel.protocol, mutual: channel.mutual });
    parameters = yield* ManagedParameters.open(context, gateway, opened);
    order = yield* requestOrder(gateway, intent.orderId);
  } catch (fault) {
    const reason = codeOf(fault);
    const nothing = { outcome: 'cancelled', reason, charged: 'no' } as const;
    const end = { outcome: null, reason, interface: null, progress: NO_PROGRESS };
    return describe({ ending: nothing, end, channel, isSent: false, result: null });
  }
  const end = yield* acceptCard({ context, gateway, order, parameters });
  const { progress } = end;
  if (!progress.sent || progress.authorisation?.result === 'unable') {
    const ending = unsentEnding(end);
    yield* abandon(gateway, order.orderId, ending.reason ?? ending.outcome);
    return describe({ ending, end, channel, isSent: false, result: null });
  }
  const result = yield* finalWord(gateway, end);
  return describe({ ending: sentEnding(order, end, result), end, channel, isSent: true, result });
}

function* requestOrder(
  gateway: GatewayConversation,
  orderId: string,
): HostConversation<SignedOrder> {
  yield* gateway.send({ type: 'orderRequest', orderId });
  const { order } = yield* gateway.expect('signedOrder', GATEWAY_TIMEOUT_MS);
  yield* verifyOrder(order, orderId);
  return order;
}

/** Tells the gateway that nothing will come; should it not hear it, its order simply stays open. */
function* abandon(
  gateway: GatewayConversation,
  orderId: string,
  reason: string,
): HostConversation<void> {
  try {
    yield* gateway.send({ type: 'abandon', orderId, reason });
  } catch (fault) {
    codeOf(fault);
  }
  yield* ask({ call: 'channelClose' });
}

/**
 * Tells how a contact card ended and hears the final word; of a contactless one the gateway has it
 * at once, for the approval is final at the issuer's answer. Null when the channel is lost.
 */
function* finalWord(
  gateway: GatewayConversation,
  end: CardEnd,
): HostConversation<GatewayResult | null> {
  const { authorisation } = end.progress;
  if (authorisation === null) return null;
  try {
    if (end.interface === 'contact') {
      const completion = completionOf(end, authorisation);
      yield* gateway.send({ type: 'completion', completion });
    }
    const result = yield* gateway.expect('result', ISSUER_TIMEOUT_MS);
    const secondType = secondOf(end.outcome)?.type ?? null;
    yield* passHop('confirm', { outcome: result.outcome, secondType });
    yield* ask({ call: 'channelClose' });
    return result;
  } catch (fault) {
    codeOf(fault);
    return null;
  }
}

function completionOf(
  { outcome }: CardEnd,
  authorisation: NonNullable<Progress['authorisation']>,
): SealedCompletion {
  const isApproved = outcome?.outcome === 'approved' && authorisation.result === 'answered';
  const second = secondOf(outcome);
  return {
    paymentId: authorisation.paymentId,
    secondType: second?.type ?? null,
    second: second?.value ?? null,
    tvr: toHex(outcome?.tvr ?? new Uint8Array(5)),
    tsi: toHex(outcome?.tsi ?? new Uint8Array(2)),
    scriptResults: (outcome?.scriptResults ?? []).map(toHex).join(''),
    outcome: isApproved ? 'approved' : 'declined',
  };
}

/** The sealed payment did not leave, or the gateway sent nothing: nothing can be charged. */
function unsentEnding({ outcome, reason, progress }: CardEnd): Ending {
  const { fault, sent } = progress;
  if (fault !== null) return { outcome: 'cancelled', reason: fault.code, charged: 'no' };
  if (sent) return { outcome: 'cancelled', reason: 'gateway:unable', charged: 'no' };
  const isDeclined = outcome?.outcome === 'declined' || outcome?.outcome === 'notAccepted';
  if (isDeclined) return { outcome: 'declined', reason, charged: 'no' };
  // This system captures no offline approval: the gateway never saw it.
  const isOffline = outcome?.outcome === 'approved';
  return { outcome: 'cancelled', reason: isOffline ? 'terminal:offline' : reason, charged: 'no' };
}

/** The gateway has the payment: its word decides, and without it nobody knows. */
function sentEnding(order: SignedOrder, end: CardEnd, result: GatewayResult | null): Ending {
  const { fault } = end.progress;
  if (result === null) {
    return { outcome: 'unknown', reason: fault?.code ?? lostReason(end), charged: 'unknown' };
  }
  const reason = reasonOf(end);
  switch (result.outcome) {
    case 'approved':
      // An approval that the card did not confirm is a contradiction, and no paid order.
      if (end.outcome?.outcome === 'approved') {
        return { outcome: 'approved', reason: null, charged: 'yes' };
      }
      return { outcome: 'unknown', reason, charged: 'unknown' };
    case 'declined':
    case 'reversed':
      return { outcome: 'declined', reason, charged: 'no' };
    case 'cancelled':
      return { outcome: 'cancelled', reason, charged: 'no' };
    case 'unknown': {
      const isAnswered = end.progress.authorisation?.result === 'answered';
      const loading = isAnswered ? loadReason(order, end.outcome) : null;
      return { outcome: 'unknown', reason: loading ?? reason, charged: 'unknown' };
    }
  }
}

function lostReason({ outcome, reason }: CardEnd): string {
  return outcome?.outcome === 'approved' ? 'ERR_CHANNEL_CLOSED' : reason;
}

/** Who refused: the kernel's word, or the gateway's where the kernel had approved. */
function reasonOf({ outcome, reason, progress, interface: read }: CardEnd): string {
  if (progress.authorisation?.result === 'unknown') return 'gateway:unknown';
  if (outcome?.outcome !== 'approved') return reason;
  return read === 'contact' ? 'gateway:completion' : 'gateway:result';
}

function describe(facts: {
  readonly ending: Ending;
  readonly end: CardEnd;
  readonly channel: ChannelFacts | null;
  readonly isSent: boolean;
  readonly result: GatewayResult | null;
}): ElementPayResult {
  const { outcome, progress } = facts.end;
  const authorisation = facts.isSent ? progress.authorisation : null;
  const second = secondOf(outcome);
  return {
    ...facts.ending,
    interface: facts.end.interface,
    paymentId: authorisation?.paymentId ?? null,
    responseCode: authorisation?.responseCode ?? facts.result?.responseCode ?? null,
    card: cardOf(outcome),
    cryptogram: {
      arqc: hexOrNull(outcome?.arqc?.value),
      arpc: authorisation?.issuerAuthenticationData?.slice(0, 16) ?? null,
      second: second?.value ?? null,
      secondType: second?.type ?? null,
    },
    tvr: toHex(outcome?.tvr ?? new Uint8Array(0)),
    tsi: toHex(outcome?.tsi ?? new Uint8Array(0)),
    cvmResults: toHex(outcome?.cvmResults ?? new Uint8Array(0)),
    dataAuthentication: outcome?.dataAuthentication ?? 'none',
    channel: facts.channel,
  };
}

function cardOf(outcome: KernelOutcome | null): ElementPayResult['card'] {
  if (!outcome?.aid || outcome.panMasked === null) return null;
  return { label: outcome.label ?? '', panMasked: outcome.panMasked, aid: toHex(outcome.aid) };
}

function hexOrNull(value: Uint8Array | undefined): string | null {
  return value === undefined ? null : toHex(value);
}
