/**
 * The pages that the agent serves from its own origin: `/window`, where a person consents, presents
 * a card and types a PIN, and `/wallet`, the cards of the simulator.
 */
import { AGENT_WALLET_PAGE, AGENT_WINDOW_PATH } from '@tapnpay/protocol/wire';
import '../shared/design.css';
import './helper.css';
import './card-art.css';
import { forgetSessionUnlessReloaded, HelperApp } from './app.ts';
import { draw, showHeader } from './frame.ts';
import { AgentLink, type Socket } from './link.ts';
import { askPaired, handOver, type Pairing, requestPairing } from './pairing.ts';
import { askingOrigin, codeOfFragment } from './pairing-code.ts';

function openSocket(): Socket {
  const url = new URL(AGENT_WINDOW_PATH, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url);
  const wrapped: Socket = {
    send: (text) => socket.send(text),
    close: () => socket.close(),
    onmessage: null,
    onclose: null,
  };
  socket.addEventListener('message', ({ data }) => wrapped.onmessage?.({ data }));
  socket.addEventListener('close', () => wrapped.onclose?.());
  return wrapped;
}

function later(action: () => void, pauseMs: number): () => void {
  const timer = setTimeout(action, pauseMs);
  return () => clearTimeout(timer);
}

function pairingFor(origin: string | null, opener: Window | null): Pairing {
  return {
    origin,
    isAsked: origin !== null && opener !== null,
    request: (code) => requestPairing({ code, origin }),
    handOver: (token) => handOver(opener, origin, token),
  };
}

const code = codeOfFragment(location.hash);
// A pairing code does not stay in the address, where history and shoulders find it.
if (location.hash) history.replaceState(null, '', location.pathname + location.search);
forgetSessionUnlessReloaded();
showHeader();
new HelperApp({
  page: location.pathname.startsWith(AGENT_WALLET_PAGE) ? 'wallet' : 'window',
  connect: (listener) =>
    new AgentLink({ ...listener, openSocket, later, askPaired: () => askPaired() }),
  pairing: pairingFor(askingOrigin(location.search), window.opener),
  code,
  isPopup: window.opener !== null,
  draw,
}).run();
