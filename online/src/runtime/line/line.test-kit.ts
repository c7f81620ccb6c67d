/** For tests of lines: a clock in the test's hand, HSMs in this process, a member and its switch. */
import { type Clock, fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import {
  type DecodedMessage,
  type FieldValue,
  type Iso8583Message,
  macBlock,
  makeMessage,
  responseMti,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { nodeCiphers } from '@tapnpay/protocol/node';
import type { Hsm, HsmAnswers, HsmRequest, KeyBlock } from '@tapnpay/protocol/wire';
import { createHsmContext, formSystemKeys, inProcessHsm } from '../../hsm/index.ts';
import {
  HostLines,
  type HostLinesOptions,
  LineError,
  type LineLimits,
  type LineState,
  type LineTimes,
  MemberLine,
  memoryLink,
  type Transport,
} from './index.ts';

/** A clock that moves only when told; promises settle between two timers. */
export class ManualClock implements Clock {
  #nowMs = Date.UTC(2026, 10, 25, 4, 0, 0);
  #timers: { readonly atMs: number; readonly action: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  startTimer(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs every timer that falls due within `forMs`. */
  async advance(forMs: number): Promise<void> {
    const endMs = this.#nowMs + forMs;
    for (;;) {
      await settled();
      const due = this.#timers.filter((timer) => timer.atMs <= endMs);
      const next = due.sort((left, right) => left.atMs - right.atMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.action();
    }
    this.#nowMs = endMs;
  }
}

/** Lets everything that waits for nothing but promises go on. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The same numbers at every run. */
export function countingRandom(start = 1): RandomSource {
  let next = start;
  return {
    bytes: (lengthBytes) =>
      Uint8Array.from({ length: lengthBytes }, () => {
        next = (Math.imul(next, 1103515245) + 12345) >>> 0;
        return (next >>> 16) & 0xff;
      }),
  };
}

/** An HSM that fails while told to, for everything or for one command. */
export function breakableHsm(hsm: Hsm): Hsm & { fault: Error | null; only: string | null } {
  return {
    fault: null,
    only: null,
    async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
      if (this.fault && (this.only === null || this.only === request.command)) throw this.fault;
      return hsm.call(request);
    },
  };
}

export const SWITCH_ID = '00010000000';
export const MEMBER_ID = '49990000001';

/** Whether what was thrown is a line's fault of this code. */
export const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof LineError && thrown.code === wanted;

/** A 0200 of the member; `changes` win. */
export function request(
  stan: string,
  changes: readonly (readonly [number, FieldValue | undefined])[] = [],
): Iso8583Message {
  const message = makeMessage('0200', [
    [7, '1125120000'],
    [11, stan],
    [32, MEMBER_ID],
    [41, '00000001'],
  ]);
  return withFields(message, changes);
}

/** The approving answer, without a MAC. */
export function answer(message: Iso8583Message): Iso8583Message {
  const { mti, fields } = withFields(message, [[39, '00']]);
  return { mti: responseMti(mti), fields: new Map([...fields].filter(([field]) => field !== 128)) };
}

/** The message as it comes out of a frame. */
export function received(
  message: Iso8583Message,
  header: Partial<DecodedMessage['header']> = {},
): DecodedMessage {
  return {
    ...message,
    header: {
      destination: MEMBER_ID,
      source: SWITCH_ID,
      batchNumber: 0,
      transactionInfo: '00000000',
      userInfo: 0,
      rejectCode: '00000',
      ...header,
    },
  };
}

/** The message with field 128 under a MAC key. */
export async function signed(
  hsm: Hsm,
  macKey: KeyBlock,
  message: Iso8583Message,
): Promise<Iso8583Message> {
  const data = toHex(macBlock(message));
  const { mac } = await hsm.call({ command: 'generateMac', key: macKey, data });
  return withFields(message, [[128, fromHex(mac)]]);
}

/** HSMs and zone keys of a gateway, a switch and an issuer. */
export async function systemHsms(): Promise<{
  readonly hsms: Readonly<Record<'gateway' | 'switch', Hsm>>;
  readonly keys: Readonly<Record<'zmk' | 'zmkGateway' | 'zmkIssuer', KeyBlock>>;
}> {
  const random = countingRandom(3);
  const make = (party: 'gateway' | 'switch' | 'issuer') =>
    createHsmContext({ lmk: random.bytes(32), ciphers: nodeCiphers, random, party });
  const contexts = { gateway: make('gateway'), switch: make('switch'), issuer: make('issuer') };
  const files = await formSystemKeys((party) => inProcessHsm(contexts[party], 'ceremony'), random);
  return {
    hsms: {
      gateway: inProcessHsm(contexts.gateway, 'gateway'),
      switch: inProcessHsm(contexts.switch, 'switch'),
    },
    keys: {
      zmk: files.gateway.keys.zmk.keyBlock,
      zmkGateway: files.switch.keys.zmkGateway.keyBlock,
      zmkIssuer: files.switch.keys.zmkIssuer.keyBlock,
    },
  };
}

/** A member and the switch, each with its own HSM; `links` are the connections made so far. */
export type World = {
  readonly clock: ManualClock;
  readonly hostHsm: ReturnType<typeof breakableHsm>;
  readonly memberHsm: ReturnType<typeof breakableHsm>;
  readonly zmk: KeyBlock;
  readonly logged: string[];
  readonly links: (readonly [Transport, Transport])[];
  readonly lines: HostLines;
  readonly member: MemberLine;
  readonly states: LineState[];
  readonly late: DecodedMessage[];
  readonly sentByHost: Uint8Array[];
  readonly sentByMember: Uint8Array[];
  readonly unreadable: string[];
  /** Whether connecting fails. */
  refuse: boolean;
  /** Answers requests of either side. */
  onRequest: (message: Iso8583Message) => Promise<Iso8583Message | null>;
  readonly connect: () => Promise<Transport>;
};

/** What a test changes of a world. */
export type WorldFacts = {
  readonly wrongZoneKey?: boolean;
  readonly times?: Partial<LineTimes>;
  readonly limits?: Partial<LineLimits>;
  /** Time that every message takes; they keep their order, as in TCP. */
  readonly latencyMs?: number;
};

/** Opens a world; nothing is connected yet. */
export async function openWorld(facts: WorldFacts = {}): Promise<World> {
  const clock = new ManualClock();
  const { hsms, keys } = await systemHsms();
  const [hostHsm, memberHsm] = [breakableHsm(hsms.switch), breakableHsm(hsms.gateway)];
  const logged: string[] = [];
  const log = (record: { event: string }): void => void logged.push(record.event);
  const links: (readonly [Transport, Transport])[] = [];
  const [sentByHost, sentByMember]: [Uint8Array[], Uint8Array[]] = [[], []];
  const [states, late, unreadable]: [LineState[], DecodedMessage[], string[]] = [[], [], []];
  const common = { clock, log, times: facts.times ?? {}, limits: facts.limits ?? {} };
  const host: HostLinesOptions = {
    ...common,
    localId: SWITCH_ID,
    zoneKeys: new Map([[MEMBER_ID, facts.wrongZoneKey ? keys.zmkIssuer : keys.zmkGateway]]),
    ...{ hsm: hostHsm, random: countingRandom(7) },
    onRequest: (_memberId, message) => world.onRequest(message),
    onLateReply: (_memberId, message) => late.push(message),
    onUnreadable: (_memberId, fault) => unreadable.push(fault.code),
  };
  const lines = new HostLines(host);
  const connect = async (): Promise<Transport> => {
    if (world.refuse) throw new LineError('ERR_LINE_CONNECT', 'refused');
    const { latencyMs } = facts;
    const link =
      latencyMs === undefined
        ? memoryLink()
        : memoryLink((bytes, deliver) => clock.startTimer(latencyMs, () => deliver(bytes)));
    links.push(link);
    watch(link[0], sentByMember);
    watch(link[1], sentByHost);
    lines.accept(link[1]);
    return link[0];
  };
  const member = new MemberLine({
    ...common,
    localId: MEMBER_ID,
    remoteId: SWITCH_ID,
    zoneKey: keys.zmk,
    ...{ hsm: memberHsm, random: countingRandom(9), connect },
    onLateReply: (message) => late.push(message),
    onRequest: (message) => world.onRequest(message),
    onUnreadable: (fault) => unreadable.push(fault.code),
    onState: (state) => states.push(state),
  });
  const world: World = {
    ...{ clock, hostHsm, memberHsm, zmk: keys.zmk, logged, links, lines, member, states, late },
    ...{ sentByHost, sentByMember, unreadable, connect },
    refuse: false,
    onRequest: async (message) => answer(message),
  };
  return world;
}

/** Notes everything that one end sends. */
function watch(end: Transport, sent: Uint8Array[]): void {
  const send = end.send.bind(end);
  end.send = (bytes) => {
    sent.push(bytes.slice());
    send(bytes);
  };
}

/** Starts the member and waits until the line is established. */
export async function established(world: World): Promise<World> {
  world.member.start();
  await settled();
  await world.clock.advance(50);
  if (world.member.state !== 'established') throw new Error(`line ${world.member.state}`);
  return world;
}
