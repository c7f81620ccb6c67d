/** Faults of a contact with the element's manager; no page hears of them. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes: no answer that can be read, and an answer out of turn. */
export type ContactErrorCode = 'ERR_MANAGER_HTTP' | 'ERR_MANAGER_ANSWER';

/** A manager that is away, or does not keep to the protocol. */
export class ContactError extends TapError<ContactErrorCode> {}
