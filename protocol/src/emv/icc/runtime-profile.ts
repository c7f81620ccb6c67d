/**
 * What the groupings of an application say, in the form in which commands use it: read once, kept
 * with the groupings. Lab cards have broken values on purpose, so that nothing here throws: what
 * cannot be read is null, and the command that needs it is refused.
 */
import { bytesToUint, concatBytes, fromHex, TapError, toHex } from '../../bytes/index.ts';
import {
  type DolEntry,
  decodeDol,
  decodeTlv,
  findTlv,
  flattenTlv,
  type Tlv,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';

/** Answer to GET PROCESSING OPTIONS, and the records that it leads to. */
export type Options = {
  readonly aip: Uint8Array;
  readonly afl: Uint8Array;
  /** Whether GPO, INTERNAL AUTHENTICATE and GENERATE AC answer with template 77. */
  readonly isFormat2: boolean;
  /** Entries of the AFL; none when it cannot be read. */
  readonly entries: readonly data.AflEntry[];
  /** Objects of the records, in the order of the AFL. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
};

/** What an application shows to one interface. */
export type Side = {
  /** Template A5 as personalised. */
  readonly fci: Uint8Array;
  /** Null when the FCI has a PDOL that is none. */
  readonly pdol: readonly DolEntry[] | null;
};

/** Card keys of one cipher. */
export type CardKeys = {
  readonly ac: Uint8Array;
  readonly mac: Uint8Array;
  readonly enc: Uint8Array;
};

/** A private RSA key of the card. */
export type CardRsaKey = { readonly modulus: Uint8Array; readonly privateExponent: Uint8Array };

/** Limits and orders of the issuer; a limit of 0 is no limit. @see PBOC3 P5 */
export type Policy = {
  readonly applicationDefaultAction: Uint8Array;
  readonly isIssuerAuthenticationMandatory: boolean;
  /** Currency in which the card counts (9F51, else 9F42), hex; empty when it counts none. */
  readonly currency: string;
  readonly lowerConsecutiveLimit: number;
  readonly upperConsecutiveLimit: number;
  readonly internationalConsecutiveLimit: number;
  readonly cumulativeAmountLimitMinor: bigint;
  readonly cumulativeAmountUpperLimitMinor: bigint;
};

/** One application, ready to run. */
export type RuntimeProfile = {
  readonly contact: Side | null;
  readonly contactless: Side | null;
  /** Answers to GET PROCESSING OPTIONS that were read already, by choice. */
  readonly options: Map<string, Options | null>;
  /** Internal data objects (0D01) by tag. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly policy: Policy;
  readonly parameters: data.CryptogramParameters | null;
  readonly tdesKeys: CardKeys | null;
  readonly sm4Keys: CardKeys | null;
  readonly rsaKey: CardRsaKey | null;
  readonly pinRsaKey: CardRsaKey | null;
  readonly sm2PrivateKey: Uint8Array | null;
  readonly pinReference: Uint8Array | null;
  readonly pinTryLimit: number;
  readonly log: LogFile | null;
  readonly loadLog: LogFile | null;
};

/** Where a log stands (9F4D, DF4D) and how an entry is laid out (9F4F, DF4F). */
export type LogFile = {
  readonly sfi: number;
  readonly recordsMax: number;
  readonly format: readonly DolEntry[];
};

const CARD_KEYS_BYTES = 48;
const RSA_MODULUS_BYTES_MIN = 64;
const NO_BYTES = new Uint8Array(0);
const profiles = new WeakMap<object, RuntimeProfile>();

/** The application's groupings, read; the same object for the same groupings. */
export function runtimeProfile(application: Pick<data.IccApplication, 'dgis'>): RuntimeProfile {
  const known = profiles.get(application.dgis);
  if (known) return known;
  const profile = compile(application);
  profiles.set(application.dgis, profile);
  return profile;
}

/** AIP and AFL of a transaction; null when nothing is personalised for it. */
export function optionsOf(
  application: Pick<data.IccApplication, 'dgis'>,
  choice: data.OptionsChoice,
): Options | null {
  const { options } = runtimeProfile(application);
  const key = `${choice.interface} ${choice.isSm} ${choice.isElectronicCash}`;
  const known = options.get(key);
  if (known !== undefined) return known;
  const value = data.processingOptions(application, choice);
  const found = value ? readOptions(application, value) : null;
  options.set(key, found);
  return found;
}

/** A data object of a transaction: of its records, of 0D01, else wherever it stands. */
export function objectFor(
  application: Pick<data.IccApplication, 'dgis'>,
  options: Options | null,
  tag: string,
): Uint8Array | undefined {
  return options?.objects.get(tag) ?? data.iccObject(application, tag);
}

/** A DOL of the transaction's records; null when there is none or it cannot be read. */
export function dolOf(
  application: Pick<data.IccApplication, 'dgis'>,
  options: Options | null,
  tag: string,
): readonly DolEntry[] | null {
  const list = objectFor(application, options, tag);
  return list ? (tried(() => decodeDol(list)) ?? null) : null;
}

function compile(application: Pick<data.IccApplication, 'dgis'>): RuntimeProfile {
  const objects = flattenTlv(readableTlv(data.iccDgi(application, data.DGI_INTERNAL_DATA)));
  const parameters = data.iccDgi(application, data.DGI_CRYPTOGRAM_PARAMETERS);
  const tries = data.iccDgi(application, data.DGI_PIN_TRIES);
  return {
    contact: sideOf(application, data.DGI_CONTACT_FCI),
    contactless: sideOf(application, data.DGI_CONTACTLESS_FCI),
    options: new Map(),
    objects,
    policy: policyOf(application, objects),
    parameters: parameters
      ? (tried(() => data.decodeCryptogramParameters(parameters)) ?? null)
      : null,
    tdesKeys: cardKeys(data.iccDgi(application, data.DGI_UDK_3DES)),
    sm4Keys: cardKeys(data.iccDgi(application, data.DGI_UDK_SM4)),
    rsaKey: rsaKey(application, data.DGI_ICC_MODULUS, data.DGI_ICC_PRIVATE_EXPONENT),
    pinRsaKey: rsaKey(application, data.DGI_PIN_MODULUS, data.DGI_PIN_PRIVATE_EXPONENT),
    sm2PrivateKey: data.iccDgi(application, data.DGI_ICC_SM2_PRIVATE_KEY) ?? null,
    pinReference: data.iccDgi(application, data.DGI_PIN_REFERENCE) ?? null,
    pinTryLimit: tries?.[1] ?? 0,
    log: logFile(application, data.TAG_9F4D_LOG_ENTRY, data.TAG_9F4F_LOG_FORMAT),
    loadLog: logFile(
      application,
      data.TAG_DF4D_PBOC_LOAD_LOG_ENTRY,
      data.TAG_DF4F_PBOC_LOAD_LOG_FORMAT,
    ),
  };
}

function sideOf(application: Pick<data.IccApplication, 'dgis'>, id: string): Side | null {
  const fci = data.iccDgi(application, id);
  if (!fci) return null;
  const list = findTlv(readableTlv(fci), data.TAG_9F38_PDOL)?.value ?? NO_BYTES;
  return { fci, pdol: tried(() => decodeDol(list)) ?? null };
}

/** AIP and AFL bare, or in the template in which they are to be given. */
function readOptions(
  application: Pick<data.IccApplication, 'dgis'>,
  value: Uint8Array,
): Options | null {
  const objects = readableTlv(value);
  const template = objects.length === 1 ? objects[0] : undefined;
  const isFormat2 = template?.tag === data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2;
  const isFormat1 = template?.tag === data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1;
  const bare = isFormat1 ? template.value : value;
  const find = (tag: string) => findTlv(objects, tag)?.value ?? NO_BYTES;
  const aip = isFormat2
    ? find(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE)
    : bare.slice(0, data.AIP_BYTES);
  const afl = isFormat2 ? find(data.TAG_94_APPLICATION_FILE_LOCATOR) : bare.slice(data.AIP_BYTES);
  if (aip.length !== data.AIP_BYTES) return null;
  const entries = tried(() => data.decodeAfl(afl)) ?? [];
  return { aip, afl, isFormat2, entries, objects: recordObjects(application, entries) };
}

function recordObjects(
  application: Pick<data.IccApplication, 'dgis'>,
  entries: readonly data.AflEntry[],
): ReadonlyMap<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  for (const { sfi, firstRecord, lastRecord } of entries) {
    for (let record = firstRecord; record <= lastRecord; record++) {
      const value = data.iccDgi(application, recordKey(sfi, record));
      for (const [tag, found] of flattenTlv(readableTlv(value))) {
        if (!values.has(tag)) values.set(tag, found);
      }
    }
  }
  return values;
}

/** Id under which a record would stand, whether such a record can exist or not. */
export function recordKey(sfi: number, record: number): string {
  return toHex(Uint8Array.of(sfi, record));
}

function policyOf(
  application: Pick<data.IccApplication, 'dgis'>,
  objects: ReadonlyMap<string, Uint8Array>,
): Policy {
  const count = (tag: string) => objects.get(tag)?.[0] ?? 0;
  const amount = (tag: string) => minorOf(objects.get(tag));
  const indicator = objects.get(data.TAG_9F56_PBOC_ISSUER_AUTHENTICATION_INDICATOR)?.[0] ?? 0;
  const currency =
    objects.get(data.TAG_9F51_PBOC_APPLICATION_CURRENCY_CODE) ??
    data.iccObject(application, data.TAG_9F42_APPLICATION_CURRENCY_CODE) ??
    NO_BYTES;
  const orders = objects.get(data.TAG_9F52_PBOC_APPLICATION_DEFAULT_ACTION) ?? NO_BYTES;
  return {
    // Orders that the issuer left out are not given.
    applicationDefaultAction: concatBytes(orders, new Uint8Array(data.ADA_BYTES)),
    isIssuerAuthenticationMandatory: indicator >= 0x80,
    currency: toHex(currency),
    lowerConsecutiveLimit: count(data.TAG_9F58_PBOC_LOWER_CONSECUTIVE_OFFLINE_LIMIT),
    upperConsecutiveLimit: count(data.TAG_9F59_PBOC_UPPER_CONSECUTIVE_OFFLINE_LIMIT),
    internationalConsecutiveLimit: count(data.TAG_9F53_PBOC_CONSECUTIVE_LIMIT_INTERNATIONAL),
    cumulativeAmountLimitMinor: amount(data.TAG_9F54_PBOC_CUMULATIVE_AMOUNT_LIMIT),
    cumulativeAmountUpperLimitMinor: amount(data.TAG_9F5C_PBOC_CUMULATIVE_AMOUNT_UPPER_LIMIT),
  };
}

/** Minor units of an n12 value; 0 for what is no number. */
export function minorOf(value: Uint8Array | undefined): bigint {
  const digits = value ? toHex(value) : '';
  return /^[0-9]+$/.test(digits) ? BigInt(digits) : 0n;
}

function cardKeys(value: Uint8Array | undefined): CardKeys | null {
  if (value?.length !== CARD_KEYS_BYTES) return null;
  return { ac: value.slice(0, 16), mac: value.slice(16, 32), enc: value.slice(32) };
}

/** A key that the algorithm can take; whether it is the certified one is the terminal's to find. */
function rsaKey(
  application: Pick<data.IccApplication, 'dgis'>,
  modulusId: string,
  exponentId: string,
): CardRsaKey | null {
  const modulus = data.iccDgi(application, modulusId) ?? NO_BYTES;
  const privateExponent = data.iccDgi(application, exponentId) ?? NO_BYTES;
  const isSound =
    modulus.length >= RSA_MODULUS_BYTES_MIN &&
    modulus.length <= data.EMV_MODULUS_BYTES_MAX &&
    (modulus[0] ?? 0) >= 0x80 &&
    (modulus.at(-1) ?? 0) % 2 === 1 &&
    privateExponent.length > 0;
  return isSound ? { modulus, privateExponent } : null;
}

function logFile(
  application: Pick<data.IccApplication, 'dgis'>,
  entryTag: string,
  formatTag: string,
): LogFile | null {
  const entry = data.iccObject(application, entryTag);
  const list = data.iccObject(application, formatTag);
  if (entry?.length !== 2 || !list) return null;
  const format = tried(() => decodeDol(list));
  if (!format) return null;
  const recordsMax = Math.min(bytesToUint(entry.subarray(1)), data.ICC_LOG_RECORDS_MAX);
  return { sfi: entry[0] ?? 0, recordsMax, format };
}

/** Data objects of a value; none when it is no TLV. */
export function readableTlv(value: Uint8Array | undefined): readonly Tlv[] {
  return value ? (tried(() => decodeTlv(value)) ?? []) : [];
}

/** The result, or undefined for a coded fault of personalised data. */
function tried<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof TapError) return undefined;
    throw thrown;
  }
}

/** Groupings of an application that hold a record of the file. */
export function hasFile(application: Pick<data.IccApplication, 'dgis'>, sfi: number): boolean {
  const prefix = toHex(Uint8Array.of(sfi));
  return Object.keys(application.dgis).some((id) => id.startsWith(prefix) && data.isRecordDgi(id));
}

/** Value of a record, or undefined. */
export function recordValue(
  application: Pick<data.IccApplication, 'dgis'>,
  sfi: number,
  record: number,
): Uint8Array | undefined {
  const id = recordKey(sfi, record);
  const hex = data.isRecordDgi(id) ? application.dgis[id] : undefined;
  return hex === undefined ? undefined : fromHex(hex);
}
