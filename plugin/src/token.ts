/**
 * A dynamic token (动态令牌) of a card, as a look: the digits are for this page, which has its server
 * ask the issuer whether they are right. Not certified; no Q/CUP 047.3.
 */
import type { TokenWish } from '@tapnpay/protocol/wire';
import { type LookKind, type LookOptions, type LookPorts, look } from './look.ts';
import type { PaymentState } from './model.ts';

/** How it ended: TOKEN_MADE with the digits, or the state whose `error` says why not. */
export type TokenEnd = PaymentState & { readonly token: string | null };

/** Makes one; never rejects. */
export async function makeToken(
  wish: TokenWish,
  options: LookOptions,
  ports?: LookPorts,
): Promise<TokenEnd> {
  const kind: LookKind<string> = {
    ask: (session) => ({ type: 'token', session, wish }),
    read: (message) =>
      message.type === 'tokenResult' ? { value: message.token, reason: message.reason } : null,
    found: 'TOKEN_MADE',
  };
  const { state, value } = await look(kind, options, ports);
  return { ...state, token: value };
}
