/** Shapes of what an application asks for in a conversation: its generator's calls as they come. */
import { Secret } from '@tapnpay/protocol/bytes';
import {
  CARD_ATTEMPTS_MAX,
  cardInterfaceShape,
  countShape,
  factsShape,
  Hop,
  type HopName,
  type HostCall,
  KeyHandle,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  paymentClaimShape,
  type Shape,
  shownOrderFields,
  signedParameterSetShape,
  textShape,
  WireError,
} from '@tapnpay/protocol/wire';
import { wrongCall } from './errors.ts';

/** Bytes of one call: the longest APDU, or what one record of a channel carries and more. */
const CALL_BYTES_MAX = 262_144;
const FACTS_MAX = 32;
const TIMEOUT_MS_MAX = 600_000;
const HOP_NAMES = Object.keys(Hop) as readonly HopName[];

const bytes: Shape<Uint8Array> = (value, path) => {
  if (value instanceof Uint8Array && value.length <= CALL_BYTES_MAX) return value;
  throw new WireError('ERR_MESSAGE_FIELD', `${path} is no bytes`, { fieldPath: path });
};
const secretText: Shape<Secret<string>> = (value, path) => {
  const hidden = value instanceof Secret ? value.expose() : undefined;
  if (typeof hidden === 'string' && hidden.length <= 64) return new Secret(hidden);
  throw new WireError('ERR_MESSAGE_FIELD', `${path} is no secret text`, { fieldPath: path });
};
const length = countShape(65_535);

const SHAPES: {
  readonly [Name in HostCall['call']]: Shape<Omit<Extract<HostCall, { call: Name }>, 'call'>>;
} = {
  presentCard: objectShape({
    ...shownOrderFields,
    interfaces: listShape(cardInterfaceShape, 2),
    attempt: countShape(CARD_ATTEMPTS_MAX),
    reason: nullableShape(textShape(64)),
  }),
  presentTokenCard: objectShape({
    attempt: countShape(CARD_ATTEMPTS_MAX),
    reason: nullableShape(textShape(64)),
  }),
  releaseCard: objectShape({}),
  cardTransmit: objectShape({ command: bytes }),
  channelOpen: objectShape({ serverName: textShape(253, /^[A-Za-z0-9.-]+$/) }),
  channelSend: objectShape({ data: bytes }),
  channelReceive: objectShape({ timeoutMs: countShape(TIMEOUT_MS_MAX) }),
  channelClose: objectShape({}),
  exporter: objectShape({ label: textShape(64), lengthBytes: length }),
  attest: paymentClaimShape,
  verifySignature: objectShape({
    key: oneOfShape(...Object.values(KeyHandle)),
    data: bytes,
    signature: bytes,
  }),
  storeParameters: objectShape({ set: signedParameterSetShape }),
  sealPin: objectShape({ ...shownOrderFields, pan: secretText }),
  random: objectShape({ lengthBytes: length }),
  clock: objectShape({}),
  hop: objectShape({ name: oneOfShape(...HOP_NAMES), facts: factsShape(FACTS_MAX) }),
};

/** The call, known fields only. @throws SandboxError `ERR_APPLET_HOST_CALL`. */
export function hostCallOf(value: unknown): HostCall {
  const { call } = Object(value) as { readonly call?: unknown };
  const isKnown = typeof call === 'string' && Object.hasOwn(SHAPES, call);
  if (!isKnown) throw wrongCall('a call that there is not');
  try {
    const name = call as HostCall['call'];
    return { ...SHAPES[name](value, 'call'), call: name } as HostCall;
  } catch (thrown) {
    if (thrown instanceof WireError) throw wrongCall(thrown.message);
    throw thrown;
  }
}
