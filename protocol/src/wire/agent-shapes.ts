/** Shapes of what pages and windows say to the agent, and of what the agent says to them. */
import type { PageMessage, PairingRequest, WindowMessage } from './agent.ts';
import { cardInterfaceShape } from './element-shapes.ts';
import {
  booleanShape,
  countShape,
  hexShape,
  nullableShape,
  objectShape,
  type Shape,
  textShape,
  unionShape,
} from './shape.ts';
import { tokenWishShape } from './token.ts';

/** Last APDU number that a torn presentation can be lifted before. */
export const LIFT_AFTER_MAX = 255;

/** A session's number, of its page's own. @see RFC 9562 */
export const sessionShape: Shape<string> = textShape(
  36,
  /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
);
const session = sessionShape;
const token = textShape(128, /^[A-Za-z0-9_-]+$/);
/** A gateway's number of an order. */
export const orderIdShape: Shape<string> = textShape(64, /^[A-Za-z0-9._-]+$/);
/** Records of one message. */
export const base64Shape: Shape<string> = textShape(200_000, /^[A-Za-z0-9+/]*={0,2}$/);
const orderId = orderIdShape;
const base64 = base64Shape;

/** From a page of a gateway. */
export const pageMessageShape: Shape<PageMessage> = unionShape<PageMessage>({
  hello: objectShape({ version: countShape(), token: nullableShape(token) }),
  pay: objectShape({ session, orderId }),
  balance: objectShape({ session }),
  token: objectShape({ session, wish: tokenWishShape }),
  channelOpened: objectShape({ session }),
  channelData: objectShape({ session, base64 }),
  channelClosed: objectShape({ session }),
  cancel: objectShape({ session }),
});

const present = objectShape({
  card: textShape(32),
  interface: cardInterfaceShape,
  liftAfter: nullableShape(countShape(LIFT_AFTER_MAX)),
});

/** From the agent's own window or wallet. */
export const windowMessageShape: Shape<WindowMessage> = unionShape<WindowMessage>({
  consent: objectShape({ session, given: booleanShape }),
  cancel: objectShape({ session }),
  pin: objectShape({ session, sealedPin: nullableShape(hexShape({ min: 256, max: 256 })) }),
  present,
  takeAway: objectShape<Record<never, never>>({}),
});

/** What a program of the same user may ask of the virtual reader. */
export const readerCommandShape: Shape<ReaderCommand> = unionShape<ReaderCommand>({
  present,
  takeAway: objectShape<Record<never, never>>({}),
});
export type ReaderCommand = Extract<WindowMessage, { type: 'present' | 'takeAway' }>;

/** A browser asks to be paired. */
export const pairingRequestShape: Shape<PairingRequest> = objectShape<PairingRequest>({
  code: nullableShape(textShape(32)),
  origin: nullableShape(textShape(256)),
});
