/**
 * Shows every way through the switch: approval, each refusal, repeats, lost answers, reversals that
 * come early, late or three times, and crashes, over the store in memory with real MACs and PIN
 * blocks, a clock turned by hand and scripted members.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { pinOfBlockFormat0, tdesDecrypt } from '@tapnpay/protocol/crypto';
import {
  bytesField,
  type FieldValue,
  type Iso8583Message,
  makeMessage,
  requireText,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { SWITCH_DEFAULTS } from './ports.ts';
import {
  approving,
  books,
  codeOf,
  GATEWAY,
  GATEWAY_KEYS,
  ISSUER,
  ISSUER_KEYS,
  isSigned,
  issuerReply,
  reversalOf,
  saleRequest,
  signed,
  TEST_PAN,
  TEST_TRACK_2,
  type TestSwitch,
  testSwitch,
} from './switch.test-kit.ts';

const last = <T>(list: readonly T[]): T => {
  const item = list.at(-1);
  if (item === undefined) throw new Error('the list is empty');
  return item;
};

test('a sale passes: PIN translated, MACs of each line, the answer as the issuer gave it', async () => {
  const { core, lines, store, hops, log } = testSwitch();
  const sale = saleRequest();
  const answer = await core.handle(GATEWAY, sale);
  assert.equal(answer?.mti, '0210');
  assert.equal(codeOf(answer), '00');
  assert.ok(isSigned(GATEWAY_KEYS.mac, answer));
  assert.equal(answer && textField(answer, 38), 'A1B2C3');
  assert.equal(answer && textField(answer, 57), 'AV=1;LE=entry-1');
  assert.equal(toHex(answer?.fields.get(55) as Uint8Array), '910A11223344556677883030');
  assert.equal(answer && textField(answer, 100), ISSUER);

  const sent = last(lines.sent);
  assert.ok(isSigned(ISSUER_KEYS.mac, sent));
  const block = bytesField(sent, 52) ?? new Uint8Array();
  const clear = tdesDecrypt(fromHex(ISSUER_KEYS.pin), block);
  assert.equal(pinOfBlockFormat0(clear, TEST_PAN), '123456');
  for (const number of [2, 3, 4, 7, 11, 22, 23, 32, 33, 35, 37, 41, 42, 49, 55, 60]) {
    assert.deepEqual(sent.fields.get(number), sale.fields.get(number), `field ${number}`);
  }
  assert.equal(textField(sent, 100), ISSUER);

  const { transaction, advice } = await books(store);
  assert.equal(transaction?.state, 'answered');
  assert.equal(transaction?.amountMinor, 1234n);
  assert.equal(advice, undefined);
  assert.deepEqual(hops[0]?.facts, { destination: ISSUER, macVerified: true, pinTranslated: true });
  const hop = log.find(({ event }) => event === 'hop');
  assert.deepEqual(
    [hop?.['n'], hop?.['name'], hop?.['party'], hop?.['retrievalReference']],
    [9, 'route', 'switch', requireText(sale, 37)],
  );
});

test('a decline and a sale without PIN pass too', async () => {
  const { core, lines } = testSwitch({ script: (message) => issuerReply(message, '51') });
  const sale = saleRequest([
    [22, '052'],
    [52, undefined],
    [53, undefined],
  ]);
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '51');
  assert.equal(last(lines.sent).fields.has(52), false);
});

test('a wrong or missing MAC is A0, has no effect, and the hop says who refused', async () => {
  const { core, lines, store, hops } = testSwitch();
  const sale = saleRequest();
  const flipped = (bytesField(sale, 128) ?? new Uint8Array()).map((byte, index) =>
    index === 0 ? byte ^ 1 : byte,
  );
  for (const mac of [flipped, undefined, 'ABCDEFGH', new Uint8Array(4)]) {
    const answer = await core.handle(GATEWAY, withFields(sale, [[128, mac]]));
    assert.equal(codeOf(answer), 'A0');
    assert.ok(isSigned(GATEWAY_KEYS.mac, answer));
    assert.equal(answer && textField(answer, 121), 'SW=mac');
  }
  assert.deepEqual(hops[0]?.facts, { refusedBy: 'switch', responseCode: 'A0', reason: 'mac' });
  assert.equal(lines.types(), '');
  assert.deepEqual(await store.transactions(), []);
  // The right one still goes through.
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '00');
});

test('during a key change messages under the old keys still pass, PIN block and all', async () => {
  const { core, lines } = testSwitch();
  const newKeys = { pin: '6789456789ABCDEFFEDCBA9876543298', mac: ISSUER_KEYS.pin };
  lines.established.set(GATEWAY, newKeys);
  lines.previous.set(GATEWAY, GATEWAY_KEYS);
  const answer = await core.handle(GATEWAY, saleRequest());
  assert.equal(codeOf(answer), '00');
  assert.ok(isSigned(GATEWAY_KEYS.mac, answer), 'under the keys of its request');
  lines.previous.delete(GATEWAY);
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), 'A0');
});

test('a repeat hears the first answer and is sent once; another body is 94', async () => {
  const { core, lines } = testSwitch();
  const sale = saleRequest();
  const first = await core.handle(GATEWAY, sale);
  const again = await core.handle(GATEWAY, sale);
  assert.deepEqual(again, first);
  // The PIN block is no part of the body: it may be enciphered again under a new key.
  const newPin = signed(GATEWAY_KEYS.mac, withFields(sale, [[52, fromHex('00'.repeat(8))]]));
  assert.equal(codeOf(await core.handle(GATEWAY, newPin)), '00');
  for (const change of [
    [4, '000000001235'],
    [55, fromHex('9F2608AABBCCDDEEFF0011')],
  ] as const) {
    const other = signed(GATEWAY_KEYS.mac, withFields(sale, [change]));
    assert.equal(codeOf(await core.handle(GATEWAY, other)), '94');
  }
  assert.equal(lines.types(), '0200');
});

test('a repeat of a request in flight is not sent and not answered twice', async () => {
  let release: (answer: 'timeout') => void = () => undefined;
  const pending = new Promise<'timeout'>((resolve) => {
    release = resolve;
  });
  const { core, lines } = testSwitch({ script: () => pending });
  const sale = saleRequest();
  const first = core.handle(GATEWAY, sale);
  await new Promise(setImmediate);
  assert.equal(await core.handle(GATEWAY, sale), null);
  release('timeout');
  assert.equal(codeOf(await first), '98');
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '98');
  assert.equal(lines.types(), '0200');
});

test('two copies at the same moment are sent once', async () => {
  const { core, lines } = testSwitch();
  const sale = saleRequest();
  const answers = await Promise.all([core.handle(GATEWAY, sale), core.handle(GATEWAY, sale)]);
  assert.equal(lines.types(), '0200');
  assert.ok(answers.map(codeOf).includes('00'));
});

test('no answer of the issuer: 98, and 0420, 0421 with growing pauses until 0430', async () => {
  const { core, clock, lines, store, wakes } = testSwitch({ script: () => 'timeout' });
  const sale = saleRequest();
  const answer = await core.handle(GATEWAY, sale);
  assert.equal(codeOf(answer), '98');
  assert.ok(isSigned(GATEWAY_KEYS.mac, answer));
  assert.equal(wakes.count, 1);
  assert.equal((await books(store)).transaction?.state, 'unknown');

  const pauses = [1_000, 2_000, 5_000];
  for (const pauseMs of pauses) {
    assert.equal((await core.tick()).advices, 1);
    assert.equal((await core.tick()).advices, 0);
    clock.advance(pauseMs);
  }
  assert.equal(lines.types(), '0200 0420 0421 0421');
  const [, first, second] = lines.sent;
  assert.ok(first && second);
  assert.ok(isSigned(ISSUER_KEYS.mac, first));
  // Own trace number, the same in each repeat; the original is named in field 90.
  for (const number of [7, 11, 90]) {
    assert.equal(textField(first, number), textField(second, number));
  }
  const original = requireText(sale, 11) + requireText(sale, 7);
  assert.equal(textField(first, 90), `0200${original}${GATEWAY}${GATEWAY}`);
  assert.equal(textField(first, 2), TEST_PAN);
  assert.equal((await books(store)).advice?.attempts, 3);

  lines.script = approving;
  assert.equal((await core.tick()).advices, 1);
  const { transaction, advice } = await books(store);
  assert.equal(transaction?.state, 'reversed');
  assert.equal(advice?.responseCode, '00');
  clock.advance(3_600_000);
  assert.equal((await core.tick()).advices, 0);
});

test('only 00 and 25 under a right MAC end a reversal', async () => {
  const { core, clock, lines, store } = testSwitch({ script: () => 'timeout' });
  await core.handle(GATEWAY, saleRequest());
  const scripts: ((message: Iso8583Message) => Iso8583Message | 'timeout')[] = [
    (message) => issuerReply(message, '96'),
    (message) => issuerReply(message, 'A0'),
    (message) => signed(GATEWAY_KEYS.mac, issuerReply(message, '00')),
    (message) => issuerReply(message, '00', [[11, '999999']]),
    (message) => ({ ...issuerReply(message, '00'), mti: '0210' }),
    () => {
      throw new Error('line lost');
    },
  ];
  for (const script of scripts) {
    lines.script = script;
    clock.advance(60_000);
    assert.equal((await core.tick()).advices, 1);
    assert.equal((await books(store)).transaction?.state, 'unknown');
  }
  lines.script = (message) => issuerReply(message, '25');
  clock.advance(60_000);
  await core.tick();
  assert.equal((await books(store)).transaction?.state, 'reversed');
  assert.equal((await books(store)).advice?.attempts, scripts.length + 1);
});

test('an answer that is not surely final is unknown and reversed', async () => {
  const wrong: readonly ((message: Iso8583Message) => Iso8583Message)[] = [
    (message) => signed(GATEWAY_KEYS.mac, issuerReply(message, '00')),
    (message) => withFields(issuerReply(message, '00'), [[128, undefined]]),
    (message) => issuerReply(message, '00', [[4, '000000000001']]),
    (message) => issuerReply(message, '00', [[37, '000000000000']]),
    (message) => issuerReply(message, '00', [[39, undefined]]),
    (message) => issuerReply(message, 'A0'),
    (message) => issuerReply(message, '68'),
    (message) => ({ ...issuerReply(message, '00'), mti: '0230' }),
  ];
  for (const script of wrong) {
    const { core, store } = testSwitch({ script });
    // A changed identity field needs a MAC of its own to get past the MAC check.
    const answer = await core.handle(GATEWAY, saleRequest());
    assert.equal(codeOf(answer), '98');
    const { transaction, advice } = await books(store);
    assert.equal(transaction?.state, 'unknown');
    assert.equal(advice?.settledAtMs, null);
  }
});

test('a line that fails while sending counts as sent', async () => {
  const { core, store } = testSwitch({
    script: () => Promise.reject(new Error('reset by peer')),
  });
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), '98');
  assert.equal((await books(store)).transaction?.state, 'unknown');
});

test('issuer down: 91, nothing sent, nothing to reverse, and a repeat hears it again', async () => {
  const { core, lines, store } = testSwitch();
  lines.established.delete(ISSUER);
  const sale = saleRequest();
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '91');
  lines.established.set(ISSUER, ISSUER_KEYS);
  // The acquirer was told that it failed: a late copy must not succeed.
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '91');
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale))), '00');
  assert.equal((await core.tick()).advices, 0);
  assert.equal(lines.types(), '');
  assert.equal((await books(store)).transaction?.state, 'reversed');
});

test('a line that turns out to be down at the send is 91 as well', async () => {
  const { core, store } = testSwitch({ script: () => 'down' });
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), '91');
  const { transaction, advice } = await books(store);
  assert.deepEqual([transaction?.state, transaction?.destination], ['answered', null]);
  assert.equal(advice, undefined);
});

test('a card of no known issuer is 14', async () => {
  const { core, lines, hops } = testSwitch();
  const sale = saleRequest([
    [2, '4111111111111111'],
    [35, '4111111111111111D3012201'],
  ]);
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '14');
  assert.deepEqual(hops[0]?.facts, {
    refusedBy: 'switch',
    responseCode: '14',
    reason: 'noRoute',
  });
  assert.equal(lines.types(), '');
});

test('a PIN block that does not decode is 96 and goes nowhere', async () => {
  const { core, lines } = testSwitch();
  const sale = saleRequest([[52, fromHex('0102030405060708')]]);
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '96');
  assert.equal(lines.types(), '');
});

test('junk in any field is 30 or silence, never a crash, and nothing is sent', async () => {
  const { core, lines } = testSwitch();
  const junk: readonly (readonly [number, FieldValue | undefined])[] = [
    [2, undefined],
    [2, '6299990000000018'],
    [2, new Uint8Array([1, 2])],
    [3, '00000'],
    [4, '000000000000'],
    [4, '12.34'],
    [4, undefined],
    [7, '1314092653'],
    [7, undefined],
    [11, '000000'],
    [11, 'ABCDEF'],
    [12, undefined],
    [14, '3013'],
    [22, '059'],
    [32, ''],
    [33, ISSUER],
    [35, `${TEST_PAN.slice(0, -1)}9D3012`],
    [35, new Uint8Array(3)],
    [37, ''],
    [41, 'SHORT'],
    [42, undefined],
    [49, 'CNY'],
    [52, undefined],
    [52, new Uint8Array(7)],
    [55, undefined],
    [55, new Uint8Array()],
  ];
  for (const change of junk) {
    const answer = await core.handle(GATEWAY, saleRequest([change]));
    assert.equal(codeOf(answer), '30', `field ${change[0]}: ${String(change[1])}`);
    assert.ok(isSigned(GATEWAY_KEYS.mac, answer));
  }
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest([[3, '170000']]))), '12');
  assert.equal(lines.types(), '');
});

test('who is no acquirer, or has no line, gets nothing done', async () => {
  const { core, lines, store } = testSwitch();
  const foreign = saleRequest([
    [32, ISSUER],
    [33, ISSUER],
  ]);
  assert.equal(codeOf(await core.handle(ISSUER, signed(ISSUER_KEYS.mac, foreign))), '12');
  lines.established.delete(GATEWAY);
  assert.equal(await core.handle(GATEWAY, saleRequest()), null);
  assert.equal(await core.handle(GATEWAY, reversalOf(saleRequest())), null);
  assert.deepEqual(await store.transactions(), []);
});

test('other message types are refused, and only under a right MAC with 12', async () => {
  const { core } = testSwitch();
  for (const mti of ['0201', '0320', '0500', '0240', '0620']) {
    const other = { ...saleRequest(), mti };
    assert.equal(codeOf(await core.handle(GATEWAY, other)), 'A0', mti);
    const answer = await core.handle(GATEWAY, signed(GATEWAY_KEYS.mac, other));
    assert.ok(['12', '30'].includes(codeOf(answer)), mti);
  }
  assert.equal(codeOf(await core.handle(GATEWAY, makeMessage('0100', []))), 'A0');
});

test('a reversal is acknowledged once durable, then forwarded; three have the effect of one', async () => {
  const { core, lines, store, wakes } = testSwitch();
  const sale = saleRequest();
  await core.handle(GATEWAY, sale);
  const acknowledged = await core.handle(GATEWAY, reversalOf(sale));
  assert.deepEqual([acknowledged?.mti, codeOf(acknowledged)], ['0430', '00']);
  assert.ok(isSigned(GATEWAY_KEYS.mac, acknowledged));
  assert.equal(wakes.count, 1);
  assert.equal(lines.types(), '0200');
  for (let count = 0; count < 2; count++) {
    const repeated = reversalOf(sale, { repeated: true });
    assert.equal(codeOf(await core.handle(GATEWAY, repeated)), '00');
  }
  await Promise.all([core.tick(), core.tick()]);
  assert.equal(lines.types(), '0200 0420');
  assert.equal(textField(last(lines.sent), 38), 'A1B2C3');
  assert.equal((await store.advices()).length, 1);
  assert.equal((await books(store)).transaction?.state, 'reversed');
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale, { repeated: true }))), '00');
  await core.tick();
  assert.equal(lines.types(), '0200 0420');
  // The sale cannot come back.
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '12');
});

test('a reversal before its original: acknowledged, remembered, and the original is refused', async () => {
  const { core, lines, store, log } = testSwitch();
  const sale = saleRequest();
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale))), '00');
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale, { repeated: true }))), '00');
  const answer = await core.handle(GATEWAY, sale);
  assert.equal(codeOf(answer), '12');
  assert.equal(answer && textField(answer, 121), 'SW=reversedBefore');
  await core.tick();
  assert.equal(lines.types(), '');
  assert.equal((await store.transactions()).length, 1);
  const effects = log.filter(({ event }) => event === 'reversalTaken').map((row) => row['effect']);
  assert.deepEqual(effects, ['remembered', 'repeat']);
});

test('a reversal that overtakes the issuer’s answer wins: the approval is only noted', async () => {
  let release: (answer: Iso8583Message) => void = () => undefined;
  const pending = new Promise<Iso8583Message>((resolve) => {
    release = resolve;
  });
  const { core, lines, store } = testSwitch({ script: () => pending });
  const sale = saleRequest();
  const first = core.handle(GATEWAY, sale);
  await new Promise(setImmediate);
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale))), '00');
  release(issuerReply(last(lines.sent), '00'));
  assert.equal(codeOf(await first), '12');
  const { transaction } = await books(store);
  assert.equal(transaction?.state, 'reversing');
  assert.equal(transaction?.lateResponseCode, '00');
  lines.script = approving;
  await core.tick();
  assert.equal((await books(store)).transaction?.state, 'reversed');
});

test('a late approval after the time-out is noted and the reversal goes on', async () => {
  const { core, lines, store, log } = testSwitch({ script: () => 'timeout' });
  const sale = saleRequest();
  await core.handle(GATEWAY, sale);
  const late = issuerReply(last(lines.sent), '00');
  await core.lateReply(ISSUER, withFields(late, [[128, fromHex('00'.repeat(8))]]));
  assert.equal((await books(store)).transaction?.lateResponseCode, null);
  await core.lateReply(ISSUER, late);
  assert.equal((await books(store)).transaction?.lateResponseCode, '00');
  assert.equal((await books(store)).transaction?.state, 'unknown');
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '98');
  lines.script = approving;
  await core.tick();
  assert.equal((await books(store)).transaction?.state, 'reversed');
  assert.deepEqual(
    log.filter(({ event }) => String(event).startsWith('late')).map(({ event }) => event),
    ['lateAnswerIgnored', 'lateAnswerNoted'],
  );
});

test('a reversal of a transaction that the switch reverses already adds nothing', async () => {
  const { core, lines, store } = testSwitch({ script: () => 'timeout' });
  const sale = saleRequest();
  await core.handle(GATEWAY, sale);
  const own = (await books(store)).advice;
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale))), '00');
  const { transaction, advice } = await books(store);
  assert.equal(transaction?.state, 'reversing');
  assert.equal(advice?.stan, own?.stan);
  lines.script = approving;
  await core.tick();
  assert.equal(lines.types(), '0200 0420');
  assert.equal((await books(store)).transaction?.state, 'reversed');
});

test('a reversal with a wrong MAC, form, card or amount reverses nothing', async () => {
  const { core, store } = testSwitch();
  const sale = saleRequest();
  await core.handle(GATEWAY, sale);
  const wrongMac = withFields(reversalOf(sale), [[128, fromHex('00'.repeat(8))]]);
  assert.equal(codeOf(await core.handle(GATEWAY, wrongMac)), 'A0');
  const cases: readonly (readonly [string, number, FieldValue | undefined])[] = [
    ['30', 90, undefined],
    ['30', 90, `0200${'0'.repeat(38)}`],
    ['30', 90, '0200'],
    ['30', 41, undefined],
    ['30', 33, ISSUER],
    ['30', 4, '000000000000'],
    ['30', 2, '6299990000000018'],
    ['12', 2, '6299990000000025'],
    ['12', 4, '000000001235'],
    ['12', 37, '000000000000'],
  ];
  for (const [code, number, value] of cases) {
    const reversal = reversalOf(sale, { changes: [[number, value]] });
    assert.equal(codeOf(await core.handle(GATEWAY, reversal)), code, `field ${number}`);
  }
  assert.equal((await books(store)).transaction?.state, 'answered');
});

test('a line that is down costs a reversal no tries', async () => {
  const { core, clock, lines, store } = testSwitch({ script: () => 'timeout' });
  await core.handle(GATEWAY, saleRequest());
  lines.established.delete(ISSUER);
  for (let count = 0; count < 5; count++) {
    clock.advance(60_000);
    assert.equal((await core.tick()).advices, 0);
  }
  assert.equal((await books(store)).advice?.attempts, 0);
});

test('reversals to one issuer are bounded in flight, and all end', async () => {
  const { core, lines, store } = testSwitch({
    script: () => 'timeout',
    profile: { advicesInFlightMax: 4, breaker: { timeoutsMax: 99, pauseMs: 1 } },
  });
  for (let count = 0; count < 10; count++) await core.handle(GATEWAY, saleRequest());
  let inFlight = 0;
  let most = 0;
  lines.script = async (message) => {
    most = Math.max(most, ++inFlight);
    await new Promise(setImmediate);
    inFlight--;
    return issuerReply(message, '00');
  };
  for (let count = 0; count < 3; count++) {
    await Promise.all([core.tick(), core.tick(), core.tick()]);
  }
  assert.equal(most, 4);
  assert.ok((await store.transactions()).every(({ state }) => state === 'reversed'));
});

/** Runs a sale that never comes back, as a killed process leaves it. */
async function killedAfterSend(): Promise<{ before: TestSwitch; sale: Iso8583Message }> {
  const before = testSwitch({ script: () => new Promise(() => undefined) });
  const sale = saleRequest();
  void before.core.handle(GATEWAY, sale);
  await new Promise(setImmediate);
  assert.equal((await books(before.store)).transaction?.state, 'sent');
  return { before, sale };
}

test('after a crash every sent transaction is reversed, and its repeat hears 98', async () => {
  const { before, sale } = await killedAfterSend();
  const { core, lines, store } = testSwitch({ store: before.store, seed: 2 });
  assert.equal(await core.recover(), 1);
  assert.equal(codeOf(await core.handle(GATEWAY, sale)), '98');
  await core.tick();
  assert.equal(lines.types(), '0420');
  assert.equal((await books(store)).transaction?.state, 'reversed');
  assert.equal(await core.recover(), 0);
});

test('a crash while a reversal is under way: its lease ends with the restart', async () => {
  const { before, sale } = await killedAfterSend();
  await before.core.recover();
  const hanging = before.core.tick();
  await new Promise(setImmediate);
  assert.equal((await books(before.store)).advice?.attempts, 1);
  const { core, lines } = testSwitch({ store: before.store, seed: 2 });
  await core.recover();
  await core.tick();
  assert.equal(lines.types(), '0421');
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale))), '00');
  void hanging;
});

test('a sent transaction whose answer could not be written is found by the sweep', async () => {
  const { core, clock, store } = testSwitch();
  const { answer, abandon } = store;
  const broken = (): Promise<never> => Promise.reject(new Error('no database'));
  Object.assign(store, { answer: broken, abandon: broken });
  assert.equal(await core.handle(GATEWAY, saleRequest()), null);
  Object.assign(store, { answer, abandon });
  assert.equal((await core.tick()).overdue, 0);
  clock.advance(SWITCH_DEFAULTS.issuerTimeoutMs + 10_001);
  const report = await core.tick();
  assert.deepEqual(report, { overdue: 1, advices: 1, closed: [] });
  assert.equal((await books(store)).transaction?.state, 'reversed');
});

test('without its HSM the switch says nothing and sends nothing', async () => {
  const { core, hsm, lines, store } = testSwitch();
  hsm.failing = true;
  assert.equal(await core.handle(GATEWAY, saleRequest()), null);
  assert.equal(await core.handle(GATEWAY, reversalOf(saleRequest())), null);
  assert.equal(await core.handle(GATEWAY, { ...saleRequest(), mti: '0220' }), null);
  assert.equal(lines.types(), '');
  assert.deepEqual(await store.transactions(), []);
});

test('no card number, track or field 55 is clear in journal or log', async () => {
  const { core, store, log, hops } = testSwitch({ script: () => 'timeout' });
  const sale = saleRequest();
  await core.handle(GATEWAY, sale);
  await core.handle(GATEWAY, reversalOf(sale));
  await core.tick();
  const text = (value: unknown): string =>
    JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? `${item}` : item));
  const kept = [await store.transactions(), await store.advices(), log, hops].map(text).join();
  const secrets = [TEST_PAN, TEST_TRACK_2, '9F2608112233', '1122334455667788', '123456'];
  // The detector finds what is there.
  assert.ok(text([...sale.fields]).includes(TEST_PAN));
  for (const secret of secrets) assert.equal(kept.includes(secret), false, secret.slice(0, 4));
  assert.ok(kept.includes('629999******0017'));
});
