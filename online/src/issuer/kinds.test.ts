/**
 * Shows each kind of message beside the plain sale, right and wrong: what it moves, what refuses
 * it, how it is undone, and that a repeat gets the stored answer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Iso8583Message, TransactionKind } from '@tapnpay/protocol/iso8583';
import { HOLD_MS } from './card-request.ts';
import {
  type Answer,
  expectedProof,
  type FieldChanges,
  IssuerWorld,
  NOW_MS,
  type PurchaseOptions,
  panOf,
  textOf,
  withMac,
} from './issuer.test-kit.ts';
import type { WorkItemKind } from './model.ts';

const RICH = 10_000_000n;
const DAY_MS = 24 * 3_600_000;

async function answer(world: IssuerWorld, message: Iso8583Message): Promise<Answer> {
  const reply = await world.send(message);
  assert.ok(reply, JSON.stringify(world.log.at(-1)));
  assert.ok(reply.isMacRight, 'every answer carries a right MAC');
  return reply;
}

/** A request that was approved, as follow-ups need it. */
type Done = { readonly message: Iso8583Message; readonly approvalCode: string | null };

async function approved(world: IssuerWorld, message: Iso8583Message): Promise<Done> {
  const reply = await answer(world, message);
  assert.deepEqual([reply.code, reply.reason], ['00', null]);
  return { message, approvalCode: reply.approvalCode };
}

const paid = (world: IssuerWorld, options: PurchaseOptions = {}): Promise<Done> =>
  approved(world, world.purchase(options));

const held = (world: IssuerWorld, amount: bigint, options: PurchaseOptions = {}): Promise<Done> =>
  approved(world, world.purchase({ kind: 'preAuthorisation', amount, ...options }));

/** Posted, held, available, owed. */
async function money(world: IssuerWorld, account = 1): Promise<readonly bigint[]> {
  const { balanceMinor, heldMinor, availableMinor, owedMinor } = await world.card(account);
  return [balanceMinor, heldMinor, availableMinor, owedMinor];
}

async function workItems(
  world: IssuerWorld,
): Promise<readonly (readonly [WorkItemKind, bigint])[]> {
  const { workItems: items } = await world.books();
  return items.map(({ kind, amountMinor }) => [kind, amountMinor] as const);
}

async function follow(
  world: IssuerWorld,
  kind: TransactionKind,
  original: Done,
  more: { readonly amount?: bigint; readonly fields?: FieldChanges } = {},
): Promise<readonly [code: string, reason: string | null]> {
  const reply = await answer(world, world.followUp(kind, original, more));
  return [reply.code, reply.reason];
}

const OK = ['00', null] as const;

test('every answer names its settlement date: that of field 15, or the issuer’s own day', async () => {
  const world = await IssuerWorld.open();
  const day = async (fields: FieldChanges): Promise<string> =>
    textOf((await answer(world, world.purchase({ fields }))).message, 15);
  assert.equal(await day([]), '1125');
  assert.equal(await day([[15, '1126']]), '1126');
  world.clock.set(Date.UTC(2026, 10, 25, 14, 59, 59, 999));
  assert.equal(await day([]), '1125');
  world.clock.set(Date.UTC(2026, 10, 25, 15, 0, 0));
  assert.equal(await day([]), '1126', 'the day turns at 23:00 in China');
  for (const wrong of ['1332', '0230', '0000']) {
    const reply = await answer(world, world.purchase({ fields: [[15, wrong]] }));
    assert.deepEqual([reply.code, reply.reason], ['30', 'format'], wrong);
  }
});

test('void: the whole sale comes back, once, and its limit with it', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  const request = world.followUp('saleVoid', sale);
  const reply = await answer(world, request);
  assert.deepEqual([reply.mti, reply.code], ['0210', '00']);
  assert.match(reply.approvalCode ?? '', /^[0-9]{6}$/);
  assert.ok(reply.ledgerEntryId);
  assert.deepEqual((await answer(world, request)).message.fields, reply.message.fields);
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
  assert.deepEqual((await world.card()).usage, { amountMinor: 0n, count: 0, noPinMinor: 0n });
  assert.deepEqual(await follow(world, 'saleVoid', sale), ['12', 'originalVoided']);
  assert.deepEqual(await follow(world, 'refund', sale), ['12', 'originalVoided']);
});

type WrongFollowUp = {
  readonly name: string;
  readonly kind: TransactionKind;
  readonly more?: { readonly amount?: bigint; readonly fields?: FieldChanges };
  readonly refused: readonly [string, string];
};
const WRONG_OF_SALE: readonly WrongFollowUp[] = [
  {
    name: 'void of a part',
    kind: 'saleVoid',
    more: { amount: 499n },
    refused: ['64', 'amountDiffers'],
  },
  {
    name: 'void after the settlement date turned',
    kind: 'saleVoid',
    more: { fields: [[15, '1126']] },
    refused: ['12', 'settlementDatePassed'],
  },
  {
    name: 'void with another approval code',
    kind: 'saleVoid',
    more: { fields: [[38, 'ABCDEF']] },
    refused: ['12', 'approvalCodeDiffers'],
  },
  {
    name: 'void by another card',
    kind: 'saleVoid',
    more: { fields: [[2, panOf(2)]] },
    refused: ['12', 'originalDiffers'],
  },
  {
    name: 'void in another currency',
    kind: 'saleVoid',
    more: { fields: [[49, '840']] },
    refused: ['12', 'originalDiffers'],
  },
  {
    name: 'void of what never was',
    kind: 'saleVoid',
    more: { fields: [[90, `0200999999${'1125120000'}${'49990000001'.repeat(2)}`]] },
    refused: ['25', 'originalUnknown'],
  },
  {
    name: 'refund of more than the sale',
    kind: 'refund',
    more: { amount: 501n },
    refused: ['64', 'refundAboveAmount'],
  },
  {
    name: 'refund of nothing',
    kind: 'refund',
    more: { amount: 0n },
    refused: ['12', 'amountZero'],
  },
  {
    name: 'a sale is not cancelled as a pre-authorisation',
    kind: 'preAuthorisationCancel',
    refused: ['12', 'originalKind'],
  },
  {
    name: 'a sale is not completed',
    kind: 'completionAdvice',
    refused: ['12', 'originalKind'],
  },
  { name: 'a sale is no completion', kind: 'completionVoid', refused: ['12', 'originalKind'] },
];

for (const { name, kind, more, refused } of WRONG_OF_SALE) {
  test(`refused, no money moves: ${name} -> ${refused.join(' ')}`, async () => {
    const world = await IssuerWorld.open();
    const sale = await paid(world, { amount: 500n });
    assert.deepEqual(await follow(world, kind, sale, more), refused);
    assert.deepEqual(await money(world), [RICH - 500n, 0n, RICH - 500n, 0n]);
    const items = (await workItems(world)).map(([item]) => item);
    const isAdvice = kind === 'refund' || kind === 'completionAdvice';
    assert.deepEqual(items, isAdvice ? ['adviceRefused'] : []);
  });
}

test('a follow-up of a declined or reversed sale is refused', async () => {
  const world = await IssuerWorld.open();
  const declined = world.purchase({ pin: '000000' });
  await answer(world, declined);
  const none = { message: declined, approvalCode: null };
  assert.deepEqual(await follow(world, 'saleVoid', none), ['12', 'originalDeclined']);
  const sale = await paid(world);
  await answer(world, world.reversal(sale.message));
  assert.deepEqual(await follow(world, 'refund', sale), ['12', 'originalReversed']);
  const late = { message: world.purchase(), approvalCode: null };
  await answer(world, world.reversal(late.message));
  assert.deepEqual(await follow(world, 'refund', late), ['12', 'originalReversed']);
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
});

test('the reversal of a void restores the sale, and is safe to repeat', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  const request = world.followUp('saleVoid', sale);
  await answer(world, request);
  for (let times = 0; times < 3; times++) {
    assert.equal((await answer(world, world.reversal(request))).code, '00');
  }
  assert.deepEqual(await money(world), [RICH - 500n, 0n, RICH - 500n, 0n]);
  assert.equal((await world.card()).usage.count, 1);
  assert.deepEqual(await follow(world, 'saleVoid', sale), OK, 'and it can be voided anew');
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
});

test('a sale that was reversed after its void does not come back with the void’s reversal', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  const request = world.followUp('saleVoid', sale);
  await answer(world, request);
  assert.equal((await answer(world, world.reversal(sale.message))).code, '00');
  assert.equal((await answer(world, world.reversal(request))).code, '00');
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
});

test('a void is reversed when its money is spent: the rest is owed, and comes out of the next credit', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { account: 2, amount: 100n });
  const request = world.followUp('saleVoid', sale);
  await answer(world, request);
  const other = await paid(world, { account: 2, amount: 70n });
  assert.equal((await answer(world, world.reversal(request))).code, '00');
  assert.deepEqual(await money(world, 2), [0n, 0n, 0n, 70n]);
  assert.deepEqual(await workItems(world), [['notCovered', 70n]]);
  assert.deepEqual(await follow(world, 'refund', other, { amount: 50n }), OK);
  assert.deepEqual(await money(world, 2), [0n, 0n, 0n, 20n]);
  assert.deepEqual(await follow(world, 'refund', sale, { amount: 30n }), OK);
  assert.deepEqual(await money(world, 2), [10n, 0n, 10n, 0n]);
});

test('refunds: several parts up to the sale, as advices that may be repeated', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  const first = world.followUp('refund', sale, { amount: 200n });
  const reply = await answer(world, first);
  assert.deepEqual([reply.mti, reply.code], ['0230', '00']);
  const repeat = withMac({ ...first, mti: '0221' });
  assert.deepEqual((await answer(world, repeat)).code, '00');
  assert.deepEqual(await follow(world, 'refund', sale, { amount: 300n }), OK);
  assert.deepEqual(await follow(world, 'refund', sale, { amount: 1n }), [
    '64',
    'refundAboveAmount',
  ]);
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
  assert.deepEqual(await follow(world, 'saleVoid', sale), ['12', 'refunded']);
  const other = withMac({ ...world.followUp('refund', sale, { amount: 9n }), mti: '0220' });
  const used = { ...other, fields: new Map([...other.fields, [11, textOf(first, 11)] as const]) };
  assert.equal((await answer(world, withMac(used))).code, '94', 'another body under that trace');
});

test('a refund is possible later and on a blocked card; it gives no limit back', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  world.clock.set(NOW_MS + 40 * DAY_MS);
  assert.deepEqual(await follow(world, 'refund', sale), OK);
  world.clock.set(NOW_MS);
  assert.equal((await world.card()).usage.amountMinor, 500n);
});

test('the reversal of a sale that was refunded in part gives the rest back', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  await follow(world, 'refund', sale, { amount: 200n });
  assert.equal((await answer(world, world.reversal(sale.message))).code, '00');
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
});

test('an advice is never reversed: 12, and nothing moves', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { amount: 500n });
  const refund = world.followUp('refund', sale, { amount: 200n });
  await answer(world, refund);
  const reply = await answer(world, world.reversal(refund));
  assert.deepEqual([reply.mti, reply.code], ['0430', '12']);
  const unseen = world.followUp('refund', sale, { amount: 100n });
  assert.equal((await answer(world, world.reversal(unseen))).code, '12');
  assert.equal((await answer(world, unseen)).code, '00', 'nor kept out when it comes');
  assert.equal(await world.balance(), RICH - 200n);
});

test('pre-authorisation: held, not posted; what is held cannot be spent', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase({ kind: 'preAuthorisation', account: 2, amount: 80n, atc: 1 });
  const reply = await answer(world, request);
  assert.deepEqual([reply.mti, reply.code, reply.arqcVerified], ['0110', '00', true]);
  assert.equal(reply.proof, expectedProof(2, 1, request)('00'));
  assert.equal(reply.ledgerEntryId, null);
  assert.deepEqual(await money(world, 2), [100n, 80n, 20n, 0n]);
  const sale = world.purchase({ account: 2, amount: 21n });
  assert.equal((await answer(world, sale)).code, '51');
  assert.deepEqual(await money(world, 2), [100n, 80n, 20n, 0n]);
  await held(world, 20n, { account: 2 });
  const third = world.purchase({ kind: 'preAuthorisation', account: 2, amount: 1n });
  assert.equal((await answer(world, third)).code, '51');
});

test('a pre-authorisation is decided by every step of a sale', async () => {
  const world = await IssuerWorld.open();
  const kind = 'preAuthorisation';
  const refusals: readonly (readonly [PurchaseOptions, string])[] = [
    [{ account: 4 }, '62'],
    [{ pin: '000000' }, '55'],
    [{ unsigned: { '9F26': '0102030405060708' } }, '05'],
    [{ amount: 5_000_001n }, '61'],
    [{ amount: 0n }, '12'],
  ];
  for (const [options, code] of refusals) {
    assert.equal((await answer(world, world.purchase({ kind, ...options }))).code, code);
  }
  assert.deepEqual((await world.books()).holds, []);
});

test('cancellation: the hold ends, its reversal holds again', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 500n);
  assert.deepEqual(await follow(world, 'preAuthorisationCancel', preAuth, { amount: 400n }), [
    '64',
    'amountDiffers',
  ]);
  const request = world.followUp('preAuthorisationCancel', preAuth);
  const reply = await answer(world, request);
  assert.deepEqual([reply.mti, reply.code], ['0110', '00']);
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
  assert.deepEqual(await follow(world, 'completionAdvice', preAuth), ['12', 'originalVoided']);
  assert.equal((await answer(world, world.reversal(request))).code, '00');
  assert.deepEqual(await money(world), [RICH, 500n, RICH - 500n, 0n]);
  assert.deepEqual(await follow(world, 'completionAdvice', preAuth), OK);
  assert.deepEqual(await follow(world, 'preAuthorisationCancel', preAuth), ['12', 'completed']);
});

test('the reversal of a cancellation holds no more than is there', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 80n, { account: 2 });
  const request = world.followUp('preAuthorisationCancel', preAuth);
  await answer(world, request);
  await paid(world, { account: 2, amount: 60n });
  assert.equal((await answer(world, world.reversal(request))).code, '00');
  assert.deepEqual(await money(world, 2), [40n, 40n, 0n, 0n]);
});

test('the reversal of a pre-authorisation releases its hold, before or after it', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 500n);
  assert.equal((await answer(world, world.reversal(preAuth.message))).code, '00');
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
  const late = world.purchase({ kind: 'preAuthorisation', amount: 500n });
  assert.equal((await answer(world, world.reversal(late))).code, '00');
  const reply = await answer(world, late);
  assert.deepEqual([reply.mti, reply.code, reply.reason], ['0110', '12', 'reversedBefore']);
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
});

test('a completed pre-authorisation cannot be reversed: 12 and a work item', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 500n);
  await follow(world, 'completionAdvice', preAuth);
  assert.equal((await answer(world, world.reversal(preAuth.message))).code, '12');
  assert.deepEqual(await money(world), [RICH - 500n, 0n, RICH - 500n, 0n]);
  assert.deepEqual(await workItems(world), [['reversalRefused', 500n]]);
});

test('completion: posts its amount, releases the rest, happens once', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 500n);
  const advice = world.followUp('completionAdvice', preAuth, { amount: 300n });
  const reply = await answer(world, advice);
  assert.deepEqual([reply.mti, reply.code], ['0230', '00']);
  assert.ok(reply.ledgerEntryId);
  assert.deepEqual(await money(world), [RICH - 300n, 0n, RICH - 300n, 0n]);
  assert.equal((await answer(world, withMac({ ...advice, mti: '0221' }))).code, '00');
  assert.deepEqual(await follow(world, 'completionAdvice', preAuth), ['12', 'completed']);
  assert.deepEqual(await money(world), [RICH - 300n, 0n, RICH - 300n, 0n]);
  const done = { message: advice, approvalCode: reply.approvalCode };
  assert.deepEqual(await follow(world, 'refund', done, { amount: 301n }), [
    '64',
    'refundAboveAmount',
  ]);
  assert.deepEqual(await follow(world, 'refund', done, { amount: 100n }), OK);
  assert.deepEqual(await money(world), [RICH - 200n, 0n, RICH - 200n, 0n]);
});

test('a completion above its hold is answered 00; the card pays what it consented to', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 80n, { account: 2 });
  const advice = world.followUp('completionAdvice', preAuth, { amount: 95n });
  const done = await approved(world, advice);
  assert.deepEqual(await money(world, 2), [20n, 0n, 20n, 15n]);
  assert.deepEqual(await workItems(world), [['aboveHold', 15n]]);
  assert.deepEqual(await follow(world, 'refund', done, { amount: 20n }), OK);
  assert.deepEqual(await money(world, 2), [25n, 0n, 25n, 0n], 'what is owed is paid first');
});

test('a hold lasts 30 days; the job that ends it may run again and again', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 80n, { account: 2 });
  const expire = (atMs: number) => world.store.expireHolds(atMs, 10);
  assert.equal(await expire(NOW_MS + HOLD_MS - 1), 0);
  assert.deepEqual(await money(world, 2), [100n, 80n, 20n, 0n]);
  assert.equal(await expire(NOW_MS + HOLD_MS), 1);
  assert.equal(await expire(NOW_MS + HOLD_MS), 0);
  assert.deepEqual(await money(world, 2), [100n, 0n, 100n, 0n]);
  assert.deepEqual(await follow(world, 'preAuthorisationCancel', preAuth), OK);
  assert.deepEqual(await money(world, 2), [100n, 0n, 100n, 0n]);
});

test('a completion after its hold expired is not declined: what is there pays, the rest is owed', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 80n, { account: 2 });
  world.clock.set(NOW_MS + HOLD_MS);
  await world.store.expireHolds(NOW_MS + HOLD_MS, 10);
  await paid(world, { account: 2, amount: 50n });
  assert.deepEqual(await follow(world, 'completionAdvice', preAuth), OK);
  assert.deepEqual(await money(world, 2), [0n, 0n, 0n, 30n]);
  assert.deepEqual(await workItems(world), [['notCovered', 30n]]);
});

test('a completion of what never was: 25, a work item, no money', async () => {
  const world = await IssuerWorld.open();
  const never = { message: world.purchase({ kind: 'preAuthorisation' }), approvalCode: null };
  assert.deepEqual(await follow(world, 'completionAdvice', never), ['25', 'originalUnknown']);
  assert.deepEqual(await workItems(world), [['adviceRefused', 1234n]]);
  assert.deepEqual(await money(world), [RICH, 0n, RICH, 0n]);
});

test('void of a completion: the money is held again; its reversal posts it again', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 500n);
  const advice = world.followUp('completionAdvice', preAuth, { amount: 300n });
  const done = await approved(world, advice);
  const request = world.followUp('completionVoid', done);
  const reply = await answer(world, request);
  assert.deepEqual([reply.mti, reply.code], ['0210', '00']);
  assert.deepEqual(await money(world), [RICH, 300n, RICH - 300n, 0n]);
  assert.equal((await answer(world, world.reversal(request))).code, '00');
  assert.deepEqual(await money(world), [RICH - 300n, 0n, RICH - 300n, 0n]);
  assert.deepEqual(await follow(world, 'completionVoid', done, { amount: 200n }), [
    '64',
    'amountDiffers',
  ]);
  assert.deepEqual(await follow(world, 'completionVoid', done), OK);
  assert.deepEqual(await follow(world, 'completionAdvice', preAuth, { amount: 250n }), OK);
  assert.deepEqual(await money(world), [RICH - 250n, 0n, RICH - 250n, 0n]);
});

test('the void of a completion is not reversed when its hold is used up: 12 and a work item', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 500n);
  const done = await approved(world, world.followUp('completionAdvice', preAuth));
  const request = world.followUp('completionVoid', done);
  await answer(world, request);
  await follow(world, 'completionAdvice', preAuth, { amount: 400n });
  assert.equal((await answer(world, world.reversal(request))).code, '12');
  assert.deepEqual(await money(world), [RICH - 400n, 0n, RICH - 400n, 0n]);
  assert.deepEqual(await workItems(world), [['reversalRefused', 500n]]);
});

test('void of a completion above its hold gives all of it back', async () => {
  const world = await IssuerWorld.open();
  const preAuth = await held(world, 80n, { account: 2 });
  const advice = world.followUp('completionAdvice', preAuth, { amount: 95n });
  const done = await approved(world, advice);
  assert.deepEqual(await follow(world, 'completionVoid', done), OK);
  assert.deepEqual(await money(world, 2), [100n, 80n, 20n, 0n]);
});

test('balance inquiry: both balances in field 54, for who knows the PIN', async () => {
  const world = await IssuerWorld.open();
  await held(world, 30n, { account: 2 });
  const kind = 'balanceInquiry';
  const ask = (options: PurchaseOptions = {}) =>
    answer(world, world.purchase({ kind, account: 2, amount: 0n, ...options }));
  const request = world.purchase({ kind, account: 2, amount: 0n, fields: [[4, undefined]] });
  const reply = await answer(world, request);
  assert.deepEqual([reply.code, reply.arqcVerified, reply.ledgerEntryId], ['00', true, null]);
  const amounts = `0001156C${'100'.padStart(12, '0')}0002156C${'70'.padStart(12, '0')}`;
  assert.equal(textOf(reply.message, 54), amounts);
  await paid(world, { account: 2, amount: 5n });
  assert.equal(textOf((await answer(world, request)).message, 54), amounts, 'the stored answer');
  assert.deepEqual(
    [(await ask({ pin: null })).reason, (await ask({ pin: '000000' })).code],
    ['pinMissing', '55'],
  );
  const wrong = await ask({ unsigned: { '9F26': '0000000000000000' } });
  assert.deepEqual([wrong.code, wrong.message.fields.has(54)], ['05', false]);
  const asked = world.purchase({ kind, account: 2, amount: 0n });
  await answer(world, asked);
  assert.equal((await answer(world, world.reversal(asked))).code, '00');
  assert.deepEqual(await money(world, 2), [95n, 30n, 65n, 0n]);
});

test('a credit card spends its line: the balance is below zero, field 54 says so, 51 beyond it', async () => {
  const world = await IssuerWorld.open();
  await paid(world, { account: 7, amount: 4000n });
  assert.deepEqual(await money(world, 7), [-4000n, 0n, 1000n, 0n]);
  assert.equal((await answer(world, world.purchase({ account: 7, amount: 1001n }))).code, '51');
  const inquiry = world.purchase({ kind: 'balanceInquiry', account: 7, amount: 0n });
  const amounts = textOf((await answer(world, inquiry)).message, 54);
  assert.equal(amounts, '0001156D0000000040000002156C000000001000');
});

const OFFLINE = { kind: 'offlineSaleAdvice', account: 13 } as const;
const purse = async (world: IssuerWorld): Promise<bigint> =>
  (await world.card(13)).electronicCashMinor;

test('electronic cash: a TC of either interface is posted from the purse, in any order', async () => {
  const world = await IssuerWorld.open();
  for (const options of [{ atc: 9 }, { atc: 7, tapped: true }, { atc: 8 }]) {
    const reply = await answer(world, world.purchase({ ...OFFLINE, amount: 100n, ...options }));
    assert.deepEqual([reply.mti, reply.code, reply.proof], ['0230', '00', null]);
    assert.equal(reply.arqcVerified, true);
  }
  assert.equal(await purse(world), 200n);
  assert.deepEqual(await money(world, 13), [RICH, 0n, RICH, 0n], 'the account is not touched');
  const online = world.purchase({ account: 13, atc: 6, amount: 1n });
  assert.equal((await answer(world, online)).reason, 'atcBehind', 'online a late one never pays');
});

test('the same TC again: its own trace gets the stored answer, another one 94', async () => {
  const world = await IssuerWorld.open();
  const advice = world.purchase({ ...OFFLINE, amount: 100n, atc: 5 });
  assert.equal((await answer(world, advice)).code, '00');
  assert.equal((await answer(world, withMac({ ...advice, mti: '0221' }))).code, '00');
  const again = await answer(world, world.purchase({ ...OFFLINE, amount: 100n, atc: 5 }));
  assert.deepEqual([again.code, again.reason], ['94', 'tcPosted']);
  assert.equal(await purse(world), 400n);
  const online = await answer(world, world.purchase({ account: 13, atc: 5, amount: 1n }));
  assert.equal(online.reason, 'atcReplayed');
});

test('an offline payment counts whatever became of the card', async () => {
  const world = await IssuerWorld.open();
  const advice = { kind: 'offlineSaleAdvice', amount: 10n } as const;
  for (const account of [4, 8, 10]) {
    assert.equal((await answer(world, world.purchase({ ...advice, account }))).code, '00');
  }
  // Their purses are empty in our books: the difference is looked into.
  assert.deepEqual(
    await workItems(world),
    [1, 2, 3].map(() => ['electronicCashShort', 10n] as const),
  );
});

test('more than the purse held in our books: posted, and the difference is a work item', async () => {
  const world = await IssuerWorld.open();
  const reply = await answer(world, world.purchase({ ...OFFLINE, amount: 620n }));
  assert.equal(reply.code, '00');
  assert.equal(await purse(world), 0n);
  assert.deepEqual(await workItems(world), [['electronicCashShort', 120n]]);
});

const WRONG_TCS: readonly (readonly [string, PurchaseOptions, string, string])[] = [
  ['a wrong TC', { unsigned: { '9F26': '0102030405060708' } }, '05', 'arqcWrong'],
  ['an amount that was not signed', { signed: { '9F02': '000000000001' } }, '05', 'amountDiffers'],
  ['another currency than signed', { signed: { '5F2A': '0840' } }, '05', 'currencyDiffers'],
  [
    'an ARQC that calls itself TC',
    { signed: { '9F10': '07010103A0000001' } },
    '05',
    'cvrTypeDiffers',
  ],
  ['an ARQC', { signed: { '9F27': '80' } }, '05', 'cryptogramTypeDiffers'],
  ['no cryptogram', { unsigned: { '9F26': '' } }, '30', 'iccDataMissing'],
  ['an unknown card', { account: 99 }, '14', 'cardUnknown'],
  ['a counter of zero', { atc: 0 }, '05', 'atcImpossible'],
  ['an amount of zero', { amount: 0n }, '12', 'amountZero'],
];
for (const [name, options, code, reason] of WRONG_TCS) {
  test(`refused and looked into, no money moves: ${name} -> ${code} ${reason}`, async () => {
    const world = await IssuerWorld.open();
    const request = world.purchase({ ...OFFLINE, amount: 100n, ...options });
    const reply = await answer(world, request);
    assert.deepEqual([reply.mti, reply.code, reply.reason], ['0230', code, reason]);
    assert.deepEqual((await answer(world, request)).message.fields, reply.message.fields);
    assert.deepEqual(
      (await workItems(world)).map(([kind]) => kind),
      ['adviceRefused'],
    );
    assert.equal(await purse(world), 500n);
  });
}

test('a counter that an online request used pays no TC, and the other way round', async () => {
  const world = await IssuerWorld.open();
  await paid(world, { account: 13, atc: 5, amount: 1n });
  const advice = await answer(world, world.purchase({ ...OFFLINE, amount: 100n, atc: 5 }));
  assert.deepEqual([advice.code, advice.reason], ['05', 'atcReplayed']);
  assert.equal(await purse(world), 500n);
});

test('an HSM that fails leaves a TC without an answer: it comes again, and counts', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase({ ...OFFLINE, amount: 100n });
  world.hsmFault = 'verifyArqc';
  assert.equal(await world.send(request), null);
  world.hsmFault = null;
  assert.equal((await answer(world, request)).code, '00');
  assert.equal(await purse(world), 400n);
});

test('SM4: a card of the domestic cipher is verified and answered under it', async () => {
  const world = await IssuerWorld.open();
  for (const [tapped, atc] of [[false, 3] as const, [true, 4] as const]) {
    const request = world.purchase({ sm4: true, tapped, atc });
    const reply = await answer(world, request);
    assert.deepEqual([reply.code, reply.arqcVerified], ['00', true]);
    assert.equal(reply.proof, tapped ? null : expectedProof(1, atc, request)('00'));
  }
  const wrong = world.purchase({ sm4: true, unsigned: { '9F26': '0102030405060708' } });
  assert.equal((await answer(world, wrong)).reason, 'arqcWrong');
  assert.equal(await world.balance(), RICH - 2n * 1234n);
});

test('a cryptogram of one cipher is wrong under the other, and an unknown cipher is a format error', async () => {
  const world = await IssuerWorld.open();
  const relabelled = [
    [{ unsigned: { '9F10': '07010103A0000004' } }, '05', 'arqcWrong'],
    [{ sm4: true, unsigned: { '9F10': '07010103A0000001' } }, '05', 'arqcWrong'],
    [{ unsigned: { '9F10': '07010103A0000002' } }, '30', 'iccDataMissing'],
  ] as const;
  for (const [options, code, reason] of relabelled) {
    const reply = await answer(world, world.purchase(options));
    assert.deepEqual([reply.code, reply.reason], [code, reason]);
  }
  assert.equal(await world.balance(), RICH);
});

const STATES: readonly (readonly [number, string, string])[] = [
  [8, '41', 'cardLost'],
  [9, '43', 'cardStolen'],
  [10, '14', 'cardClosed'],
  [11, '54', 'cardExpired'],
];
for (const [account, code, reason] of STATES) {
  test(`a card in a state that does not pay: ${code} ${reason}`, async () => {
    const world = await IssuerWorld.open();
    for (const kind of ['sale', 'preAuthorisation', 'balanceInquiry'] as const) {
      const reply = await answer(world, world.purchase({ kind, account, amount: 10n }));
      assert.deepEqual([reply.code, reply.reason], [code, reason]);
    }
  });
}

for (const reason of ['41', '43', '04', '62'] as const) {
  test(`a number on the hot list is refused with ${reason}, whatever else is right, until it is taken off`, async () => {
    const world = await IssuerWorld.open();
    const { panLookup, panMasked } = await world.card();
    const act = { auditId: '1', actor: 'tester', note: 'why', atMs: NOW_MS };
    const sale = await paid(world, { amount: 500n });
    await world.admin.change({ action: 'hotListed', panLookup, panMasked, reason }, act);
    for (const options of [{}, { tapped: true }, { kind: 'preAuthorisation' }] as const) {
      const reply = await answer(world, world.purchase(options));
      assert.deepEqual([reply.code, reply.reason], [reason, 'hotListed']);
    }
    assert.equal(await world.balance(), RICH - 500n);
    assert.deepEqual(await follow(world, 'refund', sale), OK, 'its money comes back all the same');
    await world.admin.change({ action: 'hotDelisted', panLookup }, { ...act, auditId: '2' });
    assert.equal((await answer(world, world.purchase())).code, '00');
  });
}

test('an operator’s acts count at once: a blocked card, PIN tries given back, a limit', async () => {
  const world = await IssuerWorld.open();
  const { cardId } = await world.card(6);
  const act = (auditId: string) => ({ auditId, actor: 'tester', note: 'why', atMs: NOW_MS });
  const code = async () => (await answer(world, world.purchase({ account: 6 }))).code;
  assert.equal(await code(), '75');
  await world.admin.change({ action: 'pinTries', cardId }, act('1'));
  assert.equal(await code(), '00');
  await world.admin.change({ action: 'cardState', cardId, state: 'blocked' }, act('2'));
  assert.equal(await code(), '62');
  await world.admin.change({ action: 'cardState', cardId, state: 'active' }, act('3'));
  await world.admin.change(
    { action: 'limits', cardId, limits: { singleAmountMinor: 1n } },
    act('4'),
  );
  assert.equal(await code(), '61');
  await world.admin.change(
    { action: 'limits', cardId, limits: { singleAmountMinor: null } },
    act('5'),
  );
  assert.equal(await code(), '00');
});

test('limits of a card: one payment, a day’s sum, a day’s count; undone payments are free again', async () => {
  const world = await IssuerWorld.open();
  const pay = async (amount: bigint, more: PurchaseOptions = {}) => {
    const message = world.purchase({ account: 12, amount, ...more });
    const { code, reason, approvalCode } = await answer(world, message);
    return { code, reason, message, approvalCode };
  };
  assert.deepEqual((await pay(1001n)).reason, 'amountLimit');
  const first = await pay(1000n);
  await pay(1000n, { kind: 'preAuthorisation' });
  const above = await pay(501n);
  assert.deepEqual([above.code, above.reason], ['61', 'dayAmountLimit']);
  assert.equal((await pay(500n)).code, '00', 'the last unit of the day');
  assert.equal((await pay(1n)).reason, 'dayAmountLimit');
  await answer(world, world.reversal(first.message));
  assert.equal((await pay(1n)).code, '00');
  assert.equal((await pay(1n)).code, '00');
  const fifth = await pay(1n);
  assert.deepEqual([fifth.code, fifth.reason], ['65', 'dayCountLimit']);
  world.clock.set(Date.UTC(2026, 10, 25, 15, 59, 59));
  assert.equal((await pay(1n)).code, '65');
  world.clock.set(Date.UTC(2026, 10, 25, 16, 0, 0));
  assert.equal((await pay(1n)).code, '00', 'a new day in China');
});

test('what counts to yesterday is given back to yesterday', async () => {
  const world = await IssuerWorld.open();
  const sale = await paid(world, { account: 12, amount: 1000n });
  world.clock.set(NOW_MS + DAY_MS);
  await paid(world, { account: 12, amount: 400n });
  await answer(world, world.reversal(sale.message));
  assert.equal((await world.card(12)).usage.amountMinor, 400n);
  world.clock.set(NOW_MS);
  assert.deepEqual((await world.card(12)).usage, { amountMinor: 0n, count: 0, noPinMinor: 0n });
});

test('taps without a PIN: one and a day’s sum; a PIN or a reversal helps', async () => {
  const world = await IssuerWorld.open();
  const tap = async (amount: bigint, more: PurchaseOptions = {}) => {
    const message = world.purchase({ account: 12, amount, tapped: true, pin: null, ...more });
    const { code, reason } = await answer(world, message);
    return { code, reason, message };
  };
  assert.equal((await tap(501n)).reason, 'noPinLimit');
  const first = await tap(500n);
  assert.equal(first.code, '00');
  const above = await tap(301n);
  assert.deepEqual([above.code, above.reason], ['61', 'noPinDayLimit']);
  assert.equal((await tap(301n, { pin: '123456' })).code, '00');
  await answer(world, world.reversal(first.message));
  assert.equal((await tap(301n)).code, '00');
});
