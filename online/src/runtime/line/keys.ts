/** Working keys of a line, as key blocks under the party's own HSM. */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  bytesField,
  DE_128_MAC,
  type Iso8583Message,
  type KeyReset,
  macBlock,
  type WorkingKey,
} from '@tapnpay/protocol/iso8583';
import { type Hsm, type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';

/** Both keys of an established line. */
export type LineKeys = { readonly pin: KeyBlock; readonly mac: KeyBlock };

/** New working keys: for the one who made them, and as they travel. */
export type MadeKeys = { readonly keys: LineKeys; readonly resets: readonly [KeyReset, KeyReset] };

/** TR-31 usage of each working key. */
const USAGES: Readonly<Record<WorkingKey, KeyUsage>> = {
  pin: KeyUsage.pinEncryption,
  mac: KeyUsage.macX9,
};

/** New random working keys and their form for the member. */
export async function makeWorkingKeys(hsm: Hsm, zoneKey: KeyBlock): Promise<MadeKeys> {
  const pin = await makeWorkingKey(hsm, 'pin', zoneKey);
  const mac = await makeWorkingKey(hsm, 'mac', zoneKey);
  return { keys: { pin: pin.keyBlock, mac: mac.keyBlock }, resets: [pin.reset, mac.reset] };
}

async function makeWorkingKey(
  hsm: Hsm,
  key: WorkingKey,
  zoneKey: KeyBlock,
): Promise<{ readonly keyBlock: KeyBlock; readonly reset: KeyReset }> {
  const made = await hsm.call({
    command: 'generateKey',
    usage: USAGES[key],
    algorithm: 'T',
    exportUnder: zoneKey,
  });
  const enciphered = made.enciphered ?? '';
  return { keyBlock: made.keyBlock, reset: { key, kcv: made.kcv.slice(0, 8), enciphered } };
}

/** Imports a received key; the answer's field 39: 00, A0 for a wrong check value, 96. */
export async function importWorkingKey(
  hsm: Hsm,
  reset: KeyReset,
  zoneKey: KeyBlock,
): Promise<{ readonly keyBlock: KeyBlock | null; readonly responseCode: string }> {
  try {
    const { keyBlock } = await hsm.call({
      command: 'importKey',
      usage: USAGES[reset.key],
      under: zoneKey,
      enciphered: reset.enciphered,
      kcv: reset.kcv,
    });
    return { keyBlock, responseCode: '00' };
  } catch (fault) {
    const isWrongKey = fault instanceof TapError && fault.code === 'ERR_HSM_KCV';
    return { keyBlock: null, responseCode: isWrongKey ? 'A0' : '96' };
  }
}

/**
 * Those of `candidates` whose MAC key made a message's field 128; null for none.
 * @throws TapError of the HSM.
 */
export async function keysOfMessage(
  hsm: Hsm,
  candidates: readonly LineKeys[],
  message: Iso8583Message,
): Promise<LineKeys | null> {
  const mac = bytesField(message, DE_128_MAC);
  if (mac?.length !== 8) return null;
  const data = toHex(macBlock(message));
  for (const keys of candidates) {
    const call = { command: 'verifyMac', key: keys.mac, data, mac: toHex(mac) } as const;
    if ((await hsm.call(call)).valid) return keys;
  }
  return null;
}
