/** The payment application at the other end of a trusted channel. */
import type { HopRecord, SignedOrder } from '@tapnpay/protocol/wire';
import type { Order, Payment } from '../model.ts';

/** Orders and payments remembered of one channel. */
export const PEER_REMEMBERS_MAX = 64;

/**
 * Remembers the newest only: a channel may stay open for days. An order that was forgotten is asked
 * for again, a payment is read again.
 */
export class Remembered<Value> extends Map<string, Value> {
  override set(key: string, value: Value): this {
    this.delete(key);
    super.set(key, value);
    const [oldest] = this.keys();
    if (this.size > PEER_REMEMBERS_MAX && oldest !== undefined) this.delete(oldest);
    return this;
  }
}

/** Who it is, which channel binds it, and what it was given on this channel. */
export type ChannelPeer = {
  readonly elementId: string;
  readonly publicKeySpki: string;
  readonly initialKeyId: string;
  /** The channel's exporter value, hex. @see RFC 8446 §7.5 */
  readonly exporter: string;
  /** Counter of the element's last payment when this channel began. */
  readonly counterAtHello: number;
  readonly channelHop: HopRecord;
  readonly isOpen: () => boolean;
  readonly signedOrders: Map<string, { readonly order: SignedOrder; readonly atMs: number }>;
  /** Hop 12 of each payment, kept until its completion is written. */
  readonly finishHops: Map<string, HopRecord>;
  /**
   * Approved payments of inserted cards as this process wrote them, until their completion: what
   * the usual case needs not read again. The completion's move holds only from this very state.
   */
  readonly authorised: Map<string, { readonly order: Order; readonly payment: Payment }>;
};
