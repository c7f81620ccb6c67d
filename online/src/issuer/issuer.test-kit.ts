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
  TapError,
  toHex,
  xorBytes,
} from '@tapnpay/protocol/bytes';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  kcvTdes,
  pinBlockFormat0,
  pinVerificationValue,
  sm4ApplicationCryptogram,
  sm4Arpc,
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
  type TransactionKind,
  transactionSpec,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { type Hsm, type HsmCommand, KeyUsage } from '@tapnpay/protocol/wire';
import { createHsmContext, inProcessHsm } from '../hsm/index.ts';
import type { IssuerAdmin } from './admin.ts';
import { parseCardFile } from './cards.ts';
import { IssuerCore } from './core.ts';
import type { Books, CardView } from './model.ts';
import { ISSUER_LIMITS, type IssuerPorts, type LineKeys } from './ports.ts';
import { localDay } from './settlement.ts';
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

let sources = 0;
/** Bytes that differ each time, from those of every other source too, and are repeatable. */
export function countingRandom(): RandomSource {
  sources += 1;
  const key = `test ${sources}`;
  let count = 0;
  return {
    bytes(lengthBytes) {
      count += 1;
      const seed = createHmac('sha512', key).update(String(count)).digest();
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
  imkAcSm4: fromHex('8B5CF1A20D3E497648F2D61703B9AC5E'),
  imkMac: fromHex('1F2E3D4C5B6A79888796A5B4C3D2E1F0'),
  imkMacSm4: fromHex('5D1C8E7F20B3A49688F7E6D5C4B3A291'),
  imkEnc: fromHex('C1D0E3F2A5B4879669784B5A2D3C0F1E'),
  imkEncSm4: fromHex('7E6F5D4C3B2A19080F1E2D3C4B5A6978'),
  pvk: fromHex('0123456789ABCDEFFEDCBA9876543210'),
  pin: fromHex('1C2A5E83D0B94F7615E36B0D47A29CF8'),
  mac: fromHex('A7543B8C1F6E29D04D8FE61A32B57C90'),
};

/** A PIN block under a key that the HSM holds, its key block, and the check value. */
export async function newPinOf(
  world: IssuerWorld,
  facts: { readonly pin: string; readonly pan: string },
): Promise<{ readonly pinBlock: string; readonly pinKey: string; readonly pvv: string }> {
  const { pin, pan } = facts;
  const pvv = pinVerificationValue(KEYS.pvk, { pan, pvki: '1', pin });
  return { pinBlock: toHex(pinOnLine(pin, pan)), pinKey: world.keys.pin, pvv };
}

/** Keys that the bureau puts on a chip of this issuer. */
export function chipKeysOf(pan: string): {
  readonly udkAc: Uint8Array;
  readonly udkMac: Uint8Array;
  readonly udkEnc: Uint8Array;
} {
  const key = (master: Uint8Array): Uint8Array => deriveIccMasterKey(master, pan, '01');
  return { udkAc: key(KEYS.imkAc), udkMac: key(KEYS.imkMac), udkEnc: key(KEYS.imkEnc) };
}

/** A PIN as it arrives on the line. */
export function pinOnLine(pin: string, pan: string): Uint8Array {
  return tdesEncrypt(KEYS.pin, pinBlockFormat0(pin, pan));
}

/** How one purchase differs from an ordinary one. */
export type PurchaseOptions = {
  /** Another kind that a card stands behind. */
  readonly kind?: TransactionKind;
  /** A card that works under SM4. */
  readonly sm4?: boolean;
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
  readonly fields?: FieldChanges;
};

/**
 * Cards 1 (rich), 2 (1.00), 3 (expired), 4 (blocked), 5 (refused), 6 (no PIN tries left), 7 (credit
 * line of 50.00), 8 (lost), 9 (stolen), 10 (closed), 11 (expired by its state), 12 (limits of its
 * own) and 13 (electronic cash of 5.00).
 */
export class IssuerWorld {
  readonly store: IssuerStore;
  readonly admin: IssuerAdmin;
  readonly clock: TestClock = testClock();
  readonly log: Readonly<Record<string, unknown>>[] = [];
  readonly ports: IssuerPorts;
  readonly keys: LineKeys;
  droppedReplies = 0;
  /** A command that the HSM fails at. */
  hsmFault: HsmCommand | null = null;
  readonly #core: IssuerCore;
  #stan = 0;
  #atc = 0;

  private constructor(
    store: IssuerStore & IssuerAdmin,
    hsm: Hsm,
    blocks: Readonly<Record<string, string>>,
  ) {
    this.store = store;
    this.admin = store;
    this.keys = { pin: blocks['pin'] ?? '', mac: blocks['mac'] ?? '' };
    this.ports = {
      store,
      hsm: {
        call: async (request) => {
          if (request.command === this.hsmFault) throw new TapError('ERR_HSM_LOST', 'lost');
          return hsm.call(request);
        },
      },
      clock: this.clock,
      random: countingRandom(),
      keys: {
        imkAc: blocks['imkAc'] ?? '',
        imkAcSm4: blocks['imkAcSm4'] ?? '',
        imkMac: blocks['imkMac'] ?? '',
        imkMacSm4: blocks['imkMacSm4'] ?? '',
        imkEnc: blocks['imkEnc'] ?? '',
        imkEncSm4: blocks['imkEncSm4'] ?? '',
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

  static async open(
    store: IssuerStore & IssuerAdmin = new MemoryIssuerStore(),
  ): Promise<IssuerWorld> {
    const context = createHsmContext({
      lmk: new Uint8Array(32).fill(7),
      ciphers: nodeCiphers,
      random: countingRandom(),
      party: 'issuer',
    });
    const hsm = inProcessHsm(context, 'issuer');
    const ceremony = inProcessHsm(context, 'ceremony');
    const form = async (
      usage: KeyUsage,
      key: Uint8Array,
      algorithm: 'T' | '4' = 'T',
    ): Promise<string> => {
      const part = new Uint8Array(16).fill(0x5a);
      const components = [toHex(part), toHex(xorBytes(key, part))];
      const request = { command: 'formKey', usage, algorithm, components } as const;
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
      imkAcSm4: await form(KeyUsage.issuerMasterAc, KEYS.imkAcSm4, '4'),
      imkMac: await form(KeyUsage.issuerMasterMac, KEYS.imkMac),
      imkMacSm4: await form(KeyUsage.issuerMasterMac, KEYS.imkMacSm4, '4'),
      imkEnc: await form(KeyUsage.issuerMasterEnc, KEYS.imkEnc),
      imkEncSm4: await form(KeyUsage.issuerMasterEnc, KEYS.imkEncSm4, '4'),
      pvk: await form(KeyUsage.pinVerification, KEYS.pvk),
      pin: await take(KeyUsage.pinEncryption, KEYS.pin),
      mac: await take(KeyUsage.macX9, KEYS.mac),
    });
    await world.store.importCards(parseCardFile(cardFile(), world.ports), NOW_MS);
    return world;
  }

  /** A message of a card as the switch would send it; a 0200 sale when nothing else is said. */
  purchase(options: PurchaseOptions = {}): Iso8583Message {
    const pan = panOf(options.account ?? 1);
    const amount = String(options.amount ?? 1234n).padStart(12, '0');
    this.#atc += 1;
    const isOffline = options.kind === 'offlineSaleAdvice';
    const pin = options.pin === undefined && !isOffline ? PIN : (options.pin ?? null);
    const atc = options.atc ?? this.#atc;
    const card = cardOf(pan, atc, options.sm4 ?? false);
    const { mti, processingCode, conditionCode } = transactionSpec(options.kind ?? 'sale');
    const iccData = iccDataOf(card, { ...options, atc, amount, pin });
    const message = makeMessage(mti, [
      ...commonFields({ pan, amount, stan: options.stan ?? this.nextStan() }),
      [3, processingCode],
      [14, EXPIRY],
      [22, `${options.tapped ? '07' : '05'}${pin === null ? '2' : '1'}`],
      [25, conditionCode],
      [35, `${pan}=${EXPIRY}220000000000`],
      [52, pin === null ? undefined : pinOnLine(pin, pan)],
      [55, iccData],
    ]);
    return withMac(withFields(message, options.fields ?? []));
  }

  /** A void, refund, cancellation or completion of a message that was answered. */
  followUp(
    kind: TransactionKind,
    original: { readonly message: Iso8583Message; readonly approvalCode: string | null },
    more: { readonly amount?: bigint; readonly fields?: FieldChanges } = {},
  ): Iso8583Message {
    const { message, approvalCode } = original;
    const { mti, processingCode, conditionCode } = transactionSpec(kind);
    const amount = more.amount === undefined ? undefined : String(more.amount).padStart(12, '0');
    const request = makeMessage(mti, [
      ...commonFields({
        pan: textOf(message, 2),
        amount: amount ?? textOf(message, 4),
        stan: this.nextStan(),
      }),
      [3, processingCode],
      [22, '012'],
      [25, conditionCode],
      [38, approvalCode ?? undefined],
      [90, originalDataOf(message)],
    ]);
    return withMac(withFields(request, more.fields ?? []));
  }

  /** The 0420 of a request. */
  reversal(original: Iso8583Message, fields: FieldChanges = []): Iso8583Message {
    const message = makeMessage('0420', [
      ...commonFields({
        pan: textOf(original, 2),
        amount: textOf(original, 4),
        stan: this.nextStan(),
      }),
      [3, textOf(original, 3)],
      [25, textOf(original, 25)],
      [90, originalDataOf(original)],
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

  /** The card as a decision would see it. */
  async card(account = 1): Promise<CardView> {
    const card = { panLookup: keyedDigest(panOf(account)), panSequenceNumber: '01' };
    const day = localDay(this.clock.nowMs());
    const found = await this.store.findCard({ card, atc: null, day });
    if (!found) throw new Error(`no card ${account}`);
    return found;
  }

  async balance(account = 1): Promise<bigint> {
    return (await this.card(account)).balanceMinor;
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

/** Fields that differ. */
export type FieldChanges = Iterable<readonly [number, FieldValue | undefined]>;

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
  const isSm4 = iccValue(request, '9F10')[7] === 0x04;
  return (code: string): string => {
    const arc = asciiToBytes(code);
    const parts = { cryptogram: arqc, authorisationResponseCode: arc };
    const arpc = isSm4
      ? sm4Arpc(nodeCiphers, sm4SessionKey(panOf(account), atc), parts)
      : arpcMethod1(sessionKey(panOf(account), atc), arqc, arc);
    return toHex(concatBytes(arpc, arc));
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

/** Field 90 that names a message. */
function originalDataOf(message: Iso8583Message): string {
  const { mti } = message;
  return `${mti}${textOf(message, 11)}${textOf(message, 7)}${'49990000001'.repeat(2)}`;
}

/** What makes a card's cryptograms, and its issuer application data before the CVR. */
export type TestCard = {
  readonly cryptogram: (input: Uint8Array) => Uint8Array;
  readonly algorithm: string;
};

/** A card under 3DES that has this session key. */
export function tdesCard(key: Uint8Array): TestCard {
  return { cryptogram: (input) => applicationCryptogram(key, input), algorithm: '01' };
}

function cardOf(pan: string, atc: number, isSm4: boolean): TestCard {
  if (!isSm4) return tdesCard(sessionKey(pan, atc));
  const key = sm4SessionKey(pan, atc);
  return {
    cryptogram: (input) => sm4ApplicationCryptogram(nodeCiphers, key, input),
    algorithm: '04',
  };
}

function sm4SessionKey(pan: string, atc: number): Uint8Array {
  const card = { pan, panSequenceNumber: '01' };
  const master = deriveSm4IccMasterKey(nodeCiphers, KEYS.imkAcSm4, card);
  return deriveSm4SessionKey(nodeCiphers, master, numberBytes(atc));
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
  card: TestCard,
  facts: Omit<PurchaseOptions, 'amount' | 'atc'> & {
    readonly atc: number;
    readonly amount: string;
  },
): Uint8Array {
  const hasPin = facts.pin !== null;
  const isOffline = facts.kind === 'offlineSaleAdvice';
  // Byte 2 of the CVR: no second cryptogram, and a TC or an ARQC first.
  const results = `03${isOffline ? '90' : 'A0'}0000`;
  const iad = `0701${facts.tapped ? '17' : '01'}${results}${card.algorithm}`;
  const values = new Map<string, Uint8Array>([
    ['9F27', fromHex(isOffline ? '40' : '80')],
    ['9F10', fromHex(iad)],
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
  const arqc = card.cryptogram(assembleAcInput(values));
  values.set('9F26', arqc);
  for (const [tag, hex] of Object.entries(facts.unsigned ?? {})) {
    if (hex === '') values.delete(tag);
    else values.set(tag, fromHex(hex));
  }
  return concatBytes(...[...values].map(([tag, value]) => encodeTlv(tag, value)));
}

/** Limits of card 12. */
const CARD_LIMITS = {
  ...{ singleAmountMinor: '1000', dayAmountMinor: '2500', dayCount: 4 },
  ...{ noPinMinor: '500', noPinDayMinor: '800' },
};

function cardFile(): string {
  const card = (account: number, more: Readonly<Record<string, unknown>>): unknown => {
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
    card(7, { balanceMinor: '0', creditLineMinor: '5000' }),
    card(8, { state: 'lost' }),
    card(9, { state: 'stolen' }),
    card(10, { state: 'closed' }),
    card(11, { state: 'expired' }),
    card(12, { limits: CARD_LIMITS }),
    card(13, { electronicCashMinor: '500' }),
  ]);
}
