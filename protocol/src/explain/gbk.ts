/** Text of cards and terminals in China: GBK, decoded by the platform's own table. */

/**
 * The one thing taken of the platform. GBK has 21,886 characters: a table of our own would be
 * larger than the rest of the explainer, and Node and every browser bring it; the library types of
 * ES2023 alone do not name it.
 */
declare const TextDecoder: {
  new (label: string, options: { fatal: boolean }): { decode(bytes: Uint8Array): string };
};

/** A decoder by label; made once, for making one is slow. */
const decoders = new Map<string, { decode(bytes: Uint8Array): string } | null>();

function decoderOf(label: string): { decode(bytes: Uint8Array): string } | null {
  const kept = decoders.get(label);
  if (kept !== undefined) return kept;
  const made = typeof TextDecoder === 'undefined' ? null : new TextDecoder(label, { fatal: true });
  decoders.set(label, made);
  return made;
}

/** GBK text, or null when the bytes are none. */
export function decodeGbk(bytes: Uint8Array): string | null {
  return decodeAs('gbk', bytes);
}

/** Text by label (`gbk`, `iso-8859-5`), or null when the bytes are none of it. */
export function decodeAs(label: string, bytes: Uint8Array): string | null {
  try {
    return decoderOf(label)?.decode(bytes) ?? null;
  } catch (thrown) {
    // Node says TypeError for bytes outside the table.
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
