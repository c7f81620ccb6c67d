/**
 * The merchant and its customers: orders made over a connection that breaks, with repeated and
 * misused idempotency keys, and payers who try again, pay twice, or pay an order together.
 */
import { TapError } from '@tapnpay/protocol/bytes';
import type { OrderRequest } from '../../online/src/gateway/orders.ts';
import { Channel, type ChannelWorld } from './channel.ts';
import { Clerk, type ToldOperations } from './clerk.ts';
import type { History } from './history.ts';
import type { Payer, TapEnd, TapFaults } from './payer.ts';
import { Receiver } from './receiver.ts';
import type { SeededRandom } from './seeded.ts';

const TRIES_MAX = 30;

/** What clients were told; the checks hold the books to it. */
export type Told = ToldOperations & {
  /** Orders by idempotency key: one each. */
  readonly ordersOfKey: Map<string, Set<string>>;
  /** Who was told that an order is paid. */
  readonly approved: { readonly orderId: string; readonly who: string }[];
  /** Payments of which somebody was told that they charged nothing. */
  readonly denied: { readonly paymentId: string; readonly who: string }[];
  /** How each tap ended. */
  readonly ends: TapEnd[];
  /** The shop's end of the notifications. */
  readonly receiver: Receiver;
};

function isApproval(outcome: string): boolean {
  return outcome === 'approved' || outcome === 'authorised';
}

function isDenial(outcome: string): boolean {
  return outcome === 'declined' || outcome === 'reversed';
}

/** An empty record. */
export function nothingTold(): Told {
  return {
    ...{ ordersOfKey: new Map(), operationsOfKey: new Map(), operationEnds: [] },
    ...{ approved: [], denied: [], misusedKeys: [], ends: [], receiver: new Receiver() },
  };
}

/** The merchant's side of a world. */
export class Merchant {
  readonly #world: ChannelWorld;
  readonly #history: History;
  readonly #payers: readonly Payer[];
  readonly #isOver: () => boolean;
  readonly #clerk: Clerk;
  readonly told: Told = nothingTold();

  constructor(facts: {
    readonly world: ChannelWorld;
    readonly history: History;
    readonly payers: readonly Payer[];
    /** Payers start nothing new once the world heals. */
    readonly isOver: () => boolean;
  }) {
    this.#world = facts.world;
    this.#history = facts.history;
    this.#payers = facts.payers;
    this.#isOver = facts.isOver;
    this.#clerk = new Clerk(facts.world, facts.history, this.told);
  }

  /** A notification; the merchant bears duplicates. */
  async notified(body: string): Promise<number> {
    const { orderId, paymentId, outcome } = this.told.receiver.take(body);
    const who = 'the merchant (notification)';
    if (isApproval(outcome)) this.told.approved.push({ orderId, who });
    if (isDenial(outcome)) this.told.denied.push({ paymentId, who });
    return 200;
  }

  /** One order from its making to its payment. */
  async serve(number: number): Promise<void> {
    const { random } = this.#world;
    const request: OrderRequest = {
      merchantOrderNumber: `order ${number}`,
      amount: drawAmount(random),
      currency: '156',
      origin: 'https://shop.example',
      ...(random.chance(0.85) && { notifyUrl: 'https://shop.example/paid' }),
      ...(random.chance(0.3) && { captureMode: 'manual' }),
    };
    const key = `key-${number}`;
    const orderId = await this.#order(key, request);
    if (orderId === null) return;
    await Promise.all([this.#pay(orderId), this.#misuse(key, request), this.#cancel(orderId)]);
    await this.#clerk.serve(orderId);
    await this.#ask(orderId);
  }

  /** The order of a key, asked for until it is heard; sometimes several times at once. */
  async #order(key: string, request: OrderRequest): Promise<string | null> {
    const { clock, random } = this.#world;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const copies = random.chance(0.2) ? 3 : 1;
      const answers = await Promise.all(
        Array.from({ length: copies }, () => this.#createOrder(key, request)),
      );
      const orderId = answers.find((answer) => answer !== null);
      if (orderId) return orderId;
      await clock.sleep(random.between(500, 2_000));
    }
    return null;
  }

  async #createOrder(key: string, request: OrderRequest): Promise<string | null> {
    try {
      const channel = new Channel(this.#world);
      const { order } = await channel.ask((core) => core.createOrder(key, request));
      channel.close();
      this.#history.add('merchant', 'order', {
        orderId: order.orderId,
        amount: request.amount,
        key,
      });
      const orders = this.told.ordersOfKey.get(key) ?? new Set();
      this.told.ordersOfKey.set(key, orders.add(order.orderId));
      return order.orderId;
    } catch (fault) {
      if (fault instanceof TapError && fault.code === 'ERR_IDEMPOTENCY_MISMATCH') throw fault;
      return null;
    }
  }

  /** Another body under a key whose order is known: must be refused. */
  async #misuse(key: string, request: OrderRequest): Promise<void> {
    const { clock, random } = this.#world;
    if (!random.chance(0.15)) return;
    await clock.sleep(random.between(0, 10_000));
    this.#world.counts.add('misused key');
    try {
      const channel = new Channel(this.#world);
      const other = { ...request, amount: '99.99' };
      await channel.ask((core) => core.createOrder(key, other));
      channel.close();
      this.told.misusedKeys.push(key);
    } catch (fault) {
      this.#history.add('merchant', 'keyRefused', { key, code: codeOf(fault) });
    }
  }

  /** Cancels at a moment that may be the wrong one. */
  async #cancel(orderId: string): Promise<void> {
    const { clock, random, counts } = this.#world;
    if (!random.chance(0.1)) return;
    await clock.sleep(random.between(0, 40_000));
    counts.add('cancel');
    try {
      const channel = new Channel(this.#world);
      const { status } = await channel.ask((core) => core.cancelOrder(orderId));
      channel.close();
      this.#history.add('merchant', 'cancel', { orderId, status });
    } catch (fault) {
      this.#history.add('merchant', 'cancelFailed', { orderId, code: codeOf(fault) });
    }
  }

  /** Taps until the order is paid, patience ends, or the world is over. */
  async #pay(orderId: string): Promise<void> {
    const { clock, random } = this.#world;
    const taps: Promise<void>[] = [];
    if (random.chance(0.15)) {
      this.#world.counts.add('two payers');
      taps.push(this.#tap(orderId).then(() => undefined));
    }
    for (let tries = random.between(1, 5); tries > 0 && !this.#isOver(); tries--) {
      const { outcome } = await this.#tap(orderId);
      if (outcome === 'approved' && !random.chance(0.2)) break;
      if (outcome === 'approved') this.#world.counts.add('pays again');
      await clock.sleep(random.between(100, 15_000));
    }
    await Promise.all(taps);
  }

  async #tap(orderId: string): Promise<TapEnd> {
    const { random } = this.#world;
    const payer = this.#payers[random.between(0, this.#payers.length - 1)];
    if (!payer) throw new Error('a world without payers');
    const presented = random.chance(0.5) ? 'contactless' : 'contact';
    const end = await payer.tap(orderId, presented, drawTapFaults(random));
    const { outcome, paymentId } = end;
    const who = `payer ${payer.name}`;
    this.told.ends.push(end);
    if (isApproval(outcome)) this.told.approved.push({ orderId, who });
    if (paymentId !== null && isDenial(outcome)) this.told.denied.push({ paymentId, who });
    return end;
  }

  /** Looks at the order, as a shop does that heard nothing. */
  async #ask(orderId: string): Promise<void> {
    try {
      const channel = new Channel(this.#world);
      const order = await channel.ask((core) => core.order(orderId));
      channel.close();
      if (['authorised', 'paid'].includes(order.status))
        this.told.approved.push({ orderId, who: 'merchant (order)' });
    } catch (fault) {
      this.#history.add('merchant', 'orderNotHeard', { orderId, code: codeOf(fault) });
    }
  }
}

/** Some amounts come up often, so that one order's card data could pay another. */
function drawAmount(random: SeededRandom): string {
  if (random.chance(0.6)) return '6.00';
  return `${random.between(0, 20)}.${String(random.between(1, 99)).padStart(2, '0')}`;
}

function drawTapFaults(random: SeededRandom): TapFaults {
  return {
    wrongPin: random.chance(0.04),
    bentArqc: random.chance(0.03),
    bentArpc: random.chance(0.05),
    pulled: random.chance(0.05),
    completionLost: random.chance(0.07),
    sentTwice: random.chance(0.08),
    replayed: random.chance(0.6),
  };
}

function codeOf(fault: unknown): string {
  return fault instanceof TapError ? fault.code : String(fault);
}
