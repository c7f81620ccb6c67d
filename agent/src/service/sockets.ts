/** The two WebSockets: pages of gateways, which say who they are first, and our own windows. */
import type { WebSocket } from '@fastify/websocket';
import { type Clock, errorBody } from '@tapnpay/protocol/bytes';
import {
  AGENT_VERSION,
  type AgentMessage,
  type PageMessage,
  pageMessageShape,
  type WindowMessage,
  windowMessageShape,
} from '@tapnpay/protocol/wire';
import { isIntent, type PaymentDesk, type WindowLink } from './desk.ts';
import type { PageLink } from './desk-session.ts';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';
import { GuardedSocket } from './guarded-socket.ts';
import type { Pairing } from './pairing.ts';

/** Time for a page to say hello. */
export const HELLO_TIMEOUT_MS = 5_000;

export type SocketHandlers = {
  readonly desk: PaymentDesk;
  readonly pairing: Pairing;
  readonly clock: Clock;
  readonly log: AgentLog;
};

/** A page; its origin was checked, its token is not yet. */
export function servePage(socket: WebSocket, origin: string, handlers: SocketHandlers): void {
  const { desk, pairing, clock, log } = handlers;
  let isKnown = false;
  const send = (message: AgentMessage): void => guarded.send(message);
  const page: PageLink = { origin, hasOwnWindow: false, send };
  const cancelHello = clock.startTimer(HELLO_TIMEOUT_MS, () => guarded.refuse('ERR_SEQUENCE'));
  const guarded: GuardedSocket<PageMessage> = new GuardedSocket(socket, {
    shape: pageMessageShape,
    clock,
    log,
    onMessage: (message) => {
      if (message.type === 'hello') {
        if (isKnown) throw new ServiceError('ERR_SEQUENCE', 'hello is said once');
        cancelHello();
        const refused = helloRefusal(message, { origin, pairing });
        if (refused !== null) {
          send({ type: 'refused', error: refused.toJSON() });
          guarded.refuse(refused.code);
          return;
        }
        isKnown = true;
        send({ type: 'welcome', ...desk.health() });
        return;
      }
      if (!isKnown) throw new ServiceError('ERR_SEQUENCE', 'hello comes first');
      if (isIntent(message)) desk.begin(page, message);
      else desk.onFrame(page, message);
    },
    onClosed: () => {
      cancelHello();
      desk.onPageLost(page);
    },
  });
}

function helloRefusal(
  hello: Extract<PageMessage, { type: 'hello' }>,
  { origin, pairing }: { readonly origin: string; readonly pairing: Pairing },
): ServiceError | null {
  if (hello.version !== AGENT_VERSION) {
    const data = { version: AGENT_VERSION };
    return new ServiceError('ERR_VERSION', `this agent speaks version ${AGENT_VERSION}`, data);
  }
  if (pairing.isPage(hello.token, origin)) return null;
  return new ServiceError('ERR_NOT_PAIRED', "pair this browser in the agent's window");
}

/** A window of our own; origin and cookie were checked. */
export function serveWindow(socket: WebSocket, handlers: SocketHandlers): void {
  const { desk, clock, log } = handlers;
  const window: WindowLink = { page: null, send: (message) => guarded.send(message) };
  const guarded: GuardedSocket<WindowMessage> = new GuardedSocket(socket, {
    shape: windowMessageShape,
    clock,
    log,
    onMessage: (message) => {
      desk.command(message).catch((fault: unknown) => {
        window.send({ type: 'error', error: errorBody(fault) });
      });
    },
    onClosed: () => desk.removeWindow(window),
  });
  desk.addWindow(window);
}
