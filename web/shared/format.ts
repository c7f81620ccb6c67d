/** Amounts, times and card numbers as people read them. */
import { type Language, language } from './i18n.ts';

export { amountText } from './amounts.ts';

/** Local date and time. */
export function timeText(atMs: number, in_: Language = language()): string {
  return new Date(atMs).toLocaleString(in_ === 'zh' ? 'zh-CN' : 'en-GB', {
    dateStyle: 'medium',
    timeStyle: 'medium',
  });
}

/** `629999*********0017` -> `629999 ••••••••• 0017`. */
export function panText(panMasked: string): string {
  return panMasked.replace(/\*+/, (stars) => ` ${'•'.repeat(stars.length)} `);
}
