/** The card file that the bureau writes, as cards for the books. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, maskPan, type RandomSource } from '@tapnpay/protocol/bytes';
import { z } from 'zod';
import { uuidv7 } from '../runtime/index.ts';
import { IssuerError } from './errors.ts';
import { CARD_STATES, type CardLimits, type NewCard, PIN_FAILURES_MAX } from './model.ts';

const CARDS_MAX = 10_000;

const amountSchema = z.string().regex(/^[0-9]{1,12}$/);
/** Limits that a card is issued with; the installation's count for those that are left out. */
const limitsSchema = z
  .object({
    singleAmountMinor: amountSchema,
    dayAmountMinor: amountSchema,
    dayCount: z.number().int().min(0),
    noPinMinor: amountSchema,
    noPinDayMinor: amountSchema,
  })
  .partial();

const cardSchema = z.object({
  name: z.string().min(1).max(64),
  pan: z.string().regex(/^[0-9]{12,19}$/),
  panSequenceNumber: z.string().regex(/^[0-9]{2}$/),
  expiryYymm: z.string().regex(/^[0-9]{2}(0[1-9]|1[0-2])$/),
  pvki: z.string().regex(/^[0-9]$/),
  pvv: z.string().regex(/^(?:[0-9]{4}){1,3}$/),
  balanceMinor: amountSchema,
  creditLineMinor: amountSchema.default('0'),
  electronicCashMinor: amountSchema.default('0'),
  limits: limitsSchema.default({}),
  currency: z.string().regex(/^[0-9]{3}$/),
  state: z.enum(CARD_STATES),
  pinFailures: z.number().int().min(0).max(PIN_FAILURES_MAX).default(0),
});
const listSchema = z.array(cardSchema).max(CARDS_MAX);
const fileSchema = z.union([listSchema, z.object({ cards: listSchema })]);

/** How cards get their ids and digests. */
export type CardMaking = {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly keyedDigest: (text: string) => string;
};

/** Cards of a file's text. @throws IssuerError `ERR_ISSUER_CARDS`, which quotes no value. */
export function parseCardFile(text: string, making: CardMaking): readonly NewCard[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new IssuerError('ERR_ISSUER_CARDS', 'the card file is no JSON');
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    const place = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new IssuerError('ERR_ISSUER_CARDS', `the card file is wrong at ${place}`, { place });
  }
  const cards = Array.isArray(parsed.data) ? parsed.data : parsed.data.cards;
  return cards.map((card) => newCard(card, making));
}

function newCard(record: z.infer<typeof cardSchema>, making: CardMaking): NewCard {
  const { clock, random, keyedDigest } = making;
  const id = (): string => uuidv7(clock, random);
  const { pan, balanceMinor, creditLineMinor, electronicCashMinor, limits, ...rest } = record;
  return {
    ...rest,
    cardId: id(),
    panLookup: keyedDigest(pan),
    panMasked: maskPan(pan),
    balanceMinor: BigInt(balanceMinor),
    creditLineMinor: BigInt(creditLineMinor),
    electronicCashMinor: BigInt(electronicCashMinor),
    limits: limitsOf(limits),
    opening: { transactionId: id(), entryIds: [id(), id(), id(), id()] },
  };
}

function limitsOf(limits: z.infer<typeof limitsSchema>): CardLimits {
  const amount = (text: string | undefined): bigint | null =>
    text === undefined ? null : BigInt(text);
  return {
    singleAmountMinor: amount(limits.singleAmountMinor),
    dayAmountMinor: amount(limits.dayAmountMinor),
    dayCount: limits.dayCount ?? null,
    noPinMinor: amount(limits.noPinMinor),
    noPinDayMinor: amount(limits.noPinDayMinor),
  };
}

/** Reads `<dataDir>/issuer-cards.json` whenever it has changed. */
export class CardFile {
  readonly #path: string;
  readonly #making: CardMaking;
  #readMark = '';

  constructor(dataDir: string, making: CardMaking) {
    this.#path = join(dataDir, 'issuer-cards.json');
    this.#making = making;
  }

  /** The file's cards, or null when it is missing or as it was when last read. */
  readIfChanged(): readonly NewCard[] | null {
    const stats = statSync(this.#path, { throwIfNoEntry: false });
    if (!stats) return null;
    const mark = `${stats.mtimeMs}/${stats.size}/${stats.ino}`;
    if (mark === this.#readMark) return null;
    const cards = parseCardFile(readFileSync(this.#path, 'utf8'), this.#making);
    this.#readMark = mark;
    return cards;
  }
}
