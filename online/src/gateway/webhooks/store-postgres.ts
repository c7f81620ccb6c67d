/** `WebhookStore` in PostgreSQL; the gateway's store is built on it. */
import type { Database, Transaction } from '../../runtime/index.ts';
import type { Mode } from '../merchants/model.ts';
import type { NewEvent } from '../model.ts';
import { type OutboxRow, outboxOf } from '../store-rows.ts';
import type {
  Delivery,
  DeliveryQuery,
  DeliveryTry,
  EndpointSecret,
  EndpointState,
  TryResult,
  WebhookEndpoint,
} from './model.ts';
import type { WebhookStore } from './store.ts';

/**
 * The end of a statement that tells events. `events` is an SQL text of the jsonb array of
 * `eventJson`, `told` of a relation that has a row when they are to be told at all.
 */
export function insertEvents(events: string, told: string): string {
  return `
  INSERT INTO outbox (message_id, payment_id, merchant_id, mode, url, body, created_at_ms,
    next_at_ms, endpoint_id)
  SELECT new."messageId" || coalesce('.' || target.endpoint_id, ''), new."paymentId",
    new."merchantId", new.mode, target.url, new.body, new."createdAtMs", new."createdAtMs",
    target.endpoint_id
  FROM ${told}, jsonb_to_recordset(${events}) AS new("messageId" text, "paymentId" text,
    "merchantId" text, mode text, url text, body text, "createdAtMs" bigint)
  CROSS JOIN LATERAL (
    SELECT NULL::text AS endpoint_id, new.url WHERE new.url IS NOT NULL
    UNION ALL
    SELECT endpoint_id, url FROM webhook_endpoints
    WHERE merchant_id = new."merchantId" AND mode = new.mode AND state = 'enabled') AS target`;
}

/** Writes one event's notifications in the transaction of `client`. */
export async function tellEvent(client: Transaction, event: NewEvent): Promise<void> {
  const statement = insertEvents('$1::jsonb', '(SELECT 1) AS told');
  await client.query(statement, [JSON.stringify([event])]);
}

type EndpointRow = {
  readonly endpoint_id: string;
  readonly merchant_id: string;
  readonly mode: Mode;
  readonly url: string;
  readonly secrets: readonly EndpointSecret[];
  readonly state: EndpointState;
  readonly failing_since_ms: bigint | null;
  readonly created_at_ms: bigint;
};

function endpointOf(row: EndpointRow): WebhookEndpoint {
  return {
    endpointId: row.endpoint_id,
    merchantId: row.merchant_id,
    mode: row.mode,
    url: row.url,
    secrets: row.secrets,
    state: row.state,
    failingSinceMs: numberOrNull(row.failing_since_ms),
    createdAtMs: Number(row.created_at_ms),
  };
}

type DeliveryRow = OutboxRow & {
  readonly state: Delivery['state'];
  readonly last_status: number | null;
  readonly last_at_ms: bigint | null;
};

function deliveryOf(row: DeliveryRow): Delivery {
  const { state, last_status: lastStatus } = row;
  return { ...outboxOf(row), state, lastStatus, lastAtMs: numberOrNull(row.last_at_ms) };
}

function numberOrNull(value: bigint | null): number | null {
  return value === null ? null : Number(value);
}

/** Endpoints, notifications and their tries in the gateway's schema. */
export class PostgresWebhooks implements WebhookStore {
  protected readonly database: Database;

  constructor(database: Database) {
    this.database = database;
  }

  /** Rows of one statement of its own. */
  protected async rows<Row extends object>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const result = await this.database.pool.query<Row>(text, [...values]);
    return result.rows;
  }

  async addEndpoint(endpoint: WebhookEndpoint): Promise<void> {
    await this.rows(
      `INSERT INTO webhook_endpoints (endpoint_id, merchant_id, mode, url, secrets, state,
         failing_since_ms, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT DO NOTHING`,
      [
        endpoint.endpointId,
        endpoint.merchantId,
        endpoint.mode,
        endpoint.url,
        JSON.stringify(endpoint.secrets),
        endpoint.state,
        endpoint.failingSinceMs,
        endpoint.createdAtMs,
      ],
    );
  }

  async findEndpoint(endpointId: string): Promise<WebhookEndpoint | null> {
    const [row] = await this.rows<EndpointRow>(
      'SELECT * FROM webhook_endpoints WHERE endpoint_id = $1',
      [endpointId],
    );
    return row ? endpointOf(row) : null;
  }

  async listEndpoints(owner: {
    readonly merchantId: string;
    readonly mode: Mode;
  }): Promise<readonly WebhookEndpoint[]> {
    const listed = await this.rows<EndpointRow>(
      `SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND mode = $2
       ORDER BY created_at_ms, endpoint_id`,
      [owner.merchantId, owner.mode],
    );
    return listed.map(endpointOf);
  }

  async changeEndpoint(
    endpointId: string,
    change: Partial<Pick<WebhookEndpoint, 'secrets' | 'state'>>,
  ): Promise<WebhookEndpoint | null> {
    const [row] = await this.rows<EndpointRow>(
      `UPDATE webhook_endpoints SET secrets = coalesce($2::jsonb, secrets),
         state = coalesce($3, state),
         failing_since_ms = CASE WHEN $3 = 'enabled' THEN NULL ELSE failing_since_ms END
       WHERE endpoint_id = $1 RETURNING *`,
      [
        endpointId,
        change.secrets === undefined ? null : JSON.stringify(change.secrets),
        change.state ?? null,
      ],
    );
    return row ? endpointOf(row) : null;
  }

  async noteEndpoint(
    endpointId: string,
    result: 'delivered' | 'failed',
    atMs: number,
  ): Promise<number | null> {
    // A success of an endpoint without failures, the usual case, writes nothing.
    await this.rows(
      result === 'delivered'
        ? `UPDATE webhook_endpoints SET failing_since_ms = NULL
           WHERE endpoint_id = $1 AND failing_since_ms <= $2`
        : `UPDATE webhook_endpoints SET failing_since_ms = $2
           WHERE endpoint_id = $1 AND failing_since_ms IS NULL`,
      [endpointId, atMs],
    );
    const endpoint = await this.findEndpoint(endpointId);
    return endpoint?.failingSinceMs ?? null;
  }

  async addTry(messageId: string, attempt: number, result: TryResult): Promise<void> {
    await this.rows(
      `INSERT INTO webhook_tries (message_id, attempt, at_ms, status, fault)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
      [messageId, attempt, result.atMs, result.status, result.fault],
    );
  }

  async findDelivery(
    messageId: string,
  ): Promise<{ readonly delivery: Delivery; readonly tries: readonly DeliveryTry[] } | null> {
    const [row] = await this.rows<DeliveryRow>('SELECT * FROM outbox WHERE message_id = $1', [
      messageId,
    ]);
    if (!row) return null;
    const tries = await this.rows<{
      attempt: number;
      at_ms: bigint;
      status: number;
      fault: string;
    }>('SELECT * FROM webhook_tries WHERE message_id = $1 ORDER BY at_ms, attempt', [messageId]);
    return {
      delivery: deliveryOf(row),
      tries: tries.map(({ at_ms: atMs, attempt, status, fault }) => {
        return { attempt, atMs: Number(atMs), status, fault };
      }),
    };
  }

  async listDeliveries(query: DeliveryQuery): Promise<readonly Delivery[]> {
    const { before } = query;
    const listed = await this.rows<DeliveryRow>(
      `SELECT * FROM outbox WHERE merchant_id = $1 AND mode = $2
         AND ($3::text IS NULL OR payment_id = $3) AND ($4::text IS NULL OR state = $4)
         AND ($5::bigint IS NULL OR (created_at_ms, message_id COLLATE "C") < ($5, $6))
       ORDER BY created_at_ms DESC, message_id COLLATE "C" DESC LIMIT $7`,
      [
        query.merchantId,
        query.mode,
        query.paymentId ?? null,
        query.state ?? null,
        before?.createdAtMs ?? null,
        before?.messageId ?? null,
        query.limit,
      ],
    );
    return listed.map(deliveryOf);
  }

  async replayDelivery(messageId: string, nowMs: number): Promise<Delivery | null> {
    const [row] = await this.rows<DeliveryRow>(
      `UPDATE outbox SET state = 'waiting', attempts = 0, next_at_ms = $2
       WHERE message_id = $1 RETURNING *`,
      [messageId, nowMs],
    );
    return row ? deliveryOf(row) : null;
  }
}
