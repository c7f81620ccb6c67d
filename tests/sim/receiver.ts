/**
 * A shop's end of the notifications: it takes them doubled and in any order, keeps the newest
 * number of each payment, and so must end in the gateway's own state.
 */

/** What the checks need of a notification. */
export type EventData = {
  readonly orderId: string;
  readonly paymentId: string;
  readonly sequence: number;
  readonly outcome: string;
  readonly refundedMinor?: string;
  readonly capturedMinor?: string;
};

/** One receiver. */
export class Receiver {
  /** Bodies by payment and sequence number. */
  readonly bodies: Map<string, Map<number, string>> = new Map();
  /** What the shop believes, by payment. */
  readonly states: Map<string, EventData> = new Map();
  /** Numbers that came with two different bodies. */
  readonly conflicts: { readonly paymentId: string; readonly what: string }[] = [];

  /** Takes one; duplicates and old news change nothing. */
  take(body: string): EventData {
    const { data } = JSON.parse(body) as { readonly data: EventData };
    const { paymentId, sequence } = data;
    const bodies = this.bodies.get(paymentId) ?? new Map<number, string>();
    this.bodies.set(paymentId, bodies);
    const before = bodies.get(sequence);
    if (before !== undefined && before !== body) {
      const what = `number ${sequence} came with two bodies`;
      this.conflicts.push({ paymentId, what });
    }
    bodies.set(sequence, before ?? body);
    const state = this.states.get(paymentId);
    if (!state || state.sequence < sequence) this.states.set(paymentId, data);
    return data;
  }

  /** Whether all numbers of a payment up to `sequence` have come. */
  hasAll(paymentId: string, sequence: number): boolean {
    return (this.bodies.get(paymentId)?.size ?? 0) >= sequence;
  }
}
