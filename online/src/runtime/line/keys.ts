/** Working keys of a line, as key blocks under the party's own HSM. */
import { TapError } from '@tapnpay/protocol/bytes';
import type { KeyReset, WorkingKey } from '@tapnpay/protocol/iso8583';
import { type Hsm, type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';

/** Both keys of an established line. */
export type LineKeys = { readonly pin: KeyBlock; readonly mac: KeyBlock };

/** TR-31 usage of each working key. */
const USAGES: Readonly<Record<WorkingKey, KeyUsage>> = {
  pin: KeyUsage.pinEncryption,
  mac: KeyUsage.macX9,
};

/** A new random working key and its form for the member. */
export async function makeWorkingKey(
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
