/** Token buckets, one a key: what was not used is saved up for a second at most. */

/** Buckets kept; above it full ones, which say nothing, are forgotten. */
const BUCKETS_MAX = 10_000;

/** What a request is told about its bucket. */
export type RateAnswer = {
  readonly allowed: boolean;
  /** Requests a second, and as many at once. */
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds until the bucket is full again. */
  readonly resetSeconds: number;
  /** Whole seconds until one request is free; 0 if there is one. */
  readonly retrySeconds: number;
};

/** In this process; several processes each give their own. */
export class RateLimits {
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  /** Takes one token of `id`. */
  take(id: string, limit: number, nowMs: number): RateAnswer {
    const bucket = this.#buckets.get(id) ?? { tokens: limit, atMs: nowMs };
    // A clock that was set back gives nothing and takes nothing.
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    const tokens = Math.min(limit, bucket.tokens + (passedMs * limit) / 1000);
    const allowed = tokens >= 1;
    const left = allowed ? tokens - 1 : tokens;
    this.#buckets.set(id, { tokens: left, atMs: Math.max(nowMs, bucket.atMs) });
    if (this.#buckets.size > BUCKETS_MAX) this.#forget(nowMs);
    return {
      allowed,
      limit,
      remaining: Math.floor(left),
      resetSeconds: Math.ceil((limit - left) / limit),
      retrySeconds: allowed ? 0 : Math.ceil((1 - left) / limit),
    };
  }

  /** A bucket that rested for a second is full. */
  #forget(nowMs: number): void {
    for (const [id, { atMs }] of this.#buckets) {
      if (nowMs - atMs >= 1000) this.#buckets.delete(id);
    }
  }
}
