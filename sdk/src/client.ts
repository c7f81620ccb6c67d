/**
 * Calls of the merchant API over `fetch`: an idempotency key of its own for each call, kept over
 * its repeats, and repeats only where they can do no harm.
 */

import { type Api, OPERATIONS } from './calls.ts';
import { ApiError, NoAnswerError } from './errors.ts';
import type { Problem } from './types.ts';

/** Repeats of one call, and the pauses between them. */
const REPEATS_DEFAULT = 4;
const FIRST_PAUSE_MS = 250;
const PAUSE_MS_MAX = 10_000;
const TIMEOUT_MS_DEFAULT = 30_000;
/** Longest answer that is read, in characters. */
const ANSWER_CHARACTERS_MAX = 4_194_304;

/** How a call goes over the wire. */
export type OperationFacts = {
  readonly method: 'GET' | 'POST';
  /** With `{name}` for path parameters. */
  readonly path: string;
  /** It carries an Idempotency-Key. */
  readonly keyed: boolean;
  /** The same request twice does what it does once. */
  readonly repeatable: boolean;
};

/** What any call may be given beside its input. */
export type CallOptions = {
  /** A key kept by the caller, to send the same request again after its process died. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
};

/** Where the gateway is and who asks. */
export type ClientOptions = {
  /** `http://127.0.0.1:8420` */
  readonly url: string;
  readonly apiKey: string;
  /** Repeats after a failure; 4 when absent. */
  readonly repeats?: number;
  /** Time for one answer; 30 s when absent. */
  readonly timeoutMs?: number;
  /** For tests. */
  readonly fetch?: typeof fetch;
  readonly pause?: (pauseMs: number) => Promise<void>;
};

type Input = CallOptions & {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
};
type Answer = { readonly status: number; readonly text: string; readonly retryAfterMs: number };

/** A client of one gateway with one key. */
export function createClient(options: ClientOptions): Api {
  const calls = Object.entries(OPERATIONS).map(([id, facts]) => [
    id,
    (input: Input = {}) => call(options, facts, input),
  ]);
  return Object.fromEntries(calls) as Api;
}

async function call(options: ClientOptions, facts: OperationFacts, input: Input): Promise<unknown> {
  const key = facts.keyed ? (input.idempotencyKey ?? crypto.randomUUID()) : null;
  const repeats = options.repeats ?? REPEATS_DEFAULT;
  for (let tries = 0; ; tries++) {
    const answer = await send(options, facts, { ...input, key }).catch((cause: unknown) => {
      input.signal?.throwIfAborted();
      if (facts.repeatable && tries < repeats) return null;
      throw new NoAnswerError(key, cause);
    });
    if (answer && answer.status < 400) return successOf(answer, key);
    const fault = answer && apiError(answer, key);
    if (fault && (tries >= repeats || !mayRepeat(facts, fault))) throw fault;
    const pauseMs = Math.max(growing(tries), answer?.retryAfterMs ?? 0);
    await (options.pause ?? pause)(Math.min(pauseMs, PAUSE_MS_MAX));
    input.signal?.throwIfAborted();
  }
}

/** 429 came before anything was done; the rest only if a repeat does no harm. */
function mayRepeat({ repeatable }: OperationFacts, { status, code }: ApiError): boolean {
  if (status === 429) return true;
  return repeatable && (status >= 500 || code === 'ERR_IDEMPOTENCY_IN_FLIGHT');
}

/** Twice as long each time, and never in step with other clients. */
function growing(tries: number): number {
  const [spread = 0] = crypto.getRandomValues(new Uint32Array(1));
  return FIRST_PAUSE_MS * 2 ** tries * (0.5 + spread / 2 ** 33);
}

function pause(pauseMs: number): Promise<void> {
  return new Promise((done) => setTimeout(done, pauseMs));
}

async function send(
  options: ClientOptions,
  facts: OperationFacts,
  input: Input & { readonly key: string | null },
): Promise<Answer> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS_DEFAULT);
  const response = await (options.fetch ?? fetch)(urlOf(options.url, facts, input), {
    method: facts.method,
    headers: {
      authorization: `Bearer ${options.apiKey}`,
      ...(input.key === null ? {} : { 'idempotency-key': input.key }),
      ...(input.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    redirect: 'error',
    signal: input.signal ? AbortSignal.any([input.signal, timeout]) : timeout,
    ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
  });
  const seconds = Number(response.headers.get('retry-after') ?? '0');
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : 0;
  return { status: response.status, text: await response.text(), retryAfterMs };
}

function urlOf(base: string, { path }: OperationFacts, input: Input): URL {
  const named = path.replace(/\{([A-Za-z]+)\}/g, (_, name: string) =>
    encodeURIComponent(input.path?.[name] ?? ''),
  );
  const url = new URL(named, base);
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

/** What an answer of success holds; one that is no JSON came from something between. */
function successOf(answer: Answer, key: string | null): unknown {
  const value = parsed(answer.text);
  if (value !== undefined) return value;
  throw new NoAnswerError(key, new Error(`HTTP ${answer.status} is no JSON`));
}

function apiError({ status, text }: Answer, idempotencyKey: string | null): ApiError {
  const value = parsed(text);
  return new ApiError({ status, problem: isProblem(value) ? value : null, idempotencyKey });
}

function parsed(text: string): unknown {
  if (text.length > ANSWER_CHARACTERS_MAX) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  return 'code' in value && typeof value.code === 'string' && 'detail' in value;
}

/** A page of a list. */
export type Page<Row> = { readonly data: readonly Row[]; readonly nextCursor: string | null };

/** Every row of a list, page by page: `rows((query) => api.listOrders({ query }))`. */
export async function* rows<Row>(
  list: (query: { readonly cursor?: string }) => Promise<Page<Row>>,
): AsyncGenerator<Row, void, undefined> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Page<Row> = await list(cursor === undefined ? {} : { cursor });
    yield* page.data;
    cursor = page.nextCursor;
  }
}
