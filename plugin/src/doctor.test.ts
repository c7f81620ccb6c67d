/** Shows that a doctor has a host of its own, and takes nothing from the payment beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askDoctor } from './doctor.ts';
import { TestWay } from './plugin.test-kit.ts';

const report = { checks: [{ id: 'gateway', state: 'ok', code: null, facts: {} }] } as const;

test('has a host of its own, in every state of the page, and lets it go', async () => {
  for (const act of ['look', 'open', 'close'] as const) {
    const way = await new TestWay().look();
    if (act === 'open') await way.open();
    if (act === 'close') way.transport.close();
    await way.pass(0);
    const { hosts } = way.extension;
    const answer = askDoctor(way.extension);
    await way.clock.settle();
    assert.equal(way.extension.hosts, hosts + 1);
    assert.equal(way.extension.heard.at(-1)?.kind, 'doctor');
    way.extension.say({ kind: 'report', report });
    assert.deepEqual(await answer, report);
    await way.pass(0);
    assert.equal(way.extension.hosts, hosts, act);
    assert.equal(way.extension.listeners.size, 1, 'it hears nothing more');
  }
});

test('there is none without a host', async () => {
  const way = new TestWay();
  way.extension.host = ['ERR_HOST_MISSING', ''];
  assert.equal(await askDoctor(way.extension), null);
});

test('there is none without an extension, told after a second', async () => {
  const way = new TestWay();
  way.extension.version = null;
  const answer = askDoctor(way.extension);
  await way.pass(1_000);
  assert.equal(await answer, null);
  assert.equal(way.clock.timers.size, 0);
});

test('one that never ends, or whose host dies', async () => {
  const way = new TestWay();
  const endless = askDoctor(way.extension);
  await way.pass(60_000);
  assert.equal(await endless, null);
  const dead = askDoctor(way.extension);
  await way.clock.settle();
  way.extension.lose('ERR_HOST_EXITED');
  assert.equal(await dead, null);
});

test('asked in a payment it does not take anything from it', async () => {
  const way = await new TestWay().open();
  const { channel } = way.extension;
  void askDoctor(way.extension);
  await way.clock.settle();
  assert.notEqual(way.extension.channel, channel);
  way.extension.say({ kind: 'message', message: { type: 'channelEnd', session: 's' } }, channel);
  assert.equal(way.events.at(-1)?.kind, 'message');
  way.extension.say({ kind: 'lost', code: 'ERR_HOST_EXITED', detail: '' }, channel);
  assert.equal(way.events.at(-1)?.kind, 'lost');
});
