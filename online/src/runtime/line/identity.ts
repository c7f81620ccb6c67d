/** Trace numbers and times of network management messages, and pauses on an injected clock. */
import { bytesToUint, type Clock, type RandomSource } from '@tapnpay/protocol/bytes';
import { type NetworkIdentity, transmissionDateTime } from '@tapnpay/protocol/iso8583';

const STAN_MAX = 999_999;

/** Numbers of one line's own messages; they start anywhere so that restarts do not repeat them. */
export class NetworkIdentities {
  readonly #clock: Clock;
  readonly #institution: string;
  #stan: number;

  constructor(clock: Clock, random: RandomSource, institution: string) {
    this.#clock = clock;
    this.#institution = institution;
    this.#stan = bytesToUint(random.bytes(3)) % STAN_MAX;
  }

  next(): NetworkIdentity {
    this.#stan = (this.#stan % STAN_MAX) + 1;
    return {
      stan: String(this.#stan).padStart(6, '0'),
      transmission: transmissionDateTime(this.#clock.nowMs()),
      institution: this.#institution,
    };
  }
}

/** Whether `work` ends within `timeoutMs`; a rejection counts as an end. */
export function endsWithin(
  clock: Clock,
  work: Promise<unknown>,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.startTimer(timeoutMs, () => resolve(false));
    const end = (): void => {
      cancel();
      resolve(true);
    };
    work.then(end, end);
  });
}
