/** Communication (通信): the messages between the payment application and the gateway. */
import {
  type ApplicationMessage,
  CHANNEL_FRAME_BYTES_MAX,
  CHANNEL_VERSION,
  type ChannelFacts,
  checkShape,
  encodeJsonFrame,
  type GatewayMessage,
  gatewayMessageShape,
  type HostConversation,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import { AppletError, GatewayRefusal } from './errors.ts';
import { ask } from './host.ts';

/** Version of this application, told to the gateway in `hello`. */
export const APPLICATION_VERSION = '0.1.0';
/** Longest wait for an answer that needs the gateway alone. */
export const GATEWAY_TIMEOUT_MS = 15_000;
/** Longest wait for an answer that needs the issuer; above the gateway's own wait for it. */
export const ISSUER_TIMEOUT_MS = 75_000;

type Typed<Type extends GatewayMessage['type']> = Extract<GatewayMessage, { type: Type }>;

/** An open channel and what the gateway said in its welcome. */
export type OpenedChannel = Pick<Typed<'welcome'>, 'timeMs' | 'parameters'> & {
  readonly channel: ChannelFacts;
};

/** The open channel as a conversation of messages. */
export class GatewayConversation {
  readonly #decoder: JsonFrameDecoder = new JsonFrameDecoder(CHANNEL_FRAME_BYTES_MAX);
  readonly #received: GatewayMessage[] = [];

  /**
   * Opens the channel and greets; no message is trusted before `welcome`.
   * @throws AppletError `ERR_CHANNEL_NOT_MUTUAL`, `ERR_CHANNEL_VERSION`; TapError of the channel.
   */
  *open(facts: {
    readonly serverName: string;
    readonly elementId: string;
  }): HostConversation<OpenedChannel> {
    const channel = yield* ask({ call: 'channelOpen', serverName: facts.serverName });
    if (!channel.mutual) {
      throw new AppletError('ERR_CHANNEL_NOT_MUTUAL', 'the gateway asked for no certificate');
    }
    yield* this.send({
      type: 'hello',
      version: CHANNEL_VERSION,
      elementId: facts.elementId,
      applicationVersion: APPLICATION_VERSION,
    });
    const { version, timeMs, parameters } = yield* this.expect('welcome', GATEWAY_TIMEOUT_MS);
    if (version !== CHANNEL_VERSION) {
      throw new AppletError('ERR_CHANNEL_VERSION', `the gateway speaks version ${version}`);
    }
    return { channel, timeMs, parameters };
  }

  *send(message: ApplicationMessage): HostConversation<void> {
    yield* ask({ call: 'channelSend', data: encodeJsonFrame(message, CHANNEL_FRAME_BYTES_MAX) });
  }

  /**
   * The next message, which must be of this type.
   * @throws GatewayRefusal the gateway's code; AppletError `ERR_CHANNEL_MESSAGE`; WireError.
   */
  *expect<Type extends GatewayMessage['type']>(
    type: Type,
    timeoutMs: number,
  ): HostConversation<Typed<Type>> {
    const message = yield* this.#next(timeoutMs);
    if (message.type === 'error') {
      throw new GatewayRefusal(message.code, message.message, message.data);
    }
    if (isOfType(message, type)) return message;
    throw new AppletError('ERR_CHANNEL_MESSAGE', `${message.type} instead of ${type}`, {
      got: message.type,
      expected: type,
    });
  }

  *#next(timeoutMs: number): HostConversation<GatewayMessage> {
    for (;;) {
      const message = this.#received.shift();
      if (message !== undefined) return message;
      const data = yield* ask({ call: 'channelReceive', timeoutMs });
      for (const frame of this.#decoder.push(data)) {
        this.#received.push(checkShape(gatewayMessageShape, frame, 'message'));
      }
    }
  }
}

function isOfType<Type extends GatewayMessage['type']>(
  message: GatewayMessage,
  type: Type,
): message is Typed<Type> {
  return message.type === type;
}
