/** Shows a page's wish for a dynamic token: digits at the end, or a code; nothing is charged. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentMessage, AgentState, TokenWish } from '@tapnpay/protocol/wire';
import type { PaymentState } from './model.ts';
import { AGENT_URL, PAGE_ORIGIN, TestWay } from './plugin.test-kit.ts';
import { makeToken, type TokenEnd } from './token.ts';

const SIGN: TokenWish = { mode: 'sign', data: ['PAY 100.00', 'TO 6225'] };

class Page {
  readonly way: TestWay = new TestWay();
  readonly names: string[] = [];
  end: TokenEnd | null = null;

  async ask(wish: TokenWish = SIGN): Promise<this> {
    const on = ({ name, charged }: PaymentState): void => {
      assert.equal(charged, 'no');
      if (this.names.at(-1) !== name) this.names.push(name);
    };
    void makeToken(
      wish,
      { gatewayUrl: PAGE_ORIGIN, agentUrl: AGENT_URL, on },
      {
        transport: this.way.transport,
        newSession: () => 'session-1',
        nowMs: () => this.way.clock.nowMs,
        after: (ms, call) => this.way.clock.after(ms, call),
      },
    ).then((end) => {
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
  result(token: string | null, reason: string | null): Promise<void> {
    return this.say({ type: 'tokenResult', session: 'session-1', token, reason });
  }
}

test('consent, card, token: the wish reaches the agent whole, the digits reach the page', async () => {
  const page = await new Page().ask();
  const asked = { type: 'token', session: 'session-1', wish: SIGN };
  assert.deepEqual(page.way.extension.told.at(-1), asked);
  await page.agent({ name: 'consent' });
  await page.agent({ name: 'reading', interface: 'contact' });
  await page.agent({ name: 'removeCard' });
  await page.result('12345678901234', null);
  assert.deepEqual(page.names, ['CONNECTING', 'CONSENT', 'READING', 'REMOVE_CARD', 'TOKEN_MADE']);
  assert.deepEqual([page.end?.name, page.end?.token], ['TOKEN_MADE', '12345678901234']);
  assert.equal(page.way.clock.timers.size, 0);
});

describe('no token', () => {
  for (const [reason, state, code] of [
    ['card:AAC', 'DECLINED', 'TP_DECLINED_OFFLINE'],
    ['ERR_USER_CANCELLED', 'CANCELLED', 'TP_USER_CANCELLED'],
    ['ERR_CARD_TIMEOUT', 'INTERRUPTED', 'TP_CARD_TIMEOUT'],
    ['PARAMS_OUTDATED', 'APP_NOT_READY', 'TP_PARAMS_OUTDATED'],
    ['APP_LOCKED', 'APP_NOT_READY', 'TP_APP_LOCKED'],
  ] as const) {
    test(`for ${reason}: ${code}`, async () => {
      const page = await new Page().ask();
      await page.result(null, reason);
      const { name, error, token, charged } = page.end ?? {};
      assert.deepEqual([name, error?.code, token, charged], [state, code, null, 'no']);
    });
  }

  test('a balance of another session, or of another kind, is no end of it', async () => {
    const page = await new Page().ask({ mode: 'plain' });
    await page.say({ type: 'tokenResult', session: 'other', token: '1', reason: null });
    await page.say({ type: 'balanceResult', session: 'session-1', balance: null, reason: 'x' });
    assert.equal(page.end, null);
  });
});
