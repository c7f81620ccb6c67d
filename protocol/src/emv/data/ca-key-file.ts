/**
 * CA public keys by file: JSON of our own form, and the TLV list of UnionPay terminals. Only the
 * parser: whoever reads the file hands over its text. @see EMV 4.3 B2 §11.2; PBOC3 P17
 */
import {
  bytesToLatin1,
  concatBytes,
  equalBytes,
  fromHex,
  TapError,
  toHex,
} from '../../bytes/index.ts';
import { type CipherProvider, isSm2PublicKey } from '../../crypto/index.ts';
import { decodeTlv, type Tlv } from '../../iso7816/index.ts';
import { caPublicKeyHashInput, EMV_MODULUS_BYTES_MAX } from './ca-key.ts';
import { century, EMV_MODULUS_BYTES_MIN } from './certificate-recovery.ts';
import { EmvDataError } from './errors.ts';

/** Longest file in characters, and most keys of one. A payment system has some ten. */
export const CA_KEY_FILE_CHARACTERS_MAX = 1_048_576;
export const CA_KEY_FILE_ENTRIES_MAX = 256;

/** Live and test keys must never meet in one terminal; `unknown` where the file does not say. */
export type CaKeyUse = 'live' | 'test' | 'unknown';

type CaKeyFileEntryBase = {
  /** Hex in upper case. */
  readonly rid: string;
  readonly index: string;
  /** Last day of use; empty when the file gives none. */
  readonly expiryYymmdd: string;
  readonly use: CaKeyUse;
  /** The file's own word on the key; empty without one. */
  readonly label: string;
};

/** One checked key of a file; byte values are hex in upper case. */
export type CaKeyFileEntry =
  | (CaKeyFileEntryBase & {
      readonly algorithm: 'RSA';
      readonly modulus: string;
      readonly exponent: string;
      readonly sha1: string;
    })
  | (CaKeyFileEntryBase & {
      readonly algorithm: 'SM2';
      /** Point x ‖ y. */
      readonly publicKey: string;
      /** SHA-1 or SM3 over RID, index, point; empty when the file gives none. */
      readonly checkValue: string;
    });

/** Every key that can be used, and what is wrong with the others. */
export type CaKeyFile = {
  readonly keys: readonly CaKeyFileEntry[];
  /**
   * `ERR_CA_KEY_FILE`, `ERR_CA_KEY_FIELD`, `ERR_CA_KEY_CHECK_VALUE`, `ERR_CA_KEY_DUPLICATE`; their
   * data: `entry` counted from 1 (null when it is the file), `offsetBytes` of the data object in
   * the list (null in JSON), `field` by tag or member.
   */
  readonly faults: readonly EmvDataError[];
};

/** One key before its checks; where each value came from, for faults. */
type RawEntry = {
  readonly entry: number;
  readonly values: Readonly<Record<RawField, RawValue | undefined>>;
  readonly label: string;
};
type RawField =
  | 'rid'
  | 'index'
  | 'expiry'
  | 'hashAlgorithm'
  | 'keyAlgorithm'
  | 'key'
  | 'exponent'
  | 'checkValue';
type RawValue = {
  readonly bytes: Uint8Array;
  readonly field: string;
  readonly offsetBytes: number | null;
};

/** Tags of UnionPay's list; the private ones of its parameter download. */
const TAGS: Readonly<Record<string, RawField>> = {
  '9F06': 'rid',
  '9F22': 'index',
  DF05: 'expiry',
  DF06: 'hashAlgorithm',
  DF07: 'keyAlgorithm',
  DF02: 'key',
  DF04: 'exponent',
  DF03: 'checkValue',
};
const TAG_FIRST = '9F06';
const KEY_ALGORITHM_RSA = 0x01;
const KEY_ALGORITHM_SM2 = 0x04;
const RID_BYTES = 5;
const SHA1_BYTES = 20;
const SM3_BYTES = 32;

/**
 * Reads a file of either form, key by key.
 * @see EMV 4.3 B2 §11.2.2
 */
export function readCaKeyFile(
  ciphers: Pick<CipherProvider, 'sha1' | 'sm3'>,
  text: string,
): CaKeyFile {
  const keys = new Map<string, CaKeyFileEntry>();
  const faults: EmvDataError[] = [];
  const checked = (raw: RawEntry): CaKeyFileEntry => checkedEntry(ciphers, raw);
  const unique = (key: CaKeyFileEntry, raw: RawEntry): CaKeyFileEntry => {
    if (keys.has(nameOf(key))) throw duplicate(raw, key);
    return key;
  };
  const entries = attempt(() => rawEntries(text));
  if (entries instanceof EmvDataError) return { keys: [], faults: [entries] };
  for (const raw of entries) {
    const read = raw instanceof EmvDataError ? raw : attempt(() => unique(checked(raw), raw));
    if (read instanceof EmvDataError) faults.push(read);
    else keys.set(nameOf(read), read);
  }
  return { keys: [...keys.values()], faults };
}

/**
 * As `readCaKeyFile`, for whoever takes a whole file or none.
 * @throws EmvDataError the first of the faults.
 */
export function parseCaKeyFile(
  ciphers: Pick<CipherProvider, 'sha1' | 'sm3'>,
  text: string,
): readonly CaKeyFileEntry[] {
  const { keys, faults } = readCaKeyFile(ciphers, text);
  const [fault] = faults;
  if (fault !== undefined) throw fault;
  return keys;
}

/** Whether the key's last day lies before the date; one without a last day never has. */
export function isCaKeyExpired(key: CaKeyFileEntry, dateYymmdd: string): boolean {
  const last = key.expiryYymmdd;
  return last !== '' && century(dateYymmdd) + dateYymmdd > century(last) + last;
}

function attempt<Value>(parse: () => Value): Value | EmvDataError {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof EmvDataError) return thrown;
    throw thrown;
  }
}

function fileFault(message: string, entry: number | null = null, offset?: number): EmvDataError {
  const offsetBytes = offset ?? null;
  return new EmvDataError('ERR_CA_KEY_FILE', message, { entry, offsetBytes, field: null });
}

/** Which key, and which of its values where it is known. */
type Place = { readonly entry: number; readonly value: RawValue | string };

function fieldFault({ entry, value }: Place, why: string): EmvDataError {
  const field = typeof value === 'string' ? value : value.field;
  const offsetBytes = typeof value === 'string' ? null : value.offsetBytes;
  const message = `CA key ${entry}: ${field} ${why}`;
  return new EmvDataError('ERR_CA_KEY_FIELD', message, { entry, offsetBytes, field });
}

/** RSA and SM2 keys count their indexes apart. */
function nameOf(key: CaKeyFileEntry): string {
  return `${key.algorithm}.${key.rid}.${key.index}`;
}

function duplicate(raw: RawEntry, key: CaKeyFileEntry): EmvDataError {
  const message = `CA key ${raw.entry}: ${key.rid} ${key.index} is there twice`;
  return new EmvDataError('ERR_CA_KEY_DUPLICATE', message, {
    entry: raw.entry,
    offsetBytes: raw.values.index?.offsetBytes ?? null,
    field: raw.values.index?.field ?? null,
  });
}

function rawEntries(text: string): readonly (RawEntry | EmvDataError)[] {
  if (text.length > CA_KEY_FILE_CHARACTERS_MAX) throw fileFault('CA key file is too long');
  const first = text.trimStart()[0];
  const entries = first === '[' || first === '{' ? jsonEntries(text) : tlvEntries(text);
  if (entries.length > CA_KEY_FILE_ENTRIES_MAX) throw fileFault('CA key file has too many keys');
  if (entries.length === 0) throw fileFault('CA key file has no key');
  return entries;
}

/** An array of keys, or an object with one under `caPublicKeys` or `keys`. */
function jsonEntries(text: string): readonly (RawEntry | EmvDataError)[] {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw fileFault('CA key file is no JSON');
    throw thrown;
  }
  const list = Array.isArray(root) ? root : (member(root, 'caPublicKeys') ?? member(root, 'keys'));
  if (!Array.isArray(list)) throw fileFault('CA key file has no list of keys');
  if (list.length > CA_KEY_FILE_ENTRIES_MAX) throw fileFault('CA key file has too many keys');
  return list.map((row, index) => attempt(() => jsonEntry(row, index + 1)));
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function jsonEntry(row: unknown, entry: number): RawEntry {
  const hexValue = (...names: readonly string[]): RawValue | undefined => {
    const field = names.find((name) => isGiven(member(row, name)));
    if (field === undefined) return undefined;
    const digits = member(row, field);
    const isHex = typeof digits === 'string' && /^([0-9A-Fa-f]{2})+$/.test(digits);
    if (!isHex) throw fieldFault({ entry, value: field }, 'is no hex');
    return { bytes: fromHex(digits), field, offsetBytes: null };
  };
  const isSm = member(row, 'algorithm') === 'SM2';
  const field = 'algorithm';
  const algorithm = isSm ? KEY_ALGORITHM_SM2 : KEY_ALGORITHM_RSA;
  const label = member(row, 'label') ?? member(row, 'use');
  return {
    entry,
    label: typeof label === 'string' ? label.slice(0, 64) : '',
    values: {
      rid: hexValue('rid'),
      index: hexValue('index'),
      expiry: hexValue('expiryYymmdd'),
      hashAlgorithm: undefined,
      keyAlgorithm: { bytes: Uint8Array.of(algorithm), field, offsetBytes: null },
      key: isSm ? hexValue('publicKey', 'point') : hexValue('modulus'),
      exponent: hexValue('exponent'),
      checkValue: isSm ? hexValue('sm3', 'checkValue') : hexValue('sha1', 'checkValue'),
    },
  };
}

const NO_VALUES: RawEntry['values'] = {
  rid: undefined,
  index: undefined,
  expiry: undefined,
  hashAlgorithm: undefined,
  keyAlgorithm: undefined,
  key: undefined,
  exponent: undefined,
  checkValue: undefined,
};

/** Keys one a line, over several lines, or all in one: each begins with 9F06. */
function tlvEntries(text: string): readonly (RawEntry | EmvDataError)[] {
  const entries: (RawEntry | EmvDataError)[] = [];
  let baseBytes = 0;
  for (const chunk of tlvChunks(text)) {
    const bytes = chunkBytes(chunk, entries.length + 1, baseBytes);
    if (bytes instanceof EmvDataError) {
      entries.push(bytes);
      baseBytes += Math.floor(chunk.length / 2);
      continue;
    }
    entries.push(...chunkEntries(bytes, entries.length + 1, baseBytes));
    baseBytes += bytes.length;
    if (entries.length > CA_KEY_FILE_ENTRIES_MAX) throw fileFault('CA key file has too many keys');
  }
  return entries;
}

/** Hex of lines; a line that begins with 9F06 begins a key, others go on with the last one. */
function tlvChunks(text: string): readonly string[] {
  const chunks: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const digits = line
      .replace(/[#;].*$/, '')
      .replace(/\s+/g, '')
      .toUpperCase();
    if (digits === '') continue;
    const last = chunks.length - 1;
    if (digits.startsWith(TAG_FIRST) || last < 0) chunks.push(digits);
    else chunks[last] += digits;
  }
  return chunks;
}

function chunkBytes(chunk: string, entry: number, baseBytes: number): Uint8Array | EmvDataError {
  const bad = chunk.search(/[^0-9A-F]/);
  if (bad >= 0) {
    const offset = baseBytes + Math.floor(bad / 2);
    return fileFault(`CA key ${entry}: no hex digit at byte ${offset}`, entry, offset);
  }
  if (chunk.length % 2 === 0) return fromHex(chunk);
  const offset = baseBytes + Math.floor(chunk.length / 2);
  return fileFault(`CA key ${entry}: half a byte at byte ${offset}`, entry, offset);
}

function chunkEntries(
  bytes: Uint8Array,
  entry: number,
  baseBytes: number,
): readonly (RawEntry | EmvDataError)[] {
  let objects: readonly Tlv[];
  try {
    objects = decodeTlv(bytes);
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    const offset = baseBytes + Number(thrown.data['offsetBytes'] ?? 0);
    return [fileFault(`CA key ${entry}: ${thrown.message}`, entry, offset)];
  }
  const groups: Tlv[][] = [];
  for (const object of objects) {
    const last = groups.at(-1);
    if (object.tag === TAG_FIRST || last === undefined) groups.push([object]);
    else last.push(object);
  }
  return groups.map((group, index) => attempt(() => tlvEntry(group, entry + index, baseBytes)));
}

function tlvEntry(objects: readonly Tlv[], entry: number, baseBytes: number): RawEntry {
  const values: Record<RawField, RawValue | undefined> = { ...NO_VALUES };
  const raw: RawEntry = { entry, values, label: '' };
  for (const { tag, value, offsetBytes } of objects) {
    const name = TAGS[tag];
    if (name === undefined) continue;
    const found = { bytes: value, field: tag, offsetBytes: baseBytes + offsetBytes };
    if (values[name] !== undefined)
      throw fieldFault({ entry: raw.entry, value: found }, 'is there twice');
    values[name] = found;
  }
  return raw;
}

const FIELD_NAMES: Readonly<Partial<Record<RawField, string>>> = {
  rid: '9F06 (rid)',
  index: '9F22 (index)',
  key: 'DF02 (modulus or point)',
  exponent: 'DF04 (exponent)',
  checkValue: 'DF03 (check value)',
};

function needed(raw: RawEntry, name: RawField): RawValue {
  const value = raw.values[name];
  if (value !== undefined) return value;
  throw fieldFault({ entry: raw.entry, value: FIELD_NAMES[name] ?? name }, 'is missing');
}

function checkedEntry(
  ciphers: Pick<CipherProvider, 'sha1' | 'sm3'>,
  raw: RawEntry,
): CaKeyFileEntry {
  const rid = needed(raw, 'rid');
  const index = needed(raw, 'index');
  if (rid.bytes.length !== RID_BYTES)
    throw fieldFault({ entry: raw.entry, value: rid }, 'has 5 bytes');
  if (index.bytes.length !== 1) throw fieldFault({ entry: raw.entry, value: index }, 'has 1 byte');
  const base: CaKeyFileEntryBase = {
    rid: toHex(rid.bytes),
    index: toHex(index.bytes),
    expiryYymmdd: expiryOf(raw),
    use: useOf(raw.label),
    label: raw.label,
  };
  const algorithm = raw.values.keyAlgorithm;
  const isSingle = algorithm === undefined || algorithm.bytes.length === 1;
  switch (isSingle ? (algorithm?.bytes[0] ?? KEY_ALGORITHM_RSA) : null) {
    case KEY_ALGORITHM_RSA:
      return rsaEntry(ciphers, raw, base);
    case KEY_ALGORITHM_SM2:
      return smEntry(ciphers, raw, base);
    default:
      throw fieldFault(
        { entry: raw.entry, value: algorithm ?? 'DF07' },
        'is neither 01 (RSA) nor 04 (SM2)',
      );
  }
}

function rsaEntry(
  ciphers: Pick<CipherProvider, 'sha1'>,
  raw: RawEntry,
  base: CaKeyFileEntryBase,
): CaKeyFileEntry {
  const key = needed(raw, 'key');
  const exponent = needed(raw, 'exponent');
  const checkValue = needed(raw, 'checkValue');
  const { length } = key.bytes;
  if (length < EMV_MODULUS_BYTES_MIN || length > EMV_MODULUS_BYTES_MAX) {
    const allowed = `${EMV_MODULUS_BYTES_MIN} to ${EMV_MODULUS_BYTES_MAX}`;
    throw fieldFault({ entry: raw.entry, value: key }, `has ${length} bytes, not ${allowed}`);
  }
  const exponentHex = toHex(exponent.bytes).replace(/^(00)+/, '');
  if (exponentHex !== '03' && exponentHex !== '010001') {
    throw fieldFault({ entry: raw.entry, value: exponent }, 'is neither 3 nor 65537');
  }
  if (checkValue.bytes.length !== SHA1_BYTES) {
    throw fieldFault({ entry: raw.entry, value: checkValue }, 'has 20 bytes');
  }
  const entry = {
    ...base,
    algorithm: 'RSA' as const,
    modulus: toHex(key.bytes),
    exponent: toHex(exponent.bytes),
    sha1: toHex(checkValue.bytes),
  };
  assertCheckValue(raw, checkValue, ciphers.sha1(caPublicKeyHashInput(entry)));
  return entry;
}

/** [I] the check value of an SM2 key covers RID, index and point; most lists give none. */
function smEntry(
  ciphers: Pick<CipherProvider, 'sha1' | 'sm3'>,
  raw: RawEntry,
  base: CaKeyFileEntryBase,
): CaKeyFileEntry {
  const key = needed(raw, 'key');
  // Some lists write the point in its uncompressed form.
  const point = key.bytes.length === 65 && key.bytes[0] === 0x04 ? key.bytes.slice(1) : key.bytes;
  if (!isSm2PublicKey(point))
    throw fieldFault({ entry: raw.entry, value: key }, 'is no point of the SM2 curve');
  const { checkValue } = raw.values;
  if (checkValue !== undefined) {
    const input = concatBytes(fromHex(base.rid), fromHex(base.index), point);
    const { length } = checkValue.bytes;
    if (length !== SHA1_BYTES && length !== SM3_BYTES) {
      throw fieldFault({ entry: raw.entry, value: checkValue }, 'has 20 or 32 bytes');
    }
    const isSm3 = length === SM3_BYTES;
    assertCheckValue(raw, checkValue, isSm3 ? ciphers.sm3(input) : ciphers.sha1(input));
  }
  return {
    ...base,
    algorithm: 'SM2',
    publicKey: toHex(point),
    checkValue: checkValue === undefined ? '' : toHex(checkValue.bytes),
  };
}

function assertCheckValue(raw: RawEntry, given: RawValue, computed: Uint8Array): void {
  if (equalBytes(given.bytes, computed)) return;
  const { rid, index } = raw.values;
  const name = [rid, index].map((value) => toHex(value?.bytes ?? new Uint8Array(0))).join(' ');
  const message = `CA key ${raw.entry}: ${name} fails its check value, so some byte of it is wrong`;
  const { offsetBytes, field } = given;
  throw new EmvDataError('ERR_CA_KEY_CHECK_VALUE', message, {
    entry: raw.entry,
    offsetBytes,
    field,
  });
}

/** YYYYMMDD in ASCII or BCD, or YYMMDD in BCD. */
function expiryOf(raw: RawEntry): string {
  const { expiry } = raw.values;
  if (expiry === undefined) return '';
  const { bytes } = expiry;
  const digits = bytes.length === 8 ? bytesToLatin1(bytes) : toHex(bytes);
  const isDate = /^([0-9]{2})?[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$/.test(digits);
  if (!isDate) throw fieldFault({ entry: raw.entry, value: expiry }, 'is no date');
  const yymmdd = digits.slice(-6);
  if (digits.length === 8 && digits.slice(0, 2) !== century(yymmdd)) {
    throw fieldFault({ entry: raw.entry, value: expiry }, 'is not in 1950 to 2049');
  }
  return yymmdd;
}

function useOf(label: string): CaKeyUse {
  if (/test|sandbox|lab/i.test(label) && !/unlabel/i.test(label)) return 'test';
  return /live|production/i.test(label) ? 'live' : 'unknown';
}
