/** One payment without a browser against a running system: order, element, card, truth. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ElementProcess,
  enrolElement,
  httpManagerCaller,
  type PaymentApdu,
  payWithElement,
  startElement,
  tcpRelay,
} from '@tapnpay/agent';
import { errorBody, toHex } from '@tapnpay/protocol/bytes';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import { type ElementPayResult, GATEWAY_SERVER_NAME, type HopRecord } from '@tapnpay/protocol/wire';
import { elementConfig } from '../system/element.ts';
import { managerUrlOf, type SystemConfig, urlOf } from '../system/layout.ts';
import { type TapDocument, tapDocument } from './document.ts';
import {
  GatewayClient,
  type OrderKind,
  type OrderView,
  type PaymentView,
} from './gateway-client.ts';
import { hopsSince, markLogs, openTapLog } from './party-log.ts';
import type { TapCard } from './tap-card.ts';
import { TapPerson } from './tap-person.ts';

/** How long an unknown payment is watched until it is resolved. */
const RESOLVE_TIMEOUT_MS = 60_000;
const RESOLVE_PAUSE_MS = 200;
/** How long a manager is waited for that is being started. */
const MANAGER_TIMEOUT_MS = 30_000;
const MANAGER_PAUSE_MS = 200;
const ID_BYTES = 8;

/** What `tap` was asked for. */
export type TapRequest = {
  readonly system: SystemConfig;
  /** A purchase when nothing is said. */
  readonly kind?: OrderKind;
  readonly amount: string;
  readonly currency: string;
  /** Given back when the payment has ended. */
  readonly card: TapCard;
  readonly pin: string | null;
  readonly fault: string | null;
  /** Where the merchant wants to be told. */
  readonly notifyUrl: string | null;
  readonly onApdu?: (record: PaymentApdu) => void;
};

/**
 * Starts the command's own element of a system, so that it runs beside the agent's. Its manager has
 * its say, and the first time installs the payment application; then the gateway enrols it.
 */
export async function openElement(
  system: SystemConfig,
  gateway: GatewayClient,
  folder = 'element-tap',
): Promise<ElementProcess> {
  const element = await startElement(elementConfig(system.dataDir, folder));
  try {
    const managerUrl = managerUrlOf(system);
    if (managerUrl !== null) await callManager(element, managerUrl);
    if (element.state !== 'notEnrolled') return element;
    const pairingCode = await gateway.pairingCode();
    await enrolElement({ element, gatewayUrl: urlOf(system, 'gatewayHttp'), pairingCode });
    return element;
  } catch (fault) {
    await element.close();
    throw fault;
  }
}

/** A manager that has just been started is waited for, but by an element that can pay already. */
async function callManager(element: ElementProcess, managerUrl: string): Promise<void> {
  const manager = httpManagerCaller({ managerUrl, isAnnounced: true, pause });
  const deadlineMs = systemClock.nowMs() + MANAGER_TIMEOUT_MS;
  for (;;) {
    try {
      await manager.call(element);
      return;
    } catch (fault) {
      if (errorBody(fault).code !== 'ERR_MANAGER_HTTP') throw fault;
      const isInstalled = element.card !== null && element.card.paymentApplication !== 'absent';
      if (isInstalled) return;
      if (systemClock.nowMs() > deadlineMs) throw fault;
      await pause(MANAGER_PAUSE_MS);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => void systemClock.startTimer(ms, () => done()));
}

/**
 * Runs the payment and waits until what happened to the money is known.
 * @throws TapError of gateway and element.
 */
export async function runTap(request: TapRequest): Promise<TapDocument> {
  const { system } = request;
  const gateway = new GatewayClient({ url: urlOf(system, 'gatewayHttp'), dataDir: system.dataDir });
  const mark = markLogs(system.dataDir);
  const startedMs = systemClock.nowMs();
  const order = await createOrder(gateway, request);
  const hops: HopRecord[] = [];
  const result = await payOrder({ request, gateway, order, hops });
  const resolved = await resolvePayment(gateway, order.orderId, result);
  const { payment } = resolved;
  const references = [order.orderId, ...(payment ? [payment.retrievalReference] : [])];
  const elsewhere = hopsSince(system.dataDir, mark, references);
  return tapDocument({
    order: resolved.order,
    payment,
    result,
    interface: result.interface ?? request.card.interface,
    resolution: resolved.resolution,
    hops: [...hops, ...(payment?.hops ?? []), ...elsewhere],
    startedMs,
    totalMs: systemClock.nowMs() - startedMs,
  });
}

function createOrder(gateway: GatewayClient, request: TapRequest): Promise<OrderView> {
  const id = toHex(systemRandom.bytes(ID_BYTES)).toLowerCase();
  const { kind = 'purchase', amount, currency, notifyUrl, fault } = request;
  return gateway.createOrder({
    kind,
    idempotencyKey: `tap-${id}`,
    merchantOrderNumber: `T${id}`,
    amount,
    currency,
    notifyUrl,
    fault: fault !== null && isGatewayFault(fault) ? fault : null,
  });
}

/** Faults that the gateway plays itself; the others are the card's. */
export function isGatewayFault(fault: string): boolean {
  return fault === 'flip-mac' || fault.startsWith('kill-gateway@');
}

/** The issuer of a lab loses its next answer: after the posting, before the wire. */
function askForLostAnswer(dataDir: string): void {
  mkdirSync(join(dataDir, 'lab'), { recursive: true });
  writeFileSync(join(dataDir, 'lab', 'issuer-drop-reply'), '1');
}

async function payOrder(facts: {
  readonly request: TapRequest;
  readonly gateway: GatewayClient;
  readonly order: OrderView;
  readonly hops: HopRecord[];
}): Promise<ElementPayResult> {
  const { request, gateway, order, hops } = facts;
  const { system, fault, card } = request;
  if (fault === 'drop-reply') askForLostAnswer(system.dataDir);
  const person = new TapPerson({
    interface: card.interface,
    pin: request.pin,
    present: card.present,
  });
  const log = system.lab ? openTapLog(system.dataDir, order.orderId) : null;
  const element = await openElement(system, gateway);
  try {
    const result = await payWithElement({
      element,
      orderId: order.orderId,
      serverName: GATEWAY_SERVER_NAME,
      openRelay: tcpRelay({ host: '127.0.0.1', port: system.ports.gatewayTls }),
      presentCard: (ask) => person.presentCard(ask),
      enterPin: (ask) => person.enterPin(ask),
      onHop: (record) => {
        hops.push(record);
        log?.onHop(record);
      },
      onApdu: (record) => {
        request.onApdu?.(record);
        log?.onApdu(record);
      },
    });
    const { insertionReason } = person;
    return insertionReason === null ? result : { ...result, reason: insertionReason };
  } finally {
    await element.close();
  }
}

type Resolved = {
  readonly order: OrderView;
  readonly payment: PaymentView | null;
  readonly resolution: string | null;
};

/** Asks the gateway, again and again while the truth is unknown; never runs the card again. */
async function resolvePayment(
  gateway: GatewayClient,
  orderId: string,
  result: ElementPayResult,
): Promise<Resolved> {
  const deadlineMs = systemClock.nowMs() + RESOLVE_TIMEOUT_MS;
  for (;;) {
    const seen = await look(gateway, orderId, result).catch((fault: unknown) => {
      // A gateway that was killed comes back; anything it says itself is final.
      if (errorBody(fault).code !== 'ERR_GATEWAY_DOWN') throw fault;
      return null;
    });
    if (seen && isSettled(seen)) {
      return { ...seen, resolution: result.outcome === 'unknown' ? resolutionOf(seen) : null };
    }
    if (systemClock.nowMs() > deadlineMs) {
      const order = seen?.order ?? (await gateway.order(orderId));
      return { order, payment: seen?.payment ?? null, resolution: null };
    }
    await pause(RESOLVE_PAUSE_MS);
  }
}

async function look(
  gateway: GatewayClient,
  orderId: string,
  result: ElementPayResult,
): Promise<Omit<Resolved, 'resolution'>> {
  const order = await gateway.order(orderId);
  const paymentId = result.paymentId ?? order.paymentId;
  if (paymentId === null) return { order, payment: null };
  const payment = await gateway.payment(paymentId);
  // Read after the payment: its end and the order's state are one step at the gateway.
  return { order: await gateway.order(orderId), payment };
}

function isSettled({ order, payment }: Omit<Resolved, 'resolution'>): boolean {
  if (!payment) return order.status !== 'processing' && order.status !== 'unknown';
  // A load that waits for its card waits for the card's next contact, not for time.
  return ['captured', 'declined', 'reversed', 'debitedNotConfirmed'].includes(payment.status);
}

function resolutionOf({ payment }: Omit<Resolved, 'resolution'>): string {
  if (!payment) return 'notSent';
  return payment.status === 'captured' ? 'approved' : payment.status;
}
