/** `NoticeStore` in memory; the gateway's store in memory is built on it. */
import { MemoryOperations } from '../operations/store-memory.ts';
import type { Claim } from '../store.ts';
import type { NewNotice, Notice } from './model.ts';
import type { NoticeStore } from './store.ts';

/** Notices as a map. */
export class MemoryNotices extends MemoryOperations implements NoticeStore {
  readonly #notices = new Map<string, Notice>();

  async addNotice(notice: NewNotice): Promise<Notice> {
    const earlier = this.#notices.get(notice.paymentId);
    if (earlier) return earlier;
    const life = { attempts: 0, acknowledgedAtMs: null, responseCode: null };
    const added = { ...notice, ...life };
    this.#notices.set(notice.paymentId, added);
    return added;
  }

  async findNotice(paymentId: string): Promise<Notice | null> {
    return this.#notices.get(paymentId) ?? null;
  }

  async claimNotices(claim: Claim): Promise<readonly Notice[]> {
    const { nowMs, leaseMs, limit } = claim;
    const due = [...this.#notices.values()]
      .filter((row) => row.acknowledgedAtMs === null && row.nextAtMs <= nowMs)
      .slice(0, limit)
      .map((row) => ({ ...row, attempts: row.attempts + 1, nextAtMs: nowMs + leaseMs }));
    for (const row of due) this.#notices.set(row.paymentId, row);
    return due;
  }

  async postponeNotice(paymentId: string, nextAtMs: number): Promise<void> {
    const row = this.#notices.get(paymentId);
    if (row) this.#notices.set(paymentId, { ...row, nextAtMs });
  }

  async acknowledgeNotice(paymentId: string, responseCode: string, atMs: number): Promise<void> {
    const row = this.#notices.get(paymentId);
    if (row) this.#notices.set(paymentId, { ...row, responseCode, acknowledgedAtMs: atMs });
  }
}
