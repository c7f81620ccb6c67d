/**
 * Keeps one secure element ready to pay: started with the service, enrolled as soon as the gateway
 * is there, started again before a payment when it died.
 */
import { type Clock, errorBody } from '@tapnpay/protocol/bytes';
import type { AgentHealth, ElementPayResult } from '@tapnpay/protocol/wire';
import { type ElementConfig, type ElementProcess, startElement } from '../element-process.ts';
import { enrolElement } from '../enrolment.ts';
import { type PaymentRequest, payWithElement } from '../payment.ts';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';

/** Pauses between tries to enrol, in milliseconds; the last one repeats. */
const ENROL_PAUSES_MS = [500, 1000, 2000, 5000] as const;
/** An element that is silent this long is dead. */
const ALIVE_TIMEOUT_MS = 2_000;

/** A payment without the element that makes it. */
export type ElementPayment = Omit<PaymentRequest, 'element'>;

/** What makes payments: the secure element, or a test's. */
export interface PayingElement {
  status(): AgentHealth['element'];
  /** @throws TapError when no payment was tried, or when the element was lost on the way. */
  pay(payment: ElementPayment): Promise<ElementPayResult>;
  close(): Promise<void>;
}

export type ElementKeeperPorts = {
  readonly config: ElementConfig;
  readonly gatewayUrl: string;
  readonly requestPairingCode: () => Promise<string>;
  readonly clock: Clock;
  readonly log: AgentLog;
};

/** The service's element. */
export class ElementKeeper implements PayingElement {
  readonly #ports: ElementKeeperPorts;
  #element: ElementProcess | null = null;
  #status: AgentHealth['element'] = { id: null, state: 'notEnrolled' };
  /** Start and enrolment, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #starting: Promise<ElementProcess> | null = null;
  #cancelRetry: () => void = () => {};
  #isClosed = false;

  private constructor(ports: ElementKeeperPorts) {
    this.#ports = ports;
  }

  /** Resolves when the process runs; it is enrolled in its own time. @throws TapError. */
  static async start(ports: ElementKeeperPorts): Promise<ElementKeeper> {
    const keeper = new ElementKeeper(ports);
    await keeper.#running();
    keeper.#enrolInTime(0);
    return keeper;
  }

  status(): AgentHealth['element'] {
    const element = this.#element;
    if (element !== null) this.#status = { id: element.elementId, state: element.state };
    return this.#status;
  }

  /** Process number, for tests that kill it. */
  get pid(): number | undefined {
    return this.#element?.pid;
  }

  async pay(payment: ElementPayment): Promise<ElementPayResult> {
    const element = await this.#enrolled();
    return await payWithElement({ ...payment, element });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    await this.#starting?.catch(() => {});
    const element = this.#element;
    this.#element = null;
    await element?.close();
  }

  #enrolled(): Promise<ElementProcess> {
    const enrolled = this.#turn.then(() => this.#enrolledNow());
    this.#turn = enrolled.catch(() => {});
    return enrolled;
  }

  async #enrolledNow(): Promise<ElementProcess> {
    const element = await this.#running();
    if (element.state !== 'notEnrolled') return element;
    const { requestPairingCode, gatewayUrl, log } = this.#ports;
    const pairingCode = await requestPairingCode();
    const { elementId } = await enrolElement({ element, gatewayUrl, pairingCode });
    log({ event: 'elementEnrolled', elementId });
    return element;
  }

  /** Never gives up: the gateway comes when it comes. */
  #enrolInTime(tries: number): void {
    this.#enrolled().catch((fault: unknown) => {
      if (this.#isClosed) return;
      const pauseMs = ENROL_PAUSES_MS[Math.min(tries, ENROL_PAUSES_MS.length - 1)] ?? 0;
      this.#ports.log({ event: 'elementNotEnrolled', code: errorBody(fault).code, pauseMs });
      this.#cancelRetry = this.#ports.clock.startTimer(pauseMs, () => this.#enrolInTime(tries + 1));
    });
  }

  async #running(): Promise<ElementProcess> {
    const running = this.#element;
    if (running !== null) {
      if (await this.#isAlive(running)) return running;
      this.#ports.log({ event: 'elementLost' });
      this.#element = null;
      await running.close();
    }
    if (this.#isClosed) throw new ServiceError('ERR_CLOSING', 'the agent is being stopped');
    this.#starting = startElement(this.#ports.config);
    const element = await this.#starting;
    this.#element = element;
    this.#starting = null;
    this.#ports.log({
      event: 'elementStarted',
      elementId: element.elementId,
      state: element.state,
    });
    return element;
  }

  async #isAlive(element: ElementProcess): Promise<boolean> {
    let cancel: () => void = () => {};
    const late = new Promise<false>((resolve) => {
      cancel = this.#ports.clock.startTimer(ALIVE_TIMEOUT_MS, () => resolve(false));
    });
    const alive = element.refresh().then(
      () => true,
      () => false,
    );
    const isAlive = await Promise.race([alive, late]);
    cancel();
    return isAlive;
  }
}
