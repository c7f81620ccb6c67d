/**
 * Keeps one secure element ready to pay: started with the service, enrolled as soon as the gateway
 * is there, started again before a payment when it died.
 */
import { type Clock, errorBody } from '@tapnpay/protocol/bytes';
import type { AgentHealth, ElementPayResult, ElementTokenResult } from '@tapnpay/protocol/wire';
import type { ManagerCaller } from '../contact/manager-caller.ts';
import { type HeldLock, lockDirectory } from '../directory-lock.ts';
import { type ElementConfig, type ElementProcess, startElement } from '../element-process.ts';
import { enrolElement } from '../enrolment.ts';
import { type PaymentRequest, payWithElement } from '../payment.ts';
import { type TokenRequest, tokenWithElement } from '../token.ts';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';

/** Pauses between tries to enrol, in milliseconds; the last one repeats. */
const ENROL_PAUSES_MS = [500, 1000, 2000, 5000] as const;
/** Pauses between calls of a manager that is away, in milliseconds; the last one repeats. */
const CALL_PAUSES_MS = [250, 500, 1000, 2000, 5000] as const;
/** An element that is silent this long is dead. */
const ALIVE_TIMEOUT_MS = 2_000;

/** A payment without the element that makes it. */
export type ElementPayment = Omit<PaymentRequest, 'element'> & {
  /** Of the page that asks, from its browser. */
  readonly gatewayOrigin: string;
};

/** A token without the element that makes it. */
export type ElementToken = Omit<TokenRequest, 'element'> & {
  /** Of the page that asks, from its browser. */
  readonly gatewayOrigin: string;
};

/** For whom the element is kept from others. */
export type ElementUse = { readonly gatewayOrigin: string; readonly orderId: string | null };

/** What makes payments: the secure element, or a test's. */
export interface PayingElement {
  status(): AgentHealth['element'];
  /** @throws TapError when no payment was tried, or when the element was lost on the way. */
  pay(payment: ElementPayment): Promise<ElementPayResult>;
  /** @throws TapError when no token was tried, or when the element was lost on the way. */
  token(token: ElementToken): Promise<ElementTokenResult>;
  /**
   * Does other work with a card while no program of this system can pay, so that no card that was
   * meant for the one is taken by the other. @throws what `work` throws; `ERR_BUSY`.
   */
  keepFor<T>(use: ElementUse, work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export type ElementKeeperPorts = {
  readonly config: ElementConfig;
  readonly gatewayUrl: string;
  readonly requestPairingCode: () => Promise<string>;
  /** The element's manager; without one the element pays with the application it starts with. */
  readonly manager?: ManagerCaller | undefined;
  readonly clock: Clock;
  readonly log: AgentLog;
  /** Takes the store's lock at each start of the process; without it, when it is free. */
  readonly takeLock?: () => Promise<HeldLock>;
  /** How the element was last seen; not enrolled, when nobody has seen it. */
  readonly lastSeen?: AgentHealth['element'];
  /** Hears of the element's state whenever it is another one. */
  readonly onStatus?: (status: AgentHealth['element']) => void;
};

/** The service's element. */
export class ElementKeeper implements PayingElement {
  readonly #ports: ElementKeeperPorts;
  #element: ElementProcess | null = null;
  /** The process while it is not ready yet. */
  #spawned: ElementProcess | null = null;
  /** The process while it is closed. */
  #ending: ElementProcess | null = null;
  #status: AgentHealth['element'];
  /** Start and enrolment, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #starting: Promise<ElementProcess> | null = null;
  #cancelRetry: () => void = () => {};
  #cancelCall: () => void = () => {};
  #isClosed = false;

  /** Nothing is started yet. */
  constructor(ports: ElementKeeperPorts) {
    this.#ports = ports;
    this.#status = ports.lastSeen ?? { id: null, state: 'notEnrolled' };
  }

  /** Resolves when the process runs; it is enrolled in its own time. @throws TapError. */
  static async start(ports: ElementKeeperPorts): Promise<ElementKeeper> {
    const keeper = new ElementKeeper(ports);
    await keeper.open();
    return keeper;
  }

  /** As `start`, once. @throws TapError. */
  async open(): Promise<void> {
    await this.#running();
    this.#callInTime(0);
    this.#enrolInTime(0);
  }

  status(): AgentHealth['element'] {
    const element = this.#element;
    if (element !== null) this.#keep({ id: element.elementId, state: element.state });
    return this.#status;
  }

  /** Process number, for tests that kill it. */
  get pid(): number | undefined {
    return (this.#element ?? this.#spawned ?? this.#ending)?.pid;
  }

  async pay(payment: ElementPayment): Promise<ElementPayResult> {
    const element = await this.#enrolled();
    return await payWithElement({ ...payment, element });
  }

  async token(token: ElementToken): Promise<ElementTokenResult> {
    const element = await this.#enrolled();
    return await tokenWithElement({ ...token, element });
  }

  /** The process's lock is ours already. */
  keepFor<T>(_use: ElementUse, work: () => Promise<T>): Promise<T> {
    return work();
  }

  /** The state after the try to enrol that is under way. */
  async settled(): Promise<AgentHealth['element']> {
    await this.#turn;
    return this.status();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    this.#cancelCall();
    this.#spawned?.kill();
    await this.#starting?.catch(() => {});
    const element = this.#element;
    this.#ending = element;
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
    // What the manager has locked, or installed anew, holds for this payment already.
    await this.#callManager(element);
    if (element.state !== 'notEnrolled') return element;
    const { requestPairingCode, gatewayUrl, log } = this.#ports;
    const pairingCode = await requestPairingCode();
    const { elementId } = await enrolElement({ element, gatewayUrl, pairingCode });
    log({ event: 'elementEnrolled', elementId });
    this.status();
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

  /** Whether the manager has had its say. A manager that is away hinders no payment. */
  async #callManager(element: ElementProcess): Promise<boolean> {
    const { manager, log } = this.#ports;
    if (manager === undefined) return true;
    try {
      const jobs = await manager.call(element);
      for (const { kind, state, code } of jobs) log({ event: 'managerJob', kind, state, code });
      return true;
    } catch (fault) {
      log({ event: 'managerNotReached', code: errorBody(fault).code });
      return false;
    }
  }

  /** The first call, as soon as the manager is there; later ones come before each payment. */
  #callInTime(tries: number): void {
    if (this.#ports.manager === undefined) return;
    const called = this.#turn.then(async () => this.#callManager(await this.#running()));
    this.#turn = called.catch(() => {});
    const again = (): void => {
      if (this.#isClosed) return;
      const pauseMs = CALL_PAUSES_MS[Math.min(tries, CALL_PAUSES_MS.length - 1)] ?? 0;
      this.#cancelCall = this.#ports.clock.startTimer(pauseMs, () => this.#callInTime(tries + 1));
    };
    called.then((isDone) => (isDone ? undefined : again()), again);
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
    const element = await this.#start();
    this.#element = element;
    this.status();
    this.#ports.log({
      event: 'elementStarted',
      elementId: element.elementId,
      state: element.state,
    });
    return element;
  }

  async #start(): Promise<ElementProcess> {
    const { config, takeLock = () => lockDirectory(config.storeDir) } = this.#ports;
    this.#starting = startElement(config, {
      takeLock: async () => {
        const lock = await takeLock();
        if (!this.#isClosed) return lock;
        await lock.release();
        throw new ServiceError('ERR_CLOSING', 'the agent is being stopped');
      },
      onSpawned: (element) => {
        this.#spawned = element;
      },
    });
    try {
      return await this.#starting;
    } finally {
      this.#starting = null;
      this.#spawned = null;
    }
  }

  #keep(status: AgentHealth['element']): void {
    const { id, state } = this.#status;
    if (status.id === id && status.state === state) return;
    this.#status = status;
    this.#ports.onStatus?.(status);
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
