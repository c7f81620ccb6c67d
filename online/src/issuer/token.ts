/**
 * Verification of dynamic tokens (动态令牌): whose card made it, by a counter above all that were used
 * and within a window, which is then used up. A person who guesses learns nothing but "no".
 * Not certified; no Q/CUP 047.3. @see protocol/src/emv/data/dynamic-token.ts
 */
import { fromHex, type Secret, toHex } from '@tapnpay/protocol/bytes';
import {
  EmvDataError,
  TAG_9F37_UNPREDICTABLE_NUMBER,
  type TokenBits,
  type TokenMode,
  tokenBits,
  tokenDataBytes,
  tokenTerminalValues,
} from '@tapnpay/protocol/emv/data';
import { ATC_MAX } from '@tapnpay/protocol/emv/issuer';
import type { CardKeyAlgorithm } from '@tapnpay/protocol/wire';
import { atcHex, cryptogramKey } from './card-facts.ts';
import { today } from './change.ts';
import type { IssuerPorts } from './ports.ts';

/** How far a card's counter may be ahead of the last one that was used. */
export const TOKEN_WINDOW = 256;
/** Counters that one question to the HSM takes. */
const ATCS_AT_ONCE = 64;
/** Wrong tokens of a card in one period; more are not looked at. */
export const TOKEN_FAILURES_MAX = 5;
export const TOKEN_FAILURES_PERIOD_MS: number = 3_600_000;
/** Cards whose failures are remembered; above it the oldest are forgotten. */
const CARDS_REMEMBERED_MAX = 10_000;
/** Where the parts of an answer begin: CID, ATC, cryptogram, issuer application data. */
const ATC_AT = 1;
const CRYPTOGRAM_AT = 3;
const IAD_AT = 11;

/** What tokens of this issuer's cards are made of. */
export type TokenProfile = {
  /** The same bitmap that the acceptance parameters have, hex. */
  readonly issuerProprietaryBitmap: string;
  /** Application interchange profiles of the cards, hex. */
  readonly aips: readonly string[];
  /** Issuer application data by cipher, where the token does not tell them itself, hex. */
  readonly issuerApplicationData: readonly (readonly [CardKeyAlgorithm, string])[];
};

/** A question: was this token made by this card, over this? */
export type TokenQuestion = {
  readonly pan: Secret<string>;
  readonly panSequenceNumber: string;
  readonly token: string;
  readonly mode: TokenMode;
};

/** `refused` says no more: neither a wrong token nor a used one is told apart. */
export type TokenVerdict =
  | { readonly verdict: 'accepted'; readonly atc: number }
  | { readonly verdict: 'refused' | 'malformed' | 'blocked' };

/** The verifier of one issuer; wrong tokens are counted in its process. */
export class TokenVerifier {
  readonly #ports: IssuerPorts;
  readonly #profile: TokenProfile;
  readonly #failures = new Map<string, { count: number; sinceMs: number }>();

  constructor(ports: IssuerPorts, profile: TokenProfile) {
    this.#ports = ports;
    this.#profile = profile;
  }

  /** @throws TapError of HSM and store: then nothing is known. */
  async verify(question: TokenQuestion): Promise<TokenVerdict> {
    const { store, keyedDigest, clock, log } = this.#ports;
    const { pan, panSequenceNumber, token, mode } = question;
    const parts = partsOf(this.#profile, token, mode);
    if (parts === null) return { verdict: 'malformed' };
    const panLookup = keyedDigest(pan.expose());
    const failuresKey = `${panLookup}/${panSequenceNumber}`;
    if (this.#isBlocked(failuresKey, clock.nowMs())) return { verdict: 'blocked' };
    const card = { panLookup, panSequenceNumber };
    const found = await store.findCard({ card, atc: null, day: today(this.#ports) });
    const isUsable = found?.state === 'active' && found.hotReason === null;
    const atc = isUsable ? await this.#counterOf(question, parts, found.atcHighest) : null;
    const isBurnt = atc !== null && found ? await store.burnAtc(found.cardId, atc) : false;
    if (atc === null || !isBurnt) {
      this.#fail(failuresKey, clock.nowMs());
      log({ event: 'tokenRefused', cardId: found?.cardId ?? null });
      return { verdict: 'refused' };
    }
    this.#failures.delete(failuresKey);
    log({ event: 'tokenAccepted', cardId: found?.cardId ?? null, mode: mode.mode });
    return { verdict: 'accepted', atc };
  }

  /** The counter that made the token, under each cipher and profile that a card may have. */
  async #counterOf(
    { pan, panSequenceNumber }: TokenQuestion,
    parts: TokenParts,
    atcHighest: number,
  ): Promise<number | null> {
    const { hsm, keys } = this.#ports;
    const { bits, unpredictableNumber, signed } = parts;
    const atcs = candidates(bits, atcHighest).map(atcHex).slice(0, ATCS_AT_ONCE);
    if (atcs.length === 0) return null;
    for (const [algorithm, usual] of this.#profile.issuerApplicationData) {
      for (const aip of this.#profile.aips) {
        const { atc } = await hsm.call({
          command: 'verifyToken',
          algorithm,
          imkAc: cryptogramKey(keys, algorithm),
          card: { pan: pan.expose(), panSequenceNumber },
          atcs,
          aip,
          issuerApplicationData: toHex(merged(bits, fromHex(usual))),
          unpredictableNumber,
          ...(signed === null ? {} : { signed }),
          mask: toHex(bits.mask.subarray(CRYPTOGRAM_AT, IAD_AT)),
          cryptogram: toHex(bits.value.subarray(CRYPTOGRAM_AT, IAD_AT)),
        });
        if (atc !== null) return Number.parseInt(atc, 16);
      }
    }
    return null;
  }

  #isBlocked(key: string, nowMs: number): boolean {
    const failures = this.#failures.get(key);
    if (!failures || failures.sinceMs + TOKEN_FAILURES_PERIOD_MS <= nowMs) return false;
    return failures.count >= TOKEN_FAILURES_MAX;
  }

  #fail(key: string, nowMs: number): void {
    const before = this.#failures.get(key);
    const isOver = !before || before.sinceMs + TOKEN_FAILURES_PERIOD_MS <= nowMs;
    const { count, sinceMs } = isOver ? { count: 0, sinceMs: nowMs } : before;
    this.#failures.delete(key);
    this.#failures.set(key, { count: count + 1, sinceMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > CARDS_REMEMBERED_MAX && oldest !== undefined) {
      this.#failures.delete(oldest);
    }
  }
}

type TokenParts = {
  readonly bits: TokenBits;
  readonly unpredictableNumber: string;
  readonly signed: string | null;
};

/** Null: no token of this bitmap, or no challenge or data that a card would take. */
function partsOf(profile: TokenProfile, token: string, mode: TokenMode): TokenParts | null {
  try {
    const bits = tokenBits(fromHex(profile.issuerProprietaryBitmap), token);
    const number = tokenTerminalValues(mode).get(TAG_9F37_UNPREDICTABLE_NUMBER);
    const signed = mode.mode === 'sign' ? toHex(tokenDataBytes(mode.data)) : null;
    return { bits, unpredictableNumber: toHex(number ?? new Uint8Array(4)), signed };
  } catch (fault) {
    if (fault instanceof EmvDataError) return null;
    throw fault;
  }
}

/** Counters of the window that have the token's bits, nearest first. */
function candidates({ mask, value }: TokenBits, atcHighest: number): readonly number[] {
  const at = (bytes: Uint8Array): number => ((bytes[ATC_AT] ?? 0) << 8) | (bytes[ATC_AT + 1] ?? 0);
  const [wanted, compared] = [at(value), at(mask)];
  const last = Math.min(ATC_MAX, atcHighest + TOKEN_WINDOW);
  const found: number[] = [];
  for (let atc = atcHighest + 1; atc <= last; atc++) {
    if ((atc & compared) === wanted) found.push(atc);
  }
  return found;
}

/** The usual issuer application data with what the token tells of them. */
function merged({ mask, value }: TokenBits, usual: Uint8Array): Uint8Array {
  return usual.map((byte, place) => {
    const known = mask[IAD_AT + place] ?? 0;
    return (byte & ~known) | ((value[IAD_AT + place] ?? 0) & known);
  });
}
