/**
 * The trace a piece of work belongs to: every log line under it carries its id, and OpenTelemetry,
 * when the process was started with an SDK, gets spans under the same id. Without one it costs
 * nothing.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';

const INSTRUMENTATION = 'tapnpay';
/** A parent span must have an id; the transaction itself is nobody's span. */
const SPAN_ID_HEX_DIGITS = 16;

type Scope = { traceId: string | null };
const scopes = new AsyncLocalStorage<Scope>();

/** Does `work` under a trace; with null, under the one at hand or one that `joinTrace` names. */
export function withTrace<T>(traceId: string | null, work: () => T): T {
  if (traceId === null && scopes.getStore()) return work();
  return scopes.run({ traceId }, work);
}

/** Names the trace of the work under way. */
export function joinTrace(traceId: string): void {
  const scope = scopes.getStore();
  if (scope) scope.traceId = traceId;
}

/** Starts work that belongs to no trace, such as a worker that was woken by one. */
export function outsideTrace<T>(work: () => T): T {
  return scopes.exit(work);
}

/** For the log: the id of the work under way, or nothing. */
export function traceFacts(): { readonly traceId?: string } {
  const traceId = scopes.getStore()?.traceId ?? null;
  return traceId === null ? {} : { traceId };
}

/** One step as a span; a thrown fault marks it and goes on. Attributes hold no card data. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  const span = trace.getTracer(INSTRUMENTATION).startSpan(name, { attributes }, parentContext());
  try {
    return await context.with(trace.setSpan(context.active(), span), work);
  } catch (fault) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw fault;
  } finally {
    span.end();
  }
}

/** The active span, or the transaction's own id as a remote parent. */
function parentContext(): ReturnType<typeof context.active> {
  const active = context.active();
  const { traceId } = traceFacts();
  if (trace.getSpan(active) !== undefined || traceId === undefined) return active;
  const spanId = traceId.slice(0, SPAN_ID_HEX_DIGITS);
  const remote = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, remote);
}
