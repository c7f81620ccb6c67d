/** The payment application: pays orders with a bank chip card, inside the secure element. */
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type { ApplicationContext, PaymentApplication } from '@tapnpay/protocol/wire';
import { payOrder } from './payment.ts';

export { AppletError, type AppletErrorCode, GatewayRefusal } from './errors.ts';

/** Makes the application for an element. The element runs the conversations it returns. */
export function createPaymentApplication(
  context: ApplicationContext<CipherProvider>,
): PaymentApplication {
  return { pay: (intent) => payOrder(context, intent) };
}
