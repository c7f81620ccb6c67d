/** Shapes of what agent and element say of the element's card. */
import type {
  CardBirth,
  CardCommand,
  CardFacts,
  ContactSignature,
  ManageAnswer,
} from './element-card.ts';
import {
  countShape,
  hexShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
} from './shape.ts';

/** Longest command or answer that passes, extended length included. */
export const MANAGE_APDU_BYTES_MAX = 65_544;

const masterShape = hexShape({ min: 16, max: 32 });
const parameterShape = countShape(0xff);

/** What a factory gives a card. */
export const cardBirthShape: Shape<CardBirth> = objectShape<CardBirth>({
  masters: objectShape({ encryption: masterShape, mac: masterShape, dataEncryption: masterShape }),
  algorithm: oneOfShape('aes', 'des'),
  scp03ParameterI: parameterShape,
  scp02ParameterI: nullableShape(parameterShape),
  serialNumber: nullableShape(hexShape({ min: 8, max: 8 })),
});

/** What a card says of itself. */
export const cardFactsShape: Shape<CardFacts> = objectShape<CardFacts>({
  serialNumber: hexShape({ min: 8, max: 8 }),
  cplc: hexShape({ min: 42, max: 42 }),
  keyDiversificationData: hexShape({ min: 10, max: 10 }),
  attestationPublicKeySpki: hexShape({ min: 59, max: 512 }),
  lifeCycle: parameterShape,
  paymentApplication: oneOfShape('absent', 'installed', 'operable', 'locked'),
  commits: countShape(),
});

/** Answer to `card`. */
export const cardAnswerShape: Shape<{ readonly card: CardFacts | null }> = objectShape({
  card: nullableShape(cardFactsShape),
});

/** Answer to `manage`. */
export const manageAnswerShape: Shape<ManageAnswer> = objectShape<ManageAnswer>({
  response: hexShape({ min: 2, max: MANAGE_APDU_BYTES_MAX }),
});

/** Answer to `signContact`. */
export const contactSignatureShape: Shape<ContactSignature> = objectShape<ContactSignature>({
  signature: hexShape({ min: 64, max: 64 }),
});

/** Commands of the agent about the card. */
export const cardCommandShapes: {
  readonly [Type in CardCommand['type']]: Shape<
    Omit<Extract<CardCommand, { readonly type: Type }>, 'type'>
  >;
} = {
  birth: objectShape({ id: countShape(), birth: cardBirthShape }),
  card: objectShape({ id: countShape() }),
  manage: objectShape({
    id: countShape(),
    command: hexShape({ min: 1, max: MANAGE_APDU_BYTES_MAX }),
  }),
  manageReset: objectShape({ id: countShape() }),
  signContact: objectShape({
    id: countShape(),
    contactId: textShape(64, /^[0-9A-Za-z-]+$/),
    nonce: hexShape({ min: 16, max: 64 }),
  }),
};
