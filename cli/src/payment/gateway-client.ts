/** The merchant's and operator's side of the gateway's HTTP interface, as a shop would use it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorBody, errorFromBody, TapError } from '@tapnpay/protocol/bytes';
import type { HopRecord, PaymentEvidence, PaymentOutcome } from '@tapnpay/protocol/wire';

const HTTP_TIMEOUT_MS = 10_000;

/** What the gateway tells of a payment. */
export type PaymentView = {
  readonly paymentId: string;
  readonly status: string;
  readonly outcome: PaymentOutcome;
  readonly responseCode: string | null;
  readonly reason: string | null;
  readonly stan: string;
  readonly retrievalReference: string;
  readonly issuer: {
    readonly arqcVerified: boolean | null;
    readonly ledgerEntryId: string | null;
    readonly reason?: string | null;
  } | null;
  readonly reversal: { readonly reason: string; readonly acknowledged: boolean } | null;
  readonly hops: readonly HopRecord[];
};

/** `ecashLoad`: the account fills the purse of its card. */
export type OrderKind = 'purchase' | 'ecashLoad';

/** What the gateway tells of an order. */
export type OrderView = {
  readonly orderId: string;
  readonly amountMinor: string;
  readonly currency: string;
  readonly status: string;
  readonly paymentId: string | null;
};

/** Talks to one gateway with the keys of its installation. */
export class GatewayClient {
  readonly #url: string;
  readonly #merchantKey: string;
  readonly #operatorKey: string;

  constructor(facts: { readonly url: string; readonly dataDir: string }) {
    const path = join(facts.dataDir, 'gateway', 'merchant-key.json');
    const keys = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
    this.#url = facts.url;
    this.#merchantKey = keys['apiKey'] ?? '';
    this.#operatorKey = keys['operatorKey'] ?? '';
  }

  /** @throws TapError the gateway's own code, such as `ERR_AMOUNT`. */
  createOrder(order: {
    readonly idempotencyKey: string;
    readonly merchantOrderNumber: string;
    readonly amount: string;
    readonly currency: string;
    readonly notifyUrl: string | null;
    readonly fault: string | null;
    readonly kind: OrderKind;
  }): Promise<OrderView> {
    const { idempotencyKey, merchantOrderNumber, amount, currency, notifyUrl, fault } = order;
    const body = {
      kind: order.kind,
      merchantOrderNumber,
      amount,
      currency,
      origin: 'https://shop.tapnpay.test',
      ...(notifyUrl === null ? {} : { notifyUrl }),
      ...(fault === null ? {} : { lab: { fault } }),
    };
    const headers = { 'idempotency-key': idempotencyKey };
    return this.#ask('POST', '/v1/orders', { key: this.#merchantKey, headers, body });
  }

  order(orderId: string): Promise<OrderView> {
    return this.#ask('GET', `/v1/orders/${orderId}`, { key: this.#merchantKey });
  }

  payment(paymentId: string): Promise<PaymentView> {
    return this.#ask('GET', `/v1/payments/${paymentId}`, { key: this.#merchantKey });
  }

  async pairingCode(): Promise<string> {
    const { code } = await this.#ask<{ code: string }>('POST', '/v1/pairing-codes', {
      key: this.#operatorKey,
    });
    return code;
  }

  /** @throws TapError `ERR_ATTESTATION_NOT_FOUND`. */
  evidence(paymentId: string): Promise<PaymentEvidence> {
    const path = `/v1/payments/${encodeURIComponent(paymentId)}/evidence`;
    return this.#ask('GET', path, { key: this.#operatorKey });
  }

  /** Whether the gateway answers and its line to the switch is established. */
  async isReady(): Promise<boolean> {
    try {
      await this.#ask('GET', '/v1/health', {});
      return true;
    } catch {
      return false;
    }
  }

  async #ask<T>(
    method: 'GET' | 'POST',
    path: string,
    request: {
      readonly key?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    },
  ): Promise<T> {
    const { key, headers = {}, body } = request;
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#url), {
        method,
        headers: {
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
      });
    } catch (cause) {
      const text = `the gateway at ${this.#url} does not answer; is it up? npm start`;
      throw new TapError('ERR_GATEWAY_DOWN', text, { url: this.#url }, cause);
    }
    const answer: unknown = await response.json();
    if (response.ok) return answer as T;
    throw errorFromBody(answer as ErrorBody);
  }
}
