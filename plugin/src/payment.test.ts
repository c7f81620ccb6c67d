/** Shows every state and end of a payment on a page, and that `charged` is never wrong. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PaymentCode } from './errors.ts';
import { GatewayFault } from './gateway.ts';
import {
  NETWORK,
  ORDER_ID,
  orderView,
  POINTS,
  type PointName,
  paymentView,
  START_MS,
  TestPage,
  WAIT_CARD,
} from './payment.test-kit.ts';
import { OPEN_GRACE_MS, type StateName } from './states.ts';

type Told = readonly [state: StateName, code: PaymentCode | null, charged: string];

function told(page: TestPage): Told {
  const { name, error, charged } = page.state;
  return [name, error?.code ?? null, charged];
}
const PAID = orderView({ status: 'paid', payment: paymentView() });
const PROCESSING = orderView({ status: 'processing', payment: paymentView({ outcome: null }) });
const DECLINED = orderView({
  payment: paymentView({ outcome: 'declined', responseCode: '51', reason: 'issuer:51' }),
});
const REVERSED = orderView({
  status: 'open',
  payment: paymentView({ outcome: 'reversed', responseCode: null, reason: 'timeout' }),
});

describe('the first look at an order, and each reload', () => {
  const LOOKS: readonly (readonly [string, TestPage['order'], Told])[] = [
    ['open', orderView(), ['READY', null, 'no']],
    ['paid', PAID, ['APPROVED', null, 'yes']],
    ['processing', PROCESSING, ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']],
    ['unknown', orderView({ status: 'unknown' }), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']],
    ['cancelled', orderView({ status: 'cancelled' }), ['CANCELLED', 'TP_ORDER_CANCELLED', 'no']],
    ['expired', orderView({ status: 'expired' }), ['CANCELLED', 'TP_ORDER_EXPIRED', 'no']],
    ['declined', DECLINED, ['DECLINED', 'TP_BALANCE_LOW', 'no']],
    ['reversed', REVERSED, ['INTERRUPTED', 'TP_REVERSED', 'no']],
    [
      'refused by the card after an approval, and reversed',
      orderView({ payment: paymentView({ outcome: 'reversed', reason: 'card:AAC' }) }),
      ['DECLINED', 'TP_DECLINED_OFFLINE', 'no'],
    ],
    [
      'cancelled payment of an open order',
      orderView({ payment: paymentView({ outcome: 'cancelled' }) }),
      ['CANCELLED', 'TP_USER_CANCELLED', 'no'],
    ],
    [
      'an open order with an approved payment contradicts itself',
      orderView({ payment: paymentView() }),
      ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown'],
    ],
    ['no gateway', NETWORK, ['CHECKING', 'TP_NETWORK', 'unknown']],
    [
      'no such order',
      new GatewayFault('ERR_ORDER_NOT_FOUND', 'none'),
      ['INTERRUPTED', 'TP_BAD_ARGUMENT', 'no'],
    ],
  ];
  for (const [name, order, expected] of LOOKS) {
    test(name, async () => {
      const page = new TestPage();
      page.order = order;
      await page.open();
      assert.deepEqual(told(page), expected);
      assert.equal(page.transport.opened, 0, 'no window without a click');
    });
  }

  test('an unknown status of a newer gateway is an unknown end', async () => {
    const page = new TestPage();
    page.order = orderView({ status: 'new' as 'open' });
    await page.open();
    assert.equal(page.state.name, 'UNKNOWN');
  });

  test('polled after 1, 2, 4, 8 and 8 seconds until the word is final', async () => {
    const page = new TestPage();
    page.order = PROCESSING;
    await page.open();
    for (const [seconds, loads] of [
      [1, 2],
      [2, 3],
      [4, 4],
      [8, 5],
      [8, 6],
    ] as const) {
      await page.pass(seconds * 1000 - 1);
      assert.equal(page.loads, loads - 1);
      await page.pass(1);
      assert.equal(page.loads, loads);
    }
    page.order = PAID;
    await page.pass(8_000);
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
    await page.pass(60_000);
    assert.equal(page.loads, 7, 'the end is not asked for again');
  });

  test('unknown ends declined, or reversed, when the gateway says so', async () => {
    for (const [end, expected] of [
      [DECLINED, 'DECLINED'],
      [REVERSED, 'INTERRUPTED'],
    ] as const) {
      const page = new TestPage();
      page.order = PROCESSING;
      await page.open();
      page.order = end;
      await page.pass(1_000);
      assert.deepEqual([page.state.name, page.state.charged], [expected, 'no']);
      assert.equal(page.state.canStart, true);
    }
  });

  test('a gateway that comes back is asked again by itself', async () => {
    const page = new TestPage();
    page.order = NETWORK;
    await page.open();
    page.order = orderView();
    await page.pass(1_000);
    assert.equal(page.state.name, 'READY');
  });

  test('an order that expires on the page says so', async () => {
    const page = await new TestPage().open();
    page.order = orderView({ status: 'expired' });
    await page.pass(901_000);
    assert.deepEqual(told(page), ['CANCELLED', 'TP_ORDER_EXPIRED', 'no']);
  });

  test('a reload under a sealed payment does not believe "open" at once', async () => {
    const page = new TestPage();
    page.sealed = { before: null };
    await page.open();
    assert.deepEqual(told(page), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
    await page.pass(OPEN_GRACE_MS + 8_000);
    assert.deepEqual(told(page), ['READY', null, 'no']);
    assert.equal(page.sealed, null);
  });

  test('a reload under a sealed payment does not believe a refused question either', async () => {
    const page = new TestPage();
    page.sealed = { before: null };
    page.order = new GatewayFault('ERR_ORDER_NOT_FOUND', 'none');
    await page.open();
    assert.deepEqual(told(page), ['CHECKING', 'TP_NETWORK', 'unknown']);
    page.order = PAID;
    await page.pass(1_000);
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });

  test('in a foreign frame or an insecure page nothing is asked at all', async () => {
    for (const [fault, code] of [
      ['ERR_FRAME_NOT_ALLOWED', 'TP_FRAME_NOT_ALLOWED'],
      ['ERR_CONTEXT_INSECURE', 'TP_CONTEXT_INSECURE'],
    ] as const) {
      const page = new TestPage();
      page.fault = fault;
      await page.open();
      assert.deepEqual(told(page), ['INTERRUPTED', code, 'unknown']);
      assert.equal(page.loads, 0);
      assert.equal(page.state.canStart, false);
    }
  });
});

describe('the helper before and at the click', () => {
  test('missing before the click: named, and READY by itself when it is there', async () => {
    const page = new TestPage();
    page.transport.isThere = false;
    await page.open();
    assert.deepEqual(told(page), ['NEED_HOST', 'TP_HOST_MISSING', 'no']);
    await page.pass(3_000);
    assert.equal(page.state.name, 'NEED_HOST');
    page.transport.isThere = true;
    await page.pass(1_000);
    assert.equal(page.state.name, 'READY');
  });

  test('missing at the click: named, and goes on by itself', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    assert.equal(page.state.name, 'CONNECTING');
    await page.event({ kind: 'missing', code: 'ERR_HOST_MISSING', detail: '' });
    assert.deepEqual(told(page), ['NEED_HOST', 'TP_HOST_MISSING', 'no']);
    await page.ready();
    assert.equal(page.state.name, 'CONNECTING');
    assert.deepEqual(page.transport.sent, [
      { type: 'pay', session: 'session-1', orderId: ORDER_ID },
    ]);
  });

  test('not paired: waits for the person, then goes on by itself', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    await page.event({ kind: 'pairing' });
    assert.deepEqual(told(page), ['NEED_PAIRING', null, 'no']);
    await page.pass(60_000);
    await page.ready();
    assert.equal(page.state.name, 'CONNECTING');
  });

  test('a blocked window is told, and the page can open it again', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    await page.event({ kind: 'blocked' });
    assert.equal(page.state.isBlocked, true);
    page.payment.show();
    assert.equal(page.transport.shown, 1);
  });

  for (const [code, expected] of [
    ['ERR_VERSION', ['NEED_UPDATE', 'TP_HOST_OUTDATED', 'no']],
    ['ERR_ORIGIN', ['INTERRUPTED', 'TP_ORIGIN_NOT_ALLOWED', 'no']],
    ['ERR_AGENT_TIMEOUT', ['INTERRUPTED', 'TP_HOST_TIMEOUT', 'no']],
  ] as const) {
    test(`refused with ${code}`, async () => {
      const page = await new TestPage().open();
      page.payment.start();
      await page.event({ kind: 'lost', code, detail: '' });
      assert.deepEqual(told(page), expected);
    });
  }

  test('an application that is not installed yet is installed by its first payment', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    await page.ready(true);
    assert.deepEqual(told(page), ['APP_NOT_READY', 'TP_APP_NOT_INSTALLED', 'no']);
    assert.equal(page.transport.sent.at(-1)?.type, 'pay');
    await page.agent({ name: 'connecting' });
    await page.pass(30_000);
    assert.deepEqual(told(page), ['APP_NOT_READY', 'TP_APP_NOT_INSTALLED', 'no']);
    await page.say({ type: 'openChannel', session: page.session });
    assert.deepEqual(told(page), ['CONNECTING', null, 'no']);
    await page.agent({ name: 'consent' });
    assert.deepEqual(told(page), ['CONSENT', null, 'no']);
  });

  test('one that cannot be installed in a minute is told, and may be tried again', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    await page.ready(true);
    await page.pass(60_000);
    assert.deepEqual(told(page), ['APP_NOT_READY', 'TP_APP_NOT_INSTALLED', 'no']);
    assert.equal(page.state.isRunning, false);
    assert.equal(page.state.canStart, true);
  });

  test('cancelled before the helper answered: a late welcome starts nothing', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    page.payment.cancel();
    page.transport.listener({ kind: 'ready', isInstalling: false });
    await page.settle();
    assert.deepEqual(told(page), ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
    assert.deepEqual(page.transport.sent, []);
  });
});

describe('a payment', () => {
  test('follows the agent and ends approved by the word of the gateway', async () => {
    const page = await new TestPage().open();
    await page.payTo('REMOVE_CARD');
    page.order = PAID;
    await page.result({});
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
    const names = page.states.map(({ name }) => name);
    const seen = names.filter((name, at) => name !== names[at - 1]);
    assert.deepEqual(seen, [
      'CHECKING',
      'READY',
      'CONNECTING',
      'CONSENT',
      'WAIT_CARD',
      'READING',
      'WAIT_PIN',
      'AUTHORISING',
      'REMOVE_CARD',
      'APPROVED',
    ]);
    assert.equal(page.channel, null);
    assert.equal(page.sealed, null);
  });

  for (const point of Object.keys(POINTS) as PointName[]) {
    test(`says at ${point} whether money may have moved, and allows cancel only before`, async () => {
      const page = await new TestPage().open();
      await page.payTo(point);
      const isSealed = point === 'AUTHORISING' || point === 'REMOVE_CARD';
      assert.deepEqual(told(page), [point, null, isSealed ? 'unknown' : 'no']);
      assert.equal(page.state.canCancel, !isSealed);
      assert.equal(page.state.canStart, false);
    });
  }

  test('the agent alone cannot make it approved', async () => {
    for (const order of [orderView(), PROCESSING, DECLINED, NETWORK]) {
      const page = await new TestPage().open();
      await page.payTo('REMOVE_CARD');
      page.order = order;
      await page.result({ outcome: 'approved', charged: 'yes' });
      assert.notEqual(page.state.name, 'APPROVED');
      assert.equal(page.state.charged, order === DECLINED ? 'no' : 'unknown');
    }
  });

  test('the gateway says paid though the agent said declined, cancelled or nothing', async () => {
    for (const outcome of ['declined', 'cancelled', 'unknown'] as const) {
      const page = await new TestPage().open();
      await page.payTo('AUTHORISING');
      page.order = PAID;
      await page.result({ outcome, charged: 'no', reason: 'card:AAC' });
      assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
    }
  });

  test('declined by the issuer, with its code, and may be tried again', async () => {
    const page = await new TestPage().open();
    await page.payTo('REMOVE_CARD');
    page.order = DECLINED;
    await page.result({ outcome: 'declined', charged: 'no', reason: 'card:AAC' });
    assert.deepEqual(told(page), ['DECLINED', 'TP_BALANCE_LOW', 'no']);
    assert.equal(page.state.error?.detail, '51');
    page.payment.start();
    assert.equal(page.session, 'session-2');
    assert.deepEqual(told(page), ['CONNECTING', null, 'no']);
  });

  test('the declined payment before is not taken for the end of the next one', async () => {
    const page = new TestPage();
    page.order = DECLINED;
    await page.open();
    await page.payTo('READING');
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'ERR_CARD_TIMEOUT' });
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_CARD_TIMEOUT', 'no']);
  });

  test('the order was paid meanwhile in another tab', async () => {
    const page = await new TestPage().open();
    await page.payTo('CONNECTING');
    page.order = PAID;
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'ERR_ORDER_PAID' });
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });

  const ENDS: readonly (readonly ['declined' | 'cancelled', string, StateName, PaymentCode])[] = [
    ['declined', 'card:AAC', 'DECLINED', 'TP_DECLINED_OFFLINE'],
    ['declined', 'terminal:TAC', 'DECLINED', 'TP_DECLINED_OFFLINE'],
    ['declined', 'terminal:noApplication', 'DECLINED', 'TP_CARD_UNSUPPORTED'],
    ['declined', 'card:blocked', 'DECLINED', 'TP_CARD_BLOCKED'],
    ['cancelled', 'ERR_CARD_DATA', 'DECLINED', 'TP_CARD_UNSUPPORTED'],
    ['cancelled', 'ERR_CARD_REMOVED', 'INTERRUPTED', 'TP_CARD_REMOVED'],
    ['cancelled', 'ERR_CARD_TRANSPORT', 'INTERRUPTED', 'TP_CARD_COMM'],
    ['cancelled', 'card:useContact', 'INTERRUPTED', 'TP_CARD_USE_CONTACT'],
    ['cancelled', 'ERR_CARD_TIMEOUT', 'INTERRUPTED', 'TP_CARD_TIMEOUT'],
    ['cancelled', 'ERR_USER_TIMEOUT', 'INTERRUPTED', 'TP_USER_TIMEOUT'],
    ['cancelled', 'ERR_USER_CANCELLED', 'CANCELLED', 'TP_USER_CANCELLED'],
    ['cancelled', 'cardholder:pin', 'CANCELLED', 'TP_PIN_CANCELLED'],
    ['cancelled', 'ERR_PIN_TIMEOUT', 'INTERRUPTED', 'TP_PIN_TIMEOUT'],
    ['cancelled', 'ERR_CHANNEL_CLOSED', 'INTERRUPTED', 'TP_CHANNEL_LOST'],
    ['cancelled', 'ERR_CHANNEL_TLS', 'INTERRUPTED', 'TP_SERVER_UNTRUSTED'],
    ['cancelled', 'ERR_CHANNEL_MESSAGE', 'INTERRUPTED', 'TP_CHANNEL_TAMPERED'],
    ['cancelled', 'ERR_ELEMENT_UNKNOWN', 'INTERRUPTED', 'TP_CLIENT_REJECTED'],
    ['cancelled', 'gateway:unable', 'INTERRUPTED', 'TP_ISSUER_UNAVAILABLE'],
    ['cancelled', 'ERR_STORE_FORK', 'APP_NOT_READY', 'TP_APP_TAMPERED'],
    ['cancelled', 'ERR_DUKPT_EXHAUSTED', 'APP_NOT_READY', 'TP_KEYS_EXPIRED'],
    ['cancelled', 'ERR_ORDER_EXPIRED', 'CANCELLED', 'TP_ORDER_EXPIRED'],
    ['cancelled', 'ERR_SOMETHING_NEW', 'INTERRUPTED', 'TP_INTERNAL'],
  ];
  for (const [outcome, reason, state, code] of ENDS) {
    test(`${outcome} for ${reason}`, async () => {
      const page = await new TestPage().open();
      await page.payTo('WAIT_PIN');
      await page.result({ outcome, reason, charged: 'no', responseCode: null });
      assert.deepEqual(told(page), [state, code, 'no']);
      assert.equal(page.state.error?.detail, reason);
      assert.equal(page.state.isRunning, false);
    });
  }

  test('every failure of the agent', async () => {
    for (const [raw, state, code] of [
      ['ERR_BUSY', 'INTERRUPTED', 'TP_BUSY'],
      ['ERR_CARD_IN_USE', 'INTERRUPTED', 'TP_BUSY'],
      ['ERR_ELEMENT_NOT_ENROLLED', 'APP_NOT_READY', 'TP_APP_NOT_INSTALLED'],
      ['ERR_ELEMENT_LOCKED', 'APP_NOT_READY', 'TP_APP_LOCKED'],
      ['ERR_ELEMENT_GONE', 'INTERRUPTED', 'TP_SE_UNAVAILABLE'],
    ] as const) {
      const page = await new TestPage().open();
      await page.payTo('CONNECTING');
      await page.failed(raw, false);
      assert.deepEqual(told(page), [state, code, 'no']);
    }
  });

  test('BUSY names the holder', async () => {
    const page = await new TestPage().open();
    await page.payTo('CONNECTING');
    const data = { gatewayOrigin: 'http://other.example', orderId: 'other' };
    const error = { code: 'ERR_BUSY', message: 'busy', data };
    await page.say({ type: 'failed', session: page.session, error, sent: false });
    assert.equal(page.state.error?.detail, 'http://other.example');
    assert.equal(page.state.error?.retriable, true);
  });

  test('asked again for a card that was torn away, and for insertion', async () => {
    const page = await new TestPage().open();
    await page.payTo('READING');
    await page.agent({ ...WAIT_CARD, attempt: 2, reason: 'ERR_CARD_REMOVED' });
    assert.deepEqual(told(page), ['WAIT_CARD', 'TP_CARD_REMOVED', 'no']);
    await page.agent({ name: 'reading', interface: 'contactless' });
    assert.deepEqual(told(page), ['READING', null, 'no']);
    const reason = 'card:useContact';
    await page.agent({ ...WAIT_CARD, attempt: 3, reason, interfaces: ['contact'] });
    assert.deepEqual(told(page), ['WAIT_CARD', 'TP_CARD_USE_CONTACT', 'no']);
    assert.deepEqual(page.state.card?.interfaces, ['contact']);
  });

  test('a contactless card leaves before PIN and seal: still nothing charged', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    await page.agent({ name: 'reading', interface: 'contactless' });
    await page.agent({ name: 'removeCard' });
    assert.deepEqual(told(page), ['REMOVE_CARD', null, 'no']);
    assert.equal(page.state.canCancel, true);
    await page.agent({ name: 'waitPin', deadlineMs: START_MS + 120_000 });
    await page.agent({ name: 'authorising', interface: 'contactless' });
    assert.deepEqual(told(page), ['AUTHORISING', null, 'unknown']);
  });
});

describe('budgets', () => {
  for (const [point, ms, code] of [
    ['CONNECTING', 5_000, 'TP_CHANNEL_TIMEOUT'],
    ['CONSENT', 180_000, 'TP_USER_TIMEOUT'],
    ['WAIT_CARD', 65_000, 'TP_CARD_TIMEOUT'],
    ['READING', 30_000, 'TP_HOST_TIMEOUT'],
    ['WAIT_PIN', 125_000, 'TP_PIN_TIMEOUT'],
  ] as const) {
    test(`${point} ends after ${ms} ms of silence: ${code}, nothing charged`, async () => {
      const page = await new TestPage().open();
      await page.payTo(point);
      await page.pass(ms - 1);
      assert.equal(page.state.name, point);
      await page.pass(1);
      assert.deepEqual(told(page), ['INTERRUPTED', code, 'no']);
      assert.deepEqual(page.transport.sent.at(-1), { type: 'cancel', session: 'session-1' });
      assert.equal(page.channel, null, 'nothing more can leave');
    });
  }

  test('AUTHORISING: says that it is slow after 10 s, unknown after 60 s', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.order = PROCESSING;
    await page.pass(9_999);
    assert.equal(page.state.isSlow, false);
    await page.pass(1);
    assert.equal(page.state.isSlow, true);
    await page.pass(49_999);
    assert.equal(page.state.name, 'AUTHORISING');
    await page.pass(1);
    assert.deepEqual(told(page), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
    assert.notEqual(page.channel, null, 'the completion may still pass');
    page.order = PAID;
    await page.result({});
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });

  test('the taking out of the card does not give the issuer more time', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.order = PROCESSING;
    await page.pass(50_000);
    await page.agent({ name: 'removeCard' });
    await page.pass(10_000);
    assert.equal(page.state.name, 'UNKNOWN');
  });
});

describe('lost on the way', () => {
  const lose = (page: TestPage): Promise<void> =>
    page.event({ kind: 'lost', code: 'ERR_AGENT_GONE', detail: 'closed' });

  for (const point of ['CONNECTING', 'CONSENT', 'WAIT_CARD', 'READING', 'WAIT_PIN'] as const) {
    test(`the agent at ${point}: nothing charged, may be tried again`, async () => {
      const page = await new TestPage().open();
      await page.payTo(point);
      await lose(page);
      assert.deepEqual(told(page), ['INTERRUPTED', 'TP_HOST_EXITED', 'no']);
      assert.equal(page.state.canStart, true);
    });

    test(`the agent at ${point} while the gateway is away too`, async () => {
      const page = await new TestPage().open();
      await page.payTo(point);
      page.order = NETWORK;
      await lose(page);
      assert.deepEqual(told(page), ['INTERRUPTED', 'TP_HOST_EXITED', 'no']);
    });
  }

  for (const point of ['AUTHORISING', 'REMOVE_CARD'] as const) {
    test(`the agent at ${point}: unknown until the gateway's word`, async () => {
      for (const order of [PROCESSING, NETWORK, orderView()]) {
        const page = await new TestPage().open();
        await page.payTo(point);
        page.order = order;
        await lose(page);
        assert.deepEqual(told(page), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
        assert.equal(page.state.canStart, false);
        assert.equal(page.state.canCancel, false);
        page.order = REVERSED;
        await page.pass(2_000);
        assert.deepEqual(told(page), ['INTERRUPTED', 'TP_REVERSED', 'no']);
      }
    });
  }

  test('an order that stays open after a lost seal is believed after the grace only', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    await lose(page);
    await page.pass(OPEN_GRACE_MS - 1_000);
    assert.equal(page.state.charged, 'unknown');
    assert.equal(page.channel, null);
    await page.pass(10_000);
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_HOST_EXITED', 'no']);
  });

  test('bytes that left after the card was read may be the seal, though nobody said so', async () => {
    const page = await new TestPage().open();
    await page.payTo('READING');
    await page.say({ type: 'channelData', session: page.session, base64: 'AAAA' });
    assert.equal(page.state.charged, 'unknown');
    assert.deepEqual(page.channelSent, ['AAAA']);
    await lose(page);
    assert.deepEqual(told(page), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
    assert.deepEqual(page.sealed, { before: null });
  });

  test('bytes of the handshake, before any card, are no seal', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    await page.say({ type: 'channelData', session: page.session, base64: 'AAAA' });
    await lose(page);
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_HOST_EXITED', 'no']);
  });

  test('the element after the seal, in the words of the agent', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    page.order = PROCESSING;
    await page.failed('ERR_ELEMENT_GONE', true);
    assert.deepEqual(told(page), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
  });

  test('the gateway before the seal: the agent has 2 s to end it', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    page.order = NETWORK;
    page.channel?.closed();
    assert.deepEqual(page.transport.sent.at(-1), { type: 'channelClosed', session: 'session-1' });
    await page.pass(2_000);
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_CHANNEL_LOST', 'no']);
  });

  test('the gateway after the seal: unknown until it is back', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.order = NETWORK;
    page.channel?.closed();
    await page.result({ outcome: 'unknown', charged: 'unknown', reason: 'ERR_CHANNEL_CLOSED' });
    assert.deepEqual(told(page), ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
    await page.pass(3_000);
    page.order = REVERSED;
    await page.pass(8_000);
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_REVERSED', 'no']);
  });

  test('an honest "nothing sent" after the seal is believed when the gateway agrees', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'gateway:unable' });
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_ISSUER_UNAVAILABLE', 'no']);
  });

  test('the same while the gateway is away is not believed', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.order = NETWORK;
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'gateway:unable' });
    assert.equal(page.state.charged, 'unknown');
    page.order = orderView();
    await page.pass(1_000);
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_ISSUER_UNAVAILABLE', 'no']);
  });
});

describe('cancel', () => {
  test('the running payment: the agent is told, and the order stays open', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    page.payment.cancel();
    assert.equal(page.state.isCancelling, true);
    page.payment.cancel();
    assert.deepEqual(
      page.transport.sent.filter(({ type }) => type === 'cancel'),
      [{ type: 'cancel', session: 'session-1' }],
    );
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'ERR_CHANNEL_CLOSED' });
    assert.deepEqual(told(page), ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
    assert.equal(page.state.canStart, true);
    assert.equal(page.cancels, 0);
  });

  test('an agent that does not answer is left after 2 s', async () => {
    const page = await new TestPage().open();
    await page.payTo('CONSENT');
    page.payment.cancel();
    await page.pass(2_000);
    assert.deepEqual(told(page), ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
  });

  test('too late: the seal was faster', async () => {
    const page = await new TestPage().open();
    await page.payTo('READING');
    page.payment.cancel();
    await page.agent({ name: 'authorising', interface: 'contact' });
    assert.equal(page.state.isCancelling, false);
    page.order = PAID;
    await page.result({});
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });

  test('after the seal it does nothing', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.payment.cancel();
    assert.ok(!page.transport.sent.some(({ type }) => type === 'cancel'));
  });

  test('the order, while nothing runs', async () => {
    const page = await new TestPage().open();
    page.payment.cancel();
    await page.settle();
    assert.deepEqual(told(page), ['CANCELLED', 'TP_ORDER_CANCELLED', 'no']);
    assert.equal(page.state.canStart, false);
    assert.equal(page.state.canCancel, false);
  });

  test('an order that cannot be cancelled any more shows its truth', async () => {
    const page = await new TestPage().open();
    page.cancelAnswer = new GatewayFault('ERR_ORDER_PAID', 'paid');
    page.order = PAID;
    page.payment.cancel();
    await page.settle();
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });

  test('a failed cancellation leaves the page as it was', async () => {
    const page = await new TestPage().open();
    page.cancelAnswer = NETWORK;
    page.payment.cancel();
    await page.settle();
    assert.deepEqual(told(page), ['READY', null, 'no']);
    assert.equal(page.state.canCancel, true);
  });
});

describe('what is none of this payment', () => {
  test('two clicks start one payment', async () => {
    const page = await new TestPage().open();
    page.payment.start();
    page.payment.start();
    await page.ready();
    page.payment.start();
    assert.equal(page.transport.opened, 1);
    assert.equal(page.transport.sent.length, 1);
  });

  test('messages of another or an earlier session are ignored', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'ERR_CARD_TIMEOUT' });
    await page.payTo('WAIT_CARD');
    const before = page.loads;
    page.order = PAID;
    for (const session of ['session-1', 'foreign', '']) {
      await page.agent({ name: 'authorising', interface: 'contact' }, session);
      await page.result({}, session);
      await page.say({ type: 'channelData', session, base64: 'AAAA' });
      await page.say({ type: 'openChannel', session });
    }
    assert.deepEqual(told(page), ['WAIT_CARD', null, 'no']);
    assert.equal(page.loads, before);
    assert.equal(page.channelsOpened, 2);
    assert.deepEqual(page.channelSent, []);
  });

  test('malformed messages of the agent change nothing', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    const { session } = page;
    for (const message of [
      { type: 'approve', session },
      { type: 'constructor', session },
      { type: 'state', session, state: { name: 'APPROVED' } },
      { type: 'state', session, state: { name: 'toString' } },
      { type: 'result' },
    ]) {
      await page.say(message as never);
    }
    assert.deepEqual(told(page), ['WAIT_CARD', null, 'no']);
  });

  test('messages before the click and after the end are ignored', async () => {
    const page = await new TestPage().open();
    page.order = PAID;
    await page.result({}, 'session-0');
    await page.event({ kind: 'lost', code: 'ERR_AGENT_GONE', detail: '' });
    assert.deepEqual(told(page), ['READY', null, 'no']);
  });

  test('two orders on two pages do not meet', async () => {
    const one = await new TestPage().open();
    const two = await new TestPage().open();
    await one.payTo('AUTHORISING');
    await two.payTo('CONNECTING');
    await two.failed('ERR_BUSY', false);
    assert.deepEqual(told(one), ['AUTHORISING', null, 'unknown']);
    assert.deepEqual(told(two), ['INTERRUPTED', 'TP_BUSY', 'no']);
  });

  test('an older answer of the gateway does not overtake a newer question', async () => {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.order = PROCESSING;
    // Asked before the result, answered after it was asked again.
    page.transport.listener({ kind: 'lost', code: 'ERR_AGENT_GONE', detail: '' });
    page.order = PAID;
    await page.say({
      type: 'failed',
      session: page.session,
      error: { code: 'ERR_ELEMENT_GONE', message: '', data: {} },
      sent: true,
    });
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });

  test('a page that stopped hears and says nothing', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    page.payment.stop();
    const count = page.states.length;
    await page.agent({ name: 'consent' });
    await page.pass(600_000);
    assert.equal(page.states.length, count);
    assert.equal(page.channel, null);
  });

  test('a look after an end keeps what the payer reads', async () => {
    const page = await new TestPage().open();
    await page.payTo('WAIT_CARD');
    await page.result({ outcome: 'cancelled', charged: 'no', reason: 'ERR_CARD_TIMEOUT' });
    page.payment.refresh();
    await page.settle();
    assert.deepEqual(told(page), ['INTERRUPTED', 'TP_CARD_TIMEOUT', 'no']);
    page.order = PAID;
    page.payment.refresh();
    await page.settle();
    assert.deepEqual(told(page), ['APPROVED', null, 'yes']);
  });
});
