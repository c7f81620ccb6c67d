/** A limit on wrong keys, codes and ids, so that nobody tries them all. */
import type { GatewayCore } from '../core.ts';
import { GatewayError, type GatewayErrorCode } from '../errors.ts';

/** Wrong ones a minute before all wrong ones are refused for its rest. */
const REFUSALS_MAX = 30;
const REFUSALS_WINDOW_MS = 60_000;

/** The count of one kind of wrong thing. */
export class RefusalCount {
  readonly #core: GatewayCore;
  #count = 0;
  #sinceMs = 0;

  constructor(core: GatewayCore) {
    this.#core = core;
  }

  /**
   * Runs `action`, counting wrong pairing codes. Each counts before it is looked at, so that tries
   * at the same moment gain nothing. @throws GatewayError `ERR_RATE`.
   */
  async guard<T>(action: () => Promise<T>): Promise<T> {
    this.note();
    let isWrong = false;
    try {
      return await action();
    } catch (fault) {
      isWrong = fault instanceof GatewayError && fault.code === 'ERR_PAIRING_CODE';
      throw fault;
    } finally {
      if (!isWrong) this.#count = Math.max(0, this.#count - 1);
    }
  }

  /**
   * Runs `action` and counts its refusals with `code`; above the limit they become `ERR_RATE`,
   * what is not refused still gets its answer. @throws GatewayError.
   */
  async count<T>(code: GatewayErrorCode, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (fault) {
      if (fault instanceof GatewayError && fault.code === code) this.note();
      throw fault;
    }
  }

  /** Counts one. @throws GatewayError `ERR_RATE` above the limit. */
  note(): void {
    this.#assertBelowLimit();
    this.#count++;
  }

  #assertBelowLimit(): void {
    const nowMs = this.#core.ports.clock.nowMs();
    if (nowMs - this.#sinceMs >= REFUSALS_WINDOW_MS) {
      this.#count = 0;
      this.#sinceMs = nowMs;
    }
    if (this.#count < REFUSALS_MAX) return;
    throw new GatewayError('ERR_RATE', 'too many wrong keys, codes or ids; wait a minute');
  }
}
