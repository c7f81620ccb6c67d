/** What the local service answers instead of doing it. */
import { TapError } from '@tapnpay/protocol/bytes';

export type ServiceErrorCode =
  /** The Host header is not this service's address. */
  | 'ERR_HOST'
  | 'ERR_ORIGIN'
  | 'ERR_NOT_PAIRED'
  | 'ERR_PAIRING_CODE'
  /** Too many wrong pairing codes: none is looked at for the rest of the minute. */
  | 'ERR_PAIRING_TRIES'
  | 'ERR_LOCAL_KEY'
  | 'ERR_VERSION'
  | 'ERR_NOT_FOUND'
  | 'ERR_REQUEST'
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_INTERNAL'
  /** Too many sockets, or too much on one. */
  | 'ERR_RATE'
  /** A frame out of its order. */
  | 'ERR_SEQUENCE'
  /** Another payment is under way. */
  | 'ERR_BUSY'
  /** The window speaks of a payment that is not, or no longer, the one under way. */
  | 'ERR_SESSION'
  /** The cryptogram may be on its way: nothing can be cancelled any more. */
  | 'ERR_TOO_LATE'
  /** Another card is at the reader: it is taken away first. */
  | 'ERR_READER_OCCUPIED'
  | 'ERR_CARD_INTERFACE'
  | 'ERR_USER_CANCELLED'
  | 'ERR_USER_TIMEOUT'
  | 'ERR_CARD_TIMEOUT'
  | 'ERR_CARD_REMOVED'
  | 'ERR_PIN_TIMEOUT'
  | 'ERR_CLOSING';

/** A refusal of the local service. */
export class ServiceError extends TapError<ServiceErrorCode> {}

const STATUS: Readonly<Partial<Record<ServiceErrorCode, number>>> = {
  ERR_HOST: 421,
  ERR_ORIGIN: 403,
  ERR_NOT_PAIRED: 401,
  ERR_LOCAL_KEY: 401,
  ERR_PAIRING_CODE: 403,
  ERR_PAIRING_TRIES: 429,
  ERR_RATE: 503,
  ERR_NOT_FOUND: 404,
  ERR_BODY_TOO_LARGE: 413,
  ERR_INTERNAL: 500,
};

/** HTTP status of a refusal. */
export function httpStatusOf(code: ServiceErrorCode): number {
  return STATUS[code] ?? 400;
}
