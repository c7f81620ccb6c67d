/** Faults of the payment application. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes of this package. */
export type AppletErrorCode =
  | 'ERR_CHANNEL_MESSAGE'
  | 'ERR_CHANNEL_VERSION'
  | 'ERR_CHANNEL_NOT_MUTUAL'
  /** The gateway is not the one that the application was personalised for. */
  | 'ERR_CHANNEL_TLS'
  | 'ERR_ORDER_SIGNATURE'
  | 'ERR_ORDER_MISMATCH'
  | 'ERR_ORDER_FIELD'
  /** A parameter set that is not signed, not understood or not in its term. */
  | 'ERR_PARAMETERS'
  | 'ERR_PARAMETERS_ROLLBACK'
  | 'PARAMS_OUTDATED'
  | 'ERR_CARD_DATA'
  | 'ERR_CARD_INTERFACE';

/** An order, message or card that the application refuses. */
export class AppletError extends TapError<AppletErrorCode> {}

/** The gateway's own coded refusal, with its code. */
export class GatewayRefusal extends TapError {}

/** The code of a fault in data or a peer. @throws anything else: a defect of our own. */
export function codeOf(fault: unknown): string {
  if (fault instanceof TapError) return fault.code;
  throw fault;
}
