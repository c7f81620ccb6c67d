/** Shows that a payment as a promise ends in the state that is true, once, and never rejects. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PayOrderView } from '@tapnpay/protocol/wire';
import { GatewayFault } from './gateway.ts';
import type { PaymentPorts, PaymentState } from './model.ts';
import { payOrder, statusOf } from './pay-order.ts';
import { elementResult, NETWORK, ORDER_ID, orderView, paymentView } from './payment.test-kit.ts';
import { AGENT_URL, HELLO, PAGE_ORIGIN, TestWay } from './plugin.test-kit.ts';

const PAID = orderView({ agentUrl: AGENT_URL, status: 'paid', payment: paymentView() });
const DECLINED = orderView({
  agentUrl: AGENT_URL,
  payment: paymentView({ outcome: 'declined', responseCode: '51', reason: 'issuer:51' }),
});

class Shop {
  readonly way: TestWay = new TestWay();
  order: PayOrderView | Error = orderView({ agentUrl: AGENT_URL });
  fault: string | null = null;
  sealed: { readonly before: string | null } | null = null;
  readonly names: string[] = [];
  end: PaymentState | null = null;
  readonly stop: AbortController = new AbortController();

  async pay(): Promise<this> {
    const ports: PaymentPorts = {
      gateway: {
        order: async () => {
          if (this.order instanceof Error) throw this.order;
          return this.order;
        },
        cancel: async () => assert.fail('the order is never cancelled'),
        openChannel: () => ({ send: () => {}, close: () => {} }),
      },
      nowMs: () => this.way.clock.nowMs,
      after: (ms, call) => this.way.clock.after(ms, call),
      newSession: () => 'session-1',
      fault: this.fault,
      readSealed: () => this.sealed,
      keepSealed: (_orderId, sealed) => {
        this.sealed = sealed;
      },
    };
    const { signal } = this.stop;
    const on = ({ name }: PaymentState): void => {
      if (this.names.at(-1) !== name) this.names.push(name);
    };
    void payOrder({
      orderId: ORDER_ID,
      gatewayUrl: PAGE_ORIGIN,
      transport: this.way.transport,
      ports,
      on,
      signal,
    }).then((end) => {
      assert.equal(this.end, null, 'once');
      this.end = end;
    });
    await this.pass(0);
    return this;
  }
  pass(ms: number): Promise<void> {
    return this.way.pass(ms);
  }
  result(change: Parameters<typeof elementResult>[0]): Promise<void> {
    const result = elementResult(change);
    const message = { type: 'result', session: 'session-1', result } as const;
    this.way.extension.say({ kind: 'message', message });
    return this.pass(0);
  }
  get ended(): readonly (string | null)[] | null {
    return this.end && [this.end.name, this.end.error?.code ?? null, this.end.charged];
  }
  get asked(): number {
    return this.way.extension.told.filter(({ type }) => type === 'pay').length;
  }
}

describe('paying', () => {
  test('starts at once, tells each state, and ends approved by the word of the gateway', async () => {
    const shop = await new Shop().pay();
    assert.equal(shop.asked, 1);
    assert.equal(shop.end, null);
    shop.order = PAID;
    await shop.result({});
    assert.deepEqual(shop.ended, ['APPROVED', null, 'yes']);
    assert.equal(shop.names[0], 'CHECKING');
    assert.equal(shop.names.at(-1), 'APPROVED');
    assert.equal(shop.way.extension.hosts, 0);
  });

  test('declined is an end; another call is another try', async () => {
    const shop = await new Shop().pay();
    shop.order = DECLINED;
    await shop.result({ outcome: 'declined', charged: 'no', reason: 'issuer:51' });
    assert.deepEqual(shop.ended, ['DECLINED', 'TP_BALANCE_LOW', 'no']);
    const again = new Shop();
    again.order = DECLINED;
    await again.pay();
    assert.equal(again.asked, 1);
  });

  for (const [name, order, ended] of [
    ['paid already', PAID, ['APPROVED', null, 'yes']],
    ['cancelled', orderView({ status: 'cancelled' }), ['CANCELLED', 'TP_ORDER_CANCELLED', 'no']],
    ['expired', orderView({ status: 'expired' }), ['CANCELLED', 'TP_ORDER_EXPIRED', 'no']],
    [
      'not known',
      new GatewayFault('ERR_ORDER_NOT_FOUND', 'none'),
      ['INTERRUPTED', 'TP_BAD_ARGUMENT', 'no'],
    ],
  ] as const) {
    test(`an order that is ${name} asks for nothing`, async () => {
      const shop = new Shop();
      shop.order = order;
      await shop.pay();
      assert.deepEqual(shop.ended, ended);
      assert.equal(shop.asked, 0);
    });
  }

  for (const [fault, code] of [
    ['ERR_FRAME_NOT_ALLOWED', 'TP_FRAME_NOT_ALLOWED'],
    ['ERR_CONTEXT_INSECURE', 'TP_CONTEXT_INSECURE'],
  ] as const) {
    test(`${code} resolves`, async () => {
      const shop = new Shop();
      shop.fault = fault;
      await shop.pay();
      assert.deepEqual(shop.ended, ['INTERRUPTED', code, 'unknown']);
    });
  }

  test('a gateway that is away is waited for, then paid', async () => {
    const shop = new Shop();
    shop.order = NETWORK;
    await shop.pay();
    assert.equal(shop.end, null);
    shop.order = orderView({ agentUrl: AGENT_URL });
    await shop.pass(1_000);
    assert.equal(shop.asked, 1);
  });

  test('what is missing is waited for, and paid by itself when it comes', async () => {
    const shop = new Shop();
    shop.way.extension.version = null;
    await shop.pay();
    await shop.pass(3_000);
    assert.equal(shop.names.at(-1), 'NEED_EXTENSION');
    assert.equal(shop.end, null);
    shop.way.extension.arrive('0.1.0');
    await shop.pass(0);
    assert.equal(shop.asked, 1);
  });

  test('nobody knows: it waits for the gateway’s word', async () => {
    const shop = await new Shop().pay();
    shop.order = orderView({ agentUrl: AGENT_URL, status: 'processing' });
    await shop.result({ outcome: 'unknown', charged: 'unknown' });
    assert.equal(shop.names.at(-1), 'UNKNOWN');
    assert.equal(shop.end, null);
    shop.order = PAID;
    await shop.pass(8_000);
    assert.deepEqual(shop.ended, ['APPROVED', null, 'yes']);
  });

  test('after a reload under a sealed payment nothing is paid again by itself', async () => {
    const shop = new Shop();
    shop.sealed = { before: null };
    await shop.pay();
    assert.equal(shop.names.at(-1), 'UNKNOWN');
    await shop.pass(60_000);
    assert.deepEqual(shop.ended, ['READY', null, 'no']);
    assert.equal(shop.asked, 0);
  });
});

describe('breaking it off', () => {
  test('cancels the running payment, and leaves the order open', async () => {
    const shop = await new Shop().pay();
    shop.stop.abort();
    await shop.pass(2_000);
    assert.deepEqual(shop.ended, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
  });

  test('after the seal nothing is broken off', async () => {
    const shop = await new Shop().pay();
    const state = { name: 'authorising', interface: 'contact' } as const;
    const message = { type: 'state', session: 'session-1', state } as const;
    shop.way.extension.say({ kind: 'message', message });
    shop.stop.abort();
    await shop.pass(5_000);
    assert.equal(shop.end, null);
    shop.order = PAID;
    await shop.result({});
    assert.deepEqual(shop.ended, ['APPROVED', null, 'yes']);
  });

  test('before the order is known it ends as unknown as it is', async () => {
    const shop = new Shop();
    shop.order = NETWORK;
    await shop.pay();
    shop.stop.abort();
    await shop.pass(0);
    assert.deepEqual(shop.ended, ['CHECKING', 'TP_NETWORK', 'unknown']);
  });

  test('before it began nothing begins', async () => {
    const shop = new Shop();
    shop.stop.abort();
    await shop.pay();
    assert.deepEqual(shop.ended, ['READY', null, 'no']);
    assert.equal(shop.asked, 0);
  });
});

describe('status', () => {
  test('of a way that is whole', async () => {
    const way = new TestWay();
    const status = await statusOf(PAGE_ORIGIN, AGENT_URL, way.transport);
    const { extension, host, element, readers, problem, versions } = status;
    assert.deepEqual([extension, host?.version, problem], ['0.1.0', '0.1.0', null]);
    assert.deepEqual([element, readers], [HELLO.element, HELLO.readers]);
    assert.equal(versions?.host.latest, '0.1.0');
    await way.pass(0);
    assert.equal(way.extension.hosts, 0, 'it leaves nothing behind');
  });

  test('of one that is not: each part apart, and the first that is missing', async () => {
    const way = new TestWay();
    way.extension.host = ['ERR_HOST_MISSING', 'not found'];
    const status = await statusOf(PAGE_ORIGIN, AGENT_URL, way.transport);
    assert.deepEqual([status.way, status.extension, status.host], ['extension', '0.1.0', null]);
    assert.deepEqual(
      [status.problem?.code, status.problem?.detail, status.problem?.charged],
      ['TP_HOST_MISSING', 'not found', 'no'],
    );
    await way.pass(5_000);
    assert.equal(way.extension.opened, 1, 'looked at once');
  });
});
