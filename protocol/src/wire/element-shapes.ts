/** Shapes of what agent and element say to each other, and of enrolment documents. */
import type { ErrorBody } from '../bytes/index.ts';
import type {
  CardInterface,
  ElementCommand,
  ElementEvent,
  ElementPayResult,
  EnrolmentGrant,
  EnrolmentRequest,
  ShownOrder,
} from './element.ts';
import { cardCommandShapes } from './element-card-shapes.ts';
import { Hop, type HopName, type HopRecord } from './hop.ts';
import { signedParameterSetShape } from './parameters.ts';
import {
  booleanShape,
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
import { tokenWishShape } from './token.ts';

/** Longest APDU that passes, extended length included. */
const APDU_BYTES_MAX = 65_544;
const identifier = textShape(64, /^[A-Za-z0-9._-]+$/);
const base64 = textShape(200_000, /^[A-Za-z0-9+/]*={0,2}$/);
const id = countShape();

/** What crosses instead of an exception. */
export const errorBodyShape: Shape<ErrorBody> = objectShape<ErrorBody>({
  code: textShape(64, /^[A-Z][A-Z0-9_]*$/),
  message: textShape(4096),
  data: factsShape(32),
});

/** What the gateway grants an element. */
export const enrolmentGrantShape: Shape<EnrolmentGrant> = objectShape<EnrolmentGrant>({
  certificatePem: textShape(8192),
  caPem: textShape(8192),
  orderPublicKeySpki: hexShape({ min: 59, max: 512 }),
  initialKeyId: hexShape({ min: 8, max: 8 }),
  encipheredInitialKey: hexShape({ min: 256, max: 256 }),
  initialKeyKcv: hexShape({ min: 3, max: 8 }),
  parameterPublicKeySpki: hexShape({ min: 59, max: 512 }),
  parameters: signedParameterSetShape,
});

/** What an element asks a gateway to certify. */
export const enrolmentRequestShape: Shape<EnrolmentRequest> = objectShape<EnrolmentRequest>({
  elementId: identifier,
  publicKeySpki: hexShape({ min: 59, max: 512 }),
  transportKeySpki: hexShape({ min: 256, max: 1024 }),
  pairingProof: hexShape({ min: 32, max: 32 }),
  signature: hexShape({ min: 64, max: 64 }),
});

/** How card and reader meet. */
export const cardInterfaceShape: Shape<CardInterface> = oneOfShape('contact', 'contactless');
/** Fields of an order that is shown, for the messages that carry it. */
export const shownOrderFields: { readonly [K in keyof ShownOrder]: Shape<ShownOrder[K]> } = {
  kind: oneOfShape('purchase', 'ecashLoad'),
  amountMinor: textShape(12, /^[0-9]+$/),
  currency: textShape(3, /^[0-9]{3}$/),
  merchantName: textShape(128),
  origin: textShape(256),
};
/** Presentations of a card in one payment. */
export const CARD_ATTEMPTS_MAX = 8;

const empty = objectShape<Record<never, never>>({});

/** Agent -> element. */
export const elementCommandShape: Shape<ElementCommand> = unionShape<ElementCommand>({
  ...cardCommandShapes,
  status: objectShape({ id }),
  beginEnrolment: objectShape({ id, pairingCode: textShape(64, /^[\x21-\x7e]{6,64}$/) }),
  finishEnrolment: objectShape({ id, grant: enrolmentGrantShape }),
  pay: objectShape({
    id,
    orderId: identifier,
    serverName: textShape(253, /^[A-Za-z0-9.-]+$/),
  }),
  token: objectShape({ id, wish: tokenWishShape }),
  cardAnswer: objectShape({ interface: cardInterfaceShape }),
  cardFault: objectShape({ error: errorBodyShape }),
  channelOpened: empty,
  channelData: objectShape({ base64 }),
  channelClosed: empty,
  apduAnswer: objectShape({ response: hexShape({ max: APDU_BYTES_MAX }) }),
  apduFault: objectShape({ error: errorBodyShape }),
  pinAnswer: objectShape({ sealedPin: nullableShape(hexShape({ min: 256, max: 256 })) }),
  pinFault: objectShape({ error: errorBodyShape }),
});

const hopNames = Object.keys(Hop) as readonly HopName[];

/** One passed hop. */
export const hopRecordShape: Shape<HopRecord> = objectShape<HopRecord>({
  n: countShape(hopNames.length),
  name: oneOfShape(...hopNames),
  party: textShape(32),
  atMs: countShape(),
  facts: factsShape(32),
});

/** Anything JSON can carry, or nothing; its reader checks it. */
const unchecked: Shape<unknown> = (value) => value;

/** Element -> agent; `answer.result` is checked by the one who asked. */
export const elementEventShape: Shape<ElementEvent> = unionShape<ElementEvent>({
  ready: objectShape({
    elementId: nullableShape(identifier),
    state: oneOfShape('notEnrolled', 'operable', 'locked'),
  }),
  answer: answerShape,
  openChannel: empty,
  channelData: objectShape({ base64 }),
  channelEnd: empty,
  cardRequest: objectShape({
    ...shownOrderFields,
    interfaces: listShape(cardInterfaceShape, 2),
    attempt: countShape(CARD_ATTEMPTS_MAX),
    reason: nullableShape(textShape(128)),
  }),
  tokenCardRequest: objectShape({
    attempt: countShape(CARD_ATTEMPTS_MAX),
    reason: nullableShape(textShape(128)),
  }),
  cardDone: empty,
  apdu: objectShape({ command: hexShape({ min: 4, max: APDU_BYTES_MAX }) }),
  pinRequest: objectShape({
    publicKeySpki: hexShape({ min: 256, max: 1024 }),
    ...shownOrderFields,
  }),
  hop: objectShape({ record: hopRecordShape }),
});

function answerShape(
  value: unknown,
  path: string,
): { readonly id: number; readonly result?: unknown; readonly error?: ErrorBody } {
  const answer = objectShape<{ id: number; result: unknown; error: ErrorBody | undefined }>({
    id,
    result: unchecked,
    error: (error, at) => (error === undefined ? undefined : errorBodyShape(error, at)),
  })(value, path);
  if (answer.error !== undefined) return { id: answer.id, error: answer.error };
  return { id: answer.id, result: answer.result };
}

const outcome = oneOfShape('approved', 'declined', 'unknown', 'cancelled');
const cryptogram = nullableShape(hexShape({ min: 8, max: 8 }));

/** Outcome of `pay`. */
export const elementPayResultShape: Shape<ElementPayResult> = objectShape<ElementPayResult>({
  outcome,
  reason: nullableShape(textShape(128)),
  charged: oneOfShape('no', 'unknown', 'yes'),
  interface: nullableShape(cardInterfaceShape),
  paymentId: nullableShape(identifier),
  responseCode: nullableShape(textShape(2)),
  card: nullableShape(
    objectShape({
      label: textShape(64),
      panMasked: textShape(19),
      aid: hexShape({ min: 5, max: 16 }),
    }),
  ),
  cryptogram: objectShape({
    arqc: cryptogram,
    arpc: nullableShape(hexShape({ max: 16 })),
    second: cryptogram,
    secondType: nullableShape(oneOfShape('TC', 'AAC')),
  }),
  tvr: hexShape({ max: 5 }),
  tsi: hexShape({ max: 2 }),
  cvmResults: hexShape({ max: 3 }),
  dataAuthentication: oneOfShape('none', 'SDA', 'DDA', 'CDA', 'fDDA', 'failed'),
  channel: nullableShape(
    objectShape({
      protocol: textShape(16),
      mutual: booleanShape,
      resumed: booleanShape,
    }),
  ),
});
