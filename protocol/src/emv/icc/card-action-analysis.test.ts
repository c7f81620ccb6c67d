/**
 * Shows card risk management check by check: each order of 9F52 and each limit switched on and off,
 * at its boundary, with the CVR and the advice bits that go with it. @see PBOC3 P5
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CardSession, type Change, cvrNames, IMAGE } from './icc.test-kit.ts';

/** A card that has been online, with no orders and no limits. */
const QUIET = {
  '9F52': '0000',
  '9F53': '00',
  '9F54': '000000000000',
  '9F56': '00',
  '9F58': '00',
  '9F59': '00',
  '9F5C': '000000000000',
} as const;
const KNOWN = { atc: 6, lastOnlineAtc: 5 } as const;
const VELOCITY = 'Exceeded velocity checking counters';

type Case = {
  objects?: Change['objects'];
  state?: Change['state'];
  terminal?: Record<string, string>;
};
function session({ objects, state, terminal }: Case): CardSession {
  return new CardSession(
    { objects: { ...QUIET, ...objects }, state: { ...KNOWN, ...state } },
    terminal,
  ).start();
}

test('a card that has been online, without orders and limits, approves what it is asked to', () => {
  const tc = session({}).generate('40');
  assert.equal(tc.cid, 0x40);
  assert.equal(tc.cvr, '03900000');
});

for (const [check, online, quiet] of [
  ['last online transaction not completed', { state: { lastOnlineNotCompleted: true } }, {}],
  [
    'issuer authentication failed',
    { objects: { '9F52': '8000' }, state: { lastIssuerAuthenticationFailed: true } },
    { state: { lastIssuerAuthenticationFailed: true } },
  ],
  [
    'new card',
    { objects: { '9F52': '0200' }, state: { lastOnlineAtc: 0 } },
    { state: { lastOnlineAtc: 0 } },
  ],
  [
    'script failed',
    { objects: { '9F52': '0008' }, state: { lastScriptFailed: true } },
    { state: { lastScriptFailed: true } },
  ],
  [
    'PIN tries used up',
    { objects: { '9F52': '0020' }, state: { pinTryCounter: 0 } },
    { state: { pinTryCounter: 0 } },
  ],
  [
    'consecutive transactions (9F58)',
    { objects: { '9F58': '03' }, state: { atc: 8 } },
    { objects: { '9F58': '03' }, state: { atc: 7 } },
  ],
  [
    'consecutive transactions in foreign currency (9F53)',
    {
      objects: { '9F53': '02' },
      state: { internationalOfflineCount: 2 },
      terminal: { '5F2A': '0840' },
    },
    {
      objects: { '9F53': '02' },
      state: { internationalOfflineCount: 1 },
      terminal: { '5F2A': '0840' },
    },
  ],
  [
    'cumulative amount (9F54)',
    { objects: { '9F54': '000000002000' }, state: { cumulativeOfflineAmountMinor: '767' } },
    { objects: { '9F54': '000000002000' }, state: { cumulativeOfflineAmountMinor: '766' } },
  ],
] as const satisfies readonly (readonly [string, Case, Case])[]) {
  test(`first GENERATE AC, ${check}: online when it holds, offline when not`, () => {
    assert.equal(session(online).generate('40').cid, 0x80);
    assert.equal(session(quiet).generate('40').cid, 0x40);
  });
}

test('what is told of a check does not depend on its order', () => {
  const state = { lastOnlineAtc: 0, lastIssuerAuthenticationFailed: true, lastScriptFailed: true };
  assert.equal(session({ state }).generate('40').cvr, '03901808');
});

test('a foreign currency counts as a transaction, not as an amount', () => {
  const card = session({ terminal: { '5F2A': '0840' }, objects: { '9F54': '000000000001' } });
  assert.equal(card.generate('40').cid, 0x40);
  assert.equal(card.state.cumulativeOfflineAmountMinor, '0');
  assert.equal(card.state.internationalOfflineCount, 1);
});

test('the count of foreign transactions ends at what an image holds', () => {
  const card = session({
    terminal: { '5F2A': '0840' },
    state: { internationalOfflineCount: 65535 },
  });
  assert.equal(card.generate('40').cid, 0x40);
  assert.equal(card.state.internationalOfflineCount, 65535);
});

test('a failed issuer authentication is forgotten with the next proof of the issuer, not before', () => {
  const state = { lastIssuerAuthenticationFailed: true };
  const proved = session({ state, objects: { '9F56': '80' } });
  proved.generate('80');
  proved.externalAuthenticate();
  proved.generate('40');
  assert.equal(proved.state.lastIssuerAuthenticationFailed, false);
  const silent = session({ state, objects: { '9F56': '80' } });
  silent.generate('80');
  silent.generate('40');
  assert.equal(silent.state.lastIssuerAuthenticationFailed, true);
});

test('the counters start anew with an online transaction', () => {
  const state = { cumulativeOfflineAmountMinor: '500', internationalOfflineCount: 3 };
  const card = session({ state });
  card.generate('80');
  card.externalAuthenticate();
  card.generate('40');
  assert.equal(card.state.cumulativeOfflineAmountMinor, '0');
  assert.equal(card.state.internationalOfflineCount, 0);
});

for (const [check, declined, approved] of [
  [
    'consecutive transactions (9F59)',
    { objects: { '9F59': '03' }, state: { atc: 8 } },
    { objects: { '9F59': '03' }, state: { atc: 7 } },
  ],
  [
    'cumulative amount (9F5C)',
    { objects: { '9F5C': '000000001233' } },
    { objects: { '9F5C': '000000001234' } },
  ],
  [
    'new card',
    { objects: { '9F52': '0100' }, state: { lastOnlineAtc: 0 } },
    { state: { lastOnlineAtc: 0 } },
  ],
  [
    'PIN tries used up',
    { objects: { '9F52': '0010' }, state: { pinTryCounter: 0 } },
    { state: { pinTryCounter: 0 } },
  ],
] as const satisfies readonly (readonly [string, Case, Case])[]) {
  test(`unable to go online, ${check}: AAC when it holds, TC when not`, () => {
    for (const [facts, cid] of [
      [declined, 0x00],
      [approved, 0x40],
    ] as const) {
      const card = session(facts);
      card.generate('80');
      const second = card.generate('40', { '8A': '5933' });
      assert.equal(second.cid, cid);
      assert.ok(cvrNames(second).includes('Unable to go online'));
    }
  });
}

test('the velocity bit is told by whichever call found it', () => {
  const first = session({ objects: { '9F58': '01' }, state: { atc: 8 } }).generate('80');
  assert.ok(cvrNames(first).includes(VELOCITY));
  const card = session({ objects: { '9F59': '01' }, state: { atc: 8 } });
  assert.ok(!cvrNames(card.generate('80')).includes(VELOCITY));
  assert.ok(cvrNames(card.generate('40', { '8A': '5A33' })).includes(VELOCITY));
});

for (const [what, orders, cid] of [
  ['none ordered', '0000', 0x00],
  ['ordered for offline declines', '1000', 0x08],
] as const) {
  test(`advice of an offline decline, ${what}: CID ${cid.toString(16)}`, () => {
    assert.equal(session({ objects: { '9F52': orders } }).generate('00').cid, cid);
    const card = session({ objects: { '9F52': orders } });
    card.generate('80');
    assert.equal(card.generate('00', { '8A': '5A33' }).cid, cid);
  });
}

test('advice because issuer authentication failed or is missing, when it is ordered', () => {
  const failed = session({ objects: { '9F52': '4400' } });
  failed.generate('80');
  failed.externalAuthenticate('00000000000000003030');
  assert.equal(failed.generate('40').cid, 0x0b);
  const missing = session({ objects: { '9F52': '2400', '9F56': '80' } });
  missing.generate('80');
  assert.equal(missing.generate('40').cid, 0x0b);
  const quiet = session({ objects: { '9F52': '4000' } });
  quiet.generate('80');
  quiet.externalAuthenticate('00000000000000003030');
  assert.equal(quiet.generate('40').cid, 0x00);
});

test('without the order, a failed issuer authentication approves but clears nothing', () => {
  const card = session({ state: { cumulativeOfflineAmountMinor: '500' } });
  card.generate('80');
  card.externalAuthenticate('00000000000000003030');
  assert.equal(card.generate('40').cid, 0x40);
  assert.equal(card.state.cumulativeOfflineAmountMinor, '500');
  assert.equal(card.state.lastOnlineNotCompleted, true);
});

test('a terminal that fails CDA and declines is remembered as a failed dynamic authentication', () => {
  const card = session({});
  card.generate('00', { '95': '0400000000' });
  assert.equal(card.state.lastDdaFailed, true);
  assert.equal(card.start().generate('80').cvr, '03A00004');
});

test('a geographic restriction is asked at GPO, where the PDOL names the country (9F55)', () => {
  for (const [indicator, country, sw] of [
    ['80', '0156', '9000'],
    ['80', '0840', '6985'],
    ['40', '0156', '6985'],
    ['40', '0840', '9000'],
    ['C0', '0840', '9000'],
  ] as const) {
    const card = new CardSession({ objects: { '9F55': indicator, '9F57': '0156' } });
    card.send('00A4040008A000000333010101');
    assert.equal(card.send(card.gpo({ '9F1A': country })).sw, sw);
    assert.equal(card.state.atc, sw === '9000' ? 1 : 0);
  }
});

test('a lab card that declines offline does so whatever is asked', () => {
  const lab = { ...IMAGE.lab, declinesOffline: true };
  for (const p1 of ['40', '80']) {
    const card = new CardSession({ image: { lab } }).start();
    assert.equal(card.generate(p1).cid, 0x00);
  }
});
