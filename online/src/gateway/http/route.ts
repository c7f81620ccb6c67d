/**
 * A route of the merchant API as data: who may call it, what goes in and out, and what it does.
 * The server (server.ts), the OpenAPI document, the SDK and the documentation page all read the
 * same table. A module of routes exports one `readonly Route[]` and is named in routes.ts.
 */
import { z } from 'zod';
import type { AuditLog } from '../audit/log.ts';
import type { GatewayCore } from '../core.ts';
import type { ParameterBook } from '../elements/parameter-book.ts';
import type { ElementCertifier } from '../enrolment.ts';
import type { BothTexts, GatewayErrorCode } from '../errors.ts';
import type { IdempotencyStore } from '../merchants/idempotency.ts';
import type { MerchantLists } from '../merchants/lists.ts';
import type { Mode, Role } from '../merchants/model.ts';
import type { MerchantStore } from '../merchants/store.ts';
import type { OfficeBooks } from '../settlement/back-office.ts';
import type { RefusalCount } from './refusals.ts';
import type { SiteAddresses } from './views.ts';

/** Role lists of the usual kinds of route. */
export const READERS: readonly Role[] = ['merchant', 'readonly', 'refund'];
/** Who may make orders, capture and cancel. */
export const MAKERS: readonly Role[] = ['merchant'];
/** Who may give money back: refunds and voids. */
export const REFUNDERS: readonly Role[] = ['merchant', 'refund'];
/** Who runs the installation. */
export const OPERATORS: readonly Role[] = ['operator'];

/** Who calls, by the API key. `merchantId` is empty for an operator and on a public route. */
export type Caller = {
  readonly keyId: string;
  readonly merchantId: string;
  readonly mode: Mode;
  readonly role: Role;
};

/**
 * The caller's Idempotency-Key. A handler that does something outside its own row derives every
 * identity it uses downstream (row key, retrieval reference) from `identity`: when a process dies
 * between the effect and its stored answer the handler runs again with the same one.
 */
export type Idempotency = {
  readonly key: string;
  /** SHA-256 of merchant, mode and key, 64 hex digits: the same in each repeat. */
  readonly identity: string;
  /** SHA-256 of method, path and canonical body: another one under the same key is refused. */
  readonly fingerprint: string;
};

/** What every handler may use; operations are methods of the core. */
export interface RouteContext {
  readonly core: GatewayCore;
  readonly site: SiteAddresses;
  readonly merchants: MerchantStore;
  readonly lists: MerchantLists;
  readonly idempotency: IdempotencyStore;
  readonly audit: AuditLog;
  readonly office: OfficeBooks;
  readonly certifier: ElementCertifier;
  readonly parameters: ParameterBook;
  /** Counts wrong pairing codes. */
  readonly codes: RefusalCount;
  /** Folder of the system. */
  readonly dataDir: string;
  /** Real money may move: the installation's keys are people's, not LAB ones. */
  readonly liveMode: boolean;
}

/** What a handler gets: everything checked by the route's schemas. */
export type RouteInput<P = unknown, Q = unknown, B = unknown> = {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly caller: Caller;
  /** Made up for a route that takes no key. */
  readonly idempotency: Idempotency;
  /** Sets a header of the answer, in lower case. */
  readonly header: (name: string, value: string) => void;
};

/**
 * How a repeat with the same Idempotency-Key is answered. `stored`: the server keeps the answer;
 * 409 while it runs, 422 for another request, replayed afterwards. `own`: the handler's one
 * database statement is the record itself and finds repeats (orders: no second commit a payment).
 * `none`: the route takes no key: reads, and changes that come to the same when repeated.
 */
export type IdempotencyKind = 'stored' | 'own' | 'none';

/** What a route says of itself, whatever its schemas. */
export type RouteFacts = {
  /** `operationId`, and the method's name in the SDK. */
  readonly id: string;
  readonly method: 'GET' | 'POST';
  /** OpenAPI form: `/v1/orders/{orderId}`. */
  readonly path: string;
  /** Section of the documentation: one of `TAGS` in routes.ts. */
  readonly tag: string;
  readonly summary: BothTexts;
  /** More than the summary, if it needs saying. */
  readonly description?: BothTexts;
  /** Who may call; none: anybody, without a key. */
  readonly roles: readonly Role[];
  readonly idempotency: IdempotencyKind;
  /** Name of the act in the audit log: written before it is done, and how it ended. */
  readonly audit?: string;
  /** Status of success. */
  readonly status: 200 | 201 | 202;
  /** Codes this route refuses with, beside those every route has. */
  readonly errors: readonly GatewayErrorCode[];
};

/** What a handler may hand back: the answer's form, read-only all through. */
export type Told<T> = T extends readonly (infer Item)[]
  ? readonly Told<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]: Told<T[Name]> }
    : T;

/** A route with its schemas: the types of its handler follow from them. */
export type RouteDefinition<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
> = RouteFacts & {
  /** Path parameters; all are text. */
  readonly params?: P;
  /** Query parameters; numbers by `z.coerce.number()`. */
  readonly query?: Q;
  readonly body?: B;
  /** The answer of success; what it does not name never leaves. */
  readonly response: R;
  /** @throws GatewayError: its code is the problem document. */
  readonly handle: (
    context: RouteContext,
    input: RouteInput<z.output<P>, z.output<Q>, z.output<B>>,
  ) => Promise<Told<z.input<R>>>;
};

/** A route whose types are checked and forgotten, as tables hold it. */
export type Route = RouteFacts & {
  readonly params: z.ZodType;
  readonly query: z.ZodType;
  /** Null: the route takes no body. */
  readonly body: z.ZodType | null;
  readonly response: z.ZodType;
  readonly handle: (context: RouteContext, input: RouteInput) => Promise<unknown>;
};

const nothing: z.ZodObject<Record<never, never>> = z.object({});

/** One row of a table of routes; checks the handler against the schemas. */
export function route<
  P extends z.ZodType = typeof nothing,
  Q extends z.ZodType = typeof nothing,
  B extends z.ZodType = z.ZodUndefined,
  R extends z.ZodType = z.ZodType,
>(definition: RouteDefinition<P, Q, B, R>): Route {
  const { params = nothing, query = nothing, body = null, ...rest } = definition;
  // The server parses by these same schemas before it calls.
  const handle = definition.handle as unknown as Route['handle'];
  return { ...rest, params, query, body, handle };
}

/** Schemas that the OpenAPI document and the SDK know by name. */
export const namedSchemas: z.core.$ZodRegistry<{ id: string }> = z.registry<{ id: string }>();

/** Gives a schema the name under which `components.schemas` and the SDK have it. */
export function named<S extends z.ZodType>(id: string, schema: S): S {
  namedSchemas.add(schema, { id });
  return schema;
}

/** Text of visible ASCII characters. */
export function visibleText(charactersMax: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(charactersMax)
    .regex(/^[\x20-\x7e]+$/);
}

/** Text of any language without control characters: no database takes U+0000. */
export function plainText(charactersMax: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(charactersMax)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u);
}

/** An identifier in a path. */
export const idText: z.ZodString = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/);
/** Minor units as text: JSON numbers lose digits. */
export const minorText: z.ZodString = z.string().regex(/^[0-9]{1,15}$/);
/** ISO 4217 number. */
export const currencyText: z.ZodString = z.string().regex(/^[0-9]{3}$/);
/** What became of something that was asked for. */
export const inquiryKind: z.ZodEnum<{
  processed: 'processed';
  inProgress: 'inProgress';
  notFound: 'notFound';
}> = z
  .enum(['processed', 'inProgress', 'notFound'])
  .describe('processed: final. inProgress: ask again. notFound: nothing was ever sent.');
/** Milliseconds since 1970. */
export const timeMs: z.ZodNumber = z.number().int().min(0);

/** Rows a page has at most, and without a wish. */
export const PAGE_ROWS_MAX = 100;
const PAGE_ROWS_DEFAULT = 20;

/** Query parameters of every list: newest first, stable by id. */
export const pageQuery: {
  readonly limit: z.ZodDefault<z.ZodCoercedNumber<unknown>>;
  readonly cursor: z.ZodOptional<z.ZodString>;
} = {
  limit: z.coerce.number().int().min(1).max(PAGE_ROWS_MAX).default(PAGE_ROWS_DEFAULT),
  cursor: z.string().max(512).optional(),
};

/** Answer of every list; `nextCursor` is null on the last page. */
export function pageOf<S extends z.ZodType>(
  row: S,
): z.ZodObject<{ data: z.ZodArray<S>; nextCursor: z.ZodNullable<z.ZodString> }> {
  return z.object({ data: z.array(row), nextCursor: z.string().nullable() });
}
