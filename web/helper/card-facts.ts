/** A card's facts as they are printed on it. */

const GROUP_CHARACTERS = 4;

/** `629999*********0017` -> `6299 99•• •••• •••0 017`. */
export function panGroups(panMasked: string): string {
  const groups = panMasked.replace(/\*/g, '•').match(new RegExp(`.{1,${GROUP_CHARACTERS}}`, 'g'));
  return (groups ?? []).join(' ');
}

/** `3012` -> `12/30`; what is no year and month stays as it is. */
export function expiryText(expiryYymm: string): string {
  const [, year, month] = /^([0-9]{2})([0-9]{2})$/.exec(expiryYymm) ?? [];
  return year && month ? `${month}/${year}` : expiryYymm;
}

/** The last four digits, for lists. */
export function lastFour(panMasked: string): string {
  return panMasked.slice(-4);
}
