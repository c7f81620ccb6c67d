/**
 * Shows every state of a page that waits for the way to its agent, the order kept: the payment over
 * the real choice of the way, with an extension, hosts and gateways that come and go.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentState } from '@tapnpay/protocol/wire';
import type { PaymentCode } from './errors.ts';
import { type ChannelListener, GatewayFault } from './gateway.ts';
import type { Payment, PaymentState } from './model.ts';
import { ORDER_ID, orderView, paymentView } from './payment.test-kit.ts';
import { createPayment } from './payment.ts';
import { AGENT_URL, CHROMIUM, HELLO, PAGE_ORIGIN, TestWay, VERSIONS } from './plugin.test-kit.ts';
import type { StateName } from './states.ts';

class Page {
  readonly way: TestWay = new TestWay();
  order: ReturnType<typeof orderView> = orderView({ agentUrl: AGENT_URL });
  readonly states: PaymentState[] = [];
  sealed: { readonly before: string | null } | null = null;
  channel: ChannelListener | null = null;
  #payment: Payment | null = null;

  async open(): Promise<this> {
    this.#payment = createPayment({
      orderId: ORDER_ID,
      gatewayUrl: PAGE_ORIGIN,
      transport: this.way.transport,
      on: (state) => this.states.push(state),
      ports: {
        gateway: {
          order: async () => this.order,
          cancel: async () => {
            throw new GatewayFault('ERR_ORDER_PAID', 'no');
          },
          openChannel: (listener) => {
            this.channel = listener;
            return { send: () => {}, close: () => {} };
          },
        },
        nowMs: () => this.way.clock.nowMs,
        after: (ms, call) => this.way.clock.after(ms, call),
        newSession: () => 'session-1',
        fault: null,
        readSealed: () => null,
        keepSealed: (_orderId, sealed) => {
          this.sealed = sealed;
        },
      },
    });
    await this.pass(0);
    return this;
  }
  get payment(): Payment {
    assert.ok(this.#payment);
    return this.#payment;
  }
  pass(ms: number): Promise<void> {
    return this.way.pass(ms);
  }
  get told(): readonly [StateName, PaymentCode | null, string] {
    const { name, error, charged } = this.payment.state;
    return [name, error?.code ?? null, charged];
  }
  agent(state: AgentState): void {
    this.way.extension.say({
      kind: 'message',
      message: { type: 'state', session: 'session-1', state },
    });
  }
}

type Fault = {
  readonly name: string;
  readonly told: readonly [StateName, PaymentCode];
  readonly broken: (way: TestWay) => void;
  readonly mended: (way: TestWay) => void;
};

const FAULTS: readonly Fault[] = [
  {
    name: 'no extension',
    told: ['NEED_EXTENSION', 'TP_EXTENSION_MISSING'],
    broken: ({ extension }) => {
      extension.version = null;
    },
    mended: ({ extension }) => extension.arrive('0.1.0'),
  },
  {
    name: 'no extension, and a loopback service that comes',
    told: ['NEED_EXTENSION', 'TP_EXTENSION_MISSING'],
    broken: ({ extension }) => {
      extension.version = null;
    },
    mended: ({ loopback }) => {
      loopback.isThere = true;
    },
  },
  {
    name: 'no host',
    told: ['NEED_HOST', 'TP_HOST_MISSING'],
    broken: ({ extension }) => {
      extension.host = ['ERR_HOST_MISSING', 'Specified native messaging host not found.'];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a host that does not know the extension',
    told: ['NEED_HOST', 'TP_HOST_FORBIDDEN'],
    broken: ({ extension }) => {
      extension.host = ['ERR_HOST_FORBIDDEN', ''];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a host that ends at once',
    told: ['NEED_HOST', 'TP_HOST_EXITED'],
    broken: ({ extension }) => {
      extension.host = ['ERR_HOST_EXITED', ''];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a host that pollutes its output',
    told: ['NEED_HOST', 'TP_HOST_PROTOCOL'],
    broken: ({ extension }) => {
      extension.host = ['ERR_HOST_PROTOCOL', ''];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a host that says nothing',
    told: ['NEED_HOST', 'TP_HOST_TIMEOUT'],
    broken: ({ extension }) => {
      extension.host = null;
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a host of older frames',
    told: ['NEED_UPDATE', 'TP_HOST_OUTDATED'],
    broken: ({ extension }) => {
      extension.host = ['ERR_HOST_OUTDATED', ''];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'an extension that is too old',
    told: ['NEED_UPDATE', 'TP_EXTENSION_OUTDATED'],
    broken: (way) => {
      const { extension } = VERSIONS;
      way.versions = { ...VERSIONS, extension: { ...extension, required: '0.2.0' } };
    },
    mended: ({ extension }) => extension.arrive('0.2.0'),
  },
  {
    name: 'a host that is too old',
    told: ['NEED_UPDATE', 'TP_HOST_OUTDATED'],
    broken: (way) => {
      way.versions = { ...VERSIONS, host: { latest: '0.2.0', required: '0.2.0' } };
    },
    mended: ({ extension }) => {
      extension.host = { ...HELLO, version: '0.2.0' };
    },
  },
  {
    name: 'a version that is none',
    told: ['NEED_UPDATE', 'TP_VERSION_INVALID'],
    broken: ({ extension }) => {
      extension.version = 'newest';
    },
    mended: ({ extension }) => extension.arrive('0.1.0'),
  },
  {
    name: 'an extension that was updated under the page',
    told: ['NEED_EXTENSION', 'TP_EXTENSION_RELOADED'],
    broken: ({ extension }) => {
      extension.isReloaded = true;
    },
    mended: ({ extension }) => extension.arrive('0.2.0'),
  },
  {
    name: 'a browser that the extension does not work in',
    told: ['BROWSER_UNSUPPORTED', 'TP_BROWSER_UNSUPPORTED'],
    broken: (way) => {
      way.userAgent = CHROMIUM.replace('Chrome/150', 'Chrome/100');
      way.extension.version = null;
    },
    mended: ({ loopback }) => {
      loopback.isThere = true;
    },
  },
  {
    name: 'a browser that is shut off',
    told: ['BROWSER_UNSUPPORTED', 'TP_BROWSER_SANDBOXED'],
    broken: (way) => {
      way.userAgent = `${CHROMIUM} snap`;
      way.extension.host = ['ERR_HOST_MISSING', ''];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a locked application',
    told: ['APP_NOT_READY', 'TP_APP_LOCKED'],
    broken: ({ extension }) => {
      extension.host = { ...HELLO, element: { id: 'E1', state: 'locked' } };
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'no reader',
    told: ['NO_READER', 'TP_NO_READER'],
    broken: ({ extension }) => {
      extension.host = { ...HELLO, readers: [] };
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
  {
    name: 'a host of another gateway',
    told: ['NEED_HOST', 'TP_ORIGIN_NOT_ALLOWED'],
    broken: ({ extension }) => {
      extension.host = ['ERR_ORIGIN', 'not served'];
    },
    mended: ({ extension }) => {
      extension.host = HELLO;
    },
  },
];

/** Long enough for every wait of a look. */
const PATIENCE_MS = 7_000;

describe('something is missing before the click', () => {
  for (const { name, told, broken, mended } of FAULTS) {
    test(`${name}: ${told.join(' ')}, then READY by itself, the order kept`, async () => {
      const page = new Page();
      broken(page.way);
      await page.open();
      await page.pass(PATIENCE_MS);
      assert.deepEqual(page.told, [...told, 'no']);
      assert.equal(page.payment.state.canStart, false, 'nothing starts');
      assert.equal(page.payment.state.canCancel, true, 'the order can be cancelled');
      assert.equal(page.payment.state.order?.orderId, ORDER_ID);
      mended(page.way);
      await page.pass(PATIENCE_MS);
      assert.deepEqual(page.told, ['READY', null, 'no']);
      assert.equal(page.payment.state.canStart, true);
    });
  }
});

describe('something is missing after the click', () => {
  for (const { name, told, broken, mended } of FAULTS) {
    test(`${name}: ${told.join(' ')}, then on to the payment without a click`, async () => {
      const page = new Page();
      await page.open();
      broken(page.way);
      page.way.transport.close();
      page.payment.start();
      await page.pass(PATIENCE_MS);
      assert.deepEqual(page.told, [...told, 'no']);
      assert.equal(page.payment.state.isRunning, true);
      assert.equal(page.payment.state.canCancel, true);
      mended(page.way);
      // A host that says nothing is waited for to the end of its time.
      await page.pass(told[1] === 'TP_HOST_TIMEOUT' ? 5_500 : 2_500);
      if (page.way.loopback.isThere) {
        assert.equal(page.way.loopback.opened, 1, 'its window is opened');
        page.way.loopback.listener({ kind: 'blocked' });
        assert.equal(page.payment.state.isBlocked, true, 'and needs a click, if blocked');
      } else {
        assert.deepEqual(page.told, ['CONNECTING', null, 'no']);
        const last = page.way.extension.told.at(-1);
        assert.deepEqual(last, { type: 'pay', session: 'session-1', orderId: ORDER_ID });
      }
      page.payment.stop();
    });

    test(`${name}: cancelled while it waits`, async () => {
      const page = new Page();
      await page.open();
      broken(page.way);
      page.way.transport.close();
      page.payment.start();
      await page.pass(PATIENCE_MS);
      page.payment.cancel();
      await page.pass(0);
      assert.deepEqual(page.told, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
      mended(page.way);
      await page.pass(PATIENCE_MS);
      assert.deepEqual(page.told, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
      assert.ok(!page.way.extension.told.some(({ type }) => type === 'pay'));
    });
  }
});

describe('the way breaks in a payment', () => {
  const authorising: AgentState = { name: 'authorising', interface: 'contact' };
  const paying = async (state: AgentState): Promise<Page> => {
    const page = await new Page().open();
    page.payment.start();
    await page.pass(0);
    page.agent(state);
    return page;
  };

  for (const [code, told] of [
    ['ERR_HOST_EXITED', ['INTERRUPTED', 'TP_HOST_EXITED', 'no']],
    ['ERR_HOST_PROTOCOL', ['INTERRUPTED', 'TP_HOST_PROTOCOL', 'no']],
    ['ERR_HOST_TIMEOUT', ['INTERRUPTED', 'TP_HOST_TIMEOUT', 'no']],
    ['ERR_WORKER_STOPPED', ['INTERRUPTED', 'TP_HOST_EXITED', 'no']],
    ['ERR_MESSAGE_TOO_LARGE', ['INTERRUPTED', 'TP_MESSAGE_TOO_LARGE', 'no']],
  ] as const) {
    test(`${code} before the seal: nothing charged, and another try is the payer's`, async () => {
      const page = await paying({ name: 'consent' });
      page.way.extension.lose(code, 'text');
      await page.pass(60_000);
      assert.deepEqual(page.told, told);
      assert.match(page.payment.state.error?.detail ?? '', new RegExp(`^${code} text$`));
      assert.equal(page.payment.state.canStart, true);
    });

    test(`${code} after the seal: unknown until the gateway's word`, async () => {
      const page = await paying(authorising);
      page.order = { ...page.order, status: 'processing' };
      page.way.extension.lose(code, 'text');
      await page.pass(5_000);
      assert.deepEqual(page.told, ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
      assert.equal(page.payment.state.canStart, false, 'never again by itself');
      page.order = { ...page.order, status: 'paid', payment: paymentView() };
      await page.pass(8_000);
      assert.deepEqual(page.told, ['APPROVED', null, 'yes']);
    });
  }

  test('the extension is reloaded before the seal: nothing charged, READY when it is back', async () => {
    const page = await paying({ name: 'consent' });
    page.way.extension.isReloaded = true;
    page.way.extension.lose('ERR_EXTENSION_RELOADED', 'Extension context invalidated.');
    await page.pass(3_000);
    assert.deepEqual(page.told, ['NEED_EXTENSION', 'TP_EXTENSION_RELOADED', 'no']);
    assert.equal(page.payment.state.error?.action, 'reload');
    page.way.extension.arrive('0.2.0');
    await page.pass(0);
    assert.deepEqual(page.told, ['READY', null, 'no']);
  });

  test('it is reloaded after the seal: unknown, and the gateway is asked', async () => {
    const page = await paying(authorising);
    page.order = { ...page.order, status: 'processing' };
    page.way.extension.lose('ERR_EXTENSION_RELOADED', '');
    await page.pass(3_000);
    assert.deepEqual(page.told, ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
  });

  test('an update that arrives in the payment waits for its end', async () => {
    const page = await paying({ name: 'consent' });
    page.way.versions = { ...VERSIONS, extension: { ...VERSIONS.extension, required: '0.2.0' } };
    page.way.extension.arrive('0.2.0');
    page.agent(authorising);
    await page.pass(1_000);
    assert.deepEqual(page.told, ['AUTHORISING', null, 'unknown']);
  });

  test('each end lets the host go', async () => {
    const page = await paying({ name: 'consent' });
    page.payment.cancel();
    await page.pass(2_000);
    assert.deepEqual(page.told, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
    assert.equal(page.way.extension.hosts, 0);
  });
});
