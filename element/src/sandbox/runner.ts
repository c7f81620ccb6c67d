/**
 * Runs applets for the card: each instance has an interpreter of its own, which lives until it does
 * something wrong or others need its place. What lasts is what a call gives back, and no more.
 */
import { equalBytes, errorBody } from '@tapnpay/protocol/bytes';
import { decodeApplicationPackage } from '@tapnpay/protocol/globalplatform/data';
import type {
  AppletChannel,
  AppletInstance,
  AppletResult,
  AppletRunner,
} from '@tapnpay/protocol/globalplatform/oncard';
import type { HostConversation } from '@tapnpay/protocol/wire';
import { SandboxError } from './errors.ts';
import { hostCallOf } from './host-call-shapes.ts';
import { KeyRing } from './keys.ts';
import { Machine, type MachineTimes } from './machine.ts';
import { withoutKeys } from './personalisation.ts';
import { type CallFacts, responseOf, type ServicePorts, servicesOf } from './services.ts';
import { Vault } from './vault.ts';

/** Interpreters that live at the same time; the one that was used longest ago goes first. */
export const LIVE_APPLETS_MAX = 8;

/** What the sandbox stands on. */
export type SandboxPorts = ServicePorts;

/** How a conversation ended. Null: it has not changed. */
export type ConversationEnd = {
  readonly result: unknown;
  readonly persistent: Uint8Array | null;
  readonly lifeCycle: number | null;
};

/** The card's runner, and conversations of applications that the element starts. */
export interface SandboxRunner extends AppletRunner {
  /**
   * Runs the applet's conversation: what it asks is asked here, checked. Persistent bytes that it
   * commits on its way go to `keep`, which makes them last or throws.
   */
  converse(
    instance: AppletInstance,
    intent: unknown,
    keep?: (persistent: Uint8Array) => void,
  ): HostConversation<ConversationEnd>;
  /** Has the applet ready, so that the next call need not wait for its start. */
  warm(instance: AppletInstance): void;
  /** Time spent in interpreters, and of it in the host's services, since the start. */
  readonly times: Readonly<MachineTimes>;
}

type Live = {
  readonly machine: Machine;
  readonly code: Uint8Array;
  readonly moduleAid: string;
  persistent: Uint8Array;
  isConversing: boolean;
};

/** A sandbox; nothing runs in it yet. */
export function createSandboxRunner(ports: SandboxPorts): SandboxRunner {
  return new Sandbox(ports);
}

class Sandbox implements SandboxRunner {
  readonly times: MachineTimes = { operations: 0, totalMs: 0, servicesMs: 0 };
  readonly #ports: SandboxPorts;
  readonly #live: Map<string, Live> = new Map();

  constructor(ports: SandboxPorts) {
    this.#ports = ports;
  }

  modules(code: Uint8Array): readonly string[] {
    return decodeApplicationPackage(code).manifest.modules.map(({ aid }) => aid);
  }

  install(instance: AppletInstance, parameters: Uint8Array): Uint8Array {
    this.forget(instance.aid);
    const fresh = { ...instance, persistent: new Uint8Array() };
    const { vault } = this.#call(fresh, 'install', () => [parameters]);
    const persistent = vault.encode();
    this.#keep(instance.aid, persistent);
    return persistent;
  }

  uninstall({ aid }: AppletInstance): void {
    this.forget(aid);
  }

  select(instance: AppletInstance, command: Parameters<AppletRunner['select']>[1]): AppletResult {
    return this.#respond(instance, 'select', () => [command]);
  }

  process(
    instance: AppletInstance,
    command: Parameters<AppletRunner['process']>[1],
    channel: AppletChannel,
  ): AppletResult {
    return this.#respond(instance, 'process', () => [command], channel);
  }

  personalise(
    instance: AppletInstance,
    data: Parameters<AppletRunner['personalise']>[1],
  ): AppletResult {
    return this.#respond(instance, 'personalise', (keys) => [withoutKeys(data, keys)]);
  }

  deselect(aid: string): void {
    const live = this.#live.get(aid);
    if (!live || live.isConversing) return;
    const vault = new Vault(live.persistent);
    try {
      const facts = { vault, channel: null, lifeCycle: { state: 0 }, commit: null };
      live.machine.run('deselect', [], servicesOf(this.#ports, facts));
    } catch (thrown) {
      this.forget(aid);
      throw thrown;
    }
    // What it wrote does not last: another instance must not find it in its memory either.
    if (vault.isChanged) this.forget(aid);
  }

  forget(aid: string): void {
    this.#live.delete(aid);
  }

  warm(instance: AppletInstance): void {
    this.#liveOf(instance);
  }

  *converse(
    instance: AppletInstance,
    intent: unknown,
    keep: (persistent: Uint8Array) => void = () => {},
  ): HostConversation<ConversationEnd> {
    const live = this.#liveOf(instance);
    const vault = new Vault(instance.persistent);
    const lifeCycle = { state: instance.lifeCycle };
    const commit = (): void => {
      const persistent = vault.encode();
      keep(persistent);
      live.persistent = persistent;
    };
    const services = servicesOf(this.#ports, { vault, channel: null, lifeCycle, commit });
    live.isConversing = true;
    let isWhole = false;
    try {
      let step = stepOf(live.machine.run('converse', [intent], services));
      while (!step.isDone) {
        let answer: readonly [string, unknown];
        try {
          answer = ['answer', yield hostCallOf(step.call)];
        } catch (fault) {
          answer = ['fault', errorBody(fault)];
        }
        step = stepOf(live.machine.run(answer[0], [answer[1]], services));
      }
      const persistent = vault.isChanged ? vault.encode() : null;
      live.persistent = persistent ?? live.persistent;
      isWhole = true;
      const { state } = lifeCycle;
      return {
        ...{ result: step.result, persistent },
        lifeCycle: state === instance.lifeCycle ? null : state,
      };
    } finally {
      live.isConversing = false;
      if (!isWhole) this.forget(instance.aid);
    }
  }

  #respond(
    instance: AppletInstance,
    operation: string,
    values: (keys: KeyRing) => readonly unknown[],
    channel: AppletChannel | null = null,
  ): AppletResult {
    const { vault, lifeCycle, value } = this.#call(instance, operation, values, channel);
    const response = this.#orForget(instance.aid, () => responseOf(value));
    const { state } = lifeCycle;
    const persistent = vault.isChanged ? vault.encode() : null;
    if (persistent) this.#keep(instance.aid, persistent);
    return {
      response,
      ...(persistent ? { persistent } : {}),
      ...(state === instance.lifeCycle ? {} : { lifeCycle: state }),
    };
  }

  #call(
    instance: AppletInstance,
    operation: string,
    values: (keys: KeyRing) => readonly unknown[],
    channel: AppletChannel | null = null,
  ): Pick<CallFacts, 'vault' | 'lifeCycle'> & { readonly value: unknown } {
    const live = this.#liveOf(instance);
    const vault = new Vault(instance.persistent);
    const lifeCycle = { state: instance.lifeCycle };
    const services = servicesOf(this.#ports, { vault, channel, lifeCycle, commit: null });
    return this.#orForget(instance.aid, () => {
      const given = values(new KeyRing(vault, this.#ports));
      return { vault, lifeCycle, value: live.machine.run(operation, given, services) };
    });
  }

  /** A call that fails leaves no interpreter whose memory knows of it. */
  #orForget<Result>(aid: string, action: () => Result): Result {
    try {
      return action();
    } catch (thrown) {
      this.forget(aid);
      throw thrown;
    }
  }

  #keep(aid: string, persistent: Uint8Array): void {
    const live = this.#live.get(aid);
    if (live) live.persistent = persistent;
  }

  /** The interpreter of an instance whose memory fits what the card has of it. */
  #liveOf(instance: AppletInstance): Live {
    const { aid, code, moduleAid, persistent } = instance;
    const found = this.#live.get(aid);
    if (found?.isConversing) {
      throw new SandboxError('ERR_APPLET_BUSY', 'the application is in a conversation');
    }
    const isSame =
      found !== undefined &&
      found.moduleAid === moduleAid &&
      (found.code === code || equalBytes(found.code, code)) &&
      equalBytes(found.persistent, persistent);
    const live = isSame ? found : this.#start(instance);
    this.#live.delete(aid);
    this.#live.set(aid, live);
    this.#makeRoom();
    return live;
  }

  #start({ aid, code, moduleAid, persistent }: AppletInstance): Live {
    const { manifest, bundle } = decodeApplicationPackage(code);
    if (!manifest.modules.some((module) => module.aid === moduleAid)) {
      throw new SandboxError('ERR_APPLET_CODE', `the load file has no module ${moduleAid}`);
    }
    const { memoryBytes } = manifest;
    const { clock } = this.#ports;
    const facts = { bundle, memoryBytes, moduleAid, instanceAid: aid, clock };
    const machine = new Machine(facts, this.times);
    return { machine, code, moduleAid, persistent, isConversing: false };
  }

  #makeRoom(): void {
    for (const [aid, { isConversing }] of this.#live) {
      if (this.#live.size <= LIVE_APPLETS_MAX) return;
      if (!isConversing) this.#live.delete(aid);
    }
  }
}

/** One step of a conversation. @throws SandboxError `ERR_APPLET_ANSWER`. */
function stepOf(
  value: unknown,
):
  | { readonly isDone: true; readonly result: unknown }
  | { readonly isDone: false; readonly call: unknown } {
  const { isDone, result, call } = Object(value) as Readonly<Record<string, unknown>>;
  if (isDone === true) return { isDone, result };
  if (isDone === false) return { isDone, call };
  throw new SandboxError('ERR_APPLET_ANSWER', 'no step of a conversation');
}
