/** Identifiers made by the application, from the injected clock and random source. */
import { type Clock, type RandomSource, toHex } from '@tapnpay/protocol/bytes';

/** UUID version 7: ordered by time, so that indexes stay dense. @see RFC 9562 §5.7 */
export function uuidv7(clock: Clock, random: RandomSource): string {
  const time = Math.floor(clock.nowMs()).toString(16).padStart(12, '0').slice(-12);
  const hex = toHex(random.bytes(10)).toLowerCase();
  const variant = (8 + (Number.parseInt(hex.slice(3, 4), 16) & 3)).toString(16);
  return [
    time.slice(0, 8),
    time.slice(8),
    `7${hex.slice(0, 3)}`,
    variant + hex.slice(4, 7),
    hex.slice(7, 19),
  ].join('-');
}
