/** Shows what the page says when the gateway reversed an approval for want of the card's last word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderView, paymentView, TestPage } from './payment.test-kit.ts';
import { OPEN_GRACE_MS } from './states.ts';

const REVERSED = orderView({ payment: paymentView({ outcome: 'reversed', reason: 'card:none' }) });

test('the agent saw the card leave: taken away too soon, nothing charged, try again', async () => {
  // Of an approved payment the element cannot say more than that it does not know.
  for (const said of [
    { outcome: 'declined', charged: 'no' },
    { outcome: 'unknown', charged: 'unknown' },
  ] as const) {
    const page = await new TestPage().open();
    await page.payTo('AUTHORISING');
    page.order = REVERSED;
    await page.result({ ...said, reason: 'ERR_CARD_REMOVED' });
    const { name, error, charged, canStart } = page.state;
    assert.deepEqual([name, error?.code, charged], ['INTERRUPTED', 'TP_CARD_REMOVED', 'no']);
    assert.equal(error?.action, 'retry');
    assert.equal(error?.detail, 'card:none');
    assert.equal(canStart, true);
  }
});

test('the agent saw the card leave, and the gateway does not know yet: nor does the page', async () => {
  const page = await new TestPage().open();
  await page.payTo('AUTHORISING');
  page.order = orderView({ status: 'processing' });
  await page.result({ outcome: 'unknown', charged: 'unknown', reason: 'ERR_CARD_REMOVED' });
  const { name, error, charged } = page.state;
  assert.deepEqual([name, error?.code, charged], ['UNKNOWN', 'TP_RESULT_UNKNOWN', 'unknown']);
});

test('any other end of the card is its refusal, with the agent or after a reload', async () => {
  const page = await new TestPage().open();
  await page.payTo('AUTHORISING');
  page.order = REVERSED;
  await page.result({ outcome: 'declined', charged: 'no', reason: 'ERR_CARD_STATUS' });
  const reloaded = new TestPage();
  reloaded.order = REVERSED;
  await reloaded.open();
  for (const { state } of [page, reloaded]) {
    const { name, error, charged } = state;
    assert.deepEqual([name, error?.code, charged], ['DECLINED', 'TP_DECLINED_OFFLINE', 'no']);
  }
});

test('a card that left after all is no end of a paid order', async () => {
  const page = await new TestPage().open();
  await page.payTo('AUTHORISING');
  page.order = orderView({ status: 'paid', payment: paymentView() });
  await page.result({ outcome: 'declined', charged: 'no', reason: 'ERR_CARD_REMOVED' });
  assert.equal(page.state.name, 'APPROVED');
});

test('a record was not genuine, and the order stays open: told by its own code', async () => {
  const page = await new TestPage().open();
  await page.payTo('AUTHORISING');
  page.order = orderView();
  await page.result({ outcome: 'unknown', charged: 'unknown', reason: 'ERR_CHANNEL_TAMPERED' });
  assert.deepEqual([page.state.name, page.state.charged], ['UNKNOWN', 'unknown']);
  await page.pass(OPEN_GRACE_MS + 10_000);
  const { name, error, charged } = page.state;
  assert.deepEqual([name, error?.code, charged], ['INTERRUPTED', 'TP_CHANNEL_TAMPERED', 'no']);
});
