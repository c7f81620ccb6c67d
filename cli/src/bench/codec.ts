/**
 * `bench codec`: packing, unpacking and routing of the 18-field sale, in CPU time of one core,
 * beside npm `iso_8583` on the same fields in the same run.
 */
import { createRequire } from 'node:module';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  type CupsHeader,
  decodeMessage,
  encodeMessage,
  type FieldValue,
  type FrameView,
  type Iso8583Message,
  indexFrame,
  makeMessage,
  POS_DIALECT,
  type PosHeader,
} from '@tapnpay/protocol/iso8583';
import { UsageError } from '../command.ts';
import { type Benchmark, spreadOf } from './benchmark.ts';

const CUPS_ROUTE: CupsHeader = { destination: '00010000000', source: '49990000001' };
const POS_ROUTE: PosHeader = {
  ...{ destination: '0003', source: '0000', applicationType: '60', softwareVersion: '31' },
  ...{ terminalState: 0, processingRequest: 0, subVersion: '311312' },
};
/** Different messages in turn, so that nothing is a constant. */
const MESSAGES = 64;
/** Calls between two looks at the clock; of the peer, which is slower, fewer. */
const SLICE_CALLS = 4_000;
const PEER_SLICE_CALLS = 200;
const WARM_UP_SLICES = 15;

/** Field 55 of a sale: fourteen data objects, 135 bytes. */
const ICC_DATA = fromHex(
  [
    '9F2608A1B2C3D4E5F60708',
    '9F270180',
    '9F101307010103A0A802010A010000000000ABCDEF12',
    '9F37041A2B3C4D',
    '9F36020012',
    '95050000000800',
    '9A03251124',
    '9C0100',
    '9F0206000000001234',
    '5F2A020156',
    '82027C00',
    '9F1A020156',
    '9F0306000000000000',
    '9F3303E0F0C8',
    '9F3403420300',
    '9F350122',
    '9F1E083132333435363738',
  ].join(''),
);

type Fields = readonly (readonly [number, FieldValue])[];

/** The fields of both dialects. */
function common(index: number): Fields {
  return [
    [2, `62999900000${String(10_000 + index)}`],
    [3, '000000'],
    [4, String(1_000 + index).padStart(12, '0')],
    [11, String(index + 1).padStart(6, '0')],
    [14, '3012'],
    [22, '051'],
    [23, '001'],
    [25, '00'],
    [35, '6299990000000009D30122010000000000000'],
    [41, '00000001'],
    [42, '898999900000001'],
    [49, '156'],
    [52, fromHex('0123456789ABCDEF')],
    [55, ICC_DATA],
  ];
}

function cupsSale(index: number): Iso8583Message {
  return makeMessage('0200', [
    ...common(index),
    [7, '1125120000'],
    [18, '5311'],
    [32, '49990000001'],
    [128, fromHex('1122334455667788')],
  ]);
}

function posSale(index: number): Iso8583Message {
  return makeMessage('0200', [
    ...common(index),
    [26, '12'],
    [53, '2610000000000000'],
    [60, '22000001000601'],
    [64, fromHex('1122334455667788')],
  ]);
}

/** Calls a second of CPU time: the median over slices, which a busy machine disturbs least. */
function rateOf(
  { slices, calls }: { readonly slices: number; readonly calls: number },
  call: (index: number) => number,
): number {
  let sink = 0;
  const rates: number[] = [];
  for (let slice = -WARM_UP_SLICES; slice < slices; slice++) {
    const started = process.cpuUsage();
    for (let index = 0; index < calls; index++) sink += call(index % MESSAGES);
    const { user, system } = process.cpuUsage(started);
    if (slice >= 0) rates.push((calls / Math.max(1, user + system)) * 1_000_000);
  }
  if (sink <= 0) throw new UsageError('nothing was measured');
  return Math.round(spreadOf(rates).p50);
}

type DialectRates = {
  readonly messageBytes: number;
  readonly fields: number;
  readonly packUnpackPerSecond: number;
  readonly packPerSecond: number;
  readonly unpackPerSecond: number;
  readonly routingViewPerSecond: number;
};

/** Both directions give every value: nothing is left for later. */
function ratesOf(
  slices: number,
  ends: {
    readonly messages: readonly Iso8583Message[];
    readonly encode: (message: Iso8583Message) => Uint8Array;
    readonly decode: (bytes: Uint8Array) => Iso8583Message;
    readonly route: (bytes: Uint8Array) => number;
  },
): DialectRates {
  const { messages, encode, decode, route } = ends;
  const first = messages[0] ?? makeMessage('0200', []);
  const at = (index: number): Iso8583Message => messages[index] ?? first;
  const frames = messages.map((message) => encode(message));
  const frameAt = (index: number): Uint8Array => frames[index] ?? new Uint8Array();
  const rate = (call: (index: number) => number): number =>
    rateOf({ slices, calls: SLICE_CALLS }, call);
  return {
    messageBytes: frameAt(0).length,
    fields: first.fields.size,
    packUnpackPerSecond: rate((index) => decode(encode(at(index))).fields.size),
    packPerSecond: rate((index) => encode(at(index)).length),
    unpackPerSecond: rate((index) => decode(frameAt(index)).fields.size),
    routingViewPerSecond: rate((index) => route(frameAt(index))),
  };
}

/** What a router looks at: the card's issuer, the trace number and the currency. */
function routed(view: FrameView): number {
  const issuer = view.leadingDigits(2, 8) ?? 0;
  return issuer + (view.leadingDigits(11, 6) ?? 0) + (view.text(49)?.length ?? 0);
}

function cupsRates(slices: number): DialectRates {
  const messages = Array.from({ length: MESSAGES }, (_, index) => cupsSale(index));
  const view = indexFrame(CUPS_DIALECT, encodeMessage(CUPS_DIALECT, CUPS_ROUTE, cupsSale(0)));
  return ratesOf(slices, {
    messages,
    encode: (message) => encodeMessage(CUPS_DIALECT, CUPS_ROUTE, message),
    decode: (bytes) => decodeMessage(CUPS_DIALECT, bytes),
    route: (bytes) => routed(indexFrame(CUPS_DIALECT, bytes, view)),
  });
}

function posRates(slices: number): DialectRates {
  const messages = Array.from({ length: MESSAGES }, (_, index) => posSale(index));
  const view = indexFrame(POS_DIALECT, encodeMessage(POS_DIALECT, POS_ROUTE, posSale(0)));
  return ratesOf(slices, {
    messages,
    encode: (message) => encodeMessage(POS_DIALECT, POS_ROUTE, message),
    decode: (bytes) => decodeMessage(POS_DIALECT, bytes),
    route: (bytes) => routed(indexFrame(POS_DIALECT, bytes, view)),
  });
}

/** The parts of npm `iso_8583` that are used. */
type PeerMessage = {
  getBufferMessage(): Uint8Array | { readonly error: string };
  getIsoJSON(bytes: Uint8Array): Readonly<Record<string, string>>;
};
type PeerModule = new (fields?: Readonly<Record<string, string>>) => PeerMessage;

type Peer = {
  readonly name: string;
  readonly version: string;
  readonly packUnpackPerSecond: number;
};

/** It has neither the header nor binary fields: the same fields in hex, of the MAC the half. */
function peerRate(slices: number): Peer {
  const require = createRequire(import.meta.url);
  const PeerOf = require('iso_8583') as PeerModule;
  const { version } = require('iso_8583/package.json') as { readonly version: string };
  const messages = Array.from({ length: MESSAGES }, (_, index) => {
    const { mti, fields } = cupsSale(index);
    const texts = [...fields].map(([number, value]): readonly [string, string] => {
      const text = typeof value === 'string' ? value : toHex(value);
      return [String(number), number === 128 ? text.slice(0, 8) : text];
    });
    return { 0: mti, ...Object.fromEntries(texts) };
  });
  const packUnpackPerSecond = rateOf({ slices, calls: PEER_SLICE_CALLS }, (index) => {
    const packed = new PeerOf(messages[index]).getBufferMessage();
    if (!(packed instanceof Uint8Array)) throw new UsageError(`iso_8583: ${packed.error}`);
    return Object.keys(new PeerOf().getIsoJSON(packed)).length;
  });
  return { name: 'iso_8583', version, packUnpackPerSecond };
}

/** Measures both dialects and the peer. */
export const benchCodec: Benchmark = {
  countDefault: 100,
  countMax: 1_000,
  run: async (count) => {
    const cups = cupsRates(count);
    const pos = posRates(count);
    const peer = peerRate(count);
    const { fields, messageBytes, ...rates } = cups;
    const json = { ...rates, peer, slices: count, dialects: { cups, pos }, fields, messageBytes };
    return { json, text: textOf(cups, pos, peer) };
  },
};

function textOf(cups: DialectRates, pos: DialectRates, peer: Peer): string {
  const row = (name: string, key: keyof DialectRates): string => {
    const at = (rates: DialectRates): string => rates[key].toLocaleString('en').padStart(12);
    return `  ${name.padEnd(30)}${at(cups)}${at(pos)}`;
  };
  const peerRateText = peer.packUnpackPerSecond.toLocaleString('en');
  const times = (cups.packUnpackPerSecond / peer.packUnpackPerSecond).toFixed(0);
  return [
    `0200 of ${cups.fields} fields, a second of one core's time      CUPS         POS`,
    row('bytes', 'messageBytes'),
    row('pack and unpack', 'packUnpackPerSecond'),
    row('pack', 'packPerSecond'),
    row('unpack, every value', 'unpackPerSecond'),
    row('index, then fields 2, 11, 49', 'routingViewPerSecond'),
    `  npm ${peer.name} ${peer.version}: pack and unpack ${peerRateText} (1/${times})`,
  ].join('\n');
}
