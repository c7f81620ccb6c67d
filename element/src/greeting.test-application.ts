/**
 * An application that opens a channel, greets, and tells of it as the payment application does:
 * only after the gateway's welcome. Its reason is the exporter, or the code of what went wrong.
 */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import type {
  ChannelFacts,
  ElementPayResult,
  HostConversation,
  PaymentApplication,
} from '@tapnpay/protocol/wire';

/** What the test's gateway answers an element that it knows. */
export const WELCOME = 'welcome';
const LABEL = 'EXPORTER-tapandpay';

function* greet(serverName: string): HostConversation<ElementPayResult> {
  try {
    const channel = (yield { call: 'channelOpen', serverName }) as ChannelFacts;
    const exporter = (yield { call: 'exporter', label: LABEL, lengthBytes: 32 }) as Uint8Array;
    yield { call: 'channelSend', data: new TextEncoder().encode('hello') };
    const answer = (yield { call: 'channelReceive', timeoutMs: 5000 }) as Uint8Array;
    yield { call: 'channelClose' };
    const isWelcome = new TextDecoder().decode(answer) === WELCOME;
    return result(isWelcome ? channel : null, toHex(exporter));
  } catch (fault) {
    if (fault instanceof TapError) return result(null, fault.code);
    throw fault;
  }
}

function result(channel: ChannelFacts | null, reason: string): ElementPayResult {
  return {
    ...{ outcome: 'cancelled', charged: 'no', reason, channel, interface: null, card: null },
    ...{ paymentId: null, responseCode: null, tvr: '', tsi: '', cvmResults: '' },
    cryptogram: { arqc: null, arpc: null, second: null, secondType: null },
    dataAuthentication: 'none',
  };
}

/** The entry the element looks for. */
export function createPaymentApplication(): PaymentApplication {
  return { pay: ({ serverName }) => greet(serverName) };
}
