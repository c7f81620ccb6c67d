/** The day on which a card that shows only month and year expires. */

/** Digits of tag 5F24: the last day of the month of expiry. Years are 2000 to 2099. */
export function expirationDate(card: { readonly expiryYymm: string }): string {
  const { expiryYymm } = card;
  const year = Number(expiryYymm.slice(0, 2));
  const month = Number(expiryYymm.slice(2, 4));
  const february = year % 4 === 0 ? '29' : '28';
  const isShort = [4, 6, 9, 11].includes(month);
  return `${expiryYymm}${month === 2 ? february : isShort ? '30' : '31'}`;
}
