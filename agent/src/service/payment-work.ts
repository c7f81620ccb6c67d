/** A payment as the work of a session: the element asks, the page relays its records. */
import type { ElementPayResult } from '@tapnpay/protocol/wire';
import type { Relay, RelayListener } from '../record-relay.ts';
import type {
  DeskSession,
  SessionEnd,
  SessionFrame,
  SessionPorts,
  SessionWork,
} from './desk-session.ts';
import type { PayingElement } from './element-keeper.ts';
import { apduEvent, hopEvent } from './events.ts';
import { PageRelay } from './page-relay.ts';

export type PaymentWorkPorts = Pick<SessionPorts, 'clock' | 'log'> & {
  readonly element: PayingElement;
  readonly serverName: string;
};

/** One payment of one order. */
export class PaymentWork implements SessionWork {
  readonly intent = 'pay';
  readonly orderId: string;
  readonly #ports: PaymentWorkPorts;
  #relay: PageRelay | null = null;
  #isCut = false;

  constructor(orderId: string, ports: PaymentWorkPorts) {
    this.orderId = orderId;
    this.#ports = ports;
  }

  async run(session: DeskSession): Promise<SessionEnd> {
    const result = told(await this.#pay(session), session);
    // What the card and its issuer computed is for the receipt, which the gateway writes.
    const cryptogram = { arqc: null, arpc: null, second: null, secondType: null };
    const forPage = { ...result, cryptogram };
    session.tell({ type: 'result', session: session.session, result: forPage });
    return { outcome: result.outcome, reason: result.reason };
  }

  onFrame(frame: SessionFrame): void {
    switch (frame.type) {
      case 'channelOpened':
        this.#relay?.onOpened();
        break;
      case 'channelData':
        this.#relay?.onData(frame.base64);
        break;
      case 'channelClosed':
        this.#relay?.onClosed();
        break;
      default:
        break;
    }
  }

  cut(): void {
    this.#isCut = true;
    this.#relay?.cut();
  }

  #pay(session: DeskSession): Promise<ElementPayResult> {
    const { element, serverName, clock, log } = this.#ports;
    const { orderId } = this;
    return element.pay({
      orderId,
      gatewayOrigin: session.page.origin,
      serverName,
      clock,
      openRelay: (listener) => this.#openRelay(listener, session),
      presentCard: (request) => session.presentCard(request),
      enterPin: ({ publicKeySpki }) => session.enterPin(publicKeySpki),
      onCardDone: () => session.apply({ type: 'cardDone' }),
      onHop: (record) => {
        log(hopEvent(record, orderId));
        session.apply({ type: 'hop', name: record.name });
      },
      onApdu: (apdu) => {
        const { sealed } = session.state;
        log(apduEvent({ apdu, orderId, atMs: clock.nowMs(), sealed }));
      },
    });
  }

  #openRelay(listener: RelayListener, desk: DeskSession): Relay {
    this.#relay?.destroy();
    const { session } = desk;
    const relay = new PageRelay(listener, (message) => desk.tell({ ...message, session }));
    this.#relay = relay;
    // The listener hears nothing before it has its relay.
    if (this.#isCut) queueMicrotask(() => relay.cut());
    return relay;
  }
}

/** The element knows that nothing was charged, the agent knows why. */
function told(result: ElementPayResult, { endedBy }: DeskSession): ElementPayResult {
  if (endedBy === null || result.outcome !== 'cancelled') return result;
  return { ...result, reason: endedBy };
}
