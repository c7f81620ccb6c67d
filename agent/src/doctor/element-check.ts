/** The secure element's state, from whoever holds it. */
import { type AgentHealth, type Found, foundFault, foundOk } from '@tapnpay/protocol/wire';

/** The element as its holder knows it, or why nobody could say. */
export type SeenElement =
  | AgentHealth['element']
  /** It does not answer. */
  | 'gone'
  /** Another payment has it; `holder` names who. */
  | { readonly holder: string }
  /** Nobody runs who could tell. */
  | null;

const LOGS = { logs: 'logs/agent.log' } as const;

/** Whether the element can pay. */
export function checkElement(seen: SeenElement): Found<'element'> {
  if (seen === null) return foundFault('unknown', 'ERR_ELEMENT_UNSEEN');
  if (seen === 'gone') return foundFault('broken', 'ERR_ELEMENT_GONE', LOGS);
  if ('holder' in seen) return foundFault('warn', 'ERR_ELEMENT_IN_USE', seen);
  switch (seen.state) {
    case 'operable':
      return foundOk({ id: seen.id ?? '' });
    case 'notEnrolled':
      return foundFault('broken', 'ERR_ELEMENT_NOT_ENROLLED');
    case 'locked':
      return foundFault('broken', 'ERR_ELEMENT_LOCKED');
  }
}
