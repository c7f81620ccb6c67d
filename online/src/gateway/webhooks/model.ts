/** A merchant's own addresses for notifications, their secrets, what became of each delivery. */
import type { Mode } from '../merchants/model.ts';
import type { OutboxMessage } from '../model.ts';

/** One secret of an endpoint, sealed by the vault. */
export type EndpointSecret = {
  readonly sealed: string;
  /** Of the request that made it: a repeat is shown the same secret. */
  readonly identity: string;
  /** Signs no longer from then on; null: the current one. */
  readonly endsAtMs: number | null;
};

/** `disabled` by the merchant, `failing`: after days without one success. */
export type EndpointState = 'enabled' | 'disabled' | 'failing';

/** Hears every event of its merchant in its mode. */
export type WebhookEndpoint = {
  readonly endpointId: string;
  readonly merchantId: string;
  readonly mode: Mode;
  readonly url: string;
  /** The current one first. */
  readonly secrets: readonly EndpointSecret[];
  readonly state: EndpointState;
  /** Since when no delivery succeeded; null after a success. */
  readonly failingSinceMs: number | null;
  readonly createdAtMs: number;
};

/** A notification as the delivery log shows it. */
export type Delivery = OutboxMessage & {
  readonly state: 'waiting' | 'delivered' | 'dead';
  /** Of the last try; 0 for no answer. */
  readonly lastStatus: number | null;
  readonly lastAtMs: number | null;
};

/** A try that failed. */
export type DeliveryTry = {
  readonly attempt: number;
  readonly atMs: number;
  /** HTTP status; 0 for no answer. */
  readonly status: number;
  /** Why there was no answer: `refusedAddress`, `timeout`, `network`. */
  readonly fault: string | null;
};

/** How one try ended. */
export type TryResult = Omit<DeliveryTry, 'attempt'>;

/** Part of a list, newest first. */
export type DeliveryQuery = {
  readonly merchantId: string;
  readonly mode: Mode;
  readonly paymentId?: string | undefined;
  readonly state?: Delivery['state'] | undefined;
  /** Only those before this message, by time and id. */
  readonly before?: { readonly createdAtMs: number; readonly messageId: string } | undefined;
  readonly limit: number;
};
