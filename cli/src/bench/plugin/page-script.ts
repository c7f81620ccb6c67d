/**
 * What the benchmark's page does, as the text that a browser runs: a page of the gateway, as small
 * as can be, that talks to the extension's content script and carries records to the bridge.
 */
import { AGENT_VERSION, PAY_CHANNEL_PATH } from '@tapnpay/protocol/wire';

/** Name of the page's object. */
export const PAGE_OBJECT = 'tapnpayBench';

/** What a payment of the page came to; times are `Date.now()` of the page. */
export type PagePayment = {
  /** When the page asked for it. */
  readonly askedAtMs: number;
  /** The element's result, or null when it failed with this code. */
  readonly result: { readonly channel: { readonly resumed: boolean } | null } | null;
  readonly code: string | null;
};

/** Expressions to be run in a page that has the script; all answer with promises. */
export const pageCalls = {
  /** Opens the port until the host's welcome; answers when it began. */
  open: (): string => `${PAGE_OBJECT}.open()`,
  /** One payment of an order that nobody has made: it ends after the gateway's welcome. */
  pay: (facts: { readonly session: string; readonly orderId: string }): string =>
    `${PAGE_OBJECT}.pay(${JSON.stringify(facts)})`,
  /** Round trips in milliseconds. `echo`: the same bytes come back, from a host that does that. */
  roundTrips: (facts: {
    readonly session: string;
    readonly bytes: number;
    readonly count: number;
    readonly kind: 'question' | 'echo';
  }): string => `${PAGE_OBJECT}.roundTrips(${JSON.stringify(facts)})`,
  close: (): string => `${PAGE_OBJECT}.close()`,
} as const;

/** Longest wait for one answer of the extension. */
const ANSWER_MS = 20_000;

/** Longest order id. */
const ORDER_ID_CHARACTERS_MAX = 64;

/**
 * A question asks for a payment under a used number, which the host refuses at once. Its bytes are
 * the order id, or where they are too many a frame of records before it that belong to no payment,
 * which the host reads, checks and drops.
 */
export const PAGE_SCRIPT: string = `(() => {
  const channel = crypto.randomUUID();
  let hear = () => {};
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== window || origin !== location.origin) return;
    if (data?.tapnpay === 'toPage' && data.channel === channel) hear(data);
  });
  const post = (body) =>
    window.postMessage({ tapnpay: 'toPlugin', channel, ...body }, location.origin);
  const say = (message) => post({ kind: 'message', message });
  const refusalOf = ({ code, message }) => new Error(code + ': ' + message);
  const until = (take) =>
    new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error('no answer of the extension')), ${ANSWER_MS});
      const end = (settle, value) => {
        clearTimeout(late);
        hear = () => {};
        settle(value);
      };
      hear = (heard) => {
        if (heard.kind === 'lost') end(fail, new Error(heard.code + ': ' + heard.detail));
        else if (heard.message?.type === 'refused') end(fail, refusalOf(heard.message.error));
        else take(heard, (value) => end(done, value));
      };
    });
  const messageOf = (type) => (heard, done) => {
    if (heard.message?.type === type) done(heard.message);
  };
  const open = async () => {
    const openedAtMs = Date.now();
    const greeted = until((heard, done) => heard.kind === 'hello' && done(heard));
    post({ kind: 'open' });
    await greeted;
    const welcomed = until(messageOf('welcome'));
    say({ type: 'hello', version: ${AGENT_VERSION}, token: null });
    await welcomed;
    return { openedAtMs };
  };
  const encode = (buffer) => {
    let text = '';
    for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
    return btoa(text);
  };
  const decode = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const connect = (session) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '${PAY_CHANNEL_PATH}');
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => say({ type: 'channelOpened', session });
    socket.onmessage = ({ data }) =>
      say({ type: 'channelData', session, base64: encode(data) });
    socket.onclose = () => say({ type: 'channelClosed', session });
    return socket;
  };
  const pay = async ({ session, orderId }) => {
    const askedAtMs = Date.now();
    let socket = null;
    const ended = until((heard, done) => {
      const { message } = heard;
      if (message?.session !== session) return;
      if (message.type === 'openChannel') socket = connect(session);
      else if (message.type === 'channelData') socket.send(decode(message.base64));
      else if (message.type === 'channelEnd') socket.close();
      else if (message.type === 'result') done({ result: message.result, code: null });
      else if (message.type === 'failed') done({ result: null, code: message.error.code });
    });
    say({ type: 'pay', session, orderId });
    const end = await ended;
    if (socket) socket.onclose = null;
    socket?.close();
    return { askedAtMs, ...end };
  };
  const roundTrips = async ({ session, bytes, count, kind }) => {
    const base64 = 'A'.repeat(bytes);
    const isShort = bytes <= ${ORDER_ID_CHARACTERS_MAX};
    const orderId = isShort ? base64 : 'none';
    const foreign = crypto.randomUUID();
    const times = [];
    for (let round = 0; round < count; round++) {
      const answered = until(messageOf(kind === 'echo' ? 'channelData' : 'failed'));
      const startedMs = performance.now();
      if (kind === 'echo' || !isShort) say({ type: 'channelData', session: foreign, base64 });
      if (kind === 'question') say({ type: 'pay', session, orderId });
      await answered;
      times.push(performance.now() - startedMs);
    }
    return times;
  };
  globalThis.${PAGE_OBJECT} = { open, pay, roundTrips, close: async () => post({ kind: 'close' }) };
})();`;
