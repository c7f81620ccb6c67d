/** What the gateway keeps of webhook endpoints and of the deliveries to them. */
import type { Mode } from '../merchants/model.ts';
import type { Delivery, DeliveryQuery, DeliveryTry, TryResult, WebhookEndpoint } from './model.ts';

/** The part of the gateway's durable memory that webhooks use. */
export interface WebhookStore {
  /** Nothing when there is one of this id. */
  addEndpoint(endpoint: WebhookEndpoint): Promise<void>;
  findEndpoint(endpointId: string): Promise<WebhookEndpoint | null>;
  /** Oldest first. */
  listEndpoints(owner: {
    readonly merchantId: string;
    readonly mode: Mode;
  }): Promise<readonly WebhookEndpoint[]>;
  /** The endpoint afterwards, or null without one. An enabled one forgets its failures. */
  changeEndpoint(
    endpointId: string,
    change: Partial<Pick<WebhookEndpoint, 'secrets' | 'state'>>,
  ): Promise<WebhookEndpoint | null>;
  /**
   * Notes a delivery's end for its endpoint: a success ends a time of failures, a failure begins
   * one. Since when it fails, or null.
   */
  noteEndpoint(
    endpointId: string,
    result: 'delivered' | 'failed',
    atMs: number,
  ): Promise<number | null>;

  /** Adds a failed try to the log. */
  addTry(messageId: string, attempt: number, result: TryResult): Promise<void>;
  findDelivery(
    messageId: string,
  ): Promise<{ readonly delivery: Delivery; readonly tries: readonly DeliveryTry[] } | null>;
  listDeliveries(query: DeliveryQuery): Promise<readonly Delivery[]>;
  /** Any state -> waiting, due now, its tries counted anew; null without one. */
  replayDelivery(messageId: string, nowMs: number): Promise<Delivery | null>;
}
