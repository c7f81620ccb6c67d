/**
 * What a merchant does after a payment: captures, voids and refunds over a connection that breaks,
 * repeated, in parallel, and sometimes with a used key and another body. Each act is written to the
 * audit log before and after, as the HTTP routes do.
 */
import { formatAmount, TapError } from '@tapnpay/protocol/bytes';
import type { AuditLog } from '../../online/src/gateway/audit/log.ts';
import type { GatewayCore } from '../../online/src/gateway/core.ts';
import type { Order } from '../../online/src/gateway/model.ts';
import type { Operation, OperationKind } from '../../online/src/gateway/operations/model.ts';
import { Channel, type ChannelWorld } from './channel.ts';
import type { History } from './history.ts';

const TRIES_MAX = 12;
/** Refusals that may pass. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  ...['ERR_SWITCH_UNAVAILABLE', 'ERR_OPERATION_PENDING', 'ERR_CHANNEL_CLOSED', 'ERR_INTERNAL'],
]);
/** The merchant of every simulated world. */
export const SIM_MERCHANT = '898110000000001';

/** What the merchant was told of its operations. */
export type ToldOperations = {
  /** Operations by identity: one each. */
  readonly operationsOfKey: Map<string, Set<string>>;
  /** Final words on operations. */
  readonly operationEnds: { readonly operationId: string; readonly state: string }[];
  /** Another request under a used identity that was taken all the same. */
  readonly misusedKeys: string[];
};

type Wish = {
  readonly paymentId: string;
  readonly kind: OperationKind;
  readonly identity: string;
  readonly amount?: string;
};

/** The merchant's back office in one world. */
export class Clerk {
  readonly #world: ChannelWorld;
  readonly #history: History;
  readonly #told: ToldOperations;
  #identities = 0;

  constructor(world: ChannelWorld, history: History, told: ToldOperations) {
    this.#world = world;
    this.#history = history;
    this.#told = told;
  }

  /** What comes after the payment of an order, if it was paid at all. */
  async serve(orderId: string): Promise<void> {
    const { clock, random } = this.#world;
    if (random.chance(0.15)) return;
    await clock.sleep(random.between(0, 40_000));
    const order = await this.#order(orderId);
    if (!order || order.paymentId === null) return;
    const { paymentId } = order;
    if (order.status === 'paid') await this.#giveBack(order, paymentId);
    if (order.status !== 'authorised') return;
    if (random.chance(0.35)) {
      await this.#operate({ paymentId, kind: 'void', identity: this.#identity() });
    } else {
      await this.#capture(order, paymentId);
      await this.#giveBack(order, paymentId);
    }
  }

  async #order(orderId: string): Promise<Order | null> {
    const { clock, random } = this.#world;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        return await this.#ask((core) => core.order(orderId));
      } catch {
        await clock.sleep(random.between(500, 2_000));
      }
    }
    return null;
  }

  async #capture(order: Order, paymentId: string): Promise<void> {
    const { random } = this.#world;
    const amount = random.chance(0.5) ? this.#partOf(order) : undefined;
    await this.#operate({ paymentId, kind: 'capture', identity: this.#identity(), ...amount });
  }

  async #giveBack(order: Order, paymentId: string): Promise<void> {
    const { clock, random, counts } = this.#world;
    for (let more = random.between(1, 2); more > 0; more--) {
      await clock.sleep(random.between(0, 15_000));
      const identity = this.#identity();
      if (random.chance(0.4)) {
        await this.#operate({ paymentId, kind: 'void', identity });
      } else if (random.chance(0.3)) {
        // Both want all that is left; the second one must not get it.
        counts.add('parallel operations');
        const other = this.#identity();
        await Promise.all([
          this.#operate({ paymentId, kind: 'refund', identity }),
          this.#operate({ paymentId, kind: 'refund', identity: other }),
        ]);
      } else {
        const wish = { paymentId, kind: 'refund', identity, ...this.#partOf(order) } as const;
        const isRepeated = random.chance(0.3);
        if (isRepeated) counts.add('repeated operation');
        await Promise.all([this.#operate(wish), isRepeated && this.#operate(wish)]);
        await this.#misuse(wish);
      }
    }
  }

  /** Another request under an identity that is used: must be refused. */
  async #misuse(wish: Wish): Promise<void> {
    const { random, counts } = this.#world;
    const isUsed = this.#told.operationsOfKey.has(wish.identity);
    if (!isUsed || !random.chance(0.15)) return;
    counts.add('misused operation key');
    try {
      await this.#ask((core) => core.operate(requestOf({ ...wish, amount: '0.01' })));
      if (wish.amount !== '0.01') this.#told.misusedKeys.push(wish.identity);
    } catch (fault) {
      this.#history.add('merchant', 'operationKeyRefused', { code: codeOf(fault) });
    }
  }

  /** Asks again and again, until the answer is heard or the wish is refused for good. */
  async #operate(wish: Wish): Promise<void> {
    const { clock, random } = this.#world;
    const { identity, kind, amount = 'all' } = wish;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        const operation = await this.#ask((core, audit) => audited(core, audit, wish));
        this.#note(identity, operation);
        const { operationId, paymentId, state } = operation;
        this.#history.add('merchant', kind, { identity, paymentId, operationId, amount, state });
        return;
      } catch (fault) {
        const code = codeOf(fault);
        this.#history.add('merchant', `${kind}Failed`, { identity, amount, code });
        const isPassing = !(fault instanceof TapError) || PASSING_CODES.has(code);
        if (!isPassing) return;
        await clock.sleep(random.between(500, 8_000));
      }
    }
  }

  #note(identity: string, { operationId, state }: Operation): void {
    const { operationsOfKey, operationEnds } = this.#told;
    const known = operationsOfKey.get(identity) ?? new Set<string>();
    operationsOfKey.set(identity, known.add(operationId));
    if (['succeeded', 'failed', 'reversed'].includes(state)) {
      operationEnds.push({ operationId, state });
    }
  }

  async #ask<Answer>(
    work: (core: GatewayCore, audit: AuditLog) => Promise<Answer>,
  ): Promise<Answer> {
    const channel = new Channel(this.#world);
    const answer = await channel.ask(work);
    channel.close();
    return answer;
  }

  #identity(): string {
    return `operation-${++this.#identities}`;
  }

  #partOf({ amountMinor, currency }: Order): { readonly amount: string } {
    const part = BigInt(this.#world.random.between(1, Number(amountMinor)));
    return { amount: formatAmount(part, currency) };
  }
}

/** The act between its two records. */
async function audited(core: GatewayCore, audit: AuditLog, wish: Wish): Promise<Operation> {
  const { paymentId: subject, kind, identity } = wish;
  const note = (facts: Readonly<Record<string, unknown>>): Promise<unknown> => {
    const atMs = core.ports.clock.nowMs();
    const entry = { atMs, actor: SIM_MERCHANT, action: `payment.${kind}`, subject };
    return audit.append({ ...entry, facts });
  };
  await note({ asked: identity });
  const { operation } = await core.operate(requestOf(wish));
  await note({ state: operation.state });
  return operation;
}

function requestOf(wish: Wish): Parameters<GatewayCore['operate']>[0] {
  const { amount, kind, paymentId } = wish;
  return { ...wish, merchantId: SIM_MERCHANT, fingerprint: `${kind} ${paymentId} ${amount}` };
}

function codeOf(fault: unknown): string {
  return fault instanceof TapError ? fault.code : String(fault);
}
