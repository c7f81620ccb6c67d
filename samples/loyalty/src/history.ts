/** The last movements, newest first. */
import { concatBytes } from '@tapnpay/protocol/bytes';
import type { AppletHost } from '@tapnpay/protocol/globalplatform/applet';
import { cardMac, MOVEMENT_REQUEST_BYTES, type Purse, purseOf, writePurse } from './purse.ts';

export const MOVEMENT_CREDIT = 0x01;
export const MOVEMENT_DEBIT = 0x02;
/** Movements that are kept. */
export const MOVEMENTS_MAX = 10;

const OBJECT_HISTORY = 'history';
/** Kind, amount, reference; then card number, balance and counter after it. */
const MOVEMENT_BYTES: number = 1 + MOVEMENT_REQUEST_BYTES + 16;

/** Keeps purse and movement together. What the card says of it, with its MAC. */
export function addMovement(
  host: AppletHost,
  purse: Purse,
  request: { readonly kind: number; readonly data: Uint8Array },
): Uint8Array {
  const movement = concatBytes(Uint8Array.of(request.kind), request.data, purseOf(purse));
  const before = host.objects.read(OBJECT_HISTORY) ?? new Uint8Array(0);
  const kept = before.subarray(0, (MOVEMENTS_MAX - 1) * MOVEMENT_BYTES);
  writePurse(host, purse);
  host.objects.write(OBJECT_HISTORY, concatBytes(movement, kept));
  return concatBytes(movement, cardMac(host, movement));
}

/** A movement by its place, 0 the newest; null where there is none. */
export function movementAt(host: AppletHost, index: number): Uint8Array | null {
  const history = host.objects.read(OBJECT_HISTORY) ?? new Uint8Array(0);
  const movement = history.slice(index * MOVEMENT_BYTES, (index + 1) * MOVEMENT_BYTES);
  return movement.length === MOVEMENT_BYTES ? movement : null;
}
