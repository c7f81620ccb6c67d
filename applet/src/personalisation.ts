/** Personalisation: what the management system gives the application makes it operable (可操作). */
import { bytesToUtf8, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import type { AppletGrouping, AppletHost } from '@tapnpay/protocol/globalplatform/applet';
import { PAYMENT_DGI_0101_GATEWAY } from '@tapnpay/protocol/globalplatform/data';
import { type ResponseApdu, SW_6A80_WRONG_DATA, SW_9000_OK } from '@tapnpay/protocol/iso7816';
import { AppletError } from './errors.ts';

/** Selectable and personalised. @see GPCS 2.3.1 §5.3 */
const STATE_0F_PERSONALIZED = 0x0f;
const OBJECT_GATEWAY = `dgi.${toHex(uintToBytes(PAYMENT_DGI_0101_GATEWAY, 2))}`;

/**
 * The application speaks with the gateway that it was personalised for, and with no other.
 * @throws AppletError `ERR_CHANNEL_TLS`.
 */
export function assertOwnGateway({ objects }: AppletHost, serverName: string): void {
  const own = objects.read(OBJECT_GATEWAY);
  if (own === null || bytesToUtf8(own) === serverName) return;
  const text = 'this application was personalised for another gateway';
  throw new AppletError('ERR_CHANNEL_TLS', text, { serverName });
}

/**
 * Keeps each grouping as the object `dgi.<identifier>`; keys are kept by the host already. 6A80
 * when there is none.
 */
export function personalise(host: AppletHost, groupings: readonly AppletGrouping[]): ResponseApdu {
  const data = new Uint8Array(0);
  if (groupings.length === 0) return { data, statusWord: SW_6A80_WRONG_DATA };
  for (const grouping of groupings) {
    if ('key' in grouping) continue;
    host.objects.write(`dgi.${toHex(uintToBytes(grouping.identifier, 2))}`, grouping.value);
  }
  host.lifeCycle.change(STATE_0F_PERSONALIZED);
  return { data, statusWord: SW_9000_OK };
}
