/** What passes on the extension's own ports: content script <-> worker <-> window. */
import type {
  AgentMessage,
  NativeFaultCode,
  PageMessage,
  ToPageBody,
  WindowError,
  WindowMessage,
  WindowView,
} from '@tapnpay/protocol/wire';

/** Port of a page's content script; connecting opens the way to a host, disconnecting ends it. */
export const PAGE_PORT = 'page';
/** Port of the extension's window, followed by the number of its page's port. */
export const WINDOW_PORT = 'window#';
/** Message by which a page asks the browser to look for another version of the extension. */
export const UPDATE_MESSAGE = { kind: 'update' } as const;

/** Languages of the extension's own window. */
export type WindowLanguage = 'zh' | 'en';

export function isWindowLanguage(value: unknown): value is WindowLanguage {
  return value === 'zh' || value === 'en';
}

/** Content script -> worker. */
export type PagePortMessage =
  | {
      readonly kind: 'message';
      readonly message: PageMessage;
      /** The page's own now; null when it says none, or another than the window has. */
      readonly language: WindowLanguage | null;
    }
  | { readonly kind: 'show' }
  | { readonly kind: 'doctor' };
/** Worker -> content script, which passes it to the page. */
export type PagePortAnswer = Exclude<ToPageBody, { kind: 'here' }>;

/** How a session ended, for a window whose host is gone. */
export type LastPayment = NonNullable<WindowView['last']>;

/** Window -> worker. */
export type WindowPortMessage = { readonly kind: 'message'; readonly message: WindowMessage };
/** Worker -> window. */
export type WindowPortAnswer =
  | { readonly kind: 'message'; readonly message: WindowView | WindowError }
  /** Nothing more comes: the page closed its port (`code` null), or the host is lost. */
  | {
      readonly kind: 'ended';
      readonly code: NativeFaultCode | null;
      readonly last: LastPayment | null;
    };

/** The end that a message to the page tells of, or null. */
export function lastPaymentOf(message: AgentMessage): LastPayment | null {
  const { type } = message;
  if (type === 'result') {
    const { outcome, reason } = message.result;
    return { session: message.session, outcome, reason };
  }
  if (type === 'balanceResult') {
    const { session, balance, reason } = message;
    return { session, outcome: balance === null ? 'notRead' : 'read', reason };
  }
  if (type === 'tokenResult') {
    const { session, token, reason } = message;
    return { session, outcome: token === null ? 'notMade' : 'made', reason };
  }
  if (type !== 'failed') return null;
  return { session: message.session, outcome: 'failed', reason: message.error.code };
}
