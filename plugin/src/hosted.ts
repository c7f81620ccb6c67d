/** Paying from a shop's own page: the gateway's page in a window, its order followed from here. */
import { PAY_PAGE, type PayOrderView } from '@tapnpay/protocol/wire';
import { afterMs } from './browser.ts';
import { paymentCodeOf, paymentError } from './errors.ts';
import { type GatewayClient, GatewayFault, gatewayClient } from './gateway.ts';
import type { PayOptions } from './index.ts';
import { BLANK, type PaymentState } from './model.ts';
import { endOf } from './settle.ts';

/** Between two looks at an order that is paid elsewhere. */
const FOLLOW_MS = 2_000;

/** What it takes of its surroundings; tests give their own. */
export type HostedPorts = {
  readonly gateway: Pick<GatewayClient, 'order'>;
  /** Null when the browser blocks it. */
  openWindow(url: string): unknown;
  after(ms: number, call: () => void): () => void;
};

/** Opens the gateway's page, inside the click, and resolves with the order's end. */
export async function payHosted(
  options: PayOptions & { readonly orderId: string; readonly gatewayUrl: string },
  ports: HostedPorts = realPorts(options.gatewayUrl),
): Promise<PaymentState> {
  const { orderId, gatewayUrl, on, signal } = options;
  let state: PaymentState = restingState('AT_GATEWAY', { isRunning: true });
  const tell = (change: Partial<PaymentState>): void => {
    state = { ...state, ...change };
    on?.(state, acts);
  };
  const acts = {
    show: (): void => {
      const url = `${gatewayUrl}${PAY_PAGE}/${encodeURIComponent(orderId)}`;
      tell({ isBlocked: ports.openWindow(url) === null });
    },
    // The payer's to do, on the page that they are on.
    cancel: (): void => {},
  };
  acts.show();
  while (state.isRunning && !signal?.aborted) {
    tell(await ports.gateway.order(orderId).then(changeOf, changeOfFault));
    if (state.isRunning) await pause(ports, signal);
  }
  // Whoever does not wait for the end does not know it.
  return state.isRunning ? { ...state, isRunning: false, charged: 'unknown' } : state;
}

/** A state of no running payment; `change` makes another of it. */
export function restingState(
  name: PaymentState['name'],
  change: Partial<PaymentState> = {},
): PaymentState {
  return {
    ...BLANK,
    name,
    order: null,
    charged: 'unknown',
    isRunning: false,
    canStart: false,
    canCancel: false,
    plugin: null,
    ...change,
  };
}

function changeOf(order: PayOrderView): Partial<PaymentState> {
  const before = order.payment?.paymentId ?? null;
  const end = endOf(order, { before, ending: null, isSealed: false });
  if (typeof end === 'string') {
    const error = paymentError('TP_RESULT_UNKNOWN', 'unknown', order.status);
    return { order, name: 'UNKNOWN', charged: 'unknown', error };
  }
  const { name, code } = end;
  if (name === 'READY') return { order, name: 'AT_GATEWAY', charged: 'no', error: null };
  const charged = name === 'APPROVED' ? 'yes' : 'no';
  const error = code === undefined ? null : paymentError(code, charged, order.status);
  return { order, name, charged, error, isRunning: false };
}

function changeOfFault(fault: unknown): Partial<PaymentState> {
  const code = paymentCodeOf(fault instanceof GatewayFault ? fault.code : 'ERR_NETWORK');
  if (code === 'TP_BAD_ARGUMENT') {
    const error = paymentError(code, 'no', String(fault));
    return { name: 'INTERRUPTED', charged: 'no', error, isRunning: false };
  }
  return { charged: 'unknown', error: paymentError('TP_NETWORK', 'unknown', String(fault)) };
}

/** Until the next look, or until nobody waits any more. */
function pause({ after }: HostedPorts, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done) => {
    const stop = after(FOLLOW_MS, done);
    signal?.addEventListener('abort', () => {
      stop();
      done();
    });
  });
}

function realPorts(gatewayUrl: string): HostedPorts {
  return {
    gateway: gatewayClient(gatewayUrl),
    openWindow: (url) => window.open(url, '_blank'),
    after: afterMs,
  };
}
