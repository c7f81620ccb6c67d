/**
 * The native messaging host: one process for one page of one browser. It ends when the browser's
 * side ends, whatever it is doing, and leaves nothing behind.
 */
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '@tapnpay/protocol/bytes';
import {
  type DoctorReport,
  NATIVE_PROTOCOL,
  type NativeHostHello,
  type NativeWorkerHello,
} from '@tapnpay/protocol/wire';
import type { ManagerCaller } from '../contact/manager-caller.ts';
import { ElementMemory } from '../service/element-memory.ts';
import { ServiceError } from '../service/errors.ts';
import type { AgentLog } from '../service/events.ts';
import { NativePort } from '../service/native-port.ts';
import type { HostConfig } from './config.ts';
import { HostSeat, type OpenSeat } from './host-seat.ts';
import type { SharedElement } from './shared-element.ts';
import { StandardPort, type StandardPortPorts } from './standard-port.ts';
import { HOST_VERSION } from './version.ts';

/** From the end of input to the end of the process; browsers kill after 2 s. */
export const HOST_END_MS = 1_500;
/** Exit status after a port that the host itself has ended. */
export const EXIT_REFUSED = 3;

export type HostPorts = {
  readonly config: HostConfig;
  readonly input: Readable;
  readonly output: StandardPortPorts['output'];
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly exit: (status: number) => void;
};

/** One host, from its hello to its end. */
export class NativeHost {
  readonly #ports: HostPorts;
  readonly #standard: StandardPort;
  readonly #port: NativePort;
  readonly #memory: ElementMemory;
  #seat: HostSeat | null = null;
  #element: SharedElement | null = null;
  #isEnding = false;

  constructor(ports: HostPorts) {
    const { config, input, output, clock, log } = ports;
    this.#ports = ports;
    this.#memory = new ElementMemory(join(config.dataDir, 'agent'));
    this.#standard = new StandardPort({
      input,
      output,
      clock,
      onFrame: (frame) => this.#port.take(frame),
      onFault: (fault) => this.#port.refuse(fault),
      onEnd: () => this.end(0),
    });
    this.#port = new NativePort({
      hello: this.#hello(),
      gatewayOrigins: config.gatewayOrigins,
      isExtension: (origin) => isExtension(origin, config),
      openSeat: (hello) => this.#openSeat(hello),
      runDoctor: () => this.#runDoctor(),
      clock,
      log,
      send: (frame) => this.#send(frame),
      end: () => this.end(EXIT_REFUSED),
    });
  }

  /** Says hello, and listens. */
  open(): void {
    this.#port.open();
    this.#standard.open();
  }

  /** A fault of this program itself: the page hears of one, the log of which. */
  onInternalFault(fault: unknown): void {
    const text = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
    this.#ports.log({ event: 'hostFault', text });
    if (this.#isEnding) return;
    this.#port.refuse(new ServiceError('ERR_INTERNAL', 'the host failed; its log says why'));
  }

  /** Lets go of everything and ends the process, in any case in `HOST_END_MS`. */
  end(status: number): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { clock, exit } = this.#ports;
    this.#port.lost();
    clock.startTimer(HOST_END_MS, () => {
      this.#killElement();
      exit(status);
    });
    const ended = Promise.all([this.#standard.flushed(), this.#release()]);
    ended.then(
      () => exit(status),
      (fault: unknown) => {
        this.onInternalFault(fault);
        this.#killElement();
        exit(status);
      },
    );
  }

  /** Nothing is asked for it: what is not known yet comes with the page's welcome. */
  #hello(): NativeHostHello {
    return {
      type: 'hello',
      version: HOST_VERSION,
      protocol: NATIVE_PROTOCOL,
      element: this.#memory.status(),
      readers: [{ name: 'Virtual reader', kind: 'virtual' }],
    };
  }

  #send(frame: Parameters<StandardPort['send']>[0]): void {
    if (!this.#standard.send(frame)) this.end(0);
  }

  #openSeat(hello: NativeWorkerHello): HostSeat {
    const { config, clock, log } = this.#ports;
    const seat = new HostSeat({
      config,
      hello,
      clock,
      log,
      openLocal: (send) => this.#openLocal(hello, send),
      send: (frame) => this.#send(frame),
      onLost: (fault) => {
        if (fault === null) this.end(EXIT_REFUSED);
        else this.#port.refuse(fault);
      },
    });
    this.#seat = seat;
    return seat;
  }

  /** The element's process is on its way before the rest of the desk is even read. */
  async #openLocal(
    { page }: NativeWorkerHello,
    send: (frame: Parameters<StandardPort['send']>[0]) => void,
  ): Promise<OpenSeat> {
    const { config, clock, log } = this.#ports;
    const element = await this.#sharedElement();
    if (this.#isEnding) throw new ServiceError('ERR_CLOSING', 'the host is being stopped');
    element.prepare();
    const { LocalSeat } = await import('./local-seat.ts');
    return new LocalSeat({ config, element, origin: page.origin, clock, log, send });
  }

  async #sharedElement(): Promise<SharedElement> {
    const [{ SharedElement }, { hostElementConfig }, { operatorPairingCode }] = await Promise.all([
      import('./shared-element.ts'),
      import('./element-config.ts'),
      import('./pairing-code.ts'),
    ]);
    const { config, clock, log } = this.#ports;
    const manager = await this.#manager();
    this.#element ??= new SharedElement({
      config: hostElementConfig(config),
      gatewayUrl: config.gatewayUrl,
      requestPairingCode: () => operatorPairingCode(config),
      manager,
      memory: this.#memory,
      clock,
      log,
    });
    return this.#element;
  }

  async #manager(): Promise<ManagerCaller | undefined> {
    const { clock, config } = this.#ports;
    const { managerUrl } = config;
    if (managerUrl === null) return undefined;
    const { httpManagerCaller } = await import('../contact/manager-caller.ts');
    const pause = (ms: number): Promise<void> =>
      new Promise((done) => void clock.startTimer(ms, () => done()));
    return httpManagerCaller({ managerUrl, isAnnounced: true, pause });
  }

  async #runDoctor(): Promise<DoctorReport> {
    const { config } = this.#ports;
    const { elementOfService, runHostDoctor, thisSight } = await import('../doctor/index.ts');
    const seeElement = async () => {
      const seen = await elementOfService(config.dataDir, thisSight);
      return seen ?? (await (await this.#sharedElement()).see());
    };
    return await runHostDoctor(config, { seeElement });
  }

  /** A seat that is there ends its payment first; without one the element is let go at once. */
  async #release(): Promise<void> {
    const seat = this.#seat;
    if (seat?.isOpen) await seat.close();
    await this.#element?.close();
    await seat?.close();
  }

  #killElement(): void {
    const pid = this.#element?.pid;
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** The extension's own pages: options and windows. Firefox gives each installation its own host. */
function isExtension(origin: string, { extensionId }: HostConfig): boolean {
  return origin === `chrome-extension://${extensionId}` || origin.startsWith('moz-extension://');
}
