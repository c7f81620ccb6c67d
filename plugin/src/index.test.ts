/** Shows the library on a shop's own page: the gateway's page in a window, its order followed. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { PayOrderView } from '@tapnpay/protocol/wire';
import { GatewayFault } from './gateway.ts';
import { type HostedPorts, payHosted } from './hosted.ts';
import { createTapAndPay } from './index.ts';
import type { Payment, PaymentState } from './model.ts';
import { NETWORK, ORDER_ID, orderView, paymentView } from './payment.test-kit.ts';
import { TestClock } from './plugin.test-kit.ts';

const SHOP = 'https://shop.greenleaf.example';
const GATEWAY = 'https://pay.example';
const PAID = orderView({ status: 'paid', payment: paymentView() });

describe('the gateway’s page in a window', () => {
  class Page {
    readonly clock: TestClock = new TestClock();
    order: PayOrderView | Error = orderView();
    looks = 0;
    blocks = false;
    readonly windows: string[] = [];
    readonly states: PaymentState[] = [];
    acts: Pick<Payment, 'show' | 'cancel'> | null = null;
    end: PaymentState | null = null;
    readonly stop: AbortController = new AbortController();

    async pay(): Promise<this> {
      const ports: HostedPorts = {
        gateway: {
          order: async () => {
            this.looks += 1;
            if (this.order instanceof Error) throw this.order;
            return this.order;
          },
        },
        openWindow: (url) => {
          this.windows.push(url);
          return this.blocks ? null : {};
        },
        after: (ms, call) => this.clock.after(ms, call),
      };
      const { signal } = this.stop;
      const on = (state: PaymentState, acts: Pick<Payment, 'show' | 'cancel'>): void => {
        this.states.push(state);
        this.acts = acts;
      };
      const asked = { orderId: ORDER_ID, gatewayUrl: GATEWAY, on, signal };
      void payHosted(asked, ports).then((end) => {
        this.end = end;
      });
      await this.clock.pass(0);
      return this;
    }
    get told(): readonly (string | null | undefined)[] {
      const state = this.end ?? this.states.at(-1);
      return [state?.name, state?.error?.code ?? null, state?.charged];
    }
  }

  test('opens inside the click, is followed every 2 s, and ends paid', async () => {
    const page = await new Page().pay();
    assert.deepEqual(page.windows, [`${GATEWAY}/pay/${ORDER_ID}`]);
    assert.deepEqual(page.told, ['AT_GATEWAY', null, 'no']);
    await page.clock.pass(4_000);
    assert.equal(page.looks, 3);
    assert.equal(page.end, null);
    page.order = PAID;
    await page.clock.pass(2_000);
    assert.deepEqual(page.told, ['APPROVED', null, 'yes']);
    await page.clock.pass(60_000);
    assert.equal(page.looks, 4);
  });

  for (const [name, order, told] of [
    ['cancelled', orderView({ status: 'cancelled' }), ['CANCELLED', 'TP_ORDER_CANCELLED', 'no']],
    ['expired', orderView({ status: 'expired' }), ['CANCELLED', 'TP_ORDER_EXPIRED', 'no']],
    [
      'not known',
      new GatewayFault('ERR_ORDER_NOT_FOUND', 'none'),
      ['INTERRUPTED', 'TP_BAD_ARGUMENT', 'no'],
    ],
  ] as const) {
    test(`an order that is ${name} ends it`, async () => {
      const page = new Page();
      page.order = order;
      await page.pay();
      assert.ok(page.end);
      assert.deepEqual(page.told, told);
    });
  }

  test('while it is processed, or the gateway is away, nobody knows', async () => {
    const page = new Page();
    page.order = orderView({ status: 'processing' });
    await page.pay();
    assert.deepEqual(page.told, ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
    page.order = NETWORK;
    await page.clock.pass(2_000);
    assert.deepEqual(page.told, ['UNKNOWN', 'TP_NETWORK', 'unknown']);
    assert.equal(page.end, null);
    page.order = orderView({
      payment: paymentView({ outcome: 'declined', responseCode: '51', reason: 'issuer:51' }),
    });
    await page.clock.pass(2_000);
    assert.deepEqual(page.told, ['AT_GATEWAY', null, 'no'], 'the payer may try another card');
  });

  test('a blocked window is told, and opens in another click', async () => {
    const page = new Page();
    page.blocks = true;
    await page.pay();
    assert.equal(page.states.at(-1)?.isBlocked, true);
    page.blocks = false;
    page.acts?.show();
    assert.equal(page.states.at(-1)?.isBlocked, false);
    assert.equal(page.windows.length, 2);
  });

  test('who does not wait for the end does not know it', async () => {
    const page = await new Page().pay();
    page.stop.abort();
    await page.clock.pass(0);
    assert.deepEqual(page.told, ['AT_GATEWAY', null, 'unknown']);
    assert.equal(page.clock.timers.size, 0);
  });

  test('an id cannot lead to another page', async () => {
    const windows: string[] = [];
    await payHosted(
      { orderId: '../x', gatewayUrl: GATEWAY },
      {
        gateway: { order: () => Promise.reject(new GatewayFault('ERR_ORDER_NOT_FOUND', '')) },
        openWindow: (url) => windows.push(url),
        after: () => () => {},
      },
    );
    assert.deepEqual(windows, [`${GATEWAY}/pay/..%2Fx`]);
  });
});

describe('createTapAndPay', () => {
  let server: Server;
  let gatewayUrl = '';
  let order = orderView();
  before(async () => {
    server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(order));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    gatewayUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    Object.assign(globalThis, { location: { origin: SHOP }, window: { open: () => ({}) } });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    order = orderView();
  });

  test('pay and load resolve with the end of the order', async () => {
    order = PAID;
    const { pay, load } = createTapAndPay({ gatewayUrl });
    for (const end of [await pay(ORDER_ID), await load({ orderId: ORDER_ID })]) {
      assert.deepEqual([end.name, end.charged, end.error], ['APPROVED', 'yes', null]);
      assert.equal(end.order?.orderId, ORDER_ID);
    }
  });

  test('a second payment while one runs is refused, and says what it may say', async () => {
    const stop = new AbortController();
    const { pay } = createTapAndPay({ gatewayUrl });
    const first = pay(ORDER_ID, { signal: stop.signal });
    const same = await pay(ORDER_ID);
    const other = await pay('other');
    assert.deepEqual([same.error?.code, same.charged], ['TP_ACTION_PENDING', 'unknown']);
    assert.deepEqual([other.error?.code, other.charged], ['TP_ACTION_PENDING', 'no']);
    stop.abort();
    await first;
    order = PAID;
    assert.equal((await pay(ORDER_ID)).name, 'APPROVED');
  });

  test('a token is for pages of the gateway only', async () => {
    const { error, charged, name, token } = await createTapAndPay({ gatewayUrl }).token();
    assert.deepEqual(
      [name, error?.code, charged, token],
      ['INTERRUPTED', 'TP_ORIGIN_NOT_ALLOWED', 'no', null],
    );
  });

  test('a balance is for pages of the gateway only', async () => {
    const { error, charged, balance } = await createTapAndPay({ gatewayUrl }).balance();
    assert.deepEqual([error?.code, charged, balance], ['TP_ORIGIN_NOT_ALLOWED', 'no', null]);
  });

  test('status on a page of another origin says that it can see nothing', async () => {
    const status = await createTapAndPay({ gatewayUrl }).status();
    assert.equal(status.problem?.code, 'TP_ORIGIN_NOT_ALLOWED');
    assert.equal(status.extension, null);
  });
});
