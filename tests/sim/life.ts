/**
 * One life of a party, from its start to its kill. Everything it reaches the outside with goes
 * through ports bound to that life: after the kill they do nothing and never answer, so that no
 * pending continuation of a dead process acts. What is stored stays for the next life.
 */
import type { Clock } from '@tapnpay/protocol/bytes';

/** Who can be killed. */
export type Party = 'gateway' | 'switch' | 'issuer';
export const PARTIES: readonly Party[] = ['gateway', 'switch', 'issuer'];

/** A promise that nobody settles: what a dead process waits for. */
function never<Value>(): Promise<Value> {
  return new Promise<Value>(() => undefined);
}

/** A party's process. */
export class Life {
  readonly party: Party;
  #isAlive = true;
  #onEnd: (() => void)[] = [];

  constructor(party: Party) {
    this.party = party;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Calls `action` at the kill; at once for a dead one. */
  onEnd(action: () => void): void {
    if (this.#isAlive) this.#onEnd.push(action);
    else action();
  }

  /** The kill. */
  end(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    const actions = this.#onEnd;
    this.#onEnd = [];
    for (const action of actions) action();
  }

  /** Runs `action` only while alive. */
  guard<Arguments extends readonly unknown[]>(
    action: (...given: Arguments) => void,
  ): (...given: Arguments) => void {
    return (...given) => {
      if (this.#isAlive) action(...given);
    };
  }

  /** The clock as this process sees it, `skewMs` off; its timers die with it. */
  clock(clock: Clock, skewMs = 0): Clock {
    return {
      nowMs: () => clock.nowMs() + skewMs,
      startTimer: (delayMs, action) => clock.startTimer(delayMs, this.guard(action)),
    };
  }
}

/** What happens around each call of a port. */
export type PortFaults = {
  /** Virtual milliseconds that the call takes; 0 takes none. */
  readonly delayMs: (method: string) => number;
  /** May throw instead of the call: nothing happened. */
  readonly before?: (method: string) => void;
  /** May kill the life, or throw: it happened, and the caller does not hear it. */
  readonly after?: (method: string) => void;
};

/**
 * A port whose methods are all asynchronous, bound to a life. Each call takes time, then happens
 * in one step, then is answered, with a possible fault between any two.
 */
export function bindPort<Port extends object>(
  life: Life,
  clock: Clock,
  port: Port,
  faults: PortFaults,
): Port {
  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => clock.startTimer(delayMs, resolve));
  const call = async (name: string, method: () => Promise<unknown>): Promise<unknown> => {
    if (!life.isAlive) return never();
    const delayMs = faults.delayMs(name);
    if (delayMs > 0) await pause(delayMs);
    if (!life.isAlive) return never();
    faults.before?.(name);
    const outcome = await settled(method());
    if (!life.isAlive) return never();
    faults.after?.(name);
    if (!life.isAlive) return never();
    if ('fault' in outcome) throw outcome.fault;
    return outcome.value;
  };
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function' || typeof property !== 'string') return member;
      return (...given: readonly unknown[]) =>
        call(property, () => Reflect.apply(member, target, given) as Promise<unknown>);
    },
  });
}

async function settled(
  work: Promise<unknown>,
): Promise<{ readonly value: unknown } | { readonly fault: unknown }> {
  try {
    return { value: await work };
  } catch (fault) {
    return { fault };
  }
}

/** The answer of `work` for a caller inside `life`: a dead one never hears it. */
export async function heardBy<Value>(life: Life, work: Promise<Value>): Promise<Value> {
  const outcome = await settled(work);
  if (!life.isAlive) return never();
  if ('fault' in outcome) throw outcome.fault;
  return outcome.value as Value;
}
