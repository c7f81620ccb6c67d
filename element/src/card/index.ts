/** The GlobalPlatform card of an element. */
export { CardSeat } from './card-seat.ts';
export {
  ElementCard,
  type ElementCardPorts,
  paymentApplicationState,
  paymentLoadFileHash,
} from './element-card.ts';
