/** The lines between the institutions as an unreliable network of ISO 8583 messages. */
import {
  CUPS_DIALECT,
  type DecodedMessage,
  decodeMessage,
  textField,
} from '@tapnpay/protocol/iso8583';
import { memoryLink, type Transport } from '../../online/src/runtime/line/index.ts';
import type { FaultCounts, Weather } from './faults.ts';
import type { History } from './history.ts';
import type { Life } from './life.ts';
import type { SeededRandom, VirtualClock } from './seeded.ts';

/** ASCII length before each message. */
const FRAME_LENGTH_BYTES = 4;
const FAST_MS = [1, 40] as const;
const SLOW_MS = [100, 4_000] as const;
/** Beyond the patience of switch and gateway. */
const LATE_MS = [8_000, 45_000] as const;
const CONNECT_MS = 5;
/** What is bent, and how far from the end: the MAC, or the field before it, which it may not cover. */
const BENT_MAC = ['MAC', 1] as const;
const BENT_BODY = ['body', 9] as const;

/** What a line stands on. */
export type LineWorld = {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly history: History;
  readonly counts: FaultCounts;
  readonly weather: () => Weather;
};

type Connection = {
  readonly member: Life;
  readonly host: Life;
  readonly ends: readonly [Transport, Transport];
  /** A peer that vanished without a word: nothing arrives, nobody is told. */
  isSilent: boolean;
};

/** The way from one member to the switch: at most one connection counts at a time. */
export class NetworkLine {
  readonly #world: LineWorld;
  readonly #name: string;
  readonly #accept: () => { readonly life: Life; take(transport: Transport): void } | null;
  #connections: Connection[] = [];
  #isCut = false;

  constructor(
    world: LineWorld,
    facts: {
      readonly name: string;
      /** The living switch, or null. */
      readonly accept: () => { readonly life: Life; take(transport: Transport): void } | null;
    },
  ) {
    this.#world = world;
    this.#name = facts.name;
    this.#accept = facts.accept;
  }

  /** A member connects. @throws Error when the switch does not listen or the way is cut. */
  async connect(member: Life): Promise<Transport> {
    await this.#world.clock.sleep(CONNECT_MS);
    const host = this.#accept();
    if (!host || this.#isCut) throw new Error('connection refused');
    const connection: Connection = {
      member,
      host: host.life,
      isSilent: false,
      ends: memoryLink((bytes, deliver) => this.#carry(connection, bytes, deliver)),
    };
    this.#connections.push(connection);
    const [left, right] = connection.ends;
    member.onEnd(() => this.#onKill(connection));
    host.life.onEnd(() => this.#onKill(connection));
    host.take(boundTransport(host.life, right));
    return boundTransport(member, left);
  }

  /** Breaks what is connected and refuses new connections for a while. */
  cut(durationMs: number): void {
    const { clock, history, counts } = this.#world;
    counts.add('cut');
    history.add('world', 'cut', { line: this.#name, durationMs });
    this.#isCut = true;
    this.#closeAll();
    clock.startTimer(durationMs, () => {
      this.#isCut = false;
    });
  }

  /** Ends a cut before its time. */
  heal(): void {
    this.#isCut = false;
  }

  #closeAll(): void {
    const open = this.#connections;
    this.#connections = [];
    for (const { ends } of open) for (const end of ends) end.close();
  }

  /** A killed process: mostly its system closes its connections, sometimes the machine is gone. */
  #onKill(connection: Connection): void {
    if (!this.#connections.includes(connection)) return;
    this.#connections = this.#connections.filter((other) => other !== connection);
    const { clock, random } = this.#world;
    if (random.chance(0.2)) {
      connection.isSilent = true;
      return;
    }
    clock.startTimer(random.between(0, 30), () => {
      for (const end of connection.ends) end.close();
    });
  }

  #carry(connection: Connection, bytes: Uint8Array, deliver: (chunk: Uint8Array) => void): void {
    const { clock, random, counts, weather } = this.#world;
    if (connection.isSilent) return;
    const message = decodeMessage(CUPS_DIALECT, bytes.subarray(FRAME_LENGTH_BYTES));
    const arrive = (): void => {
      if (!connection.isSilent) deliver(bytes);
    };
    if (random.chance(weather().loss)) {
      counts.add('loss');
      this.#note(message, 'lost');
      return;
    }
    // Sign-on and key exchange live inside one TCP connection, which repeats and reorders nothing.
    if (message.mti.startsWith('08')) {
      clock.startTimer(random.between(...FAST_MS), arrive);
      return;
    }
    const delayMs = this.#delayMs();
    this.#note(message, `${delayMs}ms`);
    const first = this.#bent(message, bytes);
    clock.startTimer(delayMs, () => {
      if (!connection.isSilent) deliver(first);
    });
    if (!random.chance(weather().duplicate)) return;
    counts.add('duplicate');
    const againMs = delayMs + random.between(0, 2_000);
    this.#note(message, `again ${againMs}ms`);
    clock.startTimer(againMs, arrive);
  }

  /** The message with one bit turned, in weather that does so. */
  #bent(message: DecodedMessage, bytes: Uint8Array): Uint8Array {
    const { random, counts, weather } = this.#world;
    if (!random.chance(weather().bent)) return bytes;
    const [part, distance] = random.chance(0.5) ? BENT_MAC : BENT_BODY;
    counts.add(`bent ${part}`);
    this.#note(message, `bent ${part}`);
    const at = bytes.length - distance;
    return bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
  }

  #delayMs(): number {
    const { random, counts, weather } = this.#world;
    const { slow, late } = weather();
    if (random.chance(late)) {
      counts.add('late');
      return random.between(...LATE_MS);
    }
    if (random.chance(slow)) {
      counts.add('slow');
      return random.between(...SLOW_MS);
    }
    return random.between(...FAST_MS);
  }

  #note(message: DecodedMessage, fate: string): void {
    const { source } = message.header;
    const facts = {
      from: source.startsWith('0001') ? 'switch' : this.#name,
      stan: textField(message, 11),
      rrn: textField(message, 37),
      code: textField(message, 39),
      fate,
    };
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    this.#world.history.add(this.#name, message.mti, Object.fromEntries(known));
  }
}

/** A transport that a dead process neither hears nor uses. */
function boundTransport(life: Life, transport: Transport): Transport {
  return {
    listen: (events) =>
      transport.listen({
        onBytes: life.guard(events.onBytes),
        onClose: life.guard(events.onClose),
      }),
    send: life.guard((bytes: Uint8Array) => transport.send(bytes)),
    close: life.guard(() => transport.close()),
  };
}
