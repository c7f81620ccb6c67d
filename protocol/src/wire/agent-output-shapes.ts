/** Shapes of what the agent says to pages and windows, for those who get it through others. */
import type {
  AgentHealth,
  AgentMessage,
  AgentState,
  CardBalance,
  ReaderService,
  ReaderView,
  RealReaderView,
  WalletCard,
  WindowError,
  WindowPayment,
  WindowView,
} from './agent.ts';
import { base64Shape, orderIdShape, sessionShape } from './agent-shapes.ts';
import type { CardRequest, ShownOrder } from './element.ts';
import {
  CARD_ATTEMPTS_MAX,
  cardInterfaceShape,
  elementPayResultShape,
  errorBodyShape,
  shownOrderFields,
} from './element-shapes.ts';
import {
  booleanShape,
  countShape,
  hexShape,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
  unionShape,
} from './shape.ts';
import { tokenDigits, tokenWishShape } from './token.ts';

/** Readers, virtual and real, and virtual cards of one machine at most. */
export const READERS_MAX = 64;
export const CARDS_MAX = 4_096;

const code = textShape(64, /^[A-Z][A-Z0-9_]*$/);
const reason = nullableShape(textShape(128));
const name = textShape(256);
const interfaces = listShape(cardInterfaceShape, 2);
const session = sessionShape;

/** What is known of the element. */
export const elementStatusShape: Shape<AgentHealth['element']> = objectShape<
  AgentHealth['element']
>({
  id: nullableShape(orderIdShape),
  state: oneOfShape('notEnrolled', 'operable', 'locked'),
});

const readerView: Shape<ReaderView> = objectShape<ReaderView>({
  name,
  kind: oneOfShape('virtual', 'pcsc'),
});
/** Readers as pages are told of them. */
export const readersShape: Shape<readonly ReaderView[]> = listShape(readerView, READERS_MAX);

/** A state by its `name`, where other messages have `type`. */
const stateShape: Shape<AgentState> = (value, path) => {
  const { name: type, ...fields } = Object(value);
  const { type: known, ...state } = namedState({ ...fields, type }, path);
  return { ...state, name: known } as AgentState;
};
type Named<T> = T extends { readonly name: infer N }
  ? Omit<T, 'name'> & { readonly type: N }
  : never;
const empty = objectShape<Record<never, never>>({});
const namedState: Shape<Named<AgentState>> = unionShape<Named<AgentState>>({
  connecting: empty,
  consent: empty,
  waitCard: objectShape({
    interfaces,
    attempt: countShape(CARD_ATTEMPTS_MAX),
    reason,
    deadlineMs: countShape(),
    takeOutFirst: booleanShape,
  }),
  reading: objectShape({ interface: cardInterfaceShape }),
  waitPin: objectShape({ deadlineMs: countShape() }),
  authorising: objectShape({ interface: cardInterfaceShape }),
  removeCard: empty,
});

const cardBalance: Shape<CardBalance> = objectShape<CardBalance>({
  currency: nullableShape(textShape(3, /^[0-9]{3}$/)),
  balanceMinor: textShape(12, /^[0-9]+$/),
  panMasked: nullableShape(textShape(19)),
});

/** To a page. */
export const agentMessageShape: Shape<AgentMessage> = unionShape<AgentMessage>({
  welcome: objectShape({
    version: countShape(),
    element: elementStatusShape,
    readers: readersShape,
  }),
  refused: objectShape({ error: errorBodyShape }),
  state: objectShape({ session, state: stateShape }),
  openChannel: objectShape({ session }),
  channelData: objectShape({ session, base64: base64Shape }),
  channelEnd: objectShape({ session }),
  result: objectShape({ session, result: elementPayResultShape }),
  balanceResult: objectShape({ session, balance: nullableShape(cardBalance), reason }),
  tokenResult: objectShape({ session, token: nullableShape(tokenDigits), reason }),
  failed: objectShape({ session, error: errorBodyShape, sent: booleanShape }),
});

const payment: Shape<WindowPayment> = objectShape<WindowPayment>({
  session,
  intent: oneOfShape('pay', 'balance', 'token'),
  wish: nullableShape(tokenWishShape),
  order: nullableShape(objectShape<ShownOrder>(shownOrderFields)),
  gatewayOrigin: textShape(256),
  state: stateShape,
  request: nullableShape(
    objectShape<CardRequest>({
      ...shownOrderFields,
      interfaces,
      attempt: countShape(CARD_ATTEMPTS_MAX),
      reason,
    }),
  ),
  pinKeySpki: nullableShape(hexShape({ min: 256, max: 1024 })),
});

const readerService: Shape<ReaderService> = objectShape<ReaderService>({
  state: oneOfShape('off', 'on', 'lost'),
  code: nullableShape(code),
});
const realReader: Shape<RealReaderView> = objectShape<RealReaderView>({
  name,
  kind: oneOfShape('pcsc'),
  isCardThere: booleanShape,
  fault: nullableShape(code),
});
const card: Shape<WalletCard> = objectShape<WalletCard>({
  name,
  label: textShape(64),
  panMasked: textShape(19),
  expiryYymm: textShape(4, /^[0-9]{4}$/),
  applicationTransactionCounter: countShape(0xffff),
  interfaces,
  purpose: name,
});

/** To a window: the whole view, or what a command was refused for. */
export const windowOutputShape: Shape<WindowView | WindowError> = unionShape<
  WindowView | WindowError
>({
  view: objectShape({
    payment: nullableShape(payment),
    last: nullableShape(
      objectShape({
        session,
        outcome: oneOfShape(
          ...([
            'approved',
            'declined',
            'unknown',
            'cancelled',
            'failed',
            'read',
            'notRead',
            'made',
            'notMade',
          ] as const),
        ),
        reason,
      }),
    ),
    reader: objectShape({
      name,
      kind: oneOfShape('virtual', 'pcsc'),
      card: nullableShape(name),
      interface: nullableShape(cardInterfaceShape),
    }),
    readerService,
    realReaders: listShape(realReader, READERS_MAX),
    cards: listShape(card, CARDS_MAX),
  }),
  error: objectShape({ error: errorBodyShape }),
});
