/**
 * Shows that gateway, switch and issuer agree about holds, captures, voids and refunds in calm
 * weather, each step by name; `sim.test.ts` has the storms.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { GatewayCore } from '../../online/src/gateway/core.ts';
import { LEDGER_PAYER_CLEARING } from '../../online/src/gateway/model.ts';
import type { Operation, OperationKind } from '../../online/src/gateway/operations/model.ts';
import { readBooks } from './books.ts';
import { NO_BUG } from './bug.ts';
import { CALM, FaultCounts } from './faults.ts';
import { History } from './history.ts';
import { Parties } from './parties.ts';
import { Payer } from './payer.ts';
import { SeededRandom, VirtualClock } from './seeded.ts';
import { prepareSystem, type SimSystem } from './system.ts';

const NO_FAULTS = {
  ...{ wrongPin: false, bentArqc: false, bentArpc: false },
  ...{ pulled: false, completionLost: false, sentTwice: false, replayed: false },
};
const MERCHANT = '898110000000001';
let system: SimSystem;

before(async () => {
  system = await prepareSystem();
});

/** A world whose weather the test makes. */
class World {
  readonly clock = new VirtualClock();
  readonly counts = new FaultCounts();
  readonly parties: Parties;
  readonly payers: readonly Payer[];
  readonly random: SeededRandom;
  #key = 0;

  constructor(seed: number) {
    const { clock, counts } = this;
    this.random = new SeededRandom(seed);
    const { random } = this;
    const history = new History(clock);
    const base = { clock, random, history, counts, weather: () => CALM };
    const skewMs = { gateway: 0, switch: 0, issuer: 0 };
    const calendar = { beforeCutOffMs: null, skewMs };
    const notify = async (): Promise<number> => 200;
    this.parties = new Parties({ ...base, system, bug: NO_BUG, calendar, notify });
    const channels = { ...base, gateway: () => this.parties.gateway };
    this.payers = system.payers.map((facts) => new Payer(channels, history, facts));
  }

  async start(): Promise<this> {
    await this.parties.start();
    await this.clock.run(60_000, () => this.parties.isReady);
    return this;
  }

  /** The result of work that needs simulated time; null when it threw or its process died. */
  async inTime<T>(work: (core: GatewayCore) => Promise<T>): Promise<T | null> {
    const core = this.parties.gateway?.core;
    if (!core) {
      await this.clock.run(1_000);
      return null;
    }
    let end: { readonly value: T | null } | undefined;
    void work(core).then(
      (value) => {
        end = { value };
      },
      () => {
        end = { value: null };
      },
    );
    await this.clock.run(90_000, () => end !== undefined);
    return end?.value ?? null;
  }

  /** A paid or held order in calm weather. */
  async paid(captureMode: 'automatic' | 'manual', by: 'contact' | 'contactless'): Promise<string> {
    const made = await this.inTime((core) =>
      core.createOrder(`order-${++this.#key}`, {
        merchantOrderNumber: `N${this.#key}`,
        amount: '12.00',
        currency: '156',
        origin: 'https://shop.example',
        captureMode,
      }),
    );
    const orderId = made?.order.orderId ?? '';
    const payer = this.payers[this.random.between(0, 2)];
    const wanted = captureMode === 'manual' ? 'authorised' : 'paid';
    const { gatewayStore } = this.parties;
    let order = await gatewayStore.findOrder(orderId);
    // What the storm left behind may still cost a tap or two.
    for (let taps = 0; taps < 5 && order?.status !== wanted; taps++) {
      await this.inTime(async () => payer?.tap(orderId, by, NO_FAULTS));
      order = await gatewayStore.findOrder(orderId);
      if (order?.status !== wanted) await this.clock.run(60_000);
    }
    assert.equal(order?.status, wanted);
    return order?.paymentId ?? '';
  }

  /** An operation as a merchant asks for it: again and again, until it hears of it. */
  async operate(
    kind: OperationKind,
    paymentId: string,
    amount?: string,
  ): Promise<Operation | null> {
    const identity = `operation-${++this.#key}`;
    const request = { merchantId: MERCHANT, paymentId, kind, identity, fingerprint: identity };
    for (let tries = 0; tries < 5; tries++) {
      const done = await this.inTime((core) =>
        core.operate({ ...request, ...(amount !== undefined && { amount }) }),
      );
      if (done) return done.operation;
    }
    return null;
  }

  /** Everything at rest and one truth in three books; what the payers paid in all. */
  async agreedMinor(paymentIds: readonly string[]): Promise<bigint> {
    await this.clock.run(30 * 60_000);
    const { gatewayStore } = this.parties;
    for (const paymentId of paymentIds) {
      const whole = await gatewayStore.findPaymentWhole(paymentId);
      for (const { kind, state, reason } of whole?.operations ?? []) {
        assert.ok(
          ['succeeded', 'failed', 'reversed'].includes(state),
          `${kind} ${state} ${reason}`,
        );
      }
    }
    const acquirer = { acquirer: '49990000001', terminal: 'TAP00001' };
    const books = await readBooks(this.parties, [], acquirer);
    for (const { stan, settledAtMs } of books.advices) assert.ok(settledAtMs !== null, stan);
    for (const { stan, state } of books.transactions) {
      assert.ok(state === 'answered' || state === 'reversed', `${stan} ${state} at the switch`);
    }
    const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((a, b) => a + b, 0n);
    const gateway = sum(
      books.entries
        .filter(({ account, phase }) => account === LEDGER_PAYER_CLEARING && phase === 'posted')
        .map(({ amountMinor }) => amountMinor),
    );
    const issuer = sum(
      books.issuer.transactions
        .flatMap(({ postings }) => postings)
        .filter(({ accountId }) => accountId.startsWith('clearing-'))
        .map(({ amountMinor }) => amountMinor),
    );
    assert.equal(gateway, issuer, 'gateway and issuer');
    return gateway;
  }
}

test('in calm weather: sale, hold, capture in part, void and refunds, each in all three books', async () => {
  const world = await new World(1).start();
  const sale = await world.paid('automatic', 'contact');
  const voided = await world.paid('automatic', 'contactless');
  const held = await world.paid('manual', 'contact');
  const released = await world.paid('manual', 'contactless');
  const unmade = await world.paid('manual', 'contact');
  for (const [kind, paymentId, amount] of [
    ['refund', sale, '2.00'],
    ['refund', sale, '3.00'],
    ['void', voided],
    ['capture', held, '8.00'],
    ['refund', held, '1.50'],
    ['void', released],
    ['capture', unmade],
    ['void', unmade],
  ] as const) {
    // A void cannot follow a capture that the switch still has to tell the issuer.
    await world.clock.run(10_000);
    const operation = await world.operate(kind, paymentId, amount);
    assert.deepEqual([operation?.state, operation?.responseCode], ['succeeded', '00'], kind);
  }
  const all = [sale, voided, held, released, unmade];
  assert.equal(await world.agreedMinor(all), 700n + 650n);
});
