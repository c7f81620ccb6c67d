/** The bureau of the lab: cards from a table, an image for each chip, a record for the issuer. */
import { join } from 'node:path';
import { type Clock, luhnCheckDigit, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import {
  AID_PBOC_CREDIT,
  CARD_DEFAULTS,
  EmvDataError,
  iccSummary,
  parseIccImage,
} from '@tapnpay/protocol/emv/data';
import {
  type CaPublicKeyJson,
  type CardInterfaces,
  type Hsm,
  type KeyBlock,
  KeyUsage,
} from '@tapnpay/protocol/wire';
import { type PartyKeys, readPartyKeys } from '../runtime/party-keys.ts';
import { systemClock, systemRandom } from '../runtime/system.ts';
import { HsmError } from './errors.ts';
import { makePrivateFolder, readFileIfAny, writeFileAtomic } from './files.ts';
import { KEY_BYTES } from './profile.ts';

/** An account beside its balance; amounts are minor units, what is left out is the issuer's own. */
export type CardAccount = {
  /** What a credit card may spend beyond its balance. */
  readonly creditLineMinor?: string;
  /** What the chip's electronic cash holds. */
  readonly electronicCashMinor?: string;
  readonly limits?: {
    readonly singleAmountMinor?: string;
    readonly dayAmountMinor?: string;
    readonly dayCount?: number;
    readonly noPinMinor?: string;
    readonly noPinDayMinor?: string;
  };
};

/** One card of the table. */
export type CardSpec = {
  readonly name: string;
  /** With its check digit. */
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly pin: string;
  /** Minor units of currency 156. */
  readonly balanceMinor: string;
  /** Months from now to the expiry; negative for a card that is expired already. */
  readonly monthsValid: number;
  readonly state: CardRecord['state'];
  readonly label: string;
  readonly cardholderName: string;
  /** Card keys under an issuer master key that the issuer does not have. */
  readonly isWrongIssuerKey: boolean;
  /** Wrong PINs in a row that the issuer has seen; none when left out. */
  readonly pinFailures?: number;
  /** Application identifier; PBOC debit when left out. */
  readonly aid?: string;
  /** `dual` when left out. */
  readonly interfaces?: CardInterfaces;
  /** First and last month, in place of what `monthsValid` says. */
  readonly validity?: { readonly effectiveYymm: string; readonly expiryYymm: string };
  readonly account?: CardAccount;
  /** What a card model says beside holder, PAN and validity; label, AID and sides are its own. */
  readonly model?: Readonly<Record<string, unknown>>;
};

/** What the issuer is told of a card; `<dataDir>/issuer-cards.json` is a list of these. */
export type CardRecord = CardAccount & {
  readonly name: string;
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  readonly pvki: string;
  readonly pvv: string;
  readonly balanceMinor: string;
  readonly currency: string;
  /** `refused`: the issuer says 05, do not honour. */
  readonly state: 'active' | 'blocked' | 'refused';
  /** Wrong PINs in a row so far. */
  readonly pinFailures: number;
};

/** What came of a personalisation. */
export type PersonalisedCards = {
  /** All cards of the issuer, those of earlier calls included. */
  readonly records: readonly CardRecord[];
  /** Names of the cards whose images were made by this call. */
  readonly made: readonly string[];
};

const BIN = '629999';
/** Index of the PIN verification key, in each PVV. */
export const PVKI = '1';
const CURRENCY = '156';
const LAB_PIN = '123456';
const RICH_MINOR = '10000000';
const POOR_MINOR = '100';
const PIN_TRIES = 3;
/** An application of ours that no terminal is told to take. */
const AID_FOREIGN = 'A0000003330101F1';
/** Second purse of the dual-currency card: Hong Kong dollars. */
const CURRENCY_HKD = '0344';
const MONTHS_VALID = 60;
const MONTHS_EXPIRED = -3;
/** How long before its expiry a card became effective. */
const MONTHS_OF_LIFE = 120;
const CARDS_MAX = 10_000;

/** A PAN of the lab's BIN: account digits, then the check digit. @see ISO 7812 */
export function labPan(account: string): string {
  const payload = `${BIN}${account}`;
  return `${payload}${luhnCheckDigit(payload)}`;
}

/** What a lab card is when nothing else is said. */
export const LAB_CARD_DEFAULTS: Omit<CardSpec, 'name' | 'pan'> = {
  panSequenceNumber: '01',
  pin: LAB_PIN,
  balanceMinor: RICH_MINOR,
  monthsValid: MONTHS_VALID,
  state: 'active',
  label: 'PBOC DEBIT',
  cardholderName: 'LAB/CARDHOLDER',
  isWrongIssuerKey: false,
};

/** What the issuer knows of a purse that its chip comes with. */
const WITH_PURSE: CardAccount = {
  electronicCashMinor: CARD_DEFAULTS.electronicCash.balanceMinor,
};
const DEBIT_WITH_PIN = { product: 'debit', pin: { value: LAB_PIN } } as const;

/** The cards of every lab. The first has 19 digits, as UnionPay debit cards do, the others 16. */
export const LAB_CARDS: readonly CardSpec[] = [
  { ...LAB_CARD_DEFAULTS, name: 'debit', pan: labPan('000000000001') },
  { ...LAB_CARD_DEFAULTS, name: 'low-balance', pan: labPan('000000002'), balanceMinor: POOR_MINOR },
  { ...LAB_CARD_DEFAULTS, name: 'expired', pan: labPan('000000003'), monthsValid: MONTHS_EXPIRED },
  { ...LAB_CARD_DEFAULTS, name: 'blocked', pan: labPan('000000004'), state: 'blocked' },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'wrong-issuer-key',
    pan: labPan('000000005'),
    isWrongIssuerKey: true,
  },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'travel',
    pan: labPan('000000006'),
    label: 'TRAVEL CREDIT',
    aid: AID_PBOC_CREDIT,
  },
  { ...LAB_CARD_DEFAULTS, name: 'pin-blocked', pan: labPan('000000007'), pinFailures: PIN_TRIES },
  { ...LAB_CARD_DEFAULTS, name: 'refused', pan: labPan('000000008'), state: 'refused' },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'insert-only',
    pan: labPan('000000009'),
    interfaces: 'asksForInsertion',
  },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'contact-only',
    pan: labPan('000000010'),
    interfaces: 'contactOnly',
  },
  { ...LAB_CARD_DEFAULTS, name: 'foreign', pan: labPan('000000011'), aid: AID_FOREIGN },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'credit',
    pan: labPan('000000012'),
    model: { applications: [{ product: 'credit' }] },
  },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'quasi-credit',
    pan: labPan('000000013'),
    model: { applications: [{ product: 'quasiCredit' }] },
  },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'e-cash',
    pan: labPan('000000014'),
    account: WITH_PURSE,
    model: { applications: [{ ...DEBIT_WITH_PIN, electronicCash: {} }] },
  },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'dual-currency',
    pan: labPan('000000015'),
    account: WITH_PURSE,
    model: {
      applications: [
        { ...DEBIT_WITH_PIN, electronicCash: { second: { currencyCode: CURRENCY_HKD } } },
      ],
    },
  },
  {
    ...LAB_CARD_DEFAULTS,
    name: 'cda',
    pan: labPan('000000016'),
    model: {
      applications: [{ ...DEBIT_WITH_PIN, dataAuthentication: ['SDA', 'DDA', 'CDA'] }],
    },
  },
];

/**
 * Makes the images and records that are missing: `<dataDir>/cards/<name>.json`,
 * `<dataDir>/issuer-cards.json` and the CA's key for terminals, `<dataDir>/ca-public-keys.json`.
 * What exists is kept; a call that was cut short is completed by the next one.
 * @throws HsmError `ERR_HSM_CARDS` for a card out of format or a file that is no such list.
 */
export async function personaliseCards(options: {
  readonly dataDir: string;
  /** The issuer's HSM as caller `bureau`. */
  readonly bureau: Hsm;
  /** The issuer's HSM as caller `ceremony`, for the key that the issuer does not have. */
  readonly ceremony: Hsm;
  readonly specs?: readonly CardSpec[];
  readonly clock?: Clock;
  readonly random?: RandomSource;
}): Promise<PersonalisedCards> {
  const { dataDir, specs = LAB_CARDS, clock = systemClock } = options;
  const makers = { ...options, random: options.random ?? systemRandom };
  const keys = readPartyKeys(dataDir, 'issuer');
  makePrivateFolder(join(dataDir, 'cards'));
  const records = new Map(readCardRecords(dataDir).map((record) => [record.pan, record]));
  const images = new Map<string, string>();
  for (const spec of specs) {
    assertSpec(spec);
    const record = records.get(spec.pan);
    const image = readImage(dataDir, spec.name);
    if (record && image && readFileIfAny(caKeysPath(dataDir))) continue;
    const known = image?.expiryYymm ?? record?.expiryYymm;
    const told = known ?? spec.validity?.expiryYymm;
    const expiryYymm = told ?? yymmAfter(clock.nowMs(), spec.monthsValid);
    const made = await personaliseCard(makers, keys, { ...spec, expiryYymm });
    if (!record) records.set(spec.pan, recordOf({ ...spec, expiryYymm }, made.pvv));
    if (!image) images.set(spec.name, made.image);
    writeCaPublicKey(dataDir, made.caPublicKey);
  }
  // The issuer's records first: a chip without a record could not be told from a forgery.
  const all = [...records.values()];
  if (images.size > 0 || all.length !== readCardRecords(dataDir).length) {
    writeFileAtomic(recordsPath(dataDir), `${JSON.stringify(all, null, 2)}\n`);
  }
  for (const [name, image] of images) writeFileAtomic(cardPath(dataDir, name), `${image}\n`);
  return { records: all, made: [...images.keys()] };
}

/** What `personaliseCard` returns. */
export type PersonalisedCard = {
  /** JSON text of an `IccImage`. */
  readonly image: string;
  readonly pvv: string;
  readonly caPublicKey: CaPublicKeyJson;
};

/** One card, without any file. */
export async function personaliseCard(
  makers: { readonly bureau: Hsm; readonly ceremony: Hsm; readonly random: RandomSource },
  issuer: Pick<PartyKeys<'issuer'>, 'keys'>,
  card: CardSpec & { readonly expiryYymm: string },
): Promise<PersonalisedCard> {
  const { imkAc, imkMac, imkEnc, pvk } = issuer.keys;
  const { pan, panSequenceNumber, pin, label, cardholderName, expiryYymm } = card;
  return makers.bureau.call({
    command: 'personaliseCard',
    imkAc: card.isWrongIssuerKey ? await foreignMasterKey(makers) : imkAc.keyBlock,
    imkMac: imkMac.keyBlock,
    imkEnc: imkEnc.keyBlock,
    pvk: pvk.keyBlock,
    pvki: PVKI,
    card: { pan, panSequenceNumber },
    expiryYymm,
    effectiveYymm: card.validity?.effectiveYymm ?? monthsAfter(expiryYymm, -MONTHS_OF_LIFE),
    pin,
    label,
    cardholderName,
    ...(card.aid === undefined ? {} : { aid: card.aid }),
    ...(card.interfaces === undefined ? {} : { interfaces: card.interfaces }),
    ...(card.model === undefined ? {} : { model: JSON.stringify(card.model) }),
  });
}

/** The record of a card for the issuer. */
export function recordOf(
  card: CardSpec & { readonly expiryYymm: string },
  pvv: string,
): CardRecord {
  const { name, pan, panSequenceNumber, expiryYymm, balanceMinor, state } = card;
  const pinFailures = card.pinFailures ?? 0;
  const head = { name, pan, panSequenceNumber, expiryYymm };
  const held = { pvki: PVKI, pvv, balanceMinor, currency: CURRENCY, state, pinFailures };
  return { ...head, ...held, ...card.account };
}

async function foreignMasterKey(makers: {
  readonly ceremony: Hsm;
  readonly random: RandomSource;
}): Promise<KeyBlock> {
  const component = (): string => toHex(makers.random.bytes(KEY_BYTES));
  const { keyBlock } = await makers.ceremony.call({
    command: 'formKey',
    usage: KeyUsage.issuerMasterAc,
    algorithm: 'T',
    components: [component(), component()],
  });
  return keyBlock;
}

/** @throws HsmError `ERR_HSM_CARDS` for a file that is no image of this version. */
function readImage(dataDir: string, name: string): { readonly expiryYymm: string } | undefined {
  const path = cardPath(dataDir, name);
  const file = readFileIfAny(path);
  if (!file) return undefined;
  try {
    return iccSummary(parseIccImage(new TextDecoder().decode(file)));
  } catch (thrown) {
    if (!(thrown instanceof EmvDataError)) throw thrown;
    const isOld = thrown.code === 'ERR_EMV_IMAGE_VERSION';
    const why = isOld
      ? `${path} is a card of another version of this program; start with a new data folder ` +
        '(--data), or delete this one, which forgets its cards and accounts'
      : `${path} is no card image`;
    throw new HsmError('ERR_HSM_CARDS', why, {}, thrown);
  }
}

/**
 * What the issuer was told of cards so far.
 * @throws HsmError `ERR_HSM_CARDS`.
 */
export function readCardRecords(dataDir: string): readonly CardRecord[] {
  const file = readFileIfAny(recordsPath(dataDir));
  if (!file) return [];
  const value = parseJson(file);
  if (!Array.isArray(value) || value.length > CARDS_MAX || !value.every(isRecord)) {
    throw new HsmError('ERR_HSM_CARDS', `${recordsPath(dataDir)} is no list of cards`);
  }
  return value;
}

function isRecord(value: unknown): value is CardRecord {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  const texts = ['name', 'pan', 'panSequenceNumber', 'expiryYymm', 'pvki', 'pvv', 'balanceMinor'];
  return [...texts, 'currency', 'state'].every((name) => typeof fields.get(name) === 'string');
}

function writeCaPublicKey(dataDir: string, key: CaPublicKeyJson): void {
  const path = caKeysPath(dataDir);
  const text = `${JSON.stringify([key], null, 2)}\n`;
  const file = readFileIfAny(path);
  if (!file || new TextDecoder().decode(file) !== text) writeFileAtomic(path, text);
}

function parseJson(file: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(file));
  } catch {
    return undefined;
  }
}

function recordsPath(dataDir: string): string {
  return join(dataDir, 'issuer-cards.json');
}

function caKeysPath(dataDir: string): string {
  return join(dataDir, 'ca-public-keys.json');
}

function cardPath(dataDir: string, name: string): string {
  return join(dataDir, 'cards', `${name}.json`);
}

function assertSpec(spec: CardSpec): void {
  const rules: readonly (readonly [what: string, isSound: boolean])[] = [
    ['name', /^[a-z0-9][a-z0-9-]{0,31}$/.test(spec.name)],
    ['PAN', new RegExp(`^${BIN}[0-9]{6,13}$`).test(spec.pan)],
    ['check digit', luhnCheckDigit(spec.pan.slice(0, -1)) === spec.pan.slice(-1)],
    ['balance', /^[0-9]{1,12}$/.test(spec.balanceMinor)],
    ['validity', Number.isInteger(spec.monthsValid) && Math.abs(spec.monthsValid) <= 240],
  ];
  const broken = rules.find(([, isSound]) => !isSound);
  if (!broken) return;
  throw new HsmError('ERR_HSM_CARDS', `the card's ${broken[0]} is out of format`);
}

/** The month that lies `months` after a moment, YYMM. */
function yymmAfter(nowMs: number, months: number): string {
  const now = new Date(nowMs);
  const yy = String(now.getUTCFullYear() % 100).padStart(2, '0');
  return monthsAfter(`${yy}${String(now.getUTCMonth() + 1).padStart(2, '0')}`, months);
}

/** Years are 2000 to 2099; earlier and later months end at the edge. */
function monthsAfter(yymm: string, months: number): string {
  const month = 12 * Number(yymm.slice(0, 2)) + Number(yymm.slice(2)) - 1 + months;
  const inside = Math.min(Math.max(month, 0), 1199);
  const [year, rest] = [Math.trunc(inside / 12), inside % 12];
  return `${String(year).padStart(2, '0')}${String(rest + 1).padStart(2, '0')}`;
}
