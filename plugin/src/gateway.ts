/** The gateway as a payer's page meets it: an order's view, its cancellation, and the bridge. */
import {
  PAY_CHANNEL_BYTES_MAX,
  PAY_CHANNEL_PATH,
  PAY_ORDER_PATH,
  type PayOrderView,
  type PluginVersions,
} from '@tapnpay/protocol/wire';

/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 8_000;
/** `PLUGIN_VERSIONS_PATH`, whose module would bring its shapes into every page; a test compares. */
export const VERSIONS_PATH = '/v1/plugin';

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
  const order = async (orderId: string, method: string, act = ''): Promise<PayOrderView> => {
    const view = await ask(`${url}${PAY_ORDER_PATH}/${encodeURIComponent(orderId)}${act}`, method);
    if (isView(view) && view.orderId === orderId) return view;
    throw new GatewayFault('ERR_NETWORK', 'no view');
  };
  return {
    order: (orderId) => order(orderId, 'GET'),
    cancel: (orderId) => order(orderId, 'POST', '/cancel'),
    openChannel: (listener) =>
      openChannel(`${url.replace(/^http/, 'ws')}${PAY_CHANNEL_PATH}`, listener),
  };
}

/** The versions that a gateway offers and requires; null when it does not say. */
export async function askVersions(url: string): Promise<PluginVersions | null> {
  try {
    const body = await ask(`${url}${VERSIONS_PATH}`, 'GET');
    const { extension, host, install } = fieldsOf(body);
    return extension && host && install ? (body as PluginVersions) : null;
  } catch {
    // A gateway without an update channel requires nothing.
    return null;
  }
}

async function ask(url: string, method: string): Promise<unknown> {
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
  if (status === 200) return body;
  const { code } = fieldsOf(body);
  // A server's own trouble says nothing about the order.
  const isCoded = status < 500 && typeof code === 'string';
  throw new GatewayFault(isCoded ? code : 'ERR_NETWORK', `${code ?? status}`);
}

function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}

/** The fields that decide and are shown first; the rest is only shown. */
function isView(body: unknown): body is PayOrderView {
  const fields = fieldsOf(body);
  const texts = ['orderId', 'status', 'merchantName', 'currency', 'agentUrl', 'amountMinor'];
  return (
    texts.every((name) => typeof fields[name] === 'string') &&
    /^\d{1,18}$/.test(String(fields['amountMinor'])) &&
    typeof fields['payment'] === 'object'
  );
}

/** The bridge takes and gives binary messages; their bounds mean nothing. */
function openChannel(url: string, listener: ChannelListener): GatewayChannel {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => listener.opened();
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) listener.received(toBase64(new Uint8Array(data)));
  };
  socket.onclose = () => listener.closed();
  return {
    send: (base64) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      const bytes = fromBase64(base64);
      for (let at = 0; at < bytes.length; at += PAY_CHANNEL_BYTES_MAX) {
        socket.send(bytes.subarray(at, at + PAY_CHANNEL_BYTES_MAX));
      }
    },
    close: () => {
      socket.onclose = null;
      socket.close();
    },
  };
}

/** Standard alphabet, padded. */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** @throws DOMException for anything that is not base64. */
export function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
