/** Field classes of jPOS and what each means here. Names are those of org.jpos.iso. */
import type { Alphabet } from './characters.ts';
import type { ContentName, PrefixEncoding } from './field-spec.ts';

/** What a class says of a field; its length comes from the file. */
export type JposClass = {
  readonly content: ContentName;
  readonly alphabet: Alphabet;
  readonly prefixEncoding: PrefixEncoding;
  readonly prefixDigits: number;
  readonly padding: { readonly side: 'left' | 'right'; readonly character: string } | null;
};

const ZEROS = { side: 'left', character: '0' } as const;
const BLANKS = { side: 'right', character: ' ' } as const;

/** Letters before `_` -> encodings of a fixed or decimal-prefixed field. */
const FAMILIES: Readonly<
  Record<
    string,
    { prefix: PrefixEncoding; text: ContentName; digits: ContentName; bytes: ContentName }
  >
> = {
  IF: { prefix: 'ascii', text: 'ascii', digits: 'ascii', bytes: 'hex' },
  IFA: { prefix: 'ascii', text: 'ascii', digits: 'ascii', bytes: 'hex' },
  IFB: { prefix: 'bcd', text: 'ascii', digits: 'bcd', bytes: 'binary' },
  IFE: { prefix: 'ebcdic', text: 'ebcdic', digits: 'ebcdic', bytes: 'ebcdicHex' },
  /** EBCDIC length, packed digits. */
  IFEB: { prefix: 'ebcdic', text: 'ebcdic', digits: 'bcd', bytes: 'binary' },
};

/** The class of this name, with or without its package; null when it is not known. */
export function jposClass(name: string): JposClass | null {
  const simple = name.slice(name.lastIndexOf('.') + 1);
  const match = /^(IF|IFA|IFB|IFE|IFEB)_(L{0,6})(H?)(E?)(CHAR|NUMERIC|NUM|BINARY|AMOUNT)$/.exec(
    simple,
  );
  if (match === null) return null;
  const [, familyName = '', prefix = '', isBinaryLength = '', isEbcdic = '', sort = ''] = match;
  const family = FAMILIES[familyName];
  const isFixed = prefix === '';
  const isOdd =
    (isFixed ? sort === 'NUM' || isBinaryLength !== '' : sort === 'NUMERIC' || sort === 'AMOUNT') ||
    (isBinaryLength !== '' && (familyName !== 'IFB' || prefix.length > 3)) ||
    (isEbcdic !== '' && (sort !== 'CHAR' || isBinaryLength === '')) ||
    (familyName === 'IF' && simple !== 'IF_CHAR') ||
    (familyName === 'IFEB' && (isFixed || sort !== 'NUM'));
  if (family === undefined || isOdd) return null;
  const isNumber = sort === 'NUM' || sort === 'NUMERIC';
  const isText = sort === 'CHAR';
  const text = isEbcdic === '' ? family.text : 'ebcdic';
  return {
    content: isText ? text : sort === 'BINARY' ? family.bytes : family.digits,
    alphabet: isText ? 'any' : isNumber ? 'n' : sort === 'BINARY' ? 'b' : 'x+n',
    prefixEncoding: isBinaryLength === '' ? family.prefix : 'binary',
    prefixDigits: prefix.length,
    padding: isFixed && isText ? BLANKS : isFixed && isNumber ? ZEROS : null,
  };
}

/** Bitmap classes. */
export const JPOS_BITMAPS: Readonly<Record<string, 'binary' | 'hex' | 'ebcdicHex'>> = {
  IFA_BITMAP: 'hex',
  IFB_BITMAP: 'binary',
  IFE_BITMAP: 'ebcdicHex',
};

/** Classes of fields that take no bytes. */
export const JPOS_EMPTY: readonly string[] = ['IF_NOP'];
