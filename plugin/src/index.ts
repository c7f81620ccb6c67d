/**
 * The page library of shops and of the gateway's own pages: pay, load, status. On a page of the
 * gateway it loads the engine, which speaks with the agent; on every other page the payer pays on
 * the gateway's page, for only that one reaches the agent.
 */
import type { BalanceEnd } from './balance.ts';
import { type Charged, type PaymentCode, paymentError } from './errors.ts';
import { payHosted, restingState } from './hosted.ts';
import type { Payment, PaymentState } from './model.ts';
import type { PluginStatus } from './pay-order.ts';
import { NO_FACTS } from './transport.ts';

export type { BalanceEnd } from './balance.ts';
export type { Action, Charged, PaymentCode, PaymentError, Stage } from './errors.ts';
export type { Payment, PaymentState } from './model.ts';
export type { PluginStatus } from './pay-order.ts';
export type { NeedName, StateName } from './states.ts';
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
  /** A dynamic token of a card: no agent offers it yet, `TP_ACTION_UNSUPPORTED`. */
  token(options?: PayOptions): Promise<Refusal>;
  /**
   * Extension, host, element, readers and versions, and the first thing that is missing.
   * `agentUrl`: where the agent's loopback service is looked for, as an order's view has it.
   */
  status(options?: { readonly agentUrl?: string }): Promise<PluginStatus>;
}

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
  const balance: TapAndPay['balance'] = async ({ agentUrl = '', ...wishes } = {}) => {
    const refuse = (code: PaymentCode, detail: string): BalanceEnd => ({
      ...refused(code, detail, 'no'),
      balance: null,
    });
    if (running !== null) return refuse('TP_ACTION_PENDING', running);
    if (!engine) return refuse('TP_ORIGIN_NOT_ALLOWED', location.origin);
    running = 'balance';
    try {
      const { readBalance } = await import('./balance.ts');
      return await readBalance({ ...wishes, gatewayUrl, agentUrl });
    } catch (fault) {
      return refuse('TP_NETWORK', String(fault));
    } finally {
      running = null;
    }
  };
  return {
    pay,
    load: pay,
    balance,
    token: async () => refused('TP_ACTION_UNSUPPORTED', 'token', 'no'),
    status: async ({ agentUrl = '' } = {}) => {
      const own = engine && (await engine.catch(() => null));
      if (own) return own.statusOf(gatewayUrl, agentUrl);
      const problem = paymentError('TP_ORIGIN_NOT_ALLOWED', 'no', location.origin);
      return { ...NO_FACTS, problem };
    },
  };
}

function refused(code: PaymentCode, detail: string, charged: Charged): PaymentState {
  return restingState('INTERRUPTED', { charged, error: paymentError(code, charged, detail) });
}
