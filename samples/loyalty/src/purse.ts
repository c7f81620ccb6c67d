/** What the card keeps of itself: its number, limit, balance and counter of movements. */
import { bytesToUint, concatBytes, uintToBytes } from '@tapnpay/protocol/bytes';
import type { AppletGrouping, AppletHost } from '@tapnpay/protocol/globalplatform/applet';

/** The profile: card number (8 bytes), limit of the balance (4 bytes). */
const DGI_0101_PROFILE = 0x0101;
/** The card's MAC key; the host takes it, and gives its name. */
const DGI_8113_KEY = 0x8113;
const NUMBER_BYTES = 8;
const AMOUNT_BYTES = 4;
const REFERENCE_BYTES = 8;
/** Data of CREDIT and DEBIT: amount (4 bytes), the reader's reference (8 bytes). */
export const MOVEMENT_REQUEST_BYTES: number = AMOUNT_BYTES + REFERENCE_BYTES;

const OBJECT_PROFILE = 'profile';
const OBJECT_PURSE = 'purse';
const OBJECT_KEY_NAME = 'key-name';

/** Points are whole numbers. */
export type Purse = {
  readonly number: Uint8Array;
  readonly limit: number;
  readonly balance: number;
  /** Movements so far. */
  readonly counter: number;
};

/** Takes the card's profile and the name of its key; false when they are not whole. */
export function keepProfile(host: AppletHost, groupings: readonly AppletGrouping[]): boolean {
  let profile: Uint8Array | null = null;
  let keyName = '';
  for (const grouping of groupings) {
    if ('key' in grouping && grouping.identifier === DGI_8113_KEY) keyName = grouping.key;
    if ('value' in grouping && grouping.identifier === DGI_0101_PROFILE) profile = grouping.value;
  }
  if (profile?.length !== NUMBER_BYTES + AMOUNT_BYTES || keyName === '') return false;
  host.objects.write(OBJECT_PROFILE, profile);
  host.objects.write(
    OBJECT_KEY_NAME,
    Uint8Array.from(keyName, (one) => one.charCodeAt(0)),
  );
  if (host.objects.read(OBJECT_PURSE) === null) writePurse(host, { balance: 0, counter: 0 });
  return true;
}

/** The purse; null before personalisation. */
export function readPurse(host: AppletHost): Purse | null {
  const profile = host.objects.read(OBJECT_PROFILE);
  const purse = host.objects.read(OBJECT_PURSE);
  if (profile === null || purse === null) return null;
  return {
    number: profile.subarray(0, NUMBER_BYTES),
    limit: bytesToUint(profile.subarray(NUMBER_BYTES)),
    balance: bytesToUint(purse.subarray(0, AMOUNT_BYTES)),
    counter: bytesToUint(purse.subarray(AMOUNT_BYTES)),
  };
}

/** Keeps balance and counter. */
export function writePurse(host: AppletHost, purse: Pick<Purse, 'balance' | 'counter'>): void {
  host.objects.write(OBJECT_PURSE, balanceAndCounter(purse));
}

/** What BALANCE tells: card number, balance, counter. */
export function purseOf(purse: Purse): Uint8Array {
  return concatBytes(purse.number, balanceAndCounter(purse));
}

function balanceAndCounter({ balance, counter }: Pick<Purse, 'balance' | 'counter'>): Uint8Array {
  return concatBytes(uintToBytes(balance, AMOUNT_BYTES), uintToBytes(counter, AMOUNT_BYTES));
}

/** Amount of a movement's request. */
export function amountOf(data: Uint8Array): number {
  return bytesToUint(data.subarray(0, AMOUNT_BYTES));
}

/** The card's word on what it says: AES-CMAC under its own key. */
export function cardMac(host: AppletHost, data: Uint8Array): Uint8Array {
  const name = host.objects.read(OBJECT_KEY_NAME) ?? new Uint8Array(0);
  return host.keys.mac(String.fromCharCode(...name), data);
}
