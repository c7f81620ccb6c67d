/** The terminal of all simulated payers, and what of a card's answer reaches it. */
import { concatBytes, currencyExponent, toHex } from '@tapnpay/protocol/bytes';
import { type TerminalProfile, terminalProfileOf } from '@tapnpay/protocol/emv/terminal';
import { decodeTlv, encodeTlv, type ResponseApdu } from '@tapnpay/protocol/iso7816';
import { nodeCiphers } from '@tapnpay/protocol/node';

/** A tap of more wants a PIN, at the reader and at the issuer: half of a world's orders. */
export const NO_PIN_MINOR = 1_000n;
/** A tap of more is asked to be inserted. */
const TAP_LIMIT_MINOR = 1_700n;

/** Takes both interfaces; knows no CA, for the simulated cards are not authenticated offline. */
export const TERMINAL: TerminalProfile = terminalProfileOf(
  {
    terminalTransactionQualifiers: '26000080',
    countryCode: '0156',
    terminalType: '22',
    terminalCapabilities: 'E040C0',
    additionalTerminalCapabilities: 'F000F0A001',
    aids: [
      {
        aid: 'A000000333',
        applicationVersion: '0030',
        tacDefault: 'D84000A800',
        tacDenial: '0010000000',
        tacOnline: 'D84004F800',
        floorLimitMinor: '0',
        defaultDdol: '9F3704',
        contactless: {
          floorLimitMinor: '0',
          transactionLimitMinor: String(TAP_LIMIT_MINOR),
          cvmLimitMinor: String(NO_PIN_MINOR),
        },
      },
    ],
    caPublicKeys: [],
  },
  {
    ciphers: nodeCiphers,
    currency: '156',
    currencyExponent: currencyExponent('156'),
    interfaceDeviceSerialNumber: 'SIM00001',
  },
);

/** A card that goes online may name no files (94); it is then not authenticated. @see EMV C-7 §3.4 */
export function withoutFiles(response: ResponseApdu): ResponseApdu {
  const objects = decodeTlv(response.data)[0]?.children;
  if (!objects) return response;
  const kept = objects.filter(({ tag }) => tag !== '94');
  const bytes = concatBytes(...kept.map(({ tag, value }) => encodeTlv(tag, value)));
  return { ...response, data: encodeTlv('77', bytes) };
}

/** A cryptogram (9F26) with a bit turned. */
export function bentCryptogram(response: ResponseApdu): ResponseApdu {
  const hex = toHex(response.data);
  // Format 1: 80 length, 9F27 (1), 9F36 (2), 9F26 (8). @see EMV 4.3 B3 §6.5.5.4
  const offset = hex.startsWith('80') ? 5 : hex.indexOf('9F2608') / 2 + 3;
  const data = response.data.slice();
  data[offset] = (data[offset] ?? 0) ^ 1;
  return { ...response, data };
}
