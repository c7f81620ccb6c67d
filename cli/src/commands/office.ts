/** What the commands of the back office share. */
import { isSettlementDay } from '@tapnpay/online/gateway';
import { UsageError } from '../command.ts';

/** Who stands in the audit log for what a command did. */
export const COMMAND_ACTOR = 'operator';

/** JSON with amounts as text: JSON numbers lose digits. */
export function bigintJson(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) =>
    typeof item === 'bigint' ? item.toString() : item,
  );
}

/** A settlement day. @throws UsageError. */
export function dayArgument(text: string | undefined): string {
  if (text !== undefined && isSettlementDay(text)) return text;
  throw new UsageError(`a settlement day is YYYYMMDD, not ${text ?? 'nothing'}`);
}
