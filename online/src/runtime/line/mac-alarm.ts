/** When a wrong MAC (field 39 A0) asks for new keys: at once, but never in storms. */
import type { Clock } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import type { LineTimes } from './limits.ts';

/** Field 39: the receiver found the MAC wrong. */
const RESPONSE_A0_MAC = 'A0';

/** Whether an answer says that its request's MAC was wrong. */
export function saysWrongMac(answer: Iso8583Message | 'timeout'): boolean {
  return answer !== 'timeout' && textField(answer, 39) === RESPONSE_A0_MAC;
}

/** Lets one of many alarms through; the pause doubles while they go on. */
export class MacAlarm {
  readonly #clock: Clock;
  readonly #times: LineTimes;
  #pauseMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, times: LineTimes) {
    this.#clock = clock;
    this.#times = times;
  }

  /** Whether new keys should be asked for now. */
  isDue(): boolean {
    const { reSignOnMinMs, reSignOnMaxMs } = this.#times;
    const sinceMs = this.#clock.nowMs() - this.#lastMs;
    if (sinceMs >= 0 && sinceMs < this.#pauseMs) return false;
    const isCalm = sinceMs >= 2 * reSignOnMaxMs;
    this.#pauseMs = isCalm ? reSignOnMinMs : Math.min(reSignOnMaxMs, 2 * this.#pauseMs);
    this.#pauseMs = Math.max(this.#pauseMs, reSignOnMinMs);
    this.#lastMs = this.#clock.nowMs();
    return true;
  }
}
