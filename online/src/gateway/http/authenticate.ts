/** Who calls: API keys by their hash, remembered for a moment so that a payment asks no table. */
import type { FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.ts';
import { isKey, keyIdOf } from '../merchants/api-keys.ts';
import type { ApiKey, Merchant } from '../merchants/model.ts';
import type { RefusalCount } from './refusals.ts';
import type { Caller, Route, RouteContext } from './route.ts';

/** How long another process's revocation may go unnoticed. */
const REMEMBER_MS = 2_000;
const REMEMBERED_MAX = 1_000;

type Known = { readonly key: ApiKey; readonly merchant: Merchant | null; readonly untilMs: number };

/** Who calls a route that asks for no key. */
export const ANYBODY: Caller = { keyId: 'public', merchantId: '', mode: 'test', role: 'readonly' };

/** The door: key, role, mode, merchant. */
export class Authentication {
  readonly #context: RouteContext;
  readonly #refusals: RefusalCount;
  readonly #known = new Map<string, Known>();

  constructor(context: RouteContext, refusals: RefusalCount) {
    this.#context = context;
    this.#refusals = refusals;
  }

  /**
   * The caller and the requests a second it may make. @throws GatewayError `ERR_UNAUTHORIZED`,
   * `ERR_ROLE`, `ERR_LIVE_MODE`, `ERR_MERCHANT_CLOSED`, `ERR_RATE`.
   */
  async caller(
    request: Pick<FastifyRequest, 'headers'>,
    route: Pick<Route, 'roles' | 'method'>,
  ): Promise<{ readonly caller: Caller; readonly requestsPerSecond: number }> {
    const { key, merchant } = await this.#find(request);
    const { keyId, role, mode, requestsPerSecond } = key;
    const caller = { keyId, role, mode, merchantId: key.merchantId ?? '' };
    if (!route.roles.includes(role)) {
      const message = `this route is for keys of role ${route.roles.join(' or ')}`;
      throw new GatewayError('ERR_ROLE', message, { role });
    }
    if (mode === 'live' && !this.#context.liveMode) {
      throw new GatewayError('ERR_LIVE_MODE', 'this installation has LAB keys only');
    }
    if (merchant?.state === 'suspended' && route.method !== 'GET') {
      throw new GatewayError('ERR_MERCHANT_CLOSED', 'the merchant is suspended');
    }
    return { caller, requestsPerSecond };
  }

  /** A revoked key, or a merchant's new state, holds in this process at once. */
  forget(): void {
    this.#known.clear();
  }

  async #find(request: Pick<FastifyRequest, 'headers'>): Promise<Known> {
    const text = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(request.headers.authorization ?? '')?.[1];
    const keyId = keyIdOf(text ?? '');
    const known = keyId === null ? null : await this.#lookUp(keyId);
    if (text !== undefined && known && isKey(text, known.key) && known.key.revokedAtMs === null) {
      return known;
    }
    this.#refusals.note();
    throw new GatewayError('ERR_UNAUTHORIZED', 'the API key is missing, wrong or revoked');
  }

  async #lookUp(keyId: string): Promise<Known | null> {
    const { merchants, core } = this.#context;
    const nowMs = core.ports.clock.nowMs();
    const remembered = this.#known.get(keyId);
    if (remembered && remembered.untilMs > nowMs) return remembered;
    const key = await merchants.findKey(keyId);
    if (!key) return null;
    const merchant = key.merchantId === null ? null : await merchants.findMerchant(key.merchantId);
    const known = { key, merchant, untilMs: nowMs + REMEMBER_MS };
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    this.#known.set(keyId, known);
    const day = new Date(nowMs).toISOString().slice(0, 10);
    if (key.lastUsedDay !== day) await merchants.noteKeyUse(keyId, day);
    return known;
  }
}
