/** One payment as a promise, and what is known of the way, for pages of the gateway. */
import { ChosenTransport } from './choose.ts';
import { type PaymentError, paymentCodeOf, paymentError } from './errors.ts';
import type { PayOptions } from './index.ts';
import type { Payment, PaymentPorts, PaymentState } from './model.ts';
import { createPayment } from './payment.ts';
import { NO_FACTS, type PluginFacts, type Transport } from './transport.ts';

/** Facts of the way, and the first thing that is missing on it; null: a payment can be made. */
export type PluginStatus = PluginFacts & { readonly problem: PaymentError | null };

/** Pays an order at once, and resolves with its final state. */
export function payOrder(
  options: PayOptions & {
    readonly orderId: string;
    readonly gatewayUrl: string;
    readonly transport?: Transport;
    readonly ports?: PaymentPorts;
  },
): Promise<PaymentState> {
  const { on, signal, transport = new ChosenTransport(options.gatewayUrl) } = options;
  return new Promise((resolve) => {
    let isStarted = false;
    let wasUnknown = false;
    let isOver = false;
    const end = (): void => {
      isOver = true;
      payment.stop();
      resolve(payment.state);
    };
    const onState = (): void => {
      if (isOver) return;
      const { state } = payment;
      on?.(state, payment);
      const { name, isRunning, canStart } = state;
      if (name === 'UNKNOWN') wasUnknown = true;
      // Nobody pays again by themselves what may be paid already.
      const isToStart = canStart && !isStarted && !wasUnknown;
      if (isToStart && signal?.aborted !== true) {
        isStarted = true;
        payment.start();
      } else if (!isRunning && name !== 'CHECKING' && name !== 'UNKNOWN') end();
    };
    const payment: Payment = createPayment({
      ...options,
      transport,
      // The payment says its first words before it is ours.
      on: () => queueMicrotask(onState),
    });
    signal?.addEventListener('abort', () => {
      if (payment.state.isRunning) payment.cancel();
      else if (!isOver) end();
    });
  });
}

/** Looks once along the way. */
export function statusOf(
  gatewayUrl: string,
  agentUrl: string,
  transport: Transport = new ChosenTransport(gatewayUrl),
): Promise<PluginStatus> {
  return new Promise((resolve) => {
    transport.onMessage((event) => {
      const isMissing = event.kind === 'missing';
      const facts = transport.facts ?? NO_FACTS;
      const code = isMissing ? paymentCodeOf(event.code) : null;
      transport.close();
      const problem = isMissing && code ? paymentError(code, 'no', event.detail) : null;
      resolve({ ...facts, problem });
    });
    transport.look(agentUrl);
  });
}
