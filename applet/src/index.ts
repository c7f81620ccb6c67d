/**
 * The payment application: pays orders with a bank chip card, inside the secure element. This file
 * is the entry of its load file.
 */
import { TapError } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type { Applet, AppletHost } from '@tapnpay/protocol/globalplatform/applet';
import { SW_6D00_INSTRUCTION_NOT_SUPPORTED } from '@tapnpay/protocol/iso7816';
import type {
  ApplicationContext,
  HostConversation,
  PaymentApplication,
  PaymentIntent,
} from '@tapnpay/protocol/wire';
import { payOrder } from './payment.ts';
import { assertOwnGateway, personalise } from './personalisation.ts';
import { makeToken } from './token.ts';

export { AppletError, type AppletErrorCode, GatewayRefusal } from './errors.ts';

/** Makes the application for an element. The element runs the conversations it returns. */
export function createPaymentApplication(
  context: ApplicationContext<CipherProvider>,
): PaymentApplication {
  return {
    pay: (intent) => payOrder(context, intent),
    token: (intent) => makeToken(context, intent),
  };
}

/** What the element looks for in the load file. It speaks by conversations, not by commands. */
export function createApplet(_moduleAid: string, host: AppletHost): Applet {
  return {
    process: () => ({ data: new Uint8Array(0), statusWord: SW_6D00_INSTRUCTION_NOT_SUPPORTED }),
    personalise: ({ groupings }) => personalise(host, groupings),
    converse: (intent) => conversationOf(host, intent as PaymentIntent),
  };
}

/** @throws TapError `ERR_INTENT` for one that this version does not know. */
function conversationOf(host: AppletHost, intent: PaymentIntent): HostConversation<unknown> {
  const { elementId, parameters } = intent;
  const application = createPaymentApplication({ elementId, parameters, ciphers: host.ciphers });
  switch (intent.kind) {
    case 'pay':
      assertOwnGateway(host, intent.serverName);
      return application.pay(intent);
    case 'token':
      return application.token(intent);
    default:
      throw new TapError('ERR_INTENT', 'an intent that this application does not know');
  }
}
