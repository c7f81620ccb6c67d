/**
 * Readers that are no readers to anybody: security keys, SIM and SAM slots, which hold a chip of
 * their own for ever. A card that lies there would have to be taken out before each payment, and
 * whether it can pay could only be asked by giving it power, which no card gets before a yes.
 */
const NAMES: readonly RegExp[] = [
  /\byubi(co|key)\b/i,
  /\b(nitrokey|solokeys|canokeys?|onlykey|gnuk|librem key|token2)\b/i,
  /\b(ledger|trezor)\b/i,
  /\b(etoken|jacarta|rutoken|epass)/i,
  /\b(windows hello|microsoft virtual smart card|virtual smart card \d)/i,
  /\b(uicc|sim|esim|wwan|sam)\b/i,
];

/** Whether a reader of this name holds a chip that nobody puts in and that never pays. */
export function isTokenReader(name: string): boolean {
  return NAMES.some((pattern) => pattern.test(name));
}
