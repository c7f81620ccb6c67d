/**
 * The page library of shops and of the gateway's own pages: pay, load, status. On a page of the
 * gateway it loads the engine, which speaks with the agent; on every other page the payer pays on
 * the gateway's page, for only that one reaches the agent.
 */
import type { TokenWish } from '@tapnpay/protocol/wire';
import type { BalanceEnd } from './balance.ts';
import { type Charged, type PaymentCode, paymentError } from './errors.ts';
import { payHosted, restingState } from './hosted.ts';
import type { Payment, PaymentState } from './model.ts';
import type { PluginStatus } from './pay-order.ts';
import type { TokenEnd } from './token.ts';
import { NO_FACTS } from './transport.ts';

export type { BalanceEnd } from './balance.ts';
export type { Action, Charged, PaymentCode, PaymentError, Stage } from './errors.ts';
export type { Payment, PaymentState } from './model.ts';
export type { PluginStatus } from './pay-order.ts';
export type { NeedName, StateName } from './states.ts';
export type { TokenEnd } from './token.ts';
export type { PluginFacts } from './transport.ts';

/** What a payment tells while it runs, and how it can be broken off. */
export type PayOptions = {
  /** Hears every state; `acts` for buttons: `show()` opens a blocked window, inside a click. */
  readonly on?: (state: PaymentState, acts: Pick<Payment, 'show' | 'cancel'>) => void;
  /** Cancels, where a payment still can be; after the seal nothing does. */
  readonly signal?: AbortSignal;
};
/** An order of the gateway, as the shop's server made it. */
export type OrderReference = string | { readonly orderId: string };
/** An intent that was refused. */
export type Refusal = Pick<PaymentState, 'name' | 'error' | 'charged'>;

/** What a page can ask for. Nothing here rejects: every end is a state with its code. */
export interface TapAndPay {
  /**
   * Pays an order; call it inside the payer's click. Resolves with the final state: APPROVED, or
   * the one whose `error` says why not, `charged` always right.
   */
  pay(order: OrderReference, options?: PayOptions): Promise<PaymentState>;
  /** Fills the purse of the payer's card: the same for an order that is a load. @see PBOC3 P13 */
  load(order: OrderReference, options?: PayOptions): Promise<PaymentState>;
  /**
   * The e-cash balance of a card, with the person's yes in the agent's window; call it inside a
   * click. Resolves with BALANCE_READ and `balance`, or with the state whose `error` says why not;
   * nothing is ever charged. Only on pages of the gateway: others get `TP_ORIGIN_NOT_ALLOWED`.
   */
  balance(options?: PayOptions & { readonly agentUrl?: string }): Promise<BalanceEnd>;
  /**
   * A dynamic token of a card (动态令牌), with the person's yes in the agent's window, which shows
   * what is signed; call it inside a click. Resolves with TOKEN_MADE and the digits in `token`,
   * which the page's server has the issuer verify, or with the state whose `error` says why not.
   * A wish that no card takes is `TP_BAD_ARGUMENT`. Only on pages of the gateway.
   */
  token(
    options?: PayOptions & { readonly agentUrl?: string; readonly wish?: TokenWish },
  ): Promise<TokenEnd>;
  /**
   * Extension, host, element, readers and versions, and the first thing that is missing.
   * `agentUrl`: where the agent's loopback service is looked for, as an order's view has it.
   */
  status(options?: { readonly agentUrl?: string }): Promise<PluginStatus>;
}

/** A token over nothing. */
const PLAIN: TokenWish = { mode: 'plain' };

/** The library for the gateway at `gatewayUrl`; without one, for the page's own origin. */
export function createTapAndPay(options: { readonly gatewayUrl?: string } = {}): TapAndPay {
  const { gatewayUrl = location.origin } = options;
  const isHere = new URL(gatewayUrl).origin === location.origin;
  // Loaded before the click, which would not wait long for it.
  const engine = isHere ? import('./pay-order.ts') : null;
  engine?.catch(() => {});
  let running: string | null = null;

  const pay = async (order: OrderReference, wishes: PayOptions = {}): Promise<PaymentState> => {
    const orderId = typeof order === 'string' ? order : order.orderId;
    if (running !== null) {
      // Of the order that is being paid nobody knows yet.
      return refused('TP_ACTION_PENDING', running, running === orderId ? 'unknown' : 'no');
    }
    running = orderId;
    try {
      const how = { ...wishes, orderId, gatewayUrl };
      return await (engine ? (await engine).payOrder(how) : payHosted(how));
    } catch (fault) {
      return refused('TP_NETWORK', String(fault), 'no');
    } finally {
      running = null;
    }
  };
  /** One look at a time, beside no payment, on a page of the gateway. */
  const lookOnce = async <End>(
    name: 'balance' | 'token',
    refuse: (code: PaymentCode, detail: string) => End,
    run: () => Promise<End>,
  ): Promise<End> => {
    if (running !== null) return refuse('TP_ACTION_PENDING', running);
    if (!engine) return refuse('TP_ORIGIN_NOT_ALLOWED', location.origin);
    running = name;
    try {
      return await run();
    } catch (fault) {
      return refuse('TP_NETWORK', String(fault));
    } finally {
      running = null;
    }
  };
  const balance: TapAndPay['balance'] = ({ agentUrl = '', ...wishes } = {}) =>
    lookOnce('balance', noBalance, async () => {
      const { readBalance } = await import('./balance.ts');
      return readBalance({ ...wishes, gatewayUrl, agentUrl });
    });
  const token: TapAndPay['token'] = ({ agentUrl = '', wish = PLAIN, ...wishes } = {}) =>
    lookOnce('token', noToken, async () => {
      if (!isWish(wish)) return noToken('TP_BAD_ARGUMENT', 'wish');
      const { makeToken } = await import('./token.ts');
      return makeToken(wish, { ...wishes, gatewayUrl, agentUrl });
    });
  return {
    pay,
    load: pay,
    balance,
    token,
    status: async ({ agentUrl = '' } = {}) => {
      const own = engine && (await engine.catch(() => null));
      if (own) return own.statusOf(gatewayUrl, agentUrl);
      const problem = paymentError('TP_ORIGIN_NOT_ALLOWED', 'no', location.origin);
      return { ...NO_FACTS, problem };
    },
  };
}

function noBalance(code: PaymentCode, detail: string): BalanceEnd {
  return { ...refused(code, detail, 'no'), balance: null };
}

function noToken(code: PaymentCode, detail: string): TokenEnd {
  return { ...refused(code, detail, 'no'), token: null };
}

/** Whether an agent would take it; said here, where the page's author reads it. */
function isWish(wish: TokenWish): boolean {
  if (wish.mode === 'plain') return true;
  if (wish.mode === 'challenge') return /^[0-9]{1,8}$/.test(wish.challenge);
  const { mode, data } = wish;
  if (mode !== 'sign' || !Array.isArray(data) || data.length < 1 || data.length > 4) return false;
  return data.every((text) => typeof text === 'string' && /^[\x20-\x7e]{1,40}$/.test(text));
}

function refused(code: PaymentCode, detail: string, charged: Charged): PaymentState {
  return restingState('INTERRUPTED', { charged, error: paymentError(code, charged, detail) });
}
