/** A search for digits in every form in which they may hide; whoever uses it shows that it finds. */

const FORM_BYTES_MIN = 6;

/** The forms in which digits may hide: ASCII, UTF-16, BCD, hex text of BCD, base64 of each. */
export function formsOf(digits: string): readonly { name: string; bytes: Buffer }[] {
  const even = digits.length % 2 === 0 ? digits : `${digits}F`;
  const bcd = Buffer.from(even, 'hex');
  const ascii = Buffer.from(digits, 'latin1');
  // Base64 depends on the position in its group of three: the middle of each alignment.
  const base64 = (bytes: Buffer): Buffer[] =>
    [0, 1, 2].map((shift) => {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
      return Buffer.from(text.slice(shift === 0 ? 0 : 4, -4), 'latin1');
    });
  const forms = [
    { name: 'ASCII', bytes: ascii },
    { name: 'UTF-16', bytes: Buffer.from(digits, 'utf16le') },
    { name: 'BCD', bytes: bcd },
    ...base64(ascii).map((bytes) => ({ name: 'base64 of ASCII', bytes })),
    ...base64(bcd).map((bytes) => ({ name: 'base64 of BCD', bytes })),
  ];
  // Shorter ones are found everywhere by chance.
  return forms.filter(({ bytes }) => bytes.length >= FORM_BYTES_MIN);
}

/** Names of the forms of `digits` that a text holds. */
export function findings(haystack: Buffer, digits: string): readonly string[] {
  return formsOf(digits)
    .filter(({ bytes }) => haystack.includes(bytes))
    .map(({ name }) => name);
}
