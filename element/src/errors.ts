/** Faults of the secure element's process. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes of this package. */
export type ElementErrorCode =
  | 'ERR_ELEMENT_USAGE'
  | 'ERR_ELEMENT_BUSY'
  | 'ERR_ELEMENT_SEQUENCE'
  | 'ERR_ELEMENT_NOT_ENROLLED'
  | 'ERR_ELEMENT_LOCKED'
  | 'ERR_ELEMENT_APPLICATION'
  /** The payment application is not operable; only the management system changes that. */
  | 'APP_LOCKED'
  | 'ERR_ELEMENT_BIRTH'
  | 'ERR_ELEMENT_BORN'
  | 'ERR_ELEMENT_NOT_BORN'
  | 'ERR_STORE_CORRUPT'
  | 'ERR_STORE_FORK'
  | 'ERR_STORE_RIGHTS'
  | 'ERR_STORE_SIZE'
  | 'ERR_ENROLMENT_NOT_BEGUN'
  | 'ERR_ENROLMENT_GRANT'
  | 'ERR_PARAMETERS'
  | 'ERR_CHANNEL_TLS'
  | 'ERR_CHANNEL_REJECTED'
  | 'ERR_CHANNEL_TAMPERED'
  | 'ERR_CHANNEL_CLOSED'
  | 'ERR_CHANNEL_TIMEOUT'
  | 'ERR_CARD_TRANSPORT'
  | 'ERR_CARD_TIMEOUT'
  | 'ERR_PIN_FORMAT'
  | 'ERR_PIN_REPEATED'
  | 'ERR_PIN_TIMEOUT'
  | 'ERR_DUKPT_EXHAUSTED';

/** A refused command, a broken store, a lost channel or a wrong grant. */
export class ElementError extends TapError<ElementErrorCode> {}
