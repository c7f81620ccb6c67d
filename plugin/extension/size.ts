/** The limit of what a page may send in one message. */
import { AGENT_MESSAGE_BYTES_MAX, type PageMessage } from '@tapnpay/protocol/wire';

/** Most bytes that UTF-8 makes of one UTF-16 unit. */
const UNIT_BYTES_MAX = 3;

/**
 * Whether a page's message is over `AGENT_MESSAGE_BYTES_MAX`, as JSON in UTF-8. What JSON cannot
 * hold at all, as a page may send by mistake or malice, counts as over every limit.
 */
export function isTooLarge(message: PageMessage): boolean {
  const text = jsonOf(message);
  if (text === null) return true;
  if (UNIT_BYTES_MAX * text.length <= AGENT_MESSAGE_BYTES_MAX) return false;
  if (text.length > AGENT_MESSAGE_BYTES_MAX) return true;
  return new TextEncoder().encode(text).length > AGENT_MESSAGE_BYTES_MAX;
}

function jsonOf(message: PageMessage): string | null {
  try {
    return JSON.stringify(message);
  } catch {
    return null;
  }
}
