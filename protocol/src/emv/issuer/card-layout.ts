/** Where the contents of a card stand: files, records, and the AFL that names them. */
import { concatBytes, fromHex } from '../../bytes/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type CardContents, type ContentName, encodeObjects } from './card-contents.ts';
import { EmvIssuerError } from './errors.ts';

/** One record and what stands in it. */
export type RecordLayout = {
  readonly sfi: number;
  readonly record: number;
  readonly contents: readonly ContentName[];
};

/** The records of one side and how its AFL names them. */
export type SideLayout = {
  readonly entries: readonly data.AflEntry[];
  readonly records: readonly RecordLayout[];
  /** Follow when the card pays from its purse. */
  readonly electronicCashEntries: readonly data.AflEntry[];
  /** Bytes that are given out in place of the AFL (odd cards of the lab), hex. */
  readonly aflInstead: string | null;
};

/** A side by interface and algorithm. */
export type SideName = 'contactRsa' | 'contactSm' | 'contactlessRsa' | 'contactlessSm';

/** Longest record, template included, that a short answer carries. */
export const RECORD_BYTES_MAX = 254;
/** Files whose records are signed without their template. @see EMV 4.3 B3 §10.3 */
const SFI_SIGNED_WITHOUT_TEMPLATE_MAX = 10;

const entry = (
  sfi: number,
  firstRecord: number,
  lastRecord: number,
  signedRecords: number,
): data.AflEntry => ({ sfi, firstRecord, lastRecord, signedRecords });
const record = (sfi: number, number: number, ...contents: ContentName[]): RecordLayout => ({
  sfi,
  record: number,
  contents,
});

const PURSE_ENTRIES = [entry(7, 1, 1, 0)];
const PURSE_RECORDS = [record(7, 1, 'authorisationCode')];
const CONTACT_RECORDS = [
  record(1, 1, 'track2', 'holder'),
  record(2, 1, 'identity', 'restrictions'),
  record(2, 2, 'lists'),
];
const CONTACT_ENTRIES = [entry(1, 1, 1, 0), entry(2, 1, 2, 1)];

/**
 * By contact files 1 and 2 and the certificates of file 3 (RSA) or 5 (SM2); in a reader's field
 * file 4 or 6, whose first record is signed and whose last is made anew for each tap. File 7 holds
 * what only a payment from the purse shows.
 */
export const SIDE_LAYOUTS: Readonly<Record<SideName, SideLayout>> = {
  contactRsa: certified(3, CONTACT_ENTRIES, CONTACT_RECORDS),
  contactSm: certified(5, CONTACT_ENTRIES, CONTACT_RECORDS),
  contactlessRsa: contactless(4),
  contactlessSm: contactless(6),
};

function certified(
  sfi: number,
  entries: readonly data.AflEntry[],
  records: readonly RecordLayout[],
): SideLayout {
  return {
    entries: [...entries, entry(sfi, 1, 5, 0)],
    records: [
      ...records,
      record(sfi, 1, 'issuerKey'),
      record(sfi, 2, 'issuerCertificate'),
      record(sfi, 3, 'iccCertificate'),
      record(sfi, 4, 'signedStaticData'),
      record(sfi, 5, 'pinCertificate'),
      ...PURSE_RECORDS,
    ],
    electronicCashEntries: PURSE_ENTRIES,
    aflInstead: null,
  };
}

function contactless(sfi: number): SideLayout {
  return {
    entries: [entry(sfi, 1, 5, 1)],
    records: [
      record(sfi, 1, 'contactlessIdentity'),
      record(sfi, 2, 'version', 'issuerKey'),
      record(sfi, 3, 'issuerCertificate'),
      record(sfi, 4, 'iccCertificate'),
      record(sfi, 5, 'dynamic'),
      ...PURSE_RECORDS,
    ],
    electronicCashEntries: PURSE_ENTRIES,
    aflInstead: null,
  };
}

/**
 * The layout without records that have no contents, its AFL drawn in at the end of each entry. An
 * entry that loses a record in its middle is split.
 */
export function withoutEmptyRecords(layout: SideLayout, contents: CardContents): SideLayout {
  const isFull = ({ contents: names }: RecordLayout): boolean =>
    names.some((name) => (contents[name] ?? []).length > 0);
  const records = layout.records.filter(isFull);
  const isThere = (sfi: number, number: number): boolean =>
    records.some((found) => found.sfi === sfi && found.record === number);
  const drawnIn = (entries: readonly data.AflEntry[]): readonly data.AflEntry[] =>
    entries.flatMap((old) => runsOf(old, isThere));
  return {
    ...layout,
    records,
    entries: drawnIn(layout.entries),
    electronicCashEntries: drawnIn(layout.electronicCashEntries),
  };
}

function runsOf(
  old: data.AflEntry,
  isThere: (sfi: number, record: number) => boolean,
): readonly data.AflEntry[] {
  const runs: data.AflEntry[] = [];
  for (let number = old.firstRecord; number <= old.lastRecord; number++) {
    if (!isThere(old.sfi, number)) continue;
    const isSigned = number < old.firstRecord + old.signedRecords;
    const last = runs.at(-1);
    if (last?.lastRecord === number - 1) {
      const signedRecords = last.signedRecords + (isSigned ? 1 : 0);
      runs[runs.length - 1] = { ...last, lastRecord: number, signedRecords };
    } else {
      runs.push(entry(old.sfi, number, number, isSigned ? 1 : 0));
    }
  }
  return runs;
}

/**
 * Records with their template 70.
 * @throws EmvIssuerError `ERR_EMV_PERSONALISATION` for a record longer than 254 bytes.
 */
export function recordDgis(layout: SideLayout, contents: CardContents): readonly data.Dgi[] {
  return layout.records.map(({ sfi, record: number, contents: names }) => {
    const id = data.recordDgi(sfi, number);
    const value = encodeTlv(data.TAG_70_READ_RECORD_TEMPLATE, inside(contents, names));
    if (value.length <= RECORD_BYTES_MAX) return { id, value };
    const message = `record ${number} of file ${sfi} has ${value.length} bytes`;
    throw new EmvIssuerError('ERR_EMV_PERSONALISATION', message, { field: id });
  });
}

function inside(contents: CardContents, names: readonly ContentName[]): Uint8Array {
  return concatBytes(...names.map((name) => encodeObjects(contents[name] ?? [])));
}

/**
 * Static data to be authenticated: the signed records in the order of the AFL (from file 11 on with
 * their template), then the AIP. @see EMV 4.3 B3 §10.3
 */
export function staticDataOf(layout: SideLayout, contents: CardContents, aip: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { sfi, firstRecord, signedRecords } of layout.entries) {
    for (let number = firstRecord; number < firstRecord + signedRecords; number++) {
      const found = layout.records.find((one) => one.sfi === sfi && one.record === number);
      const value = inside(contents, found?.contents ?? []);
      const isBare = sfi <= SFI_SIGNED_WITHOUT_TEMPLATE_MAX;
      parts.push(isBare ? value : encodeTlv(data.TAG_70_READ_RECORD_TEMPLATE, value));
    }
  }
  return concatBytes(...parts, fromHex(aip));
}

/** AIP ‖ AFL as the answer to GET PROCESSING OPTIONS gives them. */
export function optionsValue(
  layout: SideLayout,
  aip: string,
  pays: 'account' | 'purse',
): Uint8Array {
  if (layout.aflInstead !== null) return fromHex(`${aip}${layout.aflInstead}`);
  const purse = pays === 'purse' ? layout.electronicCashEntries : [];
  return concatBytes(fromHex(aip), data.encodeAfl([...layout.entries, ...purse]));
}
