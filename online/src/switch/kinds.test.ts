/**
 * Shows each kind of transaction through the switch: requests to the issuer and back, advices taken
 * over at once and forwarded, follow-ups that find their original or are refused, over the store in
 * memory with real MACs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '@tapnpay/protocol/bytes';
import {
  type FieldValue,
  type Iso8583Message,
  requireText,
  TRANSACTION_SPECS,
  type TransactionKind,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { ENDING_KINDS, KIND_RULES } from './kinds.ts';
import type { Transaction } from './model.ts';
import {
  approving,
  codeOf,
  followUpOf,
  GATEWAY,
  GATEWAY_KEYS,
  ISSUER_KEYS,
  isSigned,
  issuerReply,
  requestOf,
  reversalOf,
  saleRequest,
  signed,
  type TestSwitch,
  testSwitch,
} from './switch.test-kit.ts';

/** The row of a message. */
async function rowOf({ store }: TestSwitch, message: Iso8583Message): Promise<Transaction> {
  const stan = textField(message, 11);
  const row = (await store.transactions()).find((transaction) => transaction.stan === stan);
  assert.ok(row, 'the message has a row');
  return row;
}

/** Sends what stands before a follow-up, approved. */
async function approved(world: TestSwitch, kind: TransactionKind): Promise<Iso8583Message> {
  const { originals } = KIND_RULES[kind];
  const [before] = originals;
  const message = before ? followUpOf(kind, await approved(world, before)) : requestOf(kind);
  assert.equal(codeOf(await world.core.handle(GATEWAY, message)), '00', kind);
  await world.core.tick();
  return message;
}

const reasonOf = (answer: Iso8583Message | null): string | undefined =>
  answer ? textField(answer, 121) : undefined;

test('every kind of the table passes under its own types, with the settlement date in F15', async () => {
  for (const { kind, mti, nature } of TRANSACTION_SPECS) {
    const world = testSwitch();
    const message = await approved(world, kind);
    const row = await rowOf(world, message);
    assert.equal(row.kind, kind);
    assert.deepEqual([row.state, row.responseCode], ['answered', '00'], kind);
    assert.equal(row.settlementDate, '20260314');
    const sent = world.lines.sent.at(-1);
    assert.ok(sent && isSigned(ISSUER_KEYS.mac, sent));
    assert.deepEqual([sent.mti, textField(sent, 3)], [mti, textField(message, 3)], kind);
    assert.equal(textField(sent, 15), '0314');
    assert.equal(textField(sent, 90), textField(message, 90));
    const again = await world.core.handle(GATEWAY, message);
    const type = `${mti.slice(0, 2)}${nature === 'request' ? '10' : '30'}`;
    assert.deepEqual([again?.mti, codeOf(again)], [type, '00']);
    assert.equal(again && textField(again, 15), '0314');
    assert.ok(isSigned(GATEWAY_KEYS.mac, again));
  }
});

test('the list of ending kinds in the database is the one of the table', () => {
  const listed = ['saleVoid', 'preAuthorisationCancel', 'completionAdvice', 'completionVoid'];
  assert.deepEqual([...ENDING_KINDS].sort(), listed.sort());
});

test('an advice is answered first, then forwarded as 0220 and 0221 until 0230', async () => {
  const world = testSwitch();
  const { core, lines, clock, store, wakes } = world;
  const hold = await approved(world, 'preAuthorisation');
  lines.script = () => 'timeout';
  const completion = followUpOf('completionAdvice', hold, { changes: [[4, '000000000900']] });
  const answer = await core.handle(GATEWAY, completion);
  assert.deepEqual([answer?.mti, codeOf(answer)], ['0230', '00']);
  assert.equal(wakes.count, 1);
  assert.equal(lines.types(), '0100');
  await core.tick();
  clock.advance(1_000);
  await core.tick();
  clock.advance(2_000);
  lines.script = approving;
  await core.tick();
  assert.equal(lines.types(), '0100 0220 0221 0221');
  for (const sent of lines.sent.slice(1)) {
    for (const number of [4, 7, 11, 37, 90]) {
      assert.equal(textField(sent, number), textField(completion, number), `field ${number}`);
    }
  }
  const [advice] = await store.advices();
  assert.deepEqual([advice?.kind, advice?.state, advice?.attempts], ['advice', 'settled', 3]);
  clock.advance(3_600_000);
  assert.equal((await core.tick()).advices, 0);
});

test('a repeat of an advice, 0220 or 0221, hears the same; another body is 94', async () => {
  const world = testSwitch();
  const sale = await approved(world, 'sale');
  const refund = followUpOf('refund', sale);
  const first = await world.core.handle(GATEWAY, refund);
  const repeat = signed(GATEWAY_KEYS.mac, { ...refund, mti: '0221' });
  assert.deepEqual(await world.core.handle(GATEWAY, repeat), first);
  const other = signed(GATEWAY_KEYS.mac, withFields(repeat, [[4, '000000000001']]));
  assert.equal(codeOf(await world.core.handle(GATEWAY, other)), '94');
  assert.equal((await world.store.advices()).length, 1);
});

test('two copies of an advice at the same moment are one', async () => {
  const world = testSwitch();
  const refund = followUpOf('refund', await approved(world, 'sale'));
  const answers = await Promise.all([1, 2].map(() => world.core.handle(GATEWAY, refund)));
  assert.deepEqual(answers.map(codeOf), ['00', '00']);
  assert.equal((await world.store.advices()).length, 1);
});

test('an advice that can be none is not taken: 30, 12, 14, 25, A0', async () => {
  const world = testSwitch();
  const { core, store } = world;
  const sale = await approved(world, 'sale');
  const rows = (await store.transactions()).length;
  const cases: readonly (readonly [string, number, FieldValue | undefined])[] = [
    ['30', 3, '2000'],
    ['30', 4, undefined],
    ['30', 4, '000000000000'],
    ['30', 38, 'AB'],
    ['30', 90, undefined],
    ['30', 90, '9'.repeat(42)],
    ['30', 55, fromHex('9F2608112233')],
    ['30', 52, new Uint8Array(8)],
    ['12', 3, '990000'],
    ['12', 2, '6299990000000025'],
    ['12', 49, '840'],
    ['12', 38, 'ZZZZZZ'],
    ['25', 90, `0200999999${requireText(sale, 7)}${GATEWAY}${GATEWAY}`],
  ];
  for (const [code, number, value] of cases) {
    const refund = followUpOf('refund', sale, { changes: [[number, value]] });
    const answer = await core.handle(GATEWAY, refund);
    assert.equal(codeOf(answer), code, `field ${number} ${String(value)}: ${reasonOf(answer)}`);
  }
  const unsigned = withFields(followUpOf('refund', sale), [[128, new Uint8Array(8)]]);
  assert.equal(codeOf(await core.handle(GATEWAY, unsigned)), 'A0');
  const foreign = requestOf('offlineSaleAdvice', [
    [2, '4111111111111111'],
    [35, undefined],
  ]);
  assert.equal(codeOf(await core.handle(GATEWAY, foreign)), '14');
  // Nothing of them was taken; the right one still is.
  assert.equal((await store.transactions()).length, rows);
  assert.deepEqual(await store.advices(), []);
  assert.equal(codeOf(await core.handle(GATEWAY, followUpOf('refund', sale))), '00');
});

test('a void names an approved sale of the same settlement date, once', async () => {
  const world = testSwitch();
  const { core, clock, lines } = world;
  const refuse = async (message: Iso8583Message): Promise<string> => {
    const answer = await core.handle(GATEWAY, message);
    return `${codeOf(answer)} ${reasonOf(answer) ?? ''}`.trim();
  };
  const unknown = followUpOf('saleVoid', saleRequest());
  assert.equal(await refuse(unknown), '25 SW=noOriginal');
  const sale = await approved(world, 'sale');
  for (const [number, value, reason] of [
    [2, '6299990000000025', '12 SW=original2'],
    [49, '840', '12 SW=original49'],
    [38, 'ZZZZZZ', '12 SW=original38'],
    [
      90,
      `0100${(textField(followUpOf('saleVoid', sale), 90) ?? '').slice(4)}`,
      '12 SW=originalKind',
    ],
    [41, 'TAP00002', '25 SW=noOriginal'],
  ] as const) {
    const wrong = followUpOf('saleVoid', sale, { changes: [[number, value]] });
    assert.equal(await refuse(wrong), reason, `field ${number}`);
  }
  // A cancellation follows a pre-authorisation only.
  assert.equal(await refuse(followUpOf('preAuthorisationCancel', sale)), '12 SW=originalKind');
  lines.script = (message) => issuerReply(message, '51');
  const declined = saleRequest();
  await core.handle(GATEWAY, declined);
  assert.equal(await refuse(followUpOf('saleVoid', declined)), '12 SW=originalState');
  // A void that the issuer declined leaves the sale as it is.
  assert.equal(await refuse(followUpOf('saleVoid', sale)), '51');
  assert.equal((await rowOf(world, sale)).endedBy, null);
  lines.script = approving;
  const reversed = saleRequest();
  await core.handle(GATEWAY, reversed);
  await core.handle(GATEWAY, reversalOf(reversed));
  assert.equal(await refuse(followUpOf('saleVoid', reversed)), '12 SW=originalState');
  const ofYesterday = await approved(world, 'sale');
  const voided = followUpOf('saleVoid', sale);
  assert.equal(await refuse(voided), '00');
  assert.equal((await rowOf(world, sale)).endedBy, (await rowOf(world, voided)).transactionId);
  assert.equal(await refuse(followUpOf('saleVoid', sale)), '12 SW=originalEnded');
  assert.equal(await refuse(followUpOf('refund', sale)), '12 SW=originalEnded');
  assert.equal(await refuse(reversalOf(sale)), '12 SW=originalEnded');
  clock.advance(24 * 3_600_000);
  assert.equal(await refuse(followUpOf('saleVoid', ofYesterday)), '12 SW=originalDate');
  assert.equal(await refuse(followUpOf('refund', ofYesterday)), '00');
});

test('a void without an answer is reversed, and the sale stands again', async () => {
  const world = testSwitch();
  const { core, lines } = world;
  const sale = await approved(world, 'sale');
  lines.script = () => 'timeout';
  const lost = followUpOf('saleVoid', sale);
  assert.equal(codeOf(await core.handle(GATEWAY, lost)), '98');
  lines.script = approving;
  await core.tick();
  const reversal = lines.sent.at(-1);
  assert.equal(reversal?.mti, '0420');
  assert.equal(reversal && textField(reversal, 3), '200000');
  assert.equal(reversal && textField(reversal, 90)?.slice(4, 10), textField(lost, 11));
  assert.equal((await rowOf(world, sale)).endedBy, null);
  const second = followUpOf('saleVoid', sale);
  assert.equal(codeOf(await core.handle(GATEWAY, second)), '00');
  // An approved void that its acquirer reverses frees the sale when the issuer has confirmed.
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(second))), '00');
  assert.notEqual((await rowOf(world, sale)).endedBy, null);
  await core.tick();
  assert.equal((await rowOf(world, sale)).endedBy, null);
});

test('a pre-authorisation is completed once; the void of the completion frees it again', async () => {
  const world = testSwitch();
  const { core } = world;
  const hold = await approved(world, 'preAuthorisation');
  const completion = followUpOf('completionAdvice', hold);
  assert.equal(codeOf(await core.handle(GATEWAY, completion)), '00');
  const second = await core.handle(GATEWAY, followUpOf('completionAdvice', hold));
  assert.equal(reasonOf(second), 'SW=originalEnded');
  const cancel = await core.handle(GATEWAY, followUpOf('preAuthorisationCancel', hold));
  assert.equal(reasonOf(cancel), 'SW=originalEnded');
  // What the issuer has not got yet cannot be undone at it.
  const early = await core.handle(GATEWAY, followUpOf('completionVoid', completion));
  assert.deepEqual([codeOf(early), reasonOf(early)], ['91', 'SW=originalOwed']);
  await core.tick();
  const undo = followUpOf('completionVoid', completion);
  assert.equal(codeOf(await core.handle(GATEWAY, undo)), '00');
  assert.equal((await rowOf(world, hold)).endedBy, null);
  assert.equal(codeOf(await core.handle(GATEWAY, followUpOf('completionAdvice', hold))), '00');
  assert.equal(codeOf(await core.handle(GATEWAY, followUpOf('completionAdvice', hold))), '12');
});

test('the reversal of a completion’s void binds both again', async () => {
  const world = testSwitch();
  const { core } = world;
  const hold = await approved(world, 'preAuthorisation');
  const completion = followUpOf('completionAdvice', hold);
  await core.handle(GATEWAY, completion);
  await core.tick();
  const undo = followUpOf('completionVoid', completion);
  await core.handle(GATEWAY, undo);
  await core.handle(GATEWAY, reversalOf(undo));
  await core.tick();
  const completed = await rowOf(world, completion);
  assert.equal(completed.endedBy, null);
  assert.equal((await rowOf(world, hold)).endedBy, completed.transactionId);
});

test('several refunds of one sale are legal; their sum is the issuer’s decision', async () => {
  const world = testSwitch();
  const sale = await approved(world, 'sale');
  for (const amount of ['000000000400', '000000000834', '000000099999']) {
    const refund = followUpOf('refund', sale, { changes: [[4, amount]] });
    assert.equal(codeOf(await world.core.handle(GATEWAY, refund)), '00');
  }
  assert.equal((await world.core.tick()).advices, 1, 'one after the other: they have one original');
});

test('an advice is never reversed, and a balance has nothing to reverse', async () => {
  const world = testSwitch();
  const { core, lines, store } = world;
  const offline = await approved(world, 'offlineSaleAdvice');
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(offline))), '30');
  const named = reversalOf(offline, {
    changes: [[90, `0200${textField(reversalOf(offline), 90)?.slice(4)}`]],
  });
  const answer = await core.handle(GATEWAY, signed(GATEWAY_KEYS.mac, named));
  assert.equal(reasonOf(answer), 'SW=originalKind');
  lines.script = () => 'timeout';
  const inquiry = requestOf('balanceInquiry');
  assert.equal(codeOf(await core.handle(GATEWAY, inquiry)), '98');
  assert.equal(codeOf(await core.handle(GATEWAY, inquiry)), '98');
  assert.equal((await rowOf(world, inquiry)).state, 'answered');
  assert.ok((await store.advices()).every(({ kind }) => kind !== 'reversal'));
});

test('a lost 0100 is reversed under its own type in field 90', async () => {
  const { core, lines, store } = testSwitch({ script: () => 'timeout' });
  const hold = requestOf('preAuthorisation');
  assert.equal(codeOf(await core.handle(GATEWAY, hold)), '98');
  lines.script = approving;
  await core.tick();
  const sent = lines.sent.at(-1);
  assert.equal(sent && textField(sent, 90)?.slice(0, 4), '0100');
  assert.deepEqual(
    (await store.transactions()).map(({ state }) => state),
    ['reversed'],
  );
});

test('junk in any field of an advice is an answer or silence, never a crash or a row', async () => {
  const world = testSwitch();
  const { core, store } = world;
  const offline = requestOf('offlineSaleAdvice');
  for (const number of offline.fields.keys()) {
    for (const value of [undefined, '', '\u0000', 'x'.repeat(999), new Uint8Array(3)]) {
      const junk = withFields(offline, [[number, value]]);
      const answer = await core.handle(GATEWAY, tryToSign(junk));
      assert.ok(answer === null || /^(00|12|14|30|94|A0)$/.test(codeOf(answer)), String(number));
    }
  }
  for (const row of await store.transactions()) assert.equal(row.responseCode, '00');
});

function tryToSign(message: Iso8583Message): Iso8583Message {
  try {
    return signed(GATEWAY_KEYS.mac, message);
  } catch {
    return message;
  }
}
