/** What the gateway keeps of notices; each method is one atomic durable step. */
import type { Claim } from '../store.ts';
import type { NewNotice, Notice } from './model.ts';

/** The part of the gateway's durable memory that notices use. */
export interface NoticeStore {
  /** Once for each payment: the first results stay. The notice as it stands. */
  addNotice(notice: NewNotice): Promise<Notice>;
  findNotice(paymentId: string): Promise<Notice | null>;
  /** Due ones; each counts as tried and is leased until `nowMs + leaseMs`. */
  claimNotices(claim: Claim): Promise<readonly Notice[]>;
  postponeNotice(paymentId: string, nextAtMs: number): Promise<void>;
  acknowledgeNotice(paymentId: string, responseCode: string, atMs: number): Promise<void>;
}
