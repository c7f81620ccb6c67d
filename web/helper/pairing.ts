/** Asks the agent to know this browser, and hands a page's token to the page that opened us. */
import {
  AGENT_PAIRING_PATH,
  type PairedMessage,
  type PairingGrant,
  type PairingRequest,
} from '@tapnpay/protocol/wire';
import type { HelperKey } from './texts.ts';

/** What the agent said to a pairing request. */
export type PairingAnswer =
  | { readonly kind: 'granted'; readonly token: string | null }
  /** `text` is for the person; `code` is the agent's. */
  | { readonly kind: 'refused'; readonly text: HelperKey; readonly code: string }
  | { readonly kind: 'away' };

/** How a page asks to be known, and serves the page of `origin` that opened it. */
export type Pairing = {
  readonly origin: string | null;
  /** Whether a page waits for its token. */
  readonly isAsked: boolean;
  /** Null asks whether this browser is known already. */
  request(code: string | null): Promise<PairingAnswer>;
  /** True when the page that waits was given its token. */
  handOver(token: string | null): boolean;
};

const REFUSALS: ReadonlyMap<string, HelperKey> = new Map(
  Object.entries({
    ERR_NOT_PAIRED: 'pairingNeeded',
    ERR_PAIRING_CODE: 'pairingWrong',
    ERR_PAIRING_TRIES: 'pairingTries',
    ERR_ORIGIN: 'pairingOrigin',
  } as const),
);
const TOO_MANY_REQUESTS = 429;

/** One request; never throws. */
export async function requestPairing(
  request: PairingRequest,
  send: typeof fetch = fetch,
): Promise<PairingAnswer> {
  let response: Response;
  try {
    response = await send(AGENT_PAIRING_PATH, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
  } catch {
    return { kind: 'away' };
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return grantOf(body);
  return refusalOf(response.status, body, request.code === null);
}

function grantOf(body: unknown): PairingAnswer {
  const token = (body as PairingGrant | null)?.token;
  if (typeof token === 'string' || token === null) return { kind: 'granted', token };
  return { kind: 'refused', text: 'pairingOther', code: 'ERR_ANSWER' };
}

/** The body is an `ErrorBody`, bare or as `error`. */
function refusalOf(status: number, body: unknown, isWithoutCode: boolean): PairingAnswer {
  const bare = body as { code?: unknown; error?: { code?: unknown } } | null;
  const said = bare?.error?.code ?? bare?.code;
  const code = typeof said === 'string' ? said : `HTTP ${status}`;
  const known = REFUSALS.get(code);
  if (known === 'pairingWrong' && isWithoutCode) {
    return { kind: 'refused', text: 'pairingNeeded', code };
  }
  if (known) return { kind: 'refused', text: known, code };
  if (status === TOO_MANY_REQUESTS) return { kind: 'refused', text: 'pairingTries', code };
  if (isWithoutCode && (status === 401 || status === 403)) {
    return { kind: 'refused', text: 'pairingNeeded', code };
  }
  return { kind: 'refused', text: 'pairingOther', code };
}

/** Whether the agent knows this browser; an agent that answers anything else counts as away. */
export async function askPaired(
  send: typeof fetch = fetch,
): Promise<'paired' | 'notPaired' | 'away'> {
  const answer = await requestPairing({ code: null, origin: null }, send);
  if (answer.kind === 'granted') return 'paired';
  return answer.kind === 'refused' && answer.text === 'pairingNeeded' ? 'notPaired' : 'away';
}

/** Gives the token to the opener, readable only for a page of exactly that origin. */
export function handOver(
  opener: Pick<Window, 'postMessage'> | null,
  origin: string | null,
  token: string | null,
): boolean {
  if (opener === null || origin === null || token === null) return false;
  const message: PairedMessage = { type: 'tapnpay-paired', token };
  opener.postMessage(message, origin);
  return true;
}
