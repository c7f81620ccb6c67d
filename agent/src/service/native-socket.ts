/** The WebSocket of native messaging hosts of this user: the frames of their port, passed on. */
import type { WebSocket } from '@fastify/websocket';
import type { Clock } from '@tapnpay/protocol/bytes';
import {
  cutNativeFrame,
  NATIVE_PROTOCOL,
  type NativeChunk,
  type NativeHostFrame,
  type Shape,
} from '@tapnpay/protocol/wire';
import { HOST_VERSION } from '../native/version.ts';
import type { PaymentDesk } from './desk.ts';
import type { AgentLog } from './events.ts';
import { GuardedSocket } from './guarded-socket.ts';
import { NativePort } from './native-port.ts';
import { DeskSeat } from './native-seat.ts';

export type NativeSocketHandlers = {
  readonly desk: PaymentDesk;
  readonly gatewayOrigins: readonly string[];
  readonly clock: Clock;
  readonly log: AgentLog;
};

/** Chunks and frames are checked by the port. */
const unchecked: Shape<unknown> = (value) => value;

/** A host; it has shown the local key. */
export function serveNative(socket: WebSocket, handlers: NativeSocketHandlers): void {
  const { desk, gatewayOrigins, clock, log } = handlers;
  let frames = 0;
  const send = (frame: Exclude<NativeHostFrame, NativeChunk>): void => {
    for (const one of cutNativeFrame(frame, frames++)) guarded.send(one);
  };
  const { element, readers } = desk.health();
  const port = new NativePort({
    hello: { type: 'hello', version: HOST_VERSION, protocol: NATIVE_PROTOCOL, element, readers },
    gatewayOrigins,
    // The extension's own pages ask the host, which needs no service for its answer.
    isExtension: () => false,
    openSeat: ({ page }) => new DeskSeat({ desk, origin: page.origin, send }),
    runDoctor: null,
    clock,
    log,
    send,
    end: ({ code }) => guarded.refuse(code),
  });
  const guarded: GuardedSocket<unknown> = new GuardedSocket(socket, {
    shape: unchecked,
    clock,
    log,
    onMessage: (frame) => port.take(frame),
    onClosed: () => port.lost(),
  });
  port.open();
}
