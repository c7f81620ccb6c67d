/** Finds out that a peer has gone: an echo when it is silent, no line when the echo is, too. */
import type { Clock } from '@tapnpay/protocol/bytes';
import { buildNetworkRequest, NetworkCode } from '@tapnpay/protocol/iso8583';
import { LineError } from './errors.ts';
import type { NetworkIdentities } from './identity.ts';
import type { LineTimes } from './limits.ts';
import type { LineSession } from './session.ts';

/** Watches one connection from `start` until it closes. @see Q/CUP 006, 0820/301 */
export class Heartbeat {
  readonly #session: LineSession;
  readonly #clock: Clock;
  readonly #identities: NetworkIdentities;
  readonly #times: Pick<LineTimes, 'idleMs' | 'echoTimeoutMs'>;
  #isEchoing = false;
  #cancelTimer: () => void = () => undefined;

  constructor(options: {
    readonly session: LineSession;
    readonly clock: Clock;
    readonly identities: NetworkIdentities;
    readonly times: Pick<LineTimes, 'idleMs' | 'echoTimeoutMs'>;
  }) {
    this.#session = options.session;
    this.#clock = options.clock;
    this.#identities = options.identities;
    this.#times = options.times;
  }

  /** Begins, or begins anew. */
  start(): void {
    this.stop();
    const { idleMs } = this.#times;
    const leftMs = idleMs - this.#silentMs();
    this.#cancelTimer = this.#clock.startTimer(Math.min(idleMs, Math.max(1, leftMs)), () => {
      if (this.#session.isClosed) return;
      if (this.#silentMs() < idleMs) this.start();
      else this.probe();
    });
  }

  stop(): void {
    this.#cancelTimer();
  }

  /** Echoes now, unless an echo is under way. */
  probe(): void {
    if (this.#isEchoing || this.#session.isClosed) return;
    this.stop();
    this.#isEchoing = true;
    void this.#echo().finally(() => {
      this.#isEchoing = false;
    });
  }

  async #echo(): Promise<void> {
    const message = buildNetworkRequest(this.#identities.next(), NetworkCode.echo);
    const { echoTimeoutMs: timeoutMs } = this.#times;
    try {
      const reply = await this.#session.request(message, { timeoutMs, isUrgent: true });
      // Anything that came meanwhile is as good as the answer.
      if (reply !== 'timeout' || this.#silentMs() < timeoutMs) this.start();
      else this.#session.close(new LineError('ERR_LINE_SILENT', 'the peer answers no echo'));
    } catch {
      // The line was lost meanwhile; its owner has been told.
    }
  }

  #silentMs(): number {
    return this.#clock.nowMs() - this.#session.lastReceivedMs;
  }
}
