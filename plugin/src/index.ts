/** The page library: pays an order with a chip card through the agent on the payer's machine. */
export {
  type Action,
  type Charged,
  meaningOf,
  type PaymentCode,
  type PaymentError,
  paymentCodes,
  type Stage,
} from './errors.ts';
export { type GatewayClient, GatewayFault, gatewayClient } from './gateway.ts';
export { loopbackTransport } from './loopback.ts';
export { createPayment, type Payment, type PaymentPorts, type PaymentState } from './payment.ts';
export { COUNTDOWN_MS, type StateName } from './states.ts';
export type { Transport, TransportEvent } from './transport.ts';
