/** A client's connection to the gateway: it may break at any message, and never tells which. */
import { TapError } from '@tapnpay/protocol/bytes';
import { Hop } from '@tapnpay/protocol/wire';
import type { AuditLog } from '../../online/src/gateway/audit/log.ts';
import type { GatewayCore } from '../../online/src/gateway/core.ts';
import type { ChannelPeer } from '../../online/src/gateway/payment/peer.ts';
import type { FaultCounts, Weather } from './faults.ts';
import type { RunningGateway } from './parties.ts';
import type { SeededRandom, VirtualClock } from './seeded.ts';
import type { SimPayer } from './system.ts';

/** How long a client waits for an answer. */
const PATIENCE_MS = 40_000;
const ONE_WAY_MS = [1, 60] as const;

/** What a channel stands on. */
export type ChannelWorld = {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly counts: FaultCounts;
  readonly weather: () => Weather;
  readonly gateway: () => RunningGateway | null;
};

/** The channel broke, or the gateway was not there: what was asked may have happened. */
export class ChannelLost extends TapError<'ERR_CHANNEL_CLOSED'> {}

/** One connection; broken for ever once it is broken. */
export class Channel {
  readonly #world: ChannelWorld;
  readonly #gateway: RunningGateway;
  #isOpen = true;
  #onClose: (() => void)[] = [];

  /** @throws ChannelLost when no gateway runs. */
  constructor(world: ChannelWorld) {
    const gateway = world.gateway();
    if (!gateway) throw lost();
    this.#world = world;
    this.#gateway = gateway;
    gateway.life.onEnd(() => this.close());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  close(): void {
    this.#isOpen = false;
    const waiting = this.#onClose;
    this.#onClose = [];
    for (const end of waiting) end();
  }

  /** The element's end of a trusted channel. */
  peer(
    payer: SimPayer,
    facts: { readonly exporter: string; readonly counterAtHello: number },
  ): ChannelPeer {
    const { elementId, initialKeyId } = payer;
    const atMs = this.#world.clock.nowMs();
    return {
      elementId,
      publicKeySpki: elementId,
      initialKeyId,
      ...facts,
      channelHop: { n: Hop.channel, name: 'channel', party: 'gateway', atMs, facts: {} },
      isOpen: () => this.#isOpen,
      signedOrders: new Map(),
      finishHops: new Map(),
      authorised: new Map(),
    };
  }

  /** Asks the gateway. @throws ChannelLost; TapError as the gateway refuses. */
  ask<Answer>(work: (core: GatewayCore, audit: AuditLog) => Promise<Answer>): Promise<Answer> {
    const { clock, random, weather, counts } = this.#world;
    const isLostBefore = random.chance(weather().channelLoss);
    const isLostAfter = !isLostBefore && random.chance(weather().channelLoss);
    if (isLostBefore || isLostAfter) counts.add('channel lost');
    return new Promise<Answer>((resolve, reject) => {
      const fail = (): void => reject(lost());
      if (!this.#isOpen) return fail();
      this.#onClose.push(fail);
      const cancelPatience = clock.startTimer(PATIENCE_MS, () => this.close());
      const hear = (deliver: () => void): void => {
        const delayMs = random.between(...ONE_WAY_MS);
        clock.startTimer(delayMs, () => {
          cancelPatience();
          if (!this.#isOpen) return;
          this.#onClose = this.#onClose.filter((other) => other !== fail);
          deliver();
        });
      };
      clock.startTimer(random.between(...ONE_WAY_MS), () => {
        if (isLostBefore) this.close();
        if (!this.#isOpen || !this.#gateway.life.isAlive) return;
        // Lost while the gateway works, or after its answer.
        if (isLostAfter) clock.startTimer(random.between(0, 3_000), () => this.close());
        work(this.#gateway.core, this.#gateway.audit).then(
          (answer) => hear(() => resolve(answer)),
          (fault: unknown) => hear(() => reject(fault)),
        );
      });
    });
  }
}

function lost(): ChannelLost {
  return new ChannelLost('ERR_CHANNEL_CLOSED', 'the channel is lost', {});
}
