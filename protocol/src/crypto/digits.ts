/** Decimal digits as nibbles, without a text in between. */

/** Writes the digits of `text` from one index to another as nibbles, first at nibble `at`. */
export function putDigits(
  bytes: Uint8Array,
  at: number,
  text: string,
  range: { readonly from: number; readonly to: number },
): void {
  for (let index = range.from; index < range.to; index++) {
    const nibble = at + index - range.from;
    bytes[nibble >> 1]! |= (text.charCodeAt(index) & 15) << (nibble & 1 ? 0 : 4);
  }
}
