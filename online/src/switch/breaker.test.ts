/**
 * Shows that an issuer which does not answer costs its acquirers one short wait each and no storm:
 * refusals in its place, one trial at a time, one reversal at a time, and its neighbour untouched.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { Breakers } from './breaker.ts';
import {
  approving,
  codeOf,
  GATEWAY,
  ISSUER_KEYS,
  issuerReply,
  saleRequest,
  TestClock,
  testSwitch,
} from './switch.test-kit.ts';

const breaker = { timeoutsMax: 3, pauseMs: 10_000 };
const OTHER_ISSUER = '62990000002';
const OTHER_PAN = '6299997700000015';

test('opens after time-outs in a row, admits one trial a pause, closes at any answer', () => {
  const clock = new TestClock();
  const breakers = new Breakers(clock, breaker);
  assert.deepEqual([breakers.timedOut('a'), breakers.timedOut('a')], [false, false]);
  breakers.answered('a');
  assert.deepEqual(
    [1, 2, 3].map(() => breakers.timedOut('a')),
    [false, false, true],
  );
  assert.deepEqual([breakers.isOpen('a'), breakers.isOpen('b')], [true, false]);
  assert.deepEqual([breakers.admits('a'), breakers.admits('b')], [false, true]);
  clock.advance(9_999);
  assert.equal(breakers.admits('a'), false);
  clock.advance(1);
  assert.deepEqual([breakers.admits('a'), breakers.admits('a')], [true, false]);
  // The trial had no answer: another pause, told once only.
  assert.equal(breakers.timedOut('a'), false);
  clock.advance(10_000);
  assert.equal(breakers.admits('a'), true);
  breakers.answered('a');
  assert.deepEqual(
    [breakers.isOpen('a'), breakers.admits('a'), breakers.admits('a')],
    [false, true, true],
  );
});

test('a silent issuer is refused for at once, journalled, and found again by a trial', async () => {
  const { core, clock, lines, store, log } = testSwitch({
    script: () => 'timeout',
    profile: { breaker },
  });
  for (let count = 0; count < 3; count++) {
    assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), '98');
  }
  const sale = saleRequest();
  const refused = await core.handle(GATEWAY, sale);
  assert.deepEqual(
    [codeOf(refused), refused && textField(refused, 121)],
    ['91', 'SW=issuerSilent'],
  );
  // A repeat hears the same, though the issuer is back by then.
  assert.equal(log.filter(({ event }) => event === 'issuerSilent').length, 1);
  const row = (await store.transactions()).find(({ stan }) => stan === textField(sale, 11));
  assert.deepEqual([row?.state, row?.destination], ['answered', null]);
  clock.advance(breaker.pauseMs);
  lines.script = approving;
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), '00');
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), '00');
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '91');
});

test('an issuer that stalls under load gets a bounded number of messages, not a storm', async () => {
  const { core, clock, lines, store } = testSwitch({
    script: () => 'timeout',
    profile: { breaker: { timeoutsMax: 8, pauseMs: 10_000 }, advicesInFlightMax: 16 },
  });
  // 60 s of a stall, 10 sales a second, ticks four times a second.
  const codes = new Map<string, number>();
  for (let step = 0; step < 240; step++) {
    for (let count = 0; count < (step % 2 === 0 ? 3 : 2); count++) {
      const code = codeOf(await core.handle(GATEWAY, saleRequest()));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    await core.tick();
    clock.advance(250);
  }
  const lost = codes.get('98') ?? 0;
  assert.equal((codes.get('91') ?? 0) + lost, 600);
  assert.ok(lost <= 8 + 6, `${lost} sales were lost`);
  const reversals = lines.sent.filter(({ mti }) => mti.startsWith('04')).length;
  assert.ok(reversals <= 240, `${reversals} reversals for ${lost} lost sales`);
  lines.script = approving;
  for (let step = 0; step < 100; step++) {
    await core.tick();
    clock.advance(1_000);
  }
  const states = (await store.transactions()).map(({ state }) => state);
  assert.equal(states.filter((state) => state === 'reversed').length, lost);
  assert.ok(states.every((state) => state === 'reversed' || state === 'answered'));
});

test('another issuer on the same switch does not notice', async () => {
  const isOther = (message: Iso8583Message): boolean => textField(message, 100) === OTHER_ISSUER;
  const { core, lines } = testSwitch({
    script: (message) => (isOther(message) ? issuerReply(message, '00') : 'timeout'),
    profile: {
      breaker,
      routes: [
        { prefix: '629999', institutionId: '62990000001' },
        { prefix: '62999977', institutionId: OTHER_ISSUER },
      ],
    },
  });
  lines.established.set(OTHER_ISSUER, ISSUER_KEYS);
  for (let count = 0; count < 5; count++) {
    await core.handle(GATEWAY, saleRequest());
    const other = saleRequest([
      [2, OTHER_PAN],
      [35, `${OTHER_PAN}D30122011234567890`],
      [22, '052'],
      [52, undefined],
      [53, undefined],
    ]);
    assert.equal(codeOf(await core.handle(GATEWAY, other)), '00');
  }
});
