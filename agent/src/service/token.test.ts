/**
 * Shows a page's wish for a dynamic token at the agent: the person sees what is signed and says yes,
 * inserts a fresh card, and the digits go to the page that asked; nobody else's word counts.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { TokenWish, WindowView } from '@tapnpay/protocol/wire';
import { IMAGE } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import {
  codeOf,
  GATEWAY,
  ofType,
  type PageClient,
  SESSION,
  ServiceRig,
  shown,
  until,
  type WindowClient,
} from './service.test-kit.ts';
import { CONSENT_TIMEOUT_MS } from './session-machine.ts';

const SIGN: TokenWish = { mode: 'sign', data: ['PAY 100.00 CNY', 'TO 6225880000000001'] };
const cards = { plain: JSON.stringify(IMAGE) };

let rig: ServiceRig;
let page: PageClient;
let window: WindowClient;
beforeEach(async () => {
  rig = await ServiceRig.start({ cards });
  page = await rig.page();
  window = await rig.window();
});
afterEach(() => rig.close());

const result = () => page.next(ofType('tokenResult'));
const isOver = (view: WindowView): boolean => view.last?.session === SESSION;
const over = () =>
  window.next((message): message is WindowView => message.type === 'view' && isOver(message));

/** The element's token, once the agent has asked for it. */
async function asked(wish: TokenWish = SIGN) {
  page.send({ type: 'token', session: SESSION, wish });
  await until(() => rig.element.tokens.length === 1);
  const [token] = rig.element.tokens;
  assert.ok(token);
  return token;
}

test('yes, a fresh card by insertion, digits for the page; what is signed is shown', async () => {
  const { ask, end } = await asked();
  assert.deepEqual(ask.wish, SIGN);
  assert.equal(ask.gatewayOrigin, GATEWAY);
  const presented = ask.presentCard({ attempt: 1, reason: null });
  const { payment } = await window.next(shown('consent'));
  assert.deepEqual([payment?.intent, payment?.wish, payment?.order], ['token', SIGN, null]);
  window.send({ type: 'consent', session: SESSION, given: true });
  const waiting = await window.next(shown('waitCard'));
  const { state } = waiting.payment ?? {};
  assert.deepEqual(state?.name === 'waitCard' && state.interfaces, ['contact']);
  window.send({ type: 'present', card: 'plain', interface: 'contact', liftAfter: null });
  assert.equal((await presented).interface, 'contact');
  ask.onCardDone?.();
  end({ token: '12345678901234', reason: null });
  assert.deepEqual(await result(), {
    ...{ type: 'tokenResult', session: SESSION },
    ...{ token: '12345678901234', reason: null },
  });
  assert.deepEqual((await over()).last, { session: SESSION, outcome: 'made', reason: null });
  assert.ok(!JSON.stringify(rig.log).includes('12345678901234'), 'no token in the log');
});

test('no: no card is asked of anybody, and no token leaves', async () => {
  const { ask, end } = await asked();
  const presented = ask.presentCard({ attempt: 1, reason: null }).catch(codeOf);
  await window.next(shown('consent'));
  window.send({ type: 'consent', session: SESSION, given: false });
  assert.equal(await presented, 'ERR_USER_CANCELLED');
  end({ token: '99', reason: null });
  const { token, reason } = await result();
  assert.deepEqual([token, reason], [null, 'ERR_USER_CANCELLED'], 'even if one was made');
  assert.equal((await over()).last?.outcome, 'notMade');
});

test('nobody answers: the time is over, and the next session may begin', async () => {
  const { ask, end } = await asked({ mode: 'plain' });
  const presented = ask.presentCard({ attempt: 1, reason: null }).catch(codeOf);
  await window.next(shown('consent'));
  rig.clock.advance(CONSENT_TIMEOUT_MS);
  assert.equal(await presented, 'ERR_USER_TIMEOUT');
  end({ token: null, reason: 'ERR_USER_TIMEOUT' });
  assert.equal((await result()).reason, 'ERR_USER_TIMEOUT');
});

test('a wish that no card takes ends the page’s connection; nobody is asked', async () => {
  for (const wish of [
    { mode: 'sign', data: [] },
    { mode: 'challenge', challenge: 'x' },
  ] as const) {
    const other = await rig.page();
    other.send({ type: 'token', session: SESSION, wish });
    await other.closed;
  }
  assert.equal(rig.element.tokens.length, 0);
});
