/** Which frames of which pages may have a host: said by the browser's facts of who asks. */
import type { NativeFaultCode, NativePage } from '@tapnpay/protocol/wire';
import type { Sender } from '../api.ts';

/** A page that may have a host, or why not. */
export type FrameJudgement =
  | { readonly page: NativePage }
  | { readonly code: NativeFaultCode; readonly detail: string };

/**
 * The sender of a page's port. Pages of a gateway may; other pages' top frames are told so by
 * `ERR_ORIGIN`, all other frames, and every frame of an opaque origin, by `ERR_FRAME_NOT_ALLOWED`.
 */
export function judgeFrame(
  sender: Sender | undefined,
  gatewayOrigins: readonly string[],
): FrameJudgement {
  const { origin, frameId, tab } = sender ?? {};
  if (origin === undefined || origin === 'null' || frameId === undefined) {
    return { code: 'ERR_FRAME_NOT_ALLOWED', detail: 'a frame of an opaque origin' };
  }
  if (gatewayOrigins.includes(origin)) {
    return { page: { origin, tabId: tab?.id ?? NO_TAB, frameId } };
  }
  if (frameId === TOP_FRAME) return { code: 'ERR_ORIGIN', detail: `${origin} is no gateway` };
  return { code: 'ERR_FRAME_NOT_ALLOWED', detail: `a frame of ${origin}` };
}

const TOP_FRAME = 0;
const NO_TAB = -1;

/** Whether a port is of one of the extension's own pages; a content script's URL is its page's. */
export function isOwnPage(sender: Sender | undefined, own: { readonly url: string }): boolean {
  const { url = '' } = sender ?? {};
  if (!url.startsWith(own.url)) return false;
  return /^(?:\?lang=(?:zh|en))?(?:#|$)/.test(url.slice(own.url.length));
}
