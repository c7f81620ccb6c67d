/** A merchant's back end in a trial: it asks until it is answered, as a repeated request is safe. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const TRY_MS = 6_000;
const TRIES_MAX = 25;
const PAUSE_MS = 400;
/** Refusals that pass: a party is away, or an operation is under way. */
const PASSING: ReadonlySet<string> = new Set([
  ...['ERR_SWITCH_UNAVAILABLE', 'ERR_OPERATION_PENDING', 'ERR_INTERNAL', 'ERR_UNAVAILABLE'],
  ...['ERR_HSM_UNAVAILABLE', 'ERR_IDEMPOTENCY_PENDING', 'ERR_RATE_LIMITED'],
]);

/** A refusal, by its code; `ERR_NO_ANSWER` when the gateway was not heard. */
export class Refused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Calls of the merchant API with the keys of a trial's lab merchant. */
export class TrialClient {
  readonly #url: string;
  readonly #apiKey: string;

  constructor(facts: { readonly port: number; readonly dataDir: string }) {
    this.#url = `http://127.0.0.1:${facts.port}`;
    const path = join(facts.dataDir, 'gateway', 'merchant-key.json');
    const keys = JSON.parse(readFileSync(path, 'utf8')) as { readonly apiKey: string };
    this.#apiKey = keys.apiKey;
  }

  /** The answer, after as many tries as it takes. @throws Refused. */
  async ask<Answer>(
    path: string,
    sent: { readonly key?: string; readonly body?: unknown } = {},
  ): Promise<Answer> {
    let code = 'ERR_NO_ANSWER';
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const outcome = await this.#once<Answer>(path, sent);
      if ('answer' in outcome) return outcome.answer;
      ({ code } = outcome);
      if (!outcome.isPassing) break;
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
    throw new Refused(code);
  }

  async #once<Answer>(
    path: string,
    { key, body }: { readonly key?: string; readonly body?: unknown },
  ): Promise<{ readonly answer: Answer } | { readonly code: string; readonly isPassing: boolean }> {
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${this.#apiKey}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(key !== undefined && { 'idempotency-key': key }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TRY_MS),
      });
      const answer = (await response.json()) as Answer & {
        readonly code?: string;
        readonly error?: { readonly code: string };
      };
      if (response.ok) return { answer };
      const code = answer.code ?? answer.error?.code ?? `HTTP ${response.status}`;
      return { code, isPassing: PASSING.has(code) || response.status >= 500 };
    } catch {
      return { code: 'ERR_NO_ANSWER', isPassing: true };
    }
  }
}
