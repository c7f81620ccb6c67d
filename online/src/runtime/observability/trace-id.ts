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

/**
 * 32 hex digits in lower case. A reversal, void or refund names its original in field 90 and gets
 * the original's, so that all that happens to one payment is one trace.
 */
export function traceIdOf(message: Iso8583Message): string {
  const text = (field: number): string => textField(message, field) ?? '';
  const original = ORIGINAL.exec(text(90));
  const [stan, transmission, acquirer] = original
    ? original.slice(1)
    : [text(11), text(7), text(32).padStart(11, '0')];
  const identity = `${transmission}/${stan}/${acquirer}/${text(41)}`;
  return createHash('sha256').update(identity).digest('hex').slice(0, TRACE_ID_HEX_DIGITS);
}
