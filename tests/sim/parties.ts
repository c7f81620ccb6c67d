/**
 * The three institutions of one world: the cores that run in service, over stores in memory, HSMs
 * in process, and lines in an unreliable network. A kill ends a life; the next one starts on the
 * same store with `recover`, as a process does.
 */
import { createHash, createHmac } from 'node:crypto';
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import { type AuditLog, MemoryAuditLog } from '../../online/src/gateway/audit/log.ts';
import { GatewayCore } from '../../online/src/gateway/core.ts';
import { GATEWAY_DEFAULTS, type GatewayPorts } from '../../online/src/gateway/ports.ts';
import type { GatewayStore } from '../../online/src/gateway/store.ts';
import { MemoryGatewayStore } from '../../online/src/gateway/store-memory.ts';
import { HsmError } from '../../online/src/hsm/errors.ts';
import { parseCardFile } from '../../online/src/issuer/cards.ts';
import { IssuerCore } from '../../online/src/issuer/core.ts';
import { ISSUER_LIMITS } from '../../online/src/issuer/ports.ts';
import type { IssuerStore } from '../../online/src/issuer/store.ts';
import { MemoryIssuerStore } from '../../online/src/issuer/store-memory.ts';
import { HostLines, MemberLine, type Transport } from '../../online/src/runtime/line/index.ts';
import type { Log } from '../../online/src/runtime/logging.ts';
import { createVault } from '../../online/src/runtime/vault.ts';
import { SwitchCore } from '../../online/src/switch/core.ts';
import {
  INSTITUTION_GATEWAY,
  INSTITUTION_ISSUER,
  INSTITUTION_SWITCH,
  SWITCH_DEFAULTS,
  type SwitchPorts,
} from '../../online/src/switch/ports.ts';
import { memberLines } from '../../online/src/switch/start.ts';
import type { SwitchStore } from '../../online/src/switch/store.ts';
import { MemorySwitchStore } from '../../online/src/switch/store-memory.ts';
import { Ticker } from '../../online/src/switch/ticker.ts';
import type { Bug } from './bug.ts';
import { SIM_MERCHANT } from './clerk.ts';
import type { Calendar } from './faults.ts';
import { bindPort, heardBy, Life, PARTIES, type Party, type PortFaults } from './life.ts';
import { type LineWorld, NetworkLine } from './network.ts';
import type { SimSystem } from './system.ts';
import { NO_PIN_MINOR } from './terminal.ts';

const TICK_MS = 1_000;
const RESTART_MS = [300, 10_000] as const;
const VAULT_KEY_BYTES = 32;
/** Longest pauses of a world, so that it comes to rest in minutes. */
const PAUSES_MS = [1_000, 2_000, 5_000, 10_000, 30_000] as const;

const NOTIFICATION_TRIES = 40;
const NOTIFICATION_PAUSE_MS = 20_000;

/** What the parties stand on. */
export type PartiesWorld = LineWorld & {
  readonly system: SimSystem;
  readonly bug: Bug;
  readonly calendar: Calendar;
  /** Hands a notification to the merchant; resolves with its HTTP status. */
  readonly notify: (body: string) => Promise<number>;
};

/** What every party has, bound to one life. */
type OwnPorts = {
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
};

/** A running gateway as its clients reach it. */
export type RunningGateway = {
  readonly life: Life;
  readonly core: GatewayCore;
  readonly audit: AuditLog;
};
type RunningSwitch = {
  readonly life: Life;
  take(transport: Transport): void;
  /** New working keys for a member. */
  changeKeys(institutionId: string): Promise<void>;
};

/** All three, their stores, and who is alive. */
export class Parties {
  readonly #world: PartiesWorld;
  readonly gatewayStore: GatewayStore;
  readonly switchStore: SwitchStore;
  readonly issuerStore: IssuerStore;
  readonly audit: AuditLog;
  readonly lines: Readonly<Record<'gateway' | 'issuer', NetworkLine>>;
  readonly #lives = new Map<Party, Life>();
  readonly #hsms: Readonly<Record<Party, Hsm>>;
  readonly #vaultKey: Uint8Array;
  /** Until when a party's database does not answer. */
  readonly #outages = new Map<Party, number>();
  #gateway: RunningGateway | null = null;
  #switch: RunningSwitch | null = null;
  #established: Readonly<Record<'gateway' | 'issuer', boolean>> = { gateway: false, issuer: false };

  constructor(world: PartiesWorld) {
    this.#world = world;
    const { random, system, bug } = world;
    this.gatewayStore = bug.gatewayStore(new MemoryGatewayStore());
    this.switchStore = bug.switchStore(new MemorySwitchStore());
    this.issuerStore = bug.issuerStore(new MemoryIssuerStore());
    this.audit = bug.audit(new MemoryAuditLog());
    const accept = (): RunningSwitch | null => this.#switch;
    this.lines = {
      gateway: new NetworkLine(world, { name: 'gateway', accept }),
      issuer: new NetworkLine(world, { name: 'issuer', accept }),
    };
    this.#hsms = {
      gateway: system.hsm('gateway', random),
      switch: system.hsm('switch', random),
      issuer: system.hsm('issuer', random),
    };
    this.#vaultKey = random.bytes(VAULT_KEY_BYTES);
  }

  /** The gateway if it is up. */
  get gateway(): RunningGateway | null {
    return this.#gateway?.life.isAlive ? this.#gateway : null;
  }

  get isReady(): boolean {
    return PARTIES.every((party) => this.#lives.get(party)?.isAlive) && this.areLinesUp;
  }

  get areLinesUp(): boolean {
    return this.#established.gateway && this.#established.issuer;
  }

  /** First start: cards and elements are taken in, then everybody runs. */
  async start(): Promise<void> {
    const { clock, random, system } = this.#world;
    const records = JSON.stringify(system.payers.map(({ record }) => record));
    const keyedDigest = this.#keyedDigest();
    const cards = parseCardFile(records, { clock, random, keyedDigest });
    await this.issuerStore.importCards(cards, clock.nowMs());
    const acceptedAtMs = clock.nowMs();
    await this.gatewayStore.acceptLoadFile({ hash: SIM_LOAD_FILE, name: 'sim', acceptedAtMs });
    for (const { elementId, initialKeyId } of system.payers) {
      const codeId = `code ${elementId}`;
      const expiresAtMs = clock.nowMs() + 1;
      await this.gatewayStore.addPairingCode({ codeId, sealedCode: '', expiresAtMs, failures: 0 });
      const element = {
        elementId,
        publicKeySpki: elementId,
        certificateSha256: elementId,
        certificatePem: null,
        initialKeyId,
        enrolledAtMs: clock.nowMs(),
      };
      await this.gatewayStore.enrolElement(codeId, element, clock.nowMs());
    }
    for (const party of PARTIES) this.run(party);
  }

  /** Kills a party; it starts again by itself after a while. */
  kill(party: Party, where: string): void {
    const life = this.#lives.get(party);
    if (!life?.isAlive) return;
    const { clock, random, history, counts } = this.#world;
    const restartMs = random.between(...RESTART_MS);
    counts.add(`kill ${party}`);
    history.add('world', 'kill', { party, where, restartMs });
    life.end();
    clock.startTimer(restartMs, () => this.run(party));
  }

  /** A party's database does not answer for a while. */
  outage(party: Party, durationMs: number): void {
    const { clock, history, counts } = this.#world;
    counts.add(`database outage ${party}`);
    history.add('world', 'outage', { party, durationMs });
    this.#outages.set(party, clock.nowMs() + durationMs);
  }

  /** Ends all outages before their time. */
  heal(): void {
    this.#outages.clear();
  }

  /** New working keys on a member's line, if it is up. */
  changeKeys(member: 'gateway' | 'issuer'): void {
    const { history, counts, bug } = this.#world;
    if (!this.#switch || !this.#established[member]) return;
    counts.add('key change');
    history.add('world', 'keyChange', { member });
    const institutionId = member === 'gateway' ? INSTITUTION_GATEWAY : INSTITUTION_ISSUER;
    this.#switch.changeKeys(institutionId).catch(ignore);
    bug.onKeyChange();
  }

  /** Starts a party unless it runs. */
  run(party: Party): void {
    if (this.#lives.get(party)?.isAlive) return;
    const life = new Life(party);
    this.#lives.set(party, life);
    this.#world.history.add(party, 'start');
    if (party === 'switch') void this.#runSwitch(life);
    if (party === 'issuer') this.#runIssuer(life);
    if (party === 'gateway') void this.#runGateway(life);
  }

  async #runGateway(life: Life): Promise<void> {
    const { bug, system, random, history } = this.#world;
    const own = this.#ownPorts(life);
    let core: GatewayCore | null = null;
    const line = this.#memberLine(life, own, {
      localId: INSTITUTION_GATEWAY,
      zoneKey: system.keys.gateway.keys.zmk.keyBlock,
      onLateReply: (message) => {
        const late = core?.lateReply(message).catch(() => undefined);
        void late?.then(() => bug.onLateReply(message));
      },
    });
    const worker = this.#worker(life);
    const ports: GatewayPorts = {
      ...own,
      store: this.#bind(life, this.gatewayStore),
      line: bug.gatewayLine(
        {
          keys: () => line.keys(),
          send: (message, timeoutMs) => heardBy(life, line.request(message, { timeoutMs })),
        },
        own,
      ),
      vault: createVault(this.#vaultKey, random),
      signatures: {
        signOrder: (input) => digest(`order ${input}`),
        verifyElement: (key, input, signature) => signature === elementSignature(key, input),
      },
      courier: {
        post: (_url, _headers, body) => heardBy(life, this.#world.notify(body)),
      },
      profile: gatewayProfile(system.keys.gateway.keys.bdk.keyBlock),
      log: own.log,
      onHop: ({ name }) => this.#crashPoint(life, `hop ${name}`),
      crash: () => this.kill('gateway', 'lab fault'),
      wake: worker.wake,
    };
    core = new GatewayCore(ports);
    const running = { life, core, audit: this.#bind(life, this.audit) };
    const recovered = await this.#insist(life, () => running.core.recover());
    history.add('gateway', 'recovered', { payments: recovered });
    this.#gateway = running;
    line.start();
    worker.start(() => running.core.tick());
  }

  async #runSwitch(life: Life): Promise<void> {
    const { bug, system, random, history } = this.#world;
    const own = this.#ownPorts(life);
    const { zmkGateway, zmkIssuer } = system.keys.switch.keys;
    const hosts = new HostLines({
      ...own,
      localId: INSTITUTION_SWITCH,
      zoneKeys: new Map([
        [INSTITUTION_GATEWAY, zmkGateway.keyBlock],
        [INSTITUTION_ISSUER, zmkIssuer.keyBlock],
      ]),
      onRequest: (memberId, message) => core.handle(memberId, message),
      onLateReply: (memberId, message) => void core.lateReply(memberId, message).catch(ignore),
      onEstablished: () => ticker.wake(),
    });
    const lines = memberLines(hosts);
    const ticker: Ticker = new Ticker({
      clock: own.clock,
      work: () => core.tick(),
      onFault: ignore,
    });
    const ports: SwitchPorts = {
      ...own,
      store: this.#bind(life, this.switchStore),
      lines: bug.switchLines(
        {
          ...lines,
          send: (institutionId, message, timeoutMs) =>
            heardBy(life, lines.send(institutionId, message, timeoutMs)),
        },
        own.hsm,
      ),
      vault: createVault(this.#vaultKey, random),
      profile: { ...SWITCH_DEFAULTS, advicePausesMs: PAUSES_MS },
      onHop: ({ name }) => this.#crashPoint(life, `hop ${name}`),
      wake: () => ticker.wake(),
    };
    const core: SwitchCore = new SwitchCore(ports);
    const recovered = await this.#insist(life, () => core.recover());
    history.add('switch', 'recovered', { transactions: recovered });
    this.#switch = {
      life,
      take: (transport) => hosts.accept(transport),
      changeKeys: (institutionId) => hosts.changeKeys(institutionId),
    };
    life.onEnd(() => {
      this.#switch = null;
    });
    ticker.start();
  }

  #runIssuer(life: Life): void {
    const { system } = this.#world;
    const own = this.#ownPorts(life);
    const { zmk, ...issuerKeys } = system.keys.issuer.keys;
    const block = (name: keyof typeof issuerKeys): string => issuerKeys[name].keyBlock;
    const core = new IssuerCore({
      ...own,
      store: this.#bind(life, this.issuerStore),
      keys: {
        ...{ imkAc: block('imkAc'), imkAcSm4: block('imkAcSm4'), pvk: block('pvk') },
        ...{ imkMac: block('imkMac'), imkMacSm4: block('imkMacSm4') },
        ...{ imkEnc: block('imkEnc'), imkEncSm4: block('imkEncSm4') },
      },
      limits: { ...ISSUER_LIMITS, noPinMinor: NO_PIN_MINOR },
      keyedDigest: this.#keyedDigest(),
      refreshCards: () => heardBy(life, Promise.resolve(false)),
      isReplyDropped: () => false,
    });
    const line = this.#memberLine(life, own, {
      localId: INSTITUTION_ISSUER,
      zoneKey: zmk.keyBlock,
      onRequest: async (message) => {
        const keys = await line.keysOf(message);
        return keys ? core.handle(message, keys) : null;
      },
    });
    line.start();
  }

  #memberLine(
    life: Life,
    own: OwnPorts,
    facts: Pick<
      ConstructorParameters<typeof MemberLine>[0],
      'localId' | 'zoneKey' | 'onRequest' | 'onLateReply'
    >,
  ): MemberLine {
    const name = life.party === 'issuer' ? 'issuer' : 'gateway';
    const mark = (isUp: boolean): void => {
      this.#established = { ...this.#established, [name]: isUp };
    };
    life.onEnd(() => mark(false));
    return new MemberLine({
      ...own,
      ...facts,
      remoteId: INSTITUTION_SWITCH,
      connect: () => heardBy(life, this.lines[name].connect(life)),
      onState: life.guard((state) => mark(state === 'established')),
    });
  }

  /** What every party has, bound to this life. */
  #ownPorts(life: Life): OwnPorts {
    const { clock, random, history, counts, weather, calendar } = this.#world;
    const { party } = life;
    const skewMs = calendar.skewMs[party];
    if (skewMs !== 0) counts.add(`skewed clock ${party}`);
    const log: Log = life.guard(({ event, ...facts }) => history.add(party, event, facts));
    const hsm: Hsm = bindPort(life, clock, this.#hsms[party], {
      delayMs: () => (random.chance(0.2) ? random.between(1, 4) : 0),
      before: () => {
        if (!random.chance(weather().hsmFault)) return;
        counts.add('HSM fault');
        history.add('world', 'hsmFault', { party });
        throw new HsmError('ERR_HSM_INTERNAL', 'simulated fault of the HSM');
      },
    });
    return { hsm, clock: life.clock(clock, skewMs), random, log };
  }

  /** A store whose answers take time, get lost, and after which the process may be dead. */
  #bind<Store extends object>(life: Life, store: Store): Store {
    const { clock, random, counts, history, weather } = this.#world;
    const { party } = life;
    const fail = (method: string, when: string): never => {
      counts.add(when === 'after' && isStep(method) ? 'unknown commit' : 'store fault');
      history.add('world', 'storeFault', { party, method, when });
      throw new Error(`simulated fault of the store ${when} ${method}`);
    };
    const faults: PortFaults = {
      delayMs: () => (random.chance(0.5) ? random.between(1, 6) : 0),
      before: (method) => {
        if (clock.nowMs() < (this.#outages.get(party) ?? 0)) throw new Error('no database');
        if (random.chance(weather().storeFault / 2)) fail(method, 'before');
      },
      after: (method) => {
        if (isStep(method)) this.#crashPoint(life, method);
        if (life.isAlive && random.chance(weather().storeFault / 2)) fail(method, 'after');
      },
    };
    return bindPort(life, clock, store, faults);
  }

  #crashPoint(life: Life, where: string): void {
    const { random, weather, counts } = this.#world;
    if (!life.isAlive || !random.chance(weather().crashPoint)) return;
    counts.add(`crash point ${life.party}`);
    this.kill(life.party, where);
  }

  /** A start that its store fails is tried again, as a supervisor does. */
  async #insist<Value>(life: Life, work: () => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await work();
      } catch {
        await heardBy(life, this.#world.clock.sleep(TICK_MS));
      }
    }
  }

  /** Due work of the gateway: soon after a wake, else now and then; one run at a time. */
  #worker(life: Life): { readonly wake: () => void; start(tick: () => Promise<unknown>): void } {
    const clock = life.clock(this.#world.clock);
    let work: (() => Promise<unknown>) | null = null;
    let isRunning = false;
    let isWanted = true;
    let cancel: () => void = ignore;
    const wake = (): void => {
      isWanted = true;
      if (work && !isRunning) void run(work);
    };
    const run = async (tick: () => Promise<unknown>): Promise<void> => {
      cancel();
      isRunning = true;
      while (isWanted && life.isAlive) {
        isWanted = false;
        await tick().catch(ignore);
      }
      isRunning = false;
      cancel = clock.startTimer(TICK_MS, wake);
    };
    const start = (tick: () => Promise<unknown>): void => {
      work = tick;
      wake();
    };
    return { wake, start };
  }

  #keyedDigest(): (text: string) => string {
    return (text) => createHmac('sha256', this.#vaultKey).update(text).digest('hex');
  }
}

function gatewayProfile(baseKey: KeyBlock): GatewayPorts['profile'] {
  return {
    ...GATEWAY_DEFAULTS,
    reversalPausesMs: PAUSES_MS,
    notificationPausesMs: Array.from({ length: NOTIFICATION_TRIES }, () => NOTIFICATION_PAUSE_MS),
    merchant: {
      merchantId: SIM_MERCHANT,
      name: 'Sim shop',
      terminalId: 'TAP00001',
      categoryCode: '5999',
      location: 'Sim shop Shanghai',
    },
    baseKey,
    webhookSecret: Uint8Array.of(1),
    lab: false,
  };
}

function ignore(): void {}

/** Whether a store's method moves money on its way; polling for work does not. */
function isStep(method: string): boolean {
  return !/^(find|list|claim|expire|release|days|due|is|read)/.test(method);
}

function digest(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}

/** Hash of the load file that every element runs. */
export const SIM_LOAD_FILE: string = '1F'.repeat(32);
/** Stands for an element's ECDSA signature, which would differ each time. */
export function elementSignature(key: string, input: string): string {
  return digest(`element ${key} ${input}`);
}
