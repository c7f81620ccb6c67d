/** What a call throws: an answer that says no, or no answer at all. */
import type { Problem } from './types.ts';

/** The gateway said no. `code` is what programs test; `problem` has texts and a link. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  /** Null when the answer was no problem document: a proxy's page, for instance. */
  readonly problem: Problem | null;
  /** The key under which the same request may be sent again; null for a call without one. */
  readonly idempotencyKey: string | null;

  constructor(facts: {
    readonly status: number;
    readonly problem: Problem | null;
    readonly idempotencyKey: string | null;
  }) {
    const { status, problem, idempotencyKey } = facts;
    super(problem?.detail ?? `HTTP ${status} without a problem document`);
    this.name = 'ApiError';
    this.code = problem?.code ?? 'ERR_NO_PROBLEM';
    this.status = status;
    this.problem = problem;
    this.idempotencyKey = idempotencyKey;
  }
}

/**
 * Nobody knows what became of the request. Send it again with `idempotencyKey`, even from another
 * process: it is done once. Without a key, read first.
 */
export class NoAnswerError extends Error {
  readonly code = 'ERR_NO_ANSWER';
  readonly idempotencyKey: string | null;

  constructor(idempotencyKey: string | null, cause: unknown) {
    super('the gateway gave no answer', { cause });
    this.name = 'NoAnswerError';
    this.idempotencyKey = idempotencyKey;
  }
}

/** A notification that is not the gateway's, not whole, or too old. */
export class WebhookError extends Error {
  readonly code: 'ERR_WEBHOOK_SIGNATURE' | 'ERR_WEBHOOK_TIMESTAMP' | 'ERR_WEBHOOK_BODY';

  constructor(code: WebhookError['code'], message: string) {
    super(message);
    this.name = 'WebhookError';
    this.code = code;
  }
}
