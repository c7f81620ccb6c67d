/** Logs of one contact and one contactless payment, as parties write them, in a folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hop, type HopName, type TraceEvent, type TraceField } from '@tapnpay/protocol/wire';

export const ORDER = '01a2136d-b8c6-7dce-a09b-19587c2ef2ae';
export const OTHER_ORDER = '01a2136d-ffff-7dce-a09b-000000000000';
export const PAYMENT = '01a2136d-bb5b-7008-abf0-774f7c223080';
export const REFERENCE = '632923000001';
/** When the order was made. */
export const START_MS = 1_790_000_000_000;

/** One line of a log. */
export type Line = { readonly log: string; readonly text: string };

export function hop(
  log: string,
  name: HopName,
  ms: number,
  facts: Readonly<Record<string, unknown>>,
  more: object = {},
): Line {
  const record = { event: 'hop', n: Hop[name], name, party: log, atMs: START_MS + ms, facts };
  return { log, text: JSON.stringify({ level: 'info', timeMs: 1, ...record, ...more }) };
}

export function seen(
  log: string,
  ms: number,
  event: Pick<TraceEvent, 'hop' | 'references' | 'kind' | 'title' | 'data'>,
): Line {
  const record = { level: 'info', event: 'trace', party: log, atMs: START_MS + ms, ...event };
  return { log, text: JSON.stringify(record) };
}

/** An exchange with a card, as the helper writes it. */
export function apdu(ms: number, number: number, exchange: readonly [string, string]): Line {
  const [command, response] = exchange;
  const data = { number, command, response, interface: 'contact', attempt: 1 };
  return seen('agent', ms, { hop: 'tap', references: [ORDER], kind: 'apdu', title: 'APDU', data });
}

export const SELECT: readonly [string, string] = [
  '00A4040008A00000033301010100',
  '6F448408A000000333010101A538500A50424F432044454249548701019F38069F1A025F2A025F2D047A68656E9F1101019F120A50424F43204445424954BF0C059F4D020B0A9000',
];
export const GPO: readonly [string, string] = [
  '80A8000006830401560156' + '00',
  '800E7C000801010010010201180104009000',
];
export const CDOL_RECORD: readonly [string, string] = [
  '00B2021400',
  '704B8C1B9F02069F03069F1A0295055F2A029A039C019F37049F21039F4E148D178A029F02069F03069F1A0295055F2A029A039C019F37049F49039F37045F300202209F080200309F420201569000',
];
export const PAN_RECORD: readonly [string, string] = [
  '00B2011400',
  '70125A0A629999*********0012F5F2403311130' + '9000',
];
export const FIRST_AC: readonly [string, string] = [
  '80AE80003400000000123400000000000001560000048800015626112500209638E923580854617020616E6420506179204C61622053686F7000',
  '801380000128AD9AB1A1A567DB07010103A01002019000',
];
export const SECOND_AC: readonly [string, string] = [
  '80AE40001F303000000000123400000000000001560000048800015626112500209638E900',
  '801340000155F0B01B2DBEF10607010103601002019000',
];
export const EXTERNAL: readonly [string, string] = ['008200000A8F5E89552E4B34E83030', '9000'];
/** The GPO answer of qPBOC: it holds the cryptogram. */
export const QPBOC_GPO: readonly [string, string] = [
  '80A8000002830000',
  '771F82027C009F360200019F260828AD9AB1A1A567DB9F100807010103A01002019000',
];

/** A folder with these lines in its logs, removed by `remove`. */
export function folderOf(lines: readonly Line[]): {
  readonly dataDir: string;
  readonly remove: () => void;
} {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-observer-'));
  mkdirSync(join(dataDir, 'logs'));
  const logs = new Set(lines.map(({ log }) => log));
  for (const log of logs) {
    const texts = lines.filter((line) => line.log === log).map(({ text }) => text);
    writeFileSync(join(dataDir, 'logs', `${log}.log`), `${texts.join('\n')}\n`);
  }
  return { dataDir, remove: () => rmSync(dataDir, { recursive: true, force: true }) };
}

const message = {
  direction: 'sent',
  peer: 'switch',
  MTI: '0200',
  F2: '629999*********0012',
  F3: '000000',
  F4: '000000001234',
  F22: '051',
  F39: '51',
  F49: '156',
  F55: '[34 bytes]',
  'F55.tlv': '9F260828AD9AB1A1A567DB95050000048800' + '5708****************',
  F90: '020000000111252358084999000000149990000001',
} as const;

/** A contact payment that every party has logged, the lines in no order of their own. */
export const CONTACT: readonly Line[] = [
  hop('gateway', 'order', 0, { orderId: ORDER, amountMinor: '1234' }),
  hop('agent', 'ask', 40, { orderId: ORDER }, { references: [ORDER] }),
  hop('agent', 'tap', 90, { records: 7 }, { references: [ORDER], party: 'element' }),
  apdu(60, 1, SELECT),
  apdu(65, 2, GPO),
  apdu(70, 3, PAN_RECORD),
  apdu(75, 4, CDOL_RECORD),
  apdu(100, 5, FIRST_AC),
  hop('gateway', 'seal', 120, { orderId: ORDER, interface: 'contact' }),
  seen('gateway', 125, {
    hop: 'request',
    references: [ORDER],
    kind: 'hsm',
    title: 'translatePin',
    data: { 'in.from.key': 'D0128B0AX00N0200… (128)', 'in.from.format': 4, 'out.pinBlock': '[8]' },
  }),
  hop('gateway', 'request', 130, { paymentId: PAYMENT, retrievalReference: REFERENCE }),
  seen('gateway', 131, {
    hop: 'request',
    references: [ORDER, PAYMENT, REFERENCE],
    kind: 'iso8583',
    title: '0200 sent',
    data: message,
  }),
  hop('switch', 'route', 140, { destination: '62990000001' }, { retrievalReference: REFERENCE }),
  seen('issuer', 150, {
    hop: 'decide',
    references: [REFERENCE],
    kind: 'hsm',
    title: 'verifyArqc',
    data: {
      'in.data': '00000000123400000000000001560000048800015626112500209638E97C00000103A01002',
      'out.valid': true,
    },
  }),
  seen('issuer', 155, {
    hop: 'decide',
    references: [REFERENCE],
    kind: 'ledger',
    title: 'posting',
    data: {
      transaction: 'sale',
      entryId: 'e1',
      account: 'card-7',
      currency: '156',
      amountMinor: '-1234',
    },
  }),
  hop('issuer', 'decide', 156, { responseCode: '00' }, { retrievalReference: REFERENCE }),
  hop('gateway', 'return', 160, { paymentId: PAYMENT, verdict: 'approved', responseCode: '00' }),
  apdu(170, 6, EXTERNAL),
  apdu(175, 7, SECOND_AC),
  hop('gateway', 'confirm', 180, { paymentId: PAYMENT, tvr: '0000048800' }),
  hop('gateway', 'tell', 185, { paymentId: PAYMENT, outcome: 'approved' }),
];

/** The innermost field on a path of keys. */
export function fieldOf(fields: readonly TraceField[], ...path: readonly string[]): TraceField {
  const [key, ...rest] = path;
  const found = fields.find((field) => field.key === key);
  if (!found)
    throw new Error(`no field ${key} among ${fields.map((field) => field.key).join(' ')}`);
  return rest.length === 0 ? found : fieldOf(found.children, ...rest);
}
