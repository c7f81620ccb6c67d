/**
 * The identity of one transaction in every party's log. Each party computes it from the message
 * itself, so that nothing has to travel beside ISO 8583 and nothing secret is in it.
 * @see W3C Trace Context §3.2.2.3 (trace-id)
 */
import { createHash } from 'node:crypto';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';

/** Of a W3C trace id. */
const TRACE_ID_HEX_DIGITS = 32;
/** Field 90: type 4, trace number 6, transmission 10, acquirer 11, forwarder 11. */
const ORIGINAL = /^[0-9]{4}([0-9]{6})([0-9]{10})([0-9]{11})/;

/** What names a transaction between institutions. */
export type TraceParts = {
  /** Field 7. */
  readonly transmission: string;
  /** Field 11. */
  readonly stan: string;
  /** Field 32. */
  readonly acquirer: string;
};

/** 32 hex digits in lower case. */
export function traceIdOfParts({ transmission, stan, acquirer }: TraceParts): string {
  const identity = `${transmission}/${stan}/${acquirer.padStart(11, '0')}`;
  return createHash('sha256').update(identity).digest('hex').slice(0, TRACE_ID_HEX_DIGITS);
}

/**
 * The trace of a message. A reversal, void or refund names its original in field 90 and gets the
 * original's, so that all that happens to one payment is one trace.
 */
export function traceIdOf(message: Iso8583Message): string {
  const text = (field: number): string => textField(message, field) ?? '';
  const [, stan, transmission, acquirer] = ORIGINAL.exec(text(90)) ?? [];
  return traceIdOfParts({
    transmission: transmission ?? text(7),
    stan: stan ?? text(11),
    acquirer: acquirer ?? text(32),
  });
}
