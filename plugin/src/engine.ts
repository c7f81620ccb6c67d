/** A payment on a page of the gateway: states, ways to the agent, codes. Shops take `index.ts`. */
export { ChosenTransport } from './choose.ts';
export { askDoctor } from './doctor.ts';
export {
  type Action,
  type Charged,
  meaningOf,
  type PaymentCode,
  type PaymentError,
  paymentCodeOf,
  paymentCodes,
  paymentError,
  type Stage,
} from './errors.ts';
export { gatewayClient } from './gateway.ts';
export { Loopback } from './loopback.ts';
export type { Payment, PaymentPorts, PaymentState } from './model.ts';
export { createPayment } from './payment.ts';
export { COUNTDOWN_MS, type NeedName, type StateName } from './states.ts';
export type { PluginFacts, Transport, TransportEvent } from './transport.ts';
