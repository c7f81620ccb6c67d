/** One route of the table as it is served: door, limits, checks, idempotency, audit, answer. */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { canonicalJson } from '../audit/chain.ts';
import { GatewayError } from '../errors.ts';
import type { StoredAnswer } from '../merchants/idempotency.ts';
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../orders.ts';
import { ANYBODY, type Authentication } from './authenticate.ts';
import { asGatewayError, checked, inFlight, PROBLEM_TYPE, problemOf } from './problem.ts';
import type { RateLimits } from './rate-limit.ts';
import type { Caller, Idempotency, Route, RouteContext, RouteInput } from './route.ts';

/** Longest request body, in bytes. */
export const HTTP_BODY_BYTES_MAX = 16_384;
/** Longer than any handler waits for switch and HSM. */
const LEASE_MS = 60_000;
/** How long an answer is kept. */
export const IDEMPOTENCY_LIFETIME_MS: number = 48 * 3_600_000;
/** Each new key may forget some old ones: as many as come, and more. */
const SWEEP_ROWS = 4;

/** What serves the routes. */
export type RouteServer = {
  readonly context: RouteContext;
  readonly door: Authentication;
  readonly limits: RateLimits;
};

/** Adds a route of the table. */
export function serveRoute(app: FastifyInstance, server: RouteServer, route: Route): void {
  const url = route.path.replace(/\{([a-zA-Z]+)\}/g, ':$1');
  app.route({
    method: route.method,
    url,
    handler: async (request, reply) => {
      const caller = await callerOf(server, route, request, reply);
      const input = inputOf(route, { request, reply, caller });
      const answer = await answerOf(server.context, route, { request, reply, input });
      if (caller.role === 'operator') server.door.forget();
      return reply
        .code(answer.status)
        .type(answer.status < 400 ? 'application/json; charset=utf-8' : PROBLEM_TYPE)
        .send(answer.body);
    },
  });
}

/** Opens the door and takes one request from the key's bucket. @throws GatewayError. */
async function callerOf(
  { door, limits, context }: RouteServer,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Caller> {
  reply.header('x-request-id', request.id);
  if (route.roles.length === 0) return ANYBODY;
  const { caller, requestsPerSecond } = await door.caller(request, route);
  const nowMs = context.core.ports.clock.nowMs();
  const rate = limits.take(caller.keyId, requestsPerSecond, nowMs);
  reply.header('ratelimit-limit', String(rate.limit));
  reply.header('ratelimit-remaining', String(rate.remaining));
  reply.header('ratelimit-reset', String(rate.resetSeconds));
  if (rate.allowed) return caller;
  const { retrySeconds } = rate;
  throw new GatewayError('ERR_RATE', `at most ${rate.limit} requests a second`, { retrySeconds });
}

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply };

/** Everything the handler gets, checked. @throws GatewayError. */
function inputOf(route: Route, from: Exchange & { readonly caller: Caller }): RouteInput {
  const { request, reply, caller } = from;
  return {
    params: checked(route.params, request.params),
    query: checked(route.query, request.query),
    body: bodyOf(route, request.body),
    caller,
    idempotency: idempotencyOf(route, request, caller),
    header: (name, value) => reply.header(name, value),
  };
}

/** A route without a body takes none, or the empty object that some clients always send. */
function bodyOf(route: Route, body: unknown): unknown {
  if (route.body !== null) return checked(route.body, body);
  const isEmpty = body === undefined || body === null || canonicalJson(body) === '{}';
  if (isEmpty) return undefined;
  throw new GatewayError('ERR_REQUEST', 'this route takes no body');
}

const NO_KEY: Idempotency = { key: '', identity: '', fingerprint: '' };

/** The key of the request. @throws GatewayError `ERR_IDEMPOTENCY_KEY`. */
function idempotencyOf(route: Route, request: FastifyRequest, caller: Caller): Idempotency {
  if (route.idempotency === 'none') return NO_KEY;
  const given = request.headers['idempotency-key'];
  const key = typeof given === 'string' ? given : '';
  if (!/^[\x21-\x7e]+$/.test(key) || key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX) {
    const message = `Idempotency-Key is 1 to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} visible characters`;
    throw new GatewayError('ERR_IDEMPOTENCY_KEY', message);
  }
  const { method, path } = route;
  // Made when asked for: an order, the hot path, asks for neither.
  return {
    key,
    get identity() {
      return sha256([caller.merchantId, caller.mode, key]);
    },
    get fingerprint() {
      return sha256({ method, path, params: request.params, body: request.body ?? null });
    },
  };
}

function sha256(facts: unknown): string {
  return createHash('sha256').update(canonicalJson(facts)).digest('hex');
}

type Call = Exchange & { readonly input: RouteInput };

async function answerOf(context: RouteContext, route: Route, call: Call): Promise<StoredAnswer> {
  if (route.idempotency === 'stored') return storedAnswer(context, route, call);
  return perform(context, route, call);
}

/** Runs the handler between its two records in the audit log. @throws GatewayError. */
async function perform(context: RouteContext, route: Route, call: Call): Promise<StoredAnswer> {
  const { input } = call;
  await audit(context, route, { call, facts: { asked: input.body ?? null } });
  try {
    const told = await route.handle(context, input);
    const body = JSON.stringify(route.response.parse(told));
    await audit(context, route, { call, facts: { status: route.status } });
    return { status: route.status, body };
  } catch (thrown) {
    const { code } = asGatewayError(thrown, HTTP_BODY_BYTES_MAX);
    await audit(context, route, { call, facts: { code } });
    throw thrown;
  }
}

/** What cannot be written down is not done. */
async function audit(
  { audit: log, core }: RouteContext,
  route: Route,
  entry: { readonly call: Call; readonly facts: Readonly<Record<string, unknown>> },
): Promise<void> {
  if (route.audit === undefined) return;
  const { input, request } = entry.call;
  const { keyId, merchantId } = input.caller;
  await log.append({
    atMs: core.ports.clock.nowMs(),
    actor: keyId,
    action: route.audit,
    subject: Object.values(input.params as Readonly<Record<string, unknown>>).join('/'),
    facts: { requestId: request.id, merchantId, ...entry.facts },
  });
}

/**
 * One answer a key: kept unless it says that the gateway could not (5xx, 429): then the next repeat
 * runs again with the same identity. @throws GatewayError.
 */
async function storedAnswer(
  context: RouteContext,
  route: Route,
  call: Call,
): Promise<StoredAnswer> {
  const { core, idempotency } = context;
  const { caller, idempotency: given } = call.input;
  const scope = { merchantId: caller.merchantId, mode: caller.mode, key: given.key };
  const nowMs = core.ports.clock.nowMs();
  const turn = await idempotency.begin(scope, {
    ...{ fingerprint: given.fingerprint, nowMs },
    ...{ leaseMs: LEASE_MS, lifetimeMs: IDEMPOTENCY_LIFETIME_MS },
  });
  if (turn.kind === 'mismatch') {
    const message = 'this Idempotency-Key was used with another request';
    throw new GatewayError('ERR_IDEMPOTENCY_MISMATCH', message);
  }
  if (turn.kind === 'running') throw inFlight();
  if (turn.kind === 'replay') {
    call.reply.header('idempotent-replayed', 'true');
    return { status: turn.status, body: turn.body };
  }
  await idempotency.sweep(nowMs, SWEEP_ROWS);
  // A key that is used again after its life is another intent.
  const identity = sha256([given.identity, turn.createdAtMs]);
  const input = { ...call.input, idempotency: { ...given, identity } };
  const answer = await performedOrRefused(context, route, { ...call, input });
  if (answer instanceof Unfinished) {
    await idempotency.release(scope, turn.run);
    throw answer.cause;
  }
  await idempotency.finish(scope, turn.run, answer);
  return answer;
}

/** Came to nothing final: the cause goes to the caller, and no answer is kept. */
class Unfinished extends Error {}

/** The answer to keep, be it a refusal. */
async function performedOrRefused(
  context: RouteContext,
  route: Route,
  call: Call,
): Promise<StoredAnswer | Unfinished> {
  try {
    return await perform(context, route, call);
  } catch (thrown) {
    const fault = asGatewayError(thrown, HTTP_BODY_BYTES_MAX);
    const at = { publicUrl: context.site.publicUrl, instance: call.request.id };
    const problem = problemOf(fault, at);
    const isFinal = problem.status < 500 && problem.status !== 429;
    if (!isFinal) return new Unfinished('not final', { cause: thrown });
    return { status: problem.status, body: JSON.stringify(problem) };
  }
}
