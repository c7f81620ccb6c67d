/** `WebhookStore` in memory; the gateway's store in memory is built on it. */
import type { Mode } from '../merchants/model.ts';
import type { NewEvent } from '../model.ts';
import type { Delivery, DeliveryQuery, DeliveryTry, TryResult, WebhookEndpoint } from './model.ts';
import type { WebhookStore } from './store.ts';

/** Endpoints, notifications and their tries as maps. */
export class MemoryWebhooks implements WebhookStore {
  protected readonly outbox: Map<string, Delivery> = new Map();
  readonly #endpoints = new Map<string, WebhookEndpoint>();
  readonly #tries = new Map<string, DeliveryTry[]>();

  /** One notification for the order's address and one for each enabled endpoint. */
  protected tell(event: NewEvent): void {
    const { url, merchantId, mode, messageId } = event;
    const { createdAtMs: nextAtMs } = event;
    const rest = {
      attempts: 0,
      nextAtMs,
      state: 'waiting',
      lastStatus: null,
      lastAtMs: null,
    } as const;
    if (url !== null) this.outbox.set(messageId, { ...event, ...rest, url, endpointId: null });
    for (const endpoint of this.#endpoints.values()) {
      const { endpointId } = endpoint;
      const isOwn = endpoint.merchantId === merchantId && endpoint.mode === mode;
      if (!isOwn || endpoint.state !== 'enabled') continue;
      const own = { messageId: `${messageId}.${endpointId}`, url: endpoint.url, endpointId };
      this.outbox.set(own.messageId, { ...event, ...rest, ...own });
    }
  }

  async addEndpoint(endpoint: WebhookEndpoint): Promise<void> {
    const { endpointId } = endpoint;
    if (!this.#endpoints.has(endpointId)) this.#endpoints.set(endpointId, endpoint);
  }

  async findEndpoint(endpointId: string): Promise<WebhookEndpoint | null> {
    return this.#endpoints.get(endpointId) ?? null;
  }

  async listEndpoints(owner: {
    readonly merchantId: string;
    readonly mode: Mode;
  }): Promise<readonly WebhookEndpoint[]> {
    return [...this.#endpoints.values()].filter(
      ({ merchantId, mode }) => merchantId === owner.merchantId && mode === owner.mode,
    );
  }

  async changeEndpoint(
    endpointId: string,
    change: Partial<Pick<WebhookEndpoint, 'secrets' | 'state'>>,
  ): Promise<WebhookEndpoint | null> {
    const endpoint = this.#endpoints.get(endpointId);
    if (!endpoint) return null;
    const forgotten = change.state === 'enabled' ? { failingSinceMs: null } : {};
    const changed = { ...endpoint, ...change, ...forgotten };
    this.#endpoints.set(endpointId, changed);
    return changed;
  }

  async noteEndpoint(
    endpointId: string,
    result: 'delivered' | 'failed',
    atMs: number,
  ): Promise<number | null> {
    const endpoint = this.#endpoints.get(endpointId);
    if (!endpoint) return null;
    const failingSinceMs = result === 'delivered' ? null : (endpoint.failingSinceMs ?? atMs);
    this.#endpoints.set(endpointId, { ...endpoint, failingSinceMs });
    return failingSinceMs;
  }

  async addTry(messageId: string, attempt: number, result: TryResult): Promise<void> {
    const tries = this.#tries.get(messageId) ?? [];
    this.#tries.set(messageId, [...tries, { attempt, ...result }]);
  }

  async findDelivery(
    messageId: string,
  ): Promise<{ readonly delivery: Delivery; readonly tries: readonly DeliveryTry[] } | null> {
    const delivery = this.outbox.get(messageId);
    return delivery ? { delivery, tries: this.#tries.get(messageId) ?? [] } : null;
  }

  async listDeliveries(query: DeliveryQuery): Promise<readonly Delivery[]> {
    const { before } = query;
    return [...this.outbox.values()]
      .filter((row) => row.merchantId === query.merchantId && row.mode === query.mode)
      .filter(({ paymentId }) => query.paymentId === undefined || paymentId === query.paymentId)
      .filter(({ state }) => query.state === undefined || state === query.state)
      .sort(newestFirst)
      .filter((row) => before === undefined || newestFirst(row, before) > 0)
      .slice(0, query.limit);
  }

  async replayDelivery(messageId: string, nowMs: number): Promise<Delivery | null> {
    const delivery = this.outbox.get(messageId);
    if (!delivery) return null;
    const again: Delivery = { ...delivery, state: 'waiting', attempts: 0, nextAtMs: nowMs };
    this.outbox.set(messageId, again);
    return again;
  }
}

type Place = Pick<Delivery, 'createdAtMs' | 'messageId'>;

function newestFirst(a: Place, b: Place): number {
  if (a.createdAtMs !== b.createdAtMs) return b.createdAtMs - a.createdAtMs;
  if (a.messageId === b.messageId) return 0;
  return a.messageId < b.messageId ? 1 : -1;
}
