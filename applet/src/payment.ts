/** One payment of the payment application, from the channel to the result that can be told. */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type { ContactOutcome } from '@tapnpay/protocol/emv/terminal';
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
import { Acceptance, type Progress } from './debit-credit.ts';
import { ask, passHop } from './host.ts';
import { verifyOrder } from './security.ts';

type Context = ApplicationContext<CipherProvider>;
type GatewayResult = Extract<GatewayMessage, { type: 'result' }>;
type Ending = Pick<ElementPayResult, 'outcome' | 'reason' | 'charged'>;

/** What the kernel would say of a card that it never got to the end of. */
type CardEnd = { readonly outcome: ContactOutcome | null; readonly reason: string };

/** Runs one payment. What it returns is final or honestly `unknown`; it throws on own defects. */
export function* payOrder(context: Context, intent: PayIntent): HostConversation<ElementPayResult> {
  const gateway = new GatewayConversation();
  let channel: ChannelFacts | null = null;
  let order: SignedOrder;
  try {
    const { elementId } = context;
    channel = yield* gateway.open({ serverName: intent.serverName, elementId });
    yield* passHop('channel', { protocol: channel.protocol, mutual: channel.mutual });
    order = yield* requestOrder(gateway, intent.orderId);
  } catch (fault) {
    const reason = codeOf(fault);
    const nothing = { outcome: 'cancelled', reason, charged: 'no' } as const;
    return describe({ ending: nothing, end: { outcome: null, reason }, channel, paid: null });
  }
  const acceptance = new Acceptance({ context, gateway, order });
  const end = yield* cardEnd(acceptance);
  const { progress } = acceptance;
  const { authorisation } = progress;
  if (!progress.sent || authorisation?.result === 'unable') {
    const ending = unsentEnding(end, progress);
    yield* abandon(gateway, order.orderId, ending.reason ?? ending.outcome);
    return describe({ ending, end, channel, paid: null });
  }
  const result = yield* complete(gateway, end, progress);
  const paid = { result, progress };
  return describe({ ending: sentEnding(end, paid), end, channel, paid });
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

function* cardEnd(acceptance: Acceptance): HostConversation<CardEnd> {
  try {
    const outcome = yield* acceptance.run();
    return { outcome, reason: outcome.reason };
  } catch (fault) {
    return { outcome: null, reason: codeOf(fault) };
  }
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

/** Tells how the card ended and hears the final word; null when the channel is lost. */
function* complete(
  gateway: GatewayConversation,
  end: CardEnd,
  { authorisation }: Progress,
): HostConversation<GatewayResult | null> {
  if (authorisation === null) return null;
  const { outcome } = end;
  const isApproved = outcome?.outcome === 'approved' && authorisation.result === 'answered';
  const second = secondOf(outcome);
  const completion: SealedCompletion = {
    paymentId: authorisation.paymentId,
    secondType: second?.type ?? null,
    second: second?.value ?? null,
    tvr: toHex(outcome?.tvr ?? new Uint8Array(5)),
    tsi: toHex(outcome?.tsi ?? new Uint8Array(2)),
    scriptResults: (outcome?.scriptResults ?? []).map(toHex).join(''),
    outcome: isApproved ? 'approved' : 'declined',
  };
  try {
    yield* gateway.send({ type: 'completion', completion });
    const result = yield* gateway.expect('result', ISSUER_TIMEOUT_MS);
    yield* passHop('confirm', { outcome: result.outcome, secondType: completion.secondType });
    yield* ask({ call: 'channelClose' });
    return result;
  } catch (fault) {
    codeOf(fault);
    return null;
  }
}

function secondOf(
  outcome: ContactOutcome | null,
): { readonly type: 'TC' | 'AAC'; readonly value: string } | null {
  const second = outcome?.second ?? null;
  if (second === null || (second.type !== 'TC' && second.type !== 'AAC')) return null;
  return { type: second.type, value: toHex(second.value) };
}

/** The sealed payment did not leave, or the gateway sent nothing: nothing can be charged. */
function unsentEnding({ outcome, reason }: CardEnd, { sent, fault }: Progress): Ending {
  if (fault !== null) return { outcome: 'cancelled', reason: fault.code, charged: 'no' };
  if (sent) return { outcome: 'cancelled', reason: 'gateway:unable', charged: 'no' };
  const isDeclined = outcome?.outcome === 'declined' || outcome?.outcome === 'notAccepted';
  if (isDeclined) return { outcome: 'declined', reason, charged: 'no' };
  // This system captures no offline approval: the gateway never saw it.
  const isOffline = outcome?.outcome === 'approved';
  return { outcome: 'cancelled', reason: isOffline ? 'terminal:offline' : reason, charged: 'no' };
}

/** The gateway has the payment: its word decides, and without it nobody knows. */
function sentEnding(
  end: CardEnd,
  { result, progress }: { readonly result: GatewayResult | null; readonly progress: Progress },
): Ending {
  const { fault, authorisation } = progress;
  if (result === null) {
    return { outcome: 'unknown', reason: fault?.code ?? lostReason(end), charged: 'unknown' };
  }
  const reason = reasonOf(end, authorisation);
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
    case 'unknown':
      return { outcome: 'unknown', reason, charged: 'unknown' };
  }
}

function lostReason({ outcome, reason }: CardEnd): string {
  return outcome?.outcome === 'approved' ? 'ERR_CHANNEL_CLOSED' : reason;
}

/** Who refused: the kernel's word, or the gateway's where the kernel had approved. */
function reasonOf({ outcome, reason }: CardEnd, authorisation: Progress['authorisation']): string {
  if (authorisation?.result === 'unknown') return 'gateway:unknown';
  return outcome?.outcome === 'approved' ? 'gateway:completion' : reason;
}

function describe(facts: {
  readonly ending: Ending;
  readonly end: CardEnd;
  readonly channel: ChannelFacts | null;
  readonly paid: { readonly result: GatewayResult | null; readonly progress: Progress } | null;
}): ElementPayResult {
  const { outcome } = facts.end;
  const authorisation = facts.paid?.progress.authorisation ?? null;
  const second = secondOf(outcome);
  return {
    ...facts.ending,
    paymentId: authorisation?.paymentId ?? null,
    responseCode: authorisation?.responseCode ?? facts.paid?.result?.responseCode ?? null,
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

function cardOf(outcome: ContactOutcome | null): ElementPayResult['card'] {
  if (!outcome?.aid || outcome.panMasked === null) return null;
  return { label: outcome.label ?? '', panMasked: outcome.panMasked, aid: toHex(outcome.aid) };
}

function hexOrNull(value: Uint8Array | undefined): string | null {
  return value === undefined ? null : toHex(value);
}

/** The code of a fault in data or a peer. @throws anything else: a defect of our own. */
function codeOf(fault: unknown): string {
  if (fault instanceof TapError) return fault.code;
  throw fault;
}
