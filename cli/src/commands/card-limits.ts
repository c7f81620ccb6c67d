/** The options that name a card's limits, and their values. */
import { type OptionValues, textOption, UsageError } from '../command.ts';

/** Option by limit. */
const LIMIT_OPTIONS = {
  singleAmountMinor: 'single',
  dayAmountMinor: 'day',
  dayCount: 'count',
  noPinMinor: 'no-pin',
  noPinDayMinor: 'no-pin-day',
} as const;
/** Name of a limit. */
export type LimitName = keyof typeof LIMIT_OPTIONS;

/** How a usage text names them. */
export const LIMITS_USAGE = '[--single N] [--day N] [--count N] [--no-pin N] [--no-pin-day N]';

/** For the table of a command's options. */
export const LIMIT_OPTION_TABLE: Readonly<Record<string, { readonly type: 'string' }>> =
  Object.fromEntries(Object.values(LIMIT_OPTIONS).map((name) => [name, { type: 'string' }]));

/** The limits that were given: decimal text, or null for `-`. @throws UsageError. */
export function limitsOf(values: OptionValues): ReadonlyMap<LimitName, string | null> {
  const limits = new Map<LimitName, string | null>();
  for (const [name, option] of Object.entries(LIMIT_OPTIONS)) {
    const wanted = textOption(values, option);
    if (wanted === undefined) continue;
    if (!/^(?:-|[0-9]{1,9})$/.test(wanted)) throw new UsageError(`--${option} takes a number or -`);
    limits.set(name as LimitName, wanted === '-' ? null : wanted);
  }
  return limits;
}
