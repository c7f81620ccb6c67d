/** Shows a look at a card's balance on a page: each end is told by code, and none charges. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentMessage, AgentState, CardBalance } from '@tapnpay/protocol/wire';
import { type BalanceEnd, readBalance } from './balance.ts';
import type { PaymentState } from './model.ts';
import { AGENT_URL, HELLO, PAGE_ORIGIN, TestWay } from './plugin.test-kit.ts';

const BALANCE: CardBalance = { currency: '156', balanceMinor: '5000', panMasked: null };

class Page {
  readonly way: TestWay = new TestWay();
  readonly stop: AbortController = new AbortController();
  readonly names: string[] = [];
  end: BalanceEnd | null = null;

  async look(): Promise<this> {
    const { signal } = this.stop;
    const on = ({ name, charged }: PaymentState): void => {
      assert.equal(charged, 'no');
      if (this.names.at(-1) !== name) this.names.push(name);
    };
    void readBalance(
      { gatewayUrl: PAGE_ORIGIN, agentUrl: AGENT_URL, on, signal },
      {
        transport: this.way.transport,
        newSession: () => 'session-1',
        nowMs: () => this.way.clock.nowMs,
        after: (ms, call) => this.way.clock.after(ms, call),
      },
    ).then((end) => {
      assert.equal(this.end, null, 'once');
      this.end = end;
    });
    await this.way.pass(0);
    return this;
  }
  async say(message: AgentMessage): Promise<void> {
    this.way.extension.say({ kind: 'message', message });
    await this.way.pass(0);
  }
  agent(state: AgentState): Promise<void> {
    return this.say({ type: 'state', session: 'session-1', state });
  }
  result(balance: CardBalance | null, reason: string | null): Promise<void> {
    return this.say({ type: 'balanceResult', session: 'session-1', balance, reason });
  }
  get ended(): readonly unknown[] | null {
    return this.end && [this.end.name, this.end.error?.code ?? null, this.end.charged];
  }
}

const WAIT_CARD: AgentState = {
  name: 'waitCard',
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
  deadlineMs: 60_000,
  takeOutFirst: false,
};

test('consent, card, balance: told state by state, and the host let go', async () => {
  const page = await new Page().look();
  assert.deepEqual(page.way.extension.told.at(-1), { type: 'balance', session: 'session-1' });
  await page.agent({ name: 'consent' });
  await page.agent(WAIT_CARD);
  await page.agent({ name: 'reading', interface: 'contact' });
  await page.agent({ name: 'removeCard' });
  await page.result(BALANCE, null);
  assert.deepEqual(page.names, [
    'CONNECTING',
    'CONSENT',
    'WAIT_CARD',
    'READING',
    'REMOVE_CARD',
    'BALANCE_READ',
  ]);
  assert.deepEqual(page.ended, ['BALANCE_READ', null, 'no']);
  assert.deepEqual(page.end?.balance, BALANCE);
  await page.way.pass(0);
  assert.equal(page.way.extension.hosts, 0);
  assert.equal(page.way.clock.timers.size, 0);
});

describe('no balance', () => {
  for (const [reason, state, code] of [
    ['card:noPurse', 'DECLINED', 'TP_CARD_UNSUPPORTED'],
    ['card:blocked', 'DECLINED', 'TP_CARD_BLOCKED'],
    ['ERR_USER_CANCELLED', 'CANCELLED', 'TP_USER_CANCELLED'],
    ['ERR_CARD_TIMEOUT', 'INTERRUPTED', 'TP_CARD_TIMEOUT'],
    ['ERR_CARD_REMOVED', 'INTERRUPTED', 'TP_CARD_REMOVED'],
    [null, 'INTERRUPTED', 'TP_INTERNAL'],
  ] as const) {
    test(`for ${reason}: ${code}`, async () => {
      const page = await new Page().look();
      await page.result(null, reason);
      assert.deepEqual(page.ended, [state, code, 'no']);
      assert.equal(page.end?.balance, null);
    });
  }

  test('while a payment is under way', async () => {
    const page = await new Page().look();
    const error = { code: 'ERR_BUSY', message: '', data: {} };
    await page.say({ type: 'failed', session: 'session-1', error, sent: false });
    assert.deepEqual(page.ended, ['INTERRUPTED', 'TP_BUSY', 'no']);
  });

  test('the host dies', async () => {
    const page = await new Page().look();
    page.way.extension.lose('ERR_HOST_EXITED', 'Native host has exited.');
    await page.way.pass(0);
    assert.deepEqual(page.ended, ['INTERRUPTED', 'TP_HOST_EXITED', 'no']);
  });

  for (const [state, ms, code] of [
    [null, 5_000, 'TP_HOST_TIMEOUT'],
    [{ name: 'consent' }, 180_000, 'TP_USER_TIMEOUT'],
    [WAIT_CARD, 65_000, 'TP_CARD_TIMEOUT'],
    [{ name: 'reading', interface: 'contact' }, 30_000, 'TP_HOST_TIMEOUT'],
  ] as const) {
    test(`silence at ${state?.name ?? 'the start'} ends after ${ms} ms`, async () => {
      const page = await new Page().look();
      if (state !== null) await page.agent(state);
      await page.way.pass(ms - 1);
      assert.equal(page.end, null);
      await page.way.pass(1);
      assert.equal(page.end && page.ended?.[1], code);
    });
  }

  test('what is missing is told, and it goes on by itself', async () => {
    const page = new Page();
    page.way.extension.host = ['ERR_HOST_MISSING', ''];
    await page.look();
    assert.equal(page.names.at(-1), 'NEED_HOST');
    page.way.extension.host = HELLO;
    await page.way.pass(1_000);
    assert.deepEqual(page.way.extension.told.at(-1), { type: 'balance', session: 'session-1' });
  });

  test('messages of another session are none of it', async () => {
    const page = await new Page().look();
    await page.say({ type: 'balanceResult', session: 'other', balance: BALANCE, reason: null });
    assert.equal(page.end, null);
  });
});

describe('cancelled', () => {
  test('the agent is told, and its word ends it', async () => {
    const page = await new Page().look();
    page.stop.abort();
    await page.way.pass(0);
    assert.deepEqual(page.way.extension.told.at(-1), { type: 'cancel', session: 'session-1' });
    await page.result(null, 'ERR_USER_CANCELLED');
    assert.deepEqual(page.ended, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
  });

  test('an agent that does not answer is left after 2 s', async () => {
    const page = await new Page().look();
    page.stop.abort();
    await page.way.pass(2_000);
    assert.deepEqual(page.ended, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
  });

  test('before anything was asked', async () => {
    const page = new Page();
    page.stop.abort();
    await page.look();
    assert.deepEqual(page.ended, ['CANCELLED', 'TP_USER_CANCELLED', 'no']);
    assert.deepEqual(page.way.extension.heard, []);
  });
});
