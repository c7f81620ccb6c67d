/** Text of cards and terminals in China: GBK, decoded by the platform's own table. */

/**
 * The one thing taken of the platform. GBK has 21,886 characters: a table of our own would be
 * larger than the rest of the explainer, and Node and every browser bring it; the library types of
 * ES2023 alone do not name it.
 */
declare const TextDecoder: {
  new (label: string, options: { fatal: boolean }): { decode(bytes: Uint8Array): string };
};

type Decoder = { decode(bytes: Uint8Array): string };
/** Made once, for making one is slow; null on a platform without the table. */
let decoder: Decoder | null | undefined;

function gbkDecoder(): Decoder | null {
  if (typeof TextDecoder === 'undefined') return null;
  try {
    return new TextDecoder('gbk', { fatal: true });
  } catch (thrown) {
    // A Node built without its full character tables.
    if (thrown instanceof RangeError) return null;
    throw thrown;
  }
}

/** GBK text, or null when the bytes are none. */
export function decodeGbk(bytes: Uint8Array): string | null {
  if (decoder === undefined) decoder = gbkDecoder();
  try {
    return decoder?.decode(bytes) ?? null;
  } catch (thrown) {
    // TypeError is how the platform refuses bytes outside the table.
    if (thrown instanceof TypeError) return null;
    throw thrown;
  }
}

/** Whether bytes are printable ASCII. */
export function isPrintableAscii(bytes: Uint8Array): boolean {
  return bytes.every((value) => value >= 0x20 && value <= 0x7e);
}

/** Printable text: ASCII, else GBK without control characters; null for plain bytes. */
export function readableText(bytes: Uint8Array): string | null {
  if (bytes.length === 0) return null;
  const text = decodeGbk(bytes);
  if (text === null || /[\p{Cc}\p{Co}\ufffd]/u.test(text)) return null;
  return text;
}
