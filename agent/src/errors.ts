/** Faults of the program on the laptop. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes of this package; the card's own are `ERR_CARD_REMOVED` and `ERR_CARD_TRANSPORT`. */
export type AgentErrorCode =
  | 'ERR_ELEMENT_GONE'
  | 'ERR_ELEMENT_START'
  | 'ERR_ELEMENT_IN_USE'
  | 'ERR_CARD_NAME'
  | 'ERR_CARD_UNKNOWN'
  | 'ERR_CARD_EXISTS'
  | 'ERR_CARD_FAULT'
  | 'ERR_CARD_INTERFACE'
  | 'ERR_CARD_IN_USE'
  | 'ERR_GATEWAY_HTTP';

/** A lost element, an unknown card, or a gateway that refuses. */
export class AgentError extends TapError<AgentErrorCode> {}
