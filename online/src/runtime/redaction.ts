/** What a log record may show: secrets masked by type, by name and, for card numbers, by form. */
import { luhnCheckDigit, maskPan, Secret, TapError } from '@tapnpay/protocol/bytes';

/** Deepest nesting that is written out. */
const DEPTH_MAX = 6;
const MASK = '[secret]';

/** Names, in lower case, whose values never reach a log. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  ...['pan', 'primaryaccountnumber', 'track1', 'track2', 'track3', 'track2equivalentdata'],
  ...['pin', 'newpin', 'pinblock', 'pvv', 'cvv', 'cvn2'],
  ...['key', 'keys', 'keyblock', 'imkac', 'imkmac', 'imkenc', 'pvk', 'zmk', 'bdk', 'component'],
  ...['components', 'enciphered', 'masterkey', 'privatekey', 'secret', 'password', 'token'],
  ...['tokenhex', 'databaseurl', 'authorization', 'cookie', 'pairingcode', 'merchantkey'],
  ...['field2', 'field35', 'field36', 'field45', 'field52', 'field55', 'field96', 'iccdata'],
]);

const CARD_NUMBER_CHARACTERS_MIN = 13;
/** 13 to 19 digits that stand alone; shorter ones are reference numbers. */
const CARD_NUMBER = /(?<![0-9A-Za-z])[0-9]{13,19}(?![0-9A-Za-z])/g;

/** The text with everything masked that looks like a card number and has its check digit. */
export function maskText(text: string): string {
  if (text.length < CARD_NUMBER_CHARACTERS_MIN) return text;
  return text.replace(CARD_NUMBER, (digits) =>
    luhnCheckDigit(digits.slice(0, -1)) === digits.slice(-1) ? maskPan(digits) : digits,
  );
}

/** A plain copy of `value` that may be logged. */
export function redact(value: unknown): unknown {
  return redactAt(value, 0);
}

function redactAt(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return maskText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Secret) return value.toString();
  if (depth >= DEPTH_MAX) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return redactError(value, depth);
  if (Array.isArray(value)) return value.map((item: unknown) => redactAt(item, depth + 1));
  const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([name, item]: [unknown, unknown]) => {
      const isSecret = SECRET_NAMES.has(String(name).toLowerCase()) && item !== null;
      return [String(name), isSecret ? MASK : redactAt(item, depth + 1)];
    }),
  );
}

function redactError(error: Error, depth: number): unknown {
  const cause = error.cause === undefined ? {} : { cause: redactAt(error.cause, depth + 1) };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const data = error instanceof TapError ? { data: redactAt(error.data, depth + 1) } : {};
  return { type: error.name, ...code, message: maskText(error.message), ...data, ...cause };
}
