/** The gateway as a payer's page meets it: the order's view, its cancellation, and the bridge. */
import {
  PAY_CHANNEL_BYTES_MAX,
  PAY_CHANNEL_PATH,
  PAY_ORDER_PATH,
  type PayOrderView,
} from '@tapnpay/protocol/wire';
import { fromBase64, toBase64 } from './base64.ts';

/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 8_000;

/** What a page asks of the gateway. */
export interface GatewayClient {
  /** @throws GatewayFault */
  order(orderId: string): Promise<PayOrderView>;
  /** @throws GatewayFault `ERR_ORDER_...` when it cannot be cancelled any more. */
  cancel(orderId: string): Promise<PayOrderView>;
  openChannel(listener: ChannelListener): GatewayChannel;
}
export type ChannelListener = {
  opened(): void;
  received(base64: string): void;
  /** Not told of our own `close`. */
  closed(): void;
};
export type GatewayChannel = { send(base64: string): void; close(): void };

/** The gateway's coded refusal, or `ERR_NETWORK` when it gave none. */
export class GatewayFault extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The client of a gateway at `url`, e.g. `https://pay.example`. */
export function gatewayClient(url: string): GatewayClient {
  const path = (orderId: string) => `${url}${PAY_ORDER_PATH}/${encodeURIComponent(orderId)}`;
  return {
    order: (orderId) => ask(path(orderId), 'GET', orderId),
    cancel: (orderId) => ask(`${path(orderId)}/cancel`, 'POST', orderId),
    openChannel: (listener) =>
      openChannel(`${url.replace(/^http/, 'ws')}${PAY_CHANNEL_PATH}`, listener),
  };
}

async function ask(url: string, method: string, orderId: string): Promise<PayOrderView> {
  let status = 0;
  let body: unknown;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(url, { method, signal, cache: 'no-store' });
    status = response.status;
    body = await response.json();
  } catch (fault) {
    throw new GatewayFault('ERR_NETWORK', String(fault));
  }
  if (status !== 200) throw refusalOf(status, body);
  if (!isView(body) || body.orderId !== orderId) {
    throw new GatewayFault('ERR_NETWORK', 'no view');
  }
  return body;
}

function refusalOf(status: number, body: unknown): GatewayFault {
  const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : null;
  // A server's own trouble says nothing about the order.
  if (status >= 500 || typeof code !== 'string')
    return new GatewayFault('ERR_NETWORK', `${status}`);
  return new GatewayFault(code, code);
}

/** The fields that decide and are shown first; the rest is only shown. */
function isView(body: unknown): body is PayOrderView {
  if (typeof body !== 'object' || body === null) return false;
  const view = body as Partial<Record<keyof PayOrderView, unknown>>;
  const texts = [view.orderId, view.status, view.merchantName, view.currency, view.agentUrl];
  const isPayment = typeof view.payment === 'object';
  const isAmount = typeof view.amountMinor === 'string' && /^\d{1,18}$/.test(view.amountMinor);
  return isAmount && isPayment && texts.every((text) => typeof text === 'string');
}

/** The bridge takes and gives binary messages; their bounds mean nothing. */
function openChannel(url: string, listener: ChannelListener): GatewayChannel {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  let isOurs = false;
  socket.onopen = () => listener.opened();
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) listener.received(toBase64(new Uint8Array(data)));
  };
  socket.onclose = () => {
    if (!isOurs) listener.closed();
  };
  return {
    send: (base64) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      const bytes = fromBase64(base64);
      for (let at = 0; at < bytes.length; at += PAY_CHANNEL_BYTES_MAX) {
        socket.send(bytes.subarray(at, at + PAY_CHANNEL_BYTES_MAX));
      }
    },
    close: () => {
      isOurs = true;
      socket.close();
    },
  };
}
