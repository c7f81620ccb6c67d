/** For the issuer's tests: an HSM in memory, a card, a line with known keys, and a clock to turn. */
import { createHmac } from 'node:crypto';
import {
  asciiToBytes,
  type Clock,
  concatBytes,
  fromHex,
  luhnCheckDigit,
  numericToBcd,
  type RandomSource,
  toHex,
  xorBytes,
} from '@tapnpay/protocol/bytes';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  kcvTdes,
  pinBlockFormat0,
  pinVerificationValue,
  tdesEncrypt,
  x99Mac,
} from '@tapnpay/protocol/crypto';
import { assembleAcInput } from '@tapnpay/protocol/emv/issuer';
import { decodeTlv, encodeTlv, findTlv } from '@tapnpay/protocol/iso7816';
import {
  CUPS_DIALECT,
  decodeIssuerFacts,
  decodeMessage,
  encodeMessage,
  type FieldValue,
  type Iso8583Message,
  macBlock,
  makeMessage,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { type Hsm, KeyUsage } from '@tapnpay/protocol/wire';
import { createHsmContext, inProcessHsm } from '../hsm/index.ts';
import { parseCardFile } from './cards.ts';
import { IssuerCore } from './core.ts';
import type { Books } from './model.ts';
import { ISSUER_LIMITS, type IssuerPorts, type LineKeys } from './ports.ts';
import type { IssuerStore } from './store.ts';
import { MemoryIssuerStore } from './store-memory.ts';

/** 2026-11-25 12:00 in China. */
export const NOW_MS: number = Date.UTC(2026, 10, 25, 4, 0, 0);
export const PIN = '123456';
export const EXPIRY = '3112';

/** A number of the issuer's own range, with its check digit. */
export function panOf(account: number): string {
  const payload = `629999${String(account).padStart(9, '0')}`;
  return payload + luhnCheckDigit(payload);
}

/** Bytes that differ each time and are the same in each run. */
export function countingRandom(): RandomSource {
  let count = 0;
  return {
    bytes(lengthBytes) {
      count += 1;
      const seed = createHmac('sha512', 'test').update(String(count)).digest();
      return new Uint8Array(lengthBytes).map((_, index) => seed[index % seed.length] ?? 0);
    },
  };
}

export type TestClock = Clock & { set(nowMs: number): void };
export function testClock(): TestClock {
  let time = NOW_MS;
  return {
    nowMs: () => time,
    startTimer: () => () => undefined,
    set: (nowMs) => {
      time = nowMs;
    },
  };
}

export function keyedDigest(text: string): string {
  return createHmac('sha256', 'lookup').update(text).digest('hex').toUpperCase();
}

const KEYS = {
  zmk: fromHex('404142434445464748494A4B4C4D4E4F'),
  imkAc: fromHex('9E15204313F7318ACB79B90BD986AD29'),
  pvk: fromHex('0123456789ABCDEFFEDCBA9876543210'),
  pin: fromHex('1C2A5E83D0B94F7615E36B0D47A29CF8'),
  mac: fromHex('A7543B8C1F6E29D04D8FE61A32B57C90'),
};

/** How one purchase differs from an ordinary one. */
export type PurchaseOptions = {
  readonly account?: number;
  readonly amount?: bigint;
  readonly atc?: number;
  readonly stan?: string;
  /** Tapped: CVN 17, entry mode 07x. */
  readonly tapped?: boolean;
  /** Null for a purchase without PIN. */
  readonly pin?: string | null;
  /** Values of field 55 that differ; they are signed by the card. */
  readonly signed?: Readonly<Record<string, string>>;
  /** Values of field 55 that differ after the card has signed; empty removes one. */
  readonly unsigned?: Readonly<Record<string, string>>;
  /** Fields of the message that differ; the MAC is made afterwards. */
  readonly fields?: Iterable<readonly [number, FieldValue | undefined]>;
};

/** Cards 1 (rich), 2 (1.00), 3 (expired), 4 (blocked), 5 (refused) and 6 (no PIN tries left). */
export class IssuerWorld {
  readonly store: IssuerStore;
  readonly clock: TestClock = testClock();
  readonly log: Readonly<Record<string, unknown>>[] = [];
  readonly ports: IssuerPorts;
  readonly keys: LineKeys;
  droppedReplies = 0;
  readonly #core: IssuerCore;
  #stan = 0;
  #atc = 0;

  private constructor(store: IssuerStore, hsm: Hsm, blocks: Readonly<Record<string, string>>) {
    this.store = store;
    this.keys = { pin: blocks['pin'] ?? '', mac: blocks['mac'] ?? '' };
    this.ports = {
      store,
      hsm,
      clock: this.clock,
      random: countingRandom(),
      keys: {
        imkAc: blocks['imkAc'] ?? '',
        imkAcSm4: blocks['imkAcSm4'] ?? '',
        pvk: blocks['pvk'] ?? '',
      },
      limits: ISSUER_LIMITS,
      keyedDigest,
      refreshCards: async () => false,
      isReplyDropped: () => {
        this.droppedReplies -= 1;
        return this.droppedReplies >= 0;
      },
      log: (record) => this.log.push(record),
    };
    this.#core = new IssuerCore(this.ports);
  }

  static async open(store: IssuerStore = new MemoryIssuerStore()): Promise<IssuerWorld> {
    const context = createHsmContext({
      lmk: new Uint8Array(32).fill(7),
      ciphers: nodeCiphers,
      random: countingRandom(),
      party: 'issuer',
    });
    const hsm = inProcessHsm(context, 'issuer');
    const ceremony = inProcessHsm(context, 'ceremony');
    const form = async (usage: KeyUsage, key: Uint8Array): Promise<string> => {
      const part = new Uint8Array(16).fill(0x5a);
      const components = [toHex(part), toHex(xorBytes(key, part))];
      const request = { command: 'formKey', usage, algorithm: 'T', components } as const;
      return (await ceremony.call(request)).keyBlock;
    };
    const zmk = await form(KeyUsage.zoneMaster, KEYS.zmk);
    const take = async (usage: KeyUsage, key: Uint8Array): Promise<string> => {
      const enciphered = toHex(tdesEncrypt(KEYS.zmk, key));
      const kcv = kcvTdes(key);
      const request = { command: 'importKey', usage, under: zmk, enciphered, kcv } as const;
      return (await hsm.call(request)).keyBlock;
    };
    const world = new IssuerWorld(store, hsm, {
      imkAc: await form(KeyUsage.issuerMasterAc, KEYS.imkAc),
      pvk: await form(KeyUsage.pinVerification, KEYS.pvk),
      pin: await take(KeyUsage.pinEncryption, KEYS.pin),
      mac: await take(KeyUsage.macX9, KEYS.mac),
    });
    await world.store.importCards(parseCardFile(cardFile(), world.ports), NOW_MS);
    return world;
  }

  /** A 0200 as the switch would send it. */
  purchase(options: PurchaseOptions = {}): Iso8583Message {
    const pan = panOf(options.account ?? 1);
    const amount = String(options.amount ?? 1234n).padStart(12, '0');
    this.#atc += 1;
    const pin = options.pin === undefined ? PIN : options.pin;
    const atc = options.atc ?? this.#atc;
    const key = sessionKey(pan, atc);
    const iccData = iccDataOf(key, { ...options, atc, amount, pin });
    const message = makeMessage('0200', [
      ...commonFields({ pan, amount, stan: options.stan ?? this.nextStan() }),
      [14, EXPIRY],
      [22, `${options.tapped ? '07' : '05'}${pin === null ? '2' : '1'}`],
      [35, `${pan}=${EXPIRY}220000000000`],
      [52, pin === null ? undefined : tdesEncrypt(KEYS.pin, pinBlockFormat0(pin, pan))],
      [55, iccData],
    ]);
    return withMac(withFields(message, options.fields ?? []));
  }

  /** The 0420 of a 0200. */
  reversal(
    original: Iso8583Message,
    fields: Iterable<readonly [number, FieldValue | undefined]> = [],
  ): Iso8583Message {
    const [stan, transmission] = [textOf(original, 11), textOf(original, 7)];
    const message = makeMessage('0420', [
      ...commonFields({
        pan: textOf(original, 2),
        amount: textOf(original, 4),
        stan: this.nextStan(),
      }),
      [90, `0200${stan}${transmission}${'49990000001'.repeat(2)}`],
    ]);
    return withMac(withFields(message, fields));
  }

  nextStan(): string {
    this.#stan += 1;
    return String(this.#stan).padStart(6, '0');
  }

  /** Sends a message through the codec, as the line does; null when there is no answer. */
  async send(message: Iso8583Message): Promise<Answer | null> {
    const header = { destination: '62990000001', source: '00010000000' };
    const received = decodeMessage(CUPS_DIALECT, encodeMessage(CUPS_DIALECT, header, message));
    const reply = await this.#core.handle(received, this.keys);
    return reply && readAnswer(reply);
  }

  books(): Promise<Books> {
    return this.store.readBooks();
  }

  async balance(account = 1): Promise<bigint> {
    const panLookup = keyedDigest(panOf(account));
    const card = { panLookup, panSequenceNumber: '01' };
    const found = await this.store.findCard({ card, atc: null, day: '20261125' });
    return found?.balanceMinor ?? -1n;
  }
}

/** An answer with what tests look at. */
export type Answer = {
  readonly message: Iso8583Message;
  readonly mti: string;
  readonly code: string;
  readonly approvalCode: string | null;
  readonly arqcVerified: boolean | null;
  readonly ledgerEntryId: string | null;
  readonly reason: string | null;
  /** Tag 91, hex. */
  readonly proof: string | null;
  readonly isMacRight: boolean;
};

/** The parts of an answer. */
export function readAnswer(message: Iso8583Message): Answer {
  const header = { destination: '00010000000', source: '62990000001' };
  const sent = decodeMessage(CUPS_DIALECT, encodeMessage(CUPS_DIALECT, header, message));
  const iccData = sent.fields.get(55);
  const proof =
    iccData instanceof Uint8Array ? findTlv(decodeTlv(iccData), '91')?.value : undefined;
  const text = sent.fields.get(57);
  const facts = typeof text === 'string' ? decodeIssuerFacts(text) : null;
  const mac = sent.fields.get(128);
  return {
    message: sent,
    mti: sent.mti,
    code: textOf(sent, 39),
    approvalCode: sent.fields.has(38) ? textOf(sent, 38) : null,
    arqcVerified: facts?.arqcVerified ?? null,
    ledgerEntryId: facts?.ledgerEntryId ?? null,
    reason: facts?.reason ?? null,
    proof: proof ? toHex(proof) : null,
    isMacRight: mac instanceof Uint8Array && toHex(mac) === toHex(macOf(sent)),
  };
}

/** What the card makes of an answer: its own ARPC over the ARC it received. */
export function expectedProof(
  account: number,
  atc: number,
  request: Iso8583Message,
): (code: string) => string {
  const arqc = iccValue(request, '9F26');
  const key = sessionKey(panOf(account), atc);
  return (code: string): string => {
    const arc = asciiToBytes(code);
    return toHex(concatBytes(arpcMethod1(key, arqc, arc), arc));
  };
}

/** A value of field 55. */
export function iccValue(message: Iso8583Message, tag: string): Uint8Array {
  const iccData = message.fields.get(55);
  const found = iccData instanceof Uint8Array ? findTlv(decodeTlv(iccData), tag) : undefined;
  return found?.value ?? new Uint8Array();
}

export function textOf(message: Iso8583Message, number: number): string {
  const value = message.fields.get(number);
  return typeof value === 'string' ? value : '';
}

/** The message with a right MAC. */
export function withMac(message: Iso8583Message): Iso8583Message {
  return withFields(message, [[128, macOf(message)]]);
}

function macOf(message: Iso8583Message): Uint8Array {
  return x99Mac(KEYS.mac, macBlock(message));
}

function sessionKey(pan: string, atc: number): Uint8Array {
  return deriveSessionKey(deriveIccMasterKey(KEYS.imkAc, pan, '01'), numberBytes(atc));
}

function numberBytes(atc: number): Uint8Array {
  return Uint8Array.of(atc >> 8, atc & 0xff);
}

/** Fields that a 0200 and its 0420 share. */
export function commonFields(facts: {
  readonly pan: string;
  readonly amount: string;
  readonly stan: string;
}): readonly (readonly [number, FieldValue])[] {
  return [
    [2, facts.pan],
    [3, '000000'],
    [4, facts.amount],
    [7, '1125120000'],
    [11, facts.stan],
    [12, '120000'],
    [13, '1125'],
    [18, '5999'],
    [23, '001'],
    [25, '00'],
    [32, '49990000001'],
    [33, '00010000000'],
    [37, `112512${facts.stan}`],
    [41, 'TERM0001'],
    [42, 'MERCHANT0000001'],
    [49, '156'],
  ];
}

/** Field 55 of a purchase, its cryptogram made with the card's session key. */
export function iccDataOf(
  key: Uint8Array,
  facts: Omit<PurchaseOptions, 'amount' | 'atc'> & {
    readonly atc: number;
    readonly amount: string;
  },
): Uint8Array {
  const hasPin = facts.pin !== null;
  const values = new Map<string, Uint8Array>([
    ['9F27', fromHex('80')],
    ['9F10', fromHex(facts.tapped ? '07011703A0000001' : '07010103A0000001')],
    ['9F37', fromHex('7863AFC6')],
    ['9F36', numberBytes(facts.atc)],
    ['95', fromHex(hasPin ? '0000040000' : '0000000000')],
    ['9A', fromHex('261125')],
    ['9C', fromHex('00')],
    ['9F02', numericToBcd(facts.amount, 6)],
    ['5F2A', fromHex('0156')],
    ['82', fromHex('7C00')],
    ['9F1A', fromHex('0156')],
    ['9F03', fromHex('000000000000')],
    ['9F34', fromHex(hasPin ? '020300' : '1F0302')],
  ]);
  for (const [tag, hex] of Object.entries(facts.signed ?? {})) values.set(tag, fromHex(hex));
  const arqc = applicationCryptogram(key, assembleAcInput(values));
  values.set('9F26', arqc);
  for (const [tag, hex] of Object.entries(facts.unsigned ?? {})) {
    if (hex === '') values.delete(tag);
    else values.set(tag, fromHex(hex));
  }
  return concatBytes(...[...values].map(([tag, value]) => encodeTlv(tag, value)));
}

function cardFile(): string {
  const card = (account: number, more: Readonly<Record<string, string | number>>): unknown => {
    const pan = panOf(account);
    const pvv = pinVerificationValue(KEYS.pvk, { pan, pvki: '1', pin: PIN });
    const ordinary = { name: `card-${account}`, pan, panSequenceNumber: '01', expiryYymm: EXPIRY };
    const held = { pvki: '1', pvv, balanceMinor: '10000000', currency: '156', state: 'active' };
    return { ...ordinary, ...held, ...more };
  };
  return JSON.stringify([
    card(1, {}),
    card(2, { balanceMinor: '100' }),
    card(3, { expiryYymm: '2610' }),
    card(4, { state: 'blocked' }),
    card(5, { state: 'refused' }),
    card(6, { pinFailures: 3 }),
  ]);
}
