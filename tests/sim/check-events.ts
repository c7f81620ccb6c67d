/** I7: what a shop was told of each payment, against the book. */
import { outcomeOf, type Payment } from '../../online/src/gateway/model.ts';
import type { PaymentWhole } from '../../online/src/gateway/operations/model.ts';
import type { ThreeBooks } from './books.ts';
import { type Finding, namesOf } from './check.ts';
import type { EventData, Receiver } from './receiver.ts';

/** Payments whose shop has not heard everything yet. */
export function untold(books: ThreeBooks, receiver: Receiver): readonly PaymentWhole[] {
  return books.wholes.filter(
    ({ order, payment }) =>
      order.notifyUrl !== null && !receiver.hasAll(payment.paymentId, payment.sequence),
  );
}

/** All broken ones of I7. */
export function checkEvents(books: ThreeBooks, receiver: Receiver): readonly Finding[] {
  const findings: Finding[] = [];
  const wrong = (payment: Payment, what: string): void => {
    const text = `payment ${payment.paymentId}: ${what}`;
    findings.push({ invariant: 'I7', what: text, about: namesOf(payment) });
  };
  for (const whole of books.wholes) {
    const { order, payment } = whole;
    if (order.notifyUrl === null) continue;
    const bodies = receiver.bodies.get(payment.paymentId) ?? new Map<number, string>();
    const numbers = [...bodies.keys()].sort((left, right) => left - right);
    const expected = Array.from({ length: payment.sequence }, (_, index) => index + 1);
    if (numbers.join() !== expected.join()) {
      wrong(payment, `${payment.sequence} events, the shop has ${numbers.join(', ')}`);
    }
    const believed = receiver.states.get(payment.paymentId);
    if (payment.sequence > 0 && believed) {
      const why = difference(whole, believed);
      if (why !== null) wrong(payment, why);
    }
  }
  for (const { paymentId, what } of receiver.conflicts) {
    findings.push({ invariant: 'I7', what: `payment ${paymentId}: ${what}`, about: [paymentId] });
  }
  return findings;
}

/** What the shop believes that is not so, or null. */
function difference({ payment, balance }: PaymentWhole, believed: EventData): string | null {
  const outcome = outcomeInWords(payment);
  if (believed.outcome !== outcome) return `the shop believes ${believed.outcome}, not ${outcome}`;
  for (const name of ['capturedMinor', 'refundedMinor'] as const) {
    const said = believed[name];
    if (said === undefined || said === String(balance[name])) continue;
    return `the shop believes ${name} ${said}, not ${balance[name]}`;
  }
  return null;
}

function outcomeInWords(payment: Payment): string | null {
  if (payment.state === 'held') return 'authorised';
  return payment.state === 'voided' ? 'voided' : outcomeOf(payment);
}
