/**
 * The element as one of several hosts has it: taken when it is free or needed, kept warm, and let
 * go at once when another host wants it and no payment is under way here.
 */
import { type Clock, errorBody, TapError } from '@tapnpay/protocol/bytes';
import type { AgentHealth, ElementPayResult, ElementTokenResult } from '@tapnpay/protocol/wire';
import { lockDirectory } from '../directory-lock.ts';
import type { SeenElement } from '../doctor/element-check.ts';
import { SerialQueue } from '../readers/serial-queue.ts';
import {
  ElementKeeper,
  type ElementKeeperPorts,
  type ElementPayment,
  type ElementToken,
  type ElementUse,
  type PayingElement,
} from '../service/element-keeper.ts';
import { ELEMENT_WAIT_MS, type ElementMemory } from '../service/element-memory.ts';
import { ServiceError } from '../service/errors.ts';
import type { AgentLog } from '../service/events.ts';

export type SharedElementPorts = Pick<
  ElementKeeperPorts,
  'config' | 'gatewayUrl' | 'requestPairingCode' | 'manager'
> & {
  readonly memory: ElementMemory;
  readonly clock: Clock;
  readonly log: AgentLog;
};

/** At most one payment at a time, as its desk has it. */
export class SharedElement implements PayingElement {
  readonly #ports: SharedElementPorts;
  readonly #turns: SerialQueue = new SerialQueue();
  #keeper: ElementKeeper | null = null;
  #isPaying = false;
  #isClosed = false;

  constructor(ports: SharedElementPorts) {
    this.#ports = ports;
  }

  status(): AgentHealth['element'] {
    return this.#keeper?.status() ?? this.#ports.memory.status();
  }

  /** Process number while it runs, for those who measure or kill it. */
  get pid(): number | undefined {
    return this.#keeper?.pid;
  }

  /** Starts it if nobody has it, so that the first payment need not wait. */
  prepare(): void {
    this.#turns
      .run(() => this.#take(0))
      .catch((fault: unknown) => {
        this.#ports.log({ event: 'elementNotPrepared', code: errorBody(fault).code });
      });
  }

  /** @throws ServiceError `ERR_BUSY` naming who pays; else as `PayingElement`. */
  pay(payment: ElementPayment): Promise<ElementPayResult> {
    return this.#inUse(payment, (keeper) => keeper.pay(payment));
  }

  /** @throws ServiceError `ERR_BUSY`; else as `PayingElement`. */
  token(token: ElementToken): Promise<ElementTokenResult> {
    const use = { gatewayOrigin: token.gatewayOrigin, orderId: null };
    return this.#inUse(use, (keeper) => keeper.token(token));
  }

  /** The element's lock is what tells the hosts of a system apart. */
  keepFor<T>(use: ElementUse, work: () => Promise<T>): Promise<T> {
    return this.#inUse(use, work);
  }

  async #inUse<T>(
    { gatewayOrigin, orderId }: ElementUse,
    work: (keeper: ElementKeeper) => Promise<T>,
  ): Promise<T> {
    const { memory, clock } = this.#ports;
    // From here on nobody else gets it.
    this.#isPaying = true;
    try {
      const keeper = await this.#turns.run(() => this.#take(ELEMENT_WAIT_MS));
      const sinceMs = clock.nowMs();
      memory.keepHolder({ processId: process.pid, gatewayOrigin, orderId, sinceMs });
      try {
        return await work(keeper);
      } finally {
        memory.forgetHolder();
      }
    } catch (fault) {
      throw isInUse(fault) ? busy(memory, gatewayOrigin) : fault;
    } finally {
      this.#isPaying = false;
    }
  }

  /** Looks at it as the doctor does: takes it when it is free, and asks nobody to let it go. */
  async see(): Promise<SeenElement> {
    const { memory } = this.#ports;
    const wasHeld = this.#keeper !== null;
    try {
      const keeper = await this.#turns.run(() => this.#take(0));
      const status = await keeper.settled();
      if (!wasHeld && !this.#isPaying) await this.#turns.run(() => this.#letGo());
      return status;
    } catch (fault) {
      if (!isInUse(fault)) return 'gone';
      const holder = memory.holder();
      // Who has it and makes no payment lets it go when it is wanted.
      return holder === null ? memory.status() : { holder: holder.gatewayOrigin };
    }
  }

  /** Also while it starts. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#keeper?.close();
    await this.#turns.run(() => this.#letGo());
  }

  async #take(waitMs: number): Promise<ElementKeeper> {
    if (this.#isClosed) throw new ServiceError('ERR_CLOSING', 'the host is being stopped');
    if (this.#keeper !== null) return this.#keeper;
    const { memory, ...ports } = this.#ports;
    let nextWaitMs = waitMs;
    const keeper = new ElementKeeper({
      ...ports,
      lastSeen: memory.status(),
      takeLock: async () => {
        const lock = await lockDirectory(ports.config.storeDir, {
          waitMs: nextWaitMs,
          onWanted: () => this.#onWanted(),
        });
        // A process that died in our hands is started again without asking anybody.
        nextWaitMs = 0;
        // What an owner before us left there is not true any more.
        memory.forgetHolder();
        return lock;
      },
      onStatus: (status) => memory.keepStatus(status),
    });
    this.#keeper = keeper;
    try {
      await keeper.open();
      return keeper;
    } catch (fault) {
      this.#keeper = null;
      throw fault;
    }
  }

  #onWanted(): boolean {
    if (this.#isPaying) return false;
    this.#ports.log({ event: 'elementLetGo' });
    void this.#turns.run(() => this.#letGo());
    return true;
  }

  async #letGo(): Promise<void> {
    await this.#keeper?.close();
    this.#keeper = null;
  }
}

function isInUse(fault: unknown): boolean {
  return fault instanceof TapError && fault.code === 'ERR_ELEMENT_IN_USE';
}

/** An order id is a right of its gateway's pages. */
function busy(memory: ElementMemory, askingOrigin: string): ServiceError {
  const holder = memory.holder();
  const { gatewayOrigin = null, sinceMs = null } = holder ?? {};
  const orderId = holder?.gatewayOrigin === askingOrigin ? holder.orderId : null;
  const message = 'another payment is under way';
  return new ServiceError('ERR_BUSY', message, { orderId, gatewayOrigin, sinceMs });
}
