/** `NoticeStore` in PostgreSQL; the gateway's store is built on it. */
import { PostgresOperations } from '../operations/store-postgres.ts';
import type { Claim } from '../store.ts';
import type { NewNotice, Notice } from './model.ts';
import type { NoticeStore } from './store.ts';

type NoticeRow = {
  readonly payment_id: string;
  readonly stan: string;
  readonly transmission: string;
  readonly results: string;
  readonly attempts: number;
  readonly next_at_ms: bigint;
  readonly acknowledged_at_ms: bigint | null;
  readonly response_code: string | null;
};

function noticeOf(row: NoticeRow): Notice {
  const acknowledgedAtMs = row.acknowledged_at_ms;
  return {
    paymentId: row.payment_id,
    stan: row.stan,
    transmission: row.transmission,
    results: row.results,
    attempts: row.attempts,
    nextAtMs: Number(row.next_at_ms),
    acknowledgedAtMs: acknowledgedAtMs === null ? null : Number(acknowledgedAtMs),
    responseCode: row.response_code,
  };
}

/** Notices in the gateway's schema. */
export class PostgresNotices extends PostgresOperations implements NoticeStore {
  async addNotice(notice: NewNotice): Promise<Notice> {
    const { paymentId, stan, transmission, results, nextAtMs } = notice;
    await this.rows(
      `INSERT INTO notices (payment_id, stan, transmission, results, next_at_ms)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (payment_id) DO NOTHING`,
      [paymentId, stan, transmission, results, nextAtMs],
    );
    const added = await this.findNotice(paymentId);
    if (!added) throw new TypeError('a notice that was written is not there');
    return added;
  }

  async findNotice(paymentId: string): Promise<Notice | null> {
    const [row] = await this.rows<NoticeRow>('SELECT * FROM notices WHERE payment_id = $1', [
      paymentId,
    ]);
    return row ? noticeOf(row) : null;
  }

  async claimNotices(claim: Claim): Promise<readonly Notice[]> {
    const claimed = await this.rows<NoticeRow>(
      `UPDATE notices SET attempts = attempts + 1, next_at_ms = $2 WHERE payment_id IN (
         SELECT payment_id FROM notices
         WHERE acknowledged_at_ms IS NULL AND next_at_ms <= $1
         ORDER BY next_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit],
    );
    return claimed.map(noticeOf);
  }

  async postponeNotice(paymentId: string, nextAtMs: number): Promise<void> {
    await this.rows('UPDATE notices SET next_at_ms = $2 WHERE payment_id = $1', [
      paymentId,
      nextAtMs,
    ]);
  }

  async acknowledgeNotice(paymentId: string, responseCode: string, atMs: number): Promise<void> {
    await this.rows(
      `UPDATE notices SET acknowledged_at_ms = $3, response_code = $2 WHERE payment_id = $1`,
      [paymentId, responseCode, atMs],
    );
  }
}
