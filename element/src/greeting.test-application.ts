/**
 * An application that opens a channel, greets, and tells of it as the payment application does:
 * only after the gateway's welcome. Its reason is the exporter, or the code of what went wrong.
 */
import type { Applet } from '@tapnpay/protocol/globalplatform/applet';
import type { ChannelFacts, ElementPayResult, HostConversation } from '@tapnpay/protocol/wire';

/** What the test's gateway answers an element that it knows. */
export const WELCOME = 'welcome';
const LABEL = 'EXPORTER-tapandpay';

function* greet(serverName: string): HostConversation<ElementPayResult> {
  try {
    const channel = (yield { call: 'channelOpen', serverName }) as ChannelFacts;
    const exporter = (yield { call: 'exporter', label: LABEL, lengthBytes: 32 }) as Uint8Array;
    const hello = Uint8Array.from([...'hello'].map((letter) => letter.charCodeAt(0)));
    yield { call: 'channelSend', data: hello };
    const answer = (yield { call: 'channelReceive', timeoutMs: 5000 }) as Uint8Array;
    yield { call: 'channelClose' };
    const isWelcome = String.fromCharCode(...answer) === WELCOME;
    return result(isWelcome ? channel : null, hexOf(exporter));
  } catch (fault) {
    const { code } = fault as { readonly code?: string };
    if (code !== undefined) return result(null, code);
    throw fault;
  }
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('');
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
export function createApplet(): Applet {
  return {
    process: () => ({ data: new Uint8Array(0), statusWord: 0x6d00 as never }),
    converse: (intent) => greet((intent as { readonly serverName: string }).serverName),
  };
}
