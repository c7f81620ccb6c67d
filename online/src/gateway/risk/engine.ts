/**
 * The risk step: hot lists, amounts, velocity, in this order; the first rule that refuses is the
 * answer. It looks into memory only, so an allowed payment waits for nothing. The windows are those
 * of this process: several gateways each allow a limit of their own.
 */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import { uuidv7 } from '../../runtime/index.ts';
import type { Mode } from '../merchants/model.ts';
import { BIN_DIGITS, NO_RULES, type RiskRules, type VelocityRule } from './rules.ts';
import { type PartUse, SlidingWindows } from './windows.ts';

/** A payment before its commit point; a card is its digest and its first digits. */
export type RiskSubject = {
  readonly orderId: string;
  readonly merchantId: string;
  readonly mode: Mode;
  readonly elementId: string;
  readonly cardDigest: string;
  readonly bin: string;
  readonly panMasked: string;
  readonly amountMinor: bigint;
  readonly currency: string;
};

/** A line of the decision log. */
export type RiskDecision = Omit<RiskSubject, 'bin'> & {
  readonly decisionId: string;
  readonly atMs: number;
  readonly decision: 'allowed' | 'refused';
  /** The rule that refused; null when none did. */
  readonly rule: string | null;
  /** What it compared. */
  readonly facts: Readonly<Record<string, string | number>>;
};

/** Where decisions are kept. */
export interface RiskLog {
  /** Of an allowed payment: resolves at once, is written soon. */
  note(decision: RiskDecision): Promise<void>;
  /** Resolves when it is durable. */
  keep(decision: RiskDecision): Promise<void>;
  /** What a rule's windows counted from `firstPart` on, part by part, oldest first. */
  uses(rule: VelocityRule, partMs: number, firstPart: number): Promise<readonly PartUse[]>;
}

type Refusal = Pick<RiskDecision, 'rule' | 'facts'>;
type Velocity = { readonly rule: VelocityRule; readonly windows: SlidingWindows };

/** Decides about payments. */
export class RiskEngine {
  readonly #ports: {
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly log: RiskLog;
  };
  #rules: RiskRules = NO_RULES;
  #velocity: readonly Velocity[] = [];

  constructor(ports: {
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly log: RiskLog;
  }) {
    this.#ports = ports;
  }

  /** Puts rules in force; their windows begin with what the decision log has. */
  async load(rules: RiskRules): Promise<void> {
    const { clock, log } = this.#ports;
    const velocity: Velocity[] = [];
    for (const rule of rules.velocity) {
      const windows = new SlidingWindows(rule.windowSeconds * 1_000);
      const nowMs = clock.nowMs();
      const uses = await log.uses(rule, windows.partMs, windows.firstPart(nowMs));
      for (const use of uses) windows.put(use, nowMs);
      velocity.push({ rule, windows });
    }
    this.#rules = rules;
    this.#velocity = velocity;
  }

  /** Decides and counts. A refusal is in the log before this resolves. */
  async assess(subject: RiskSubject): Promise<RiskDecision> {
    const { clock, random, log } = this.#ports;
    const atMs = clock.nowMs();
    const refusal = this.#refusal(subject, atMs);
    const { bin: _bin, ...facts } = subject;
    const decision: RiskDecision = {
      ...facts,
      decisionId: uuidv7(clock, random),
      atMs,
      decision: refusal ? 'refused' : 'allowed',
      rule: refusal?.rule ?? null,
      facts: refusal?.facts ?? {},
    };
    if (refusal) {
      await log.keep(decision);
      return decision;
    }
    for (const { rule, windows } of this.#velocity) {
      const key = keyOf(rule, subject);
      if (key !== null) windows.add(key, atMs, subject.amountMinor);
    }
    await log.note(decision);
    return decision;
  }

  #refusal(subject: RiskSubject, atMs: number): Refusal | null {
    return (
      hotRefusal(this.#rules.hot, subject) ??
      amountRefusal(this.#rules.amounts, subject) ??
      first(this.#velocity, ({ rule, windows }) => {
        const key = keyOf(rule, subject);
        return key === null ? null : velocityRefusal(rule, windows.use(key, atMs), subject);
      })
    );
  }
}

function hotRefusal(hot: RiskRules['hot'], subject: RiskSubject): Refusal | null {
  const { merchantId, elementId, cardDigest, bin } = subject;
  if (hot.merchants.has(merchantId)) return { rule: 'hot-merchant', facts: { merchantId } };
  if (hot.elements.has(elementId)) return { rule: 'hot-element', facts: { elementId } };
  if (hot.cards.has(cardDigest)) return { rule: 'hot-card', facts: { cardDigest } };
  for (let digits = BIN_DIGITS[0]; digits <= BIN_DIGITS[1]; digits++) {
    const prefix = bin.slice(0, digits);
    if (hot.bins.has(prefix)) return { rule: 'hot-bin', facts: { bin: prefix } };
  }
  return null;
}

function amountRefusal(rules: RiskRules['amounts'], subject: RiskSubject): Refusal | null {
  return first(rules, ({ name, merchantId, currency, maxMinor }) => {
    const isOther = merchantId !== undefined && merchantId !== subject.merchantId;
    if (isOther || currency !== subject.currency || subject.amountMinor <= maxMinor) return null;
    return { rule: name, facts: { maxMinor: String(maxMinor) } };
  });
}

function velocityRefusal(
  { name, countMax, sumMaxMinor }: VelocityRule,
  { count, sumMinor }: { readonly count: number; readonly sumMinor: bigint },
  { amountMinor }: RiskSubject,
): Refusal | null {
  if (countMax !== undefined && count >= countMax) {
    return { rule: name, facts: { count, countMax } };
  }
  if (sumMaxMinor === undefined || sumMinor + amountMinor <= sumMaxMinor) return null;
  return { rule: name, facts: { sumMinor: String(sumMinor), sumMaxMinor: String(sumMaxMinor) } };
}

/** Whose window a payment belongs to; null when the rule is of another currency. */
function keyOf({ per, currency }: VelocityRule, subject: RiskSubject): string | null {
  if (currency !== undefined && currency !== subject.currency) return null;
  if (per === 'card') return subject.cardDigest;
  return per === 'element' ? subject.elementId : subject.merchantId;
}

function first<T>(rows: readonly T[], of: (row: T) => Refusal | null): Refusal | null {
  for (const row of rows) {
    const found = of(row);
    if (found) return found;
  }
  return null;
}
