/**
 * A route of the manager's API as data: who may call, what goes in and out, what it does. Server,
 * OpenAPI document and documentation read the same table.
 */
import { z } from 'zod';
import type { Actor } from '../actor.ts';
import type { Contacts } from '../contacts.ts';
import type { BothTexts, TsmErrorCode } from '../errors.ts';
import type { NewElement } from '../lifecycle/elements.ts';
import type { Element, TsmRole } from '../model.ts';
import type { TsmPorts } from '../ports.ts';

/** What every handler may use. */
export type RouteContext = {
  readonly ports: TsmPorts;
  readonly contacts: Contacts;
  /** In a laboratory: takes an element by its own word. */
  readonly announce?: ((made: NewElement) => Promise<Element>) | undefined;
};
/** What a handler gets: all checked by the route's schemas. */
export type RouteInput<P = unknown, Q = unknown, B = unknown> = {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly actor: Actor;
};

/** What a route says of itself. */
export type RouteFacts = {
  readonly id: string;
  readonly method: 'GET' | 'POST';
  /** OpenAPI form: `/v1/elements/{serial}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: BothTexts;
  /** None: anybody, without a key. */
  readonly roles: readonly TsmRole[];
  readonly status: 200 | 201;
  /** Codes beside those that every route has. */
  readonly errors: readonly TsmErrorCode[];
};

/** A route as tables hold it. */
export type Route = RouteFacts & {
  readonly params: z.ZodType;
  readonly query: z.ZodType;
  readonly body: z.ZodType | null;
  readonly response: z.ZodType;
  readonly handle: (context: RouteContext, input: RouteInput) => Promise<unknown>;
};

const nothing: z.ZodObject<Record<never, never>> = z.object({});

/** One row; checks the handler against the schemas. */
export function route<
  P extends z.ZodType = typeof nothing,
  Q extends z.ZodType = typeof nothing,
  B extends z.ZodType = z.ZodUndefined,
>(
  definition: RouteFacts & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    readonly response: z.ZodType;
    readonly handle: (
      context: RouteContext,
      input: RouteInput<z.output<P>, z.output<Q>, z.output<B>>,
    ) => Promise<unknown>;
  },
): Route {
  const { params = nothing, query = nothing, body = null, ...rest } = definition;
  // The server parses by these same schemas before it calls.
  const handle = definition.handle as unknown as Route['handle'];
  return { ...rest, params, query, body, handle };
}

/** Everybody with a key. */
export const READERS: readonly TsmRole[] = ['issuer', 'provider', 'auditor'];
/** The issuer of elements and who audits it. */
export const OFFICE: readonly TsmRole[] = ['issuer', 'auditor'];
/** The issuer of elements. */
export const ISSUERS: readonly TsmRole[] = ['issuer'];
/** Who brings applications. */
export const MAKERS: readonly TsmRole[] = ['issuer', 'provider'];

/** Sections of the document. */
export const TAGS: Readonly<Record<string, BothTexts>> = {
  store: { en: 'Application store', zh: '应用商店' },
  contact: { en: 'Contacts of elements', zh: '安全单元联络' },
  elements: { en: 'Elements and cardholders', zh: '安全单元与持卡人' },
  jobs: { en: 'Jobs and scripts', zh: '任务与脚本' },
  applications: { en: 'Providers, applications, certification', zh: '提供方、应用与认证' },
  office: { en: 'Keys and audit', zh: '密钥与审计' },
};
