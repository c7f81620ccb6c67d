/** Files of records with a header, details and a trailer that proves them: text, LF, RFC 4180. */
import { createHash } from 'node:crypto';
import { GatewayError } from '../errors.ts';

/** Longest file that is read. */
export const FILE_CHARACTERS_MAX: number = 256 * 1024 * 1024;

/** One record as a line of text. Control characters do not survive. */
export function recordLine(fields: readonly (string | number | bigint)[]): string {
  return `${fields.map((field) => quoted(String(field))).join(',')}\n`;
}

function quoted(field: string): string {
  const clean = field.replace(/\p{Cc}/gu, '?');
  return /[",]/.test(clean) ? `"${clean.replaceAll('"', '""')}"` : clean;
}

/** Fields of a line without its end. @throws GatewayError `ERR_SETTLEMENT_FILE`. */
export function recordFields(line: string): readonly string[] {
  if (!line.includes('"')) return line.split(',');
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const found = /^(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/.exec(rest);
    if (!found) throw fileError('has a quote where none may be');
    fields.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    if (found[3] === '') return fields;
    rest = rest.slice(found[0].length);
  }
}

/** The trailer of what was written so far: `Z,records,SHA-256 of all bytes before`. */
export function trailerLine(body: string, records: number): string {
  return recordLine(['Z', records, sha256Of(body)]);
}

/** A proved file. */
export type ProvedFile = {
  /** First record. */
  readonly head: readonly string[];
  /** Every other record but the trailer. */
  readonly records: readonly (readonly string[])[];
  /** What the trailer says. */
  readonly sha256: string;
};

/**
 * Reads a file whose trailer must fit: hash of the bytes, number of `D` records.
 * @throws GatewayError `ERR_SETTLEMENT_FILE` naming what is wrong.
 */
export function readProvedFile(text: string): ProvedFile {
  if (text.length > FILE_CHARACTERS_MAX) throw fileError('is too long');
  const lines = text.split('\n');
  if (lines.pop() !== '') throw fileError('does not end with a whole line');
  const trailer = lines.pop() ?? '';
  const [mark, count, sha256 = ''] = recordFields(trailer);
  if (mark !== 'Z') throw fileError('has no trailer');
  const body = text.slice(0, text.length - trailer.length - 1);
  if (sha256 !== sha256Of(body)) throw fileError('has another hash than its trailer says');
  const [head = [], ...records] = lines.map(recordFields);
  const details = records.filter(([type]) => type === 'D').length;
  if (String(details) !== count) throw fileError('has another count than its trailer says');
  return { head, records, sha256 };
}

/** An amount in minor units as such files have it. @throws GatewayError `ERR_SETTLEMENT_FILE`. */
export function amountField(field: string | undefined): bigint {
  if (field !== undefined && /^-?[0-9]{1,18}$/.test(field)) return BigInt(field);
  throw fileError('has an amount that is no number');
}

/** A file that is not what it says. */
export function fileError(why: string, data: Readonly<Record<string, string>> = {}): GatewayError {
  return new GatewayError('ERR_SETTLEMENT_FILE', `the file ${why}`, data);
}

function sha256Of(body: string): string {
  return createHash('sha256').update(body, 'utf8').digest('hex').toUpperCase();
}
