/**
 * Risk rules as data: `<dataDir>/gateway/risk.json`. Without the file there are no rules. Times are
 * seconds, amounts minor units as text, since JSON numbers lose digits.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { GatewayError } from '../errors.ts';

const LIST_MAX = 100_000;
/** Shortest and longest prefix of a list of BINs. */
export const BIN_DIGITS: readonly [min: number, max: number] = [4, 8];
const RULES_MAX = 64;
const WINDOW_SECONDS_MAX = 30 * 86_400;

const name: z.ZodString = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'is 1 to 40 of a-z, 0-9 and -');
const currency = z.string().regex(/^[0-9]{3}$/, 'is an ISO 4217 number');
const minor: z.ZodType<bigint> = z
  .string()
  .regex(/^[0-9]{1,15}$/, 'is minor units as text')
  .transform(BigInt);
const listOf = (item: z.ZodString): z.ZodType<ReadonlySet<string>> =>
  z
    .array(item)
    .max(LIST_MAX)
    .default([])
    .transform((items) => new Set(items));
const id = z.string().min(1).max(64);

/** The most that one payment may have; every one that fits counts. */
export type AmountRule = {
  readonly name: string;
  /** Absent: every merchant. */
  readonly merchantId?: string | undefined;
  readonly currency: string;
  readonly maxMinor: bigint;
};
/** How many, or how much, in a sliding window. With a currency only payments in it count. */
export type VelocityRule = {
  readonly name: string;
  readonly per: 'card' | 'element' | 'merchant';
  readonly windowSeconds: number;
  readonly currency?: string | undefined;
  readonly countMax?: number | undefined;
  readonly sumMaxMinor?: bigint | undefined;
};
/** What is refused always. A card is its digest, as the decision log shows it; never a number. */
export type HotLists = Readonly<
  Record<'cards' | 'bins' | 'elements' | 'merchants', ReadonlySet<string>>
>;
/** The rules in force. */
export type RiskRules = {
  readonly amounts: readonly AmountRule[];
  readonly velocity: readonly VelocityRule[];
  readonly hot: HotLists;
};

const schema: z.ZodType<RiskRules> = z.strictObject({
  amounts: z
    .array(z.strictObject({ name, merchantId: id.optional(), currency, maxMinor: minor }))
    .max(RULES_MAX)
    .default([]),
  velocity: z
    .array(
      z
        .strictObject({
          name,
          per: z.enum(['card', 'element', 'merchant']),
          windowSeconds: z.number().int().min(1).max(WINDOW_SECONDS_MAX),
          currency: currency.optional(),
          countMax: z.number().int().min(0).max(1_000_000_000).optional(),
          sumMaxMinor: minor.optional(),
        })
        .refine(
          ({ countMax, sumMaxMinor }) => countMax !== undefined || sumMaxMinor !== undefined,
          'needs countMax or sumMaxMinor',
        )
        .refine(
          ({ sumMaxMinor, currency: of }) => sumMaxMinor === undefined || of !== undefined,
          'needs a currency for sumMaxMinor',
        ),
    )
    .max(RULES_MAX)
    .default([]),
  hot: z
    .strictObject({
      cards: listOf(z.string().regex(/^[0-9A-F]{64}$/, 'is a card digest: 64 of 0-9 and A-F')),
      bins: listOf(z.string().regex(/^[0-9]{4,8}$/, 'is the 4 to 8 first digits of cards')),
      elements: listOf(id),
      merchants: listOf(id),
    })
    .default({ cards: new Set(), bins: new Set(), elements: new Set(), merchants: new Set() }),
});

/** Nothing is refused. */
export const NO_RULES: RiskRules = schema.parse({});

/** Rules of a text. @throws GatewayError `ERR_RISK_RULES` naming the field. */
export function parseRules(text: string): RiskRules {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw rulesError(`is no JSON: ${cause instanceof Error ? cause.message : ''}`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw rulesError(`${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  const names = [...parsed.data.amounts, ...parsed.data.velocity].map((rule) => rule.name);
  const double = names.find((one, place) => names.indexOf(one) !== place);
  if (double !== undefined) throw rulesError(`the name ${double} is used twice`);
  return parsed.data;
}

/** Rules of a file; none without it. @throws GatewayError `ERR_RISK_RULES`. */
export function readRules(path: string): RiskRules {
  const text = readRulesText(path);
  return text === null ? NO_RULES : parseRules(text);
}

/** The file's text, or null without a file. @throws GatewayError `ERR_RISK_RULES`. */
export function readRulesText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : '';
    if (code === 'ENOENT') return null;
    throw rulesError(`cannot be read: ${code}`);
  }
}

function rulesError(why: string): GatewayError {
  return new GatewayError('ERR_RISK_RULES', `risk.json: ${why}`);
}
