/** Shapes of the channel's messages, for whichever side receives them. */
import type { PaymentAttestation, PaymentClaim } from './attestation.ts';
import type { ApplicationMessage, GatewayMessage, SignedOrder } from './channel.ts';
import { cardInterfaceShape } from './element-shapes.ts';
import { signedParameterSetShape } from './parameters.ts';
import {
  countShape,
  factsShape,
  hexShape,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
  unionShape,
} from './shape.ts';

const identifier = textShape(64, /^[A-Za-z0-9._-]+$/);
const responseCode = nullableShape(textShape(2, /^[0-9A-Z]{2}$/));
const errorCode = textShape(64, /^[A-Z][A-Z0-9_]*$/);

/** An order as the gateway signed it; amounts and dates are checked by form only. */
export const signedOrderShape: Shape<SignedOrder> = objectShape<SignedOrder>({
  orderId: identifier,
  merchantId: textShape(15, /^[\x20-\x7e]+$/),
  merchantName: textShape(128),
  terminalId: textShape(8, /^[\x20-\x7e]+$/),
  amountMinor: textShape(12, /^[0-9]+$/),
  currency: textShape(3, /^[0-9]{3}$/),
  origin: textShape(256),
  dateYymmdd: textShape(6, /^[0-9]{6}$/),
  timeHhmmss: textShape(6, /^[0-9]{6}$/),
  transactionType: oneOfShape('00', '60', '62', '63'),
  signature: hexShape({ min: 64, max: 64 }),
});

/** What an application claims of a payment, as the element takes it. */
export const paymentClaimShape: Shape<PaymentClaim> = objectShape<PaymentClaim>({
  order: signedOrderShape,
  parameterVersion: countShape(),
  field55: hexShape({ min: 1, max: 255 }),
  pinBlock: nullableShape(hexShape({ min: 16, max: 16 })),
  tvr: hexShape({ min: 5, max: 5 }),
  cvmResults: hexShape({ min: 3, max: 3 }),
});

/** From the gateway. */
export const gatewayMessageShape: Shape<GatewayMessage> = unionShape<GatewayMessage>({
  welcome: objectShape({
    version: countShape(255),
    timeMs: countShape(),
    parameters: objectShape({ newest: countShape(), minimum: countShape() }),
  }),
  parameters: objectShape({ set: signedParameterSetShape }),
  signedOrder: objectShape({ order: signedOrderShape }),
  authorisation: objectShape({
    paymentId: identifier,
    result: oneOfShape('answered', 'unable', 'unknown'),
    responseCode,
    issuerAuthenticationData: nullableShape(hexShape({ min: 8, max: 16 })),
    scripts: listShape(hexShape({ max: 1024 }), 16),
  }),
  result: objectShape({
    paymentId: identifier,
    outcome: oneOfShape('approved', 'declined', 'unknown', 'reversed', 'cancelled'),
    responseCode,
  }),
  error: objectShape({ code: errorCode, message: textShape(1024), data: factsShape(32) }),
});

const attestationShape: Shape<PaymentAttestation> = objectShape<PaymentAttestation>({
  loadFileHash: hexShape({ min: 32, max: 32 }),
  lifeCycle: oneOfShape('installed', 'operable', 'locked'),
  counter: countShape(),
  parameterVersion: countShape(),
  tvr: hexShape({ min: 5, max: 5 }),
  cvmResults: hexShape({ min: 3, max: 3 }),
  signature: hexShape({ min: 64, max: 64 }),
});

/** From the payment application. */
export const applicationMessageShape: Shape<ApplicationMessage> = unionShape<ApplicationMessage>({
  hello: objectShape({
    version: countShape(255),
    elementId: identifier,
    applicationVersion: textShape(32),
  }),
  orderRequest: objectShape({ orderId: identifier }),
  parametersRequest: objectShape<Record<never, never>>({}),
  payment: objectShape({
    payment: objectShape({
      orderId: identifier,
      interface: cardInterfaceShape,
      applicationLabel: textShape(32),
      pan: textShape(19, /^[0-9]{12,19}$/),
      panSequenceNumber: textShape(2, /^[0-9]{2}$/),
      expiryYymm: textShape(4, /^[0-9]{4}$/),
      track2: textShape(37, /^[0-9]{12,19}D[0-9]*$/),
      field55: hexShape({ min: 1, max: 255 }),
      pin: nullableShape(
        objectShape({
          block: hexShape({ min: 16, max: 16 }),
          ksn: hexShape({ min: 12, max: 12 }),
        }),
      ),
      attestation: attestationShape,
    }),
  }),
  completion: objectShape({
    completion: objectShape({
      paymentId: identifier,
      secondType: nullableShape(oneOfShape('TC', 'AAC')),
      second: nullableShape(hexShape({ min: 8, max: 8 })),
      tvr: hexShape({ min: 5, max: 5 }),
      tsi: hexShape({ min: 2, max: 2 }),
      scriptResults: hexShape({ max: 255 }),
      outcome: oneOfShape('approved', 'declined'),
    }),
  }),
  abandon: objectShape({ orderId: identifier, reason: textShape(128) }),
});
