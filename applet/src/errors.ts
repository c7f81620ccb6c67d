/** Faults of the payment application. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes of this package. */
export type AppletErrorCode =
  | 'ERR_CHANNEL_MESSAGE'
  | 'ERR_CHANNEL_VERSION'
  | 'ERR_CHANNEL_NOT_MUTUAL'
  | 'ERR_ORDER_SIGNATURE'
  | 'ERR_ORDER_MISMATCH'
  | 'ERR_ORDER_FIELD'
  | 'ERR_CARD_DATA';

/** An order, message or card that the application refuses. */
export class AppletError extends TapError<AppletErrorCode> {}

/** The gateway's own coded refusal, with its code. */
export class GatewayRefusal extends TapError {}
