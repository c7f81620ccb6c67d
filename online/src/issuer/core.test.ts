/**
 * Shows each step of the issuer's decision, right and wrong, with real MACs, cryptograms and PINs
 * over the store in memory: who refuses and with what code, and that no refusal moves money.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TapError } from '@tapnpay/protocol/bytes';
import { type Iso8583Message, withFields } from '@tapnpay/protocol/iso8583';
import type { Hsm } from '@tapnpay/protocol/wire';
import { PAYMENT_STEPS } from './authorisation.ts';
import { IssuerCore } from './core.ts';
import {
  type Answer,
  expectedProof,
  IssuerWorld,
  iccValue,
  NOW_MS,
  type PurchaseOptions,
  panOf,
  textOf,
  withMac,
} from './issuer.test-kit.ts';

const RICH = 10_000_000n;

/** The books balance, projections equal entries, and nothing was debited beyond the openings. */
async function assertBooks(world: IssuerWorld, purchases: number): Promise<void> {
  const { transactions, accounts } = await world.books();
  const sums = new Map<string, bigint>();
  for (const { postings } of transactions) {
    assert.equal(
      postings.reduce((sum, { amountMinor }) => sum + amountMinor, 0n),
      0n,
    );
    for (const { accountId, amountMinor } of postings) {
      sums.set(accountId, (sums.get(accountId) ?? 0n) + amountMinor);
    }
  }
  for (const { accountId, balanceMinor } of accounts) {
    if (balanceMinor !== null) assert.equal(balanceMinor, sums.get(accountId) ?? 0n);
  }
  const counted = transactions.filter(({ kind }) => kind === 'sale');
  assert.equal(counted.length, purchases);
}

async function answer(world: IssuerWorld, message: Iso8583Message): Promise<Answer> {
  const reply = await world.send(message);
  assert.ok(reply, JSON.stringify(world.log.at(-1)));
  assert.ok(reply.isMacRight, 'every answer carries a right MAC');
  return reply;
}

test('a right purchase: 00, debit, verified cryptogram, ARPC for the card, approval code', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase({ amount: 1234n, atc: 7 });
  const reply = await answer(world, request);
  assert.equal(reply.mti, '0210');
  assert.equal(reply.code, '00');
  assert.match(reply.approvalCode ?? '', /^[0-9]{6}$/);
  assert.equal(reply.arqcVerified, true);
  assert.equal(reply.reason, null);
  assert.equal(reply.proof, expectedProof(1, 7, request)('00'));
  for (const field of [2, 3, 4, 7, 11, 32, 37, 41, 42, 49]) {
    assert.equal(textOf(reply.message, field), textOf(request, field), `field ${field}`);
  }
  for (const field of [35, 52]) assert.ok(!reply.message.fields.has(field), `no field ${field}`);
  assert.equal(await world.balance(), RICH - 1234n);
  const { transactions } = await world.books();
  const entry = transactions
    .at(-1)
    ?.postings.find(({ entryId }) => entryId === reply.ledgerEntryId);
  assert.equal(entry?.amountMinor, -1234n);
  await assertBooks(world, 1);
});

test('a purchase without PIN is decided on the cryptogram alone', async () => {
  const world = await IssuerWorld.open();
  assert.equal((await answer(world, world.purchase({ pin: null }))).code, '00');
  assert.equal(await world.balance(), RICH - 1234n);
});

test('a tap: CVN 17 verified, debit, no ARPC for a card that is gone', async () => {
  const world = await IssuerWorld.open();
  for (const options of [{ amount: 30_000n, pin: null }, { amount: 30_001n }]) {
    const request = world.purchase({ tapped: true, ...options });
    const reply = await answer(world, request);
    assert.deepEqual([reply.code, reply.arqcVerified, reply.proof], ['00', true, null]);
    assert.ok(!reply.message.fields.has(55));
  }
  // What a tap's cryptogram leaves out, a message may leave out too.
  const bare = { tapped: true, pin: null, unsigned: { 95: '', '9F34': '' } } as const;
  assert.equal((await answer(world, world.purchase(bare))).code, '00');
  assert.equal(await world.balance(), RICH - 30_000n - 30_001n - 1234n);
  await assertBooks(world, 3);
});

const REFUSED_TAPS: readonly Omit<Refused, 'arqc'>[] = [
  {
    name: 'above the limit without PIN',
    options: { amount: 30_001n, pin: null },
    ...no('61', 'noPinLimit'),
  },
  { name: 'a wrong PIN', options: { pin: '654321' }, ...no('55', 'pinWrong') },
  {
    name: 'a PIN that field 22 hides',
    options: { fields: [[22, '072']] },
    ...no('05', 'pinDataUnexpected'),
  },
  {
    name: 'no PIN where field 22 says one',
    options: { pin: null, fields: [[22, '071']] },
    ...no('05', 'pinDataMissing'),
  },
  {
    name: 'a PIN in the TVR that the message hides',
    options: { pin: null, unsigned: { 95: '0000040000', '9F34': '020300' } },
    ...no('05', 'pinEntryModeDiffers'),
  },
  {
    name: 'another amount than signed',
    options: { signed: { '9F02': '000000000001' } },
    ...no('05', 'amountDiffers'),
  },
  {
    name: 'another number than signed',
    options: { unsigned: { '9F37': '00000000' } },
    ...no('05', 'arqcWrong'),
  },
  {
    name: 'fDDA failed',
    options: { unsigned: { 95: '0800040000' } },
    ...no('05', 'dataAuthenticationFailed'),
  },
  {
    name: 'a cryptogram that was made for an insertion',
    options: { signed: { '9F10': '07010103A0000001' } },
    ...no('05', 'contactCryptogramTapped'),
  },
  {
    name: 'no PIN tries left, without PIN',
    options: { account: 6, pin: null },
    ...no('75', 'pinTriesExceeded'),
  },
  { name: 'above the balance', options: { account: 2, amount: 101n }, ...no('51', 'funds') },
  { name: 'no 9F10', options: { unsigned: { '9F10': '' } }, ...no('30', 'iccDataMissing') },
];

function no(code: string, reason: string): { readonly code: string; readonly reason: string } {
  return { code, reason };
}

for (const { name, options, code, reason } of REFUSED_TAPS) {
  test(`tap refused, no money moves: ${name} -> ${code} ${reason}`, async () => {
    const world = await IssuerWorld.open();
    const reply = await answer(world, world.purchase({ tapped: true, ...options }));
    assert.deepEqual([reply.code, reply.reason, reply.proof], [code, reason, null]);
    await assertBooks(world, 0);
  });
}

test('one counter serves both interfaces: a used one pays on neither', async () => {
  const world = await IssuerWorld.open();
  const inserted = world.purchase({ atc: 5 });
  assert.equal((await answer(world, inserted)).code, '00');
  for (const tapped of [true, false]) {
    const again = await answer(world, world.purchase({ atc: 5, tapped }));
    assert.deepEqual([again.code, again.reason, again.arqcVerified], ['05', 'atcReplayed', true]);
  }
  const tap = world.purchase({ atc: 6, tapped: true });
  assert.equal((await answer(world, tap)).code, '00');
  const copied = await answer(world, withMac(withFields(tap, [[11, world.nextStan()]])));
  assert.equal(copied.reason, 'atcReplayed');
  assert.equal((await answer(world, world.purchase({ atc: 6 }))).reason, 'atcReplayed');
  assert.equal((await answer(world, world.purchase({ atc: 4, tapped: true }))).reason, 'atcBehind');
  await assertBooks(world, 2);
});

test('a tap is reversed like an insertion', async () => {
  const world = await IssuerWorld.open();
  const tap = world.purchase({ tapped: true, pin: null });
  assert.equal((await answer(world, tap)).code, '00');
  assert.equal((await answer(world, world.reversal(tap))).code, '00');
  assert.equal(await world.balance(), RICH);
});

type Refused = {
  readonly name: string;
  readonly options: PurchaseOptions;
  readonly code: string;
  readonly reason: string;
  /** What the answer says of the cryptogram. */
  readonly arqc: boolean | null;
};
const REFUSED: readonly Refused[] = [
  {
    name: 'amount zero',
    options: { amount: 0n },
    ...{ code: '12', reason: 'amountZero', arqc: null },
  },
  {
    name: 'a currency that the card does not hold',
    options: { fields: [[49, '840']] },
    ...{ code: '12', reason: 'currencyNotHeld', arqc: null },
  },
  {
    name: 'an unknown card',
    options: { account: 99 },
    ...{ code: '14', reason: 'cardUnknown', arqc: null },
  },
  {
    name: 'another sequence number of a known card',
    options: { fields: [[23, '002']] },
    ...{ code: '14', reason: 'cardUnknown', arqc: null },
  },
  {
    name: 'a blocked card',
    options: { account: 4 },
    ...{ code: '62', reason: 'cardBlocked', arqc: null },
  },
  {
    name: 'a card that the bank says no to',
    options: { account: 5 },
    ...{ code: '05', reason: 'doNotHonour', arqc: null },
  },
  {
    name: 'a card whose PIN tries were used up before it came into the books',
    options: { account: 6 },
    ...{ code: '75', reason: 'pinTriesExceeded', arqc: true },
  },
  {
    name: 'the same card without a PIN',
    options: { account: 6, pin: null },
    ...{ code: '75', reason: 'pinTriesExceeded', arqc: true },
  },
  {
    name: 'a cryptogram of a tap in a message of an insertion',
    options: { signed: { '9F10': '07011703A0000001' } },
    ...{ code: '05', reason: 'cryptogramVersionDiffers', arqc: true },
  },
  {
    name: 'an expired card',
    options: { account: 3, fields: [[14, '2610']] },
    ...{ code: '54', reason: 'cardExpired', arqc: null },
  },
  {
    name: 'an expiry that is not the card’s',
    options: { fields: [[14, '3201']] },
    ...{ code: '54', reason: 'expiryDiffers', arqc: null },
  },
  {
    name: 'no field 55',
    options: { fields: [[55, undefined]] },
    ...{ code: '30', reason: 'iccDataMalformed', arqc: null },
  },
  {
    name: 'a field 55 that is no TLV',
    options: { fields: [[55, Uint8Array.of(0x9f, 0x26, 0x08, 0x01)]] },
    ...{ code: '30', reason: 'iccDataMalformed', arqc: null },
  },
  {
    name: 'no cryptogram',
    options: { unsigned: { '9F26': '' } },
    ...{ code: '30', reason: 'iccDataMissing', arqc: null },
  },
  {
    name: 'no unpredictable number under the cryptogram',
    options: { unsigned: { '9F37': '' } },
    ...{ code: '30', reason: 'iccDataMissing', arqc: null },
  },
  {
    name: 'another cryptogram than the card’s',
    options: { unsigned: { '9F26': '0102030405060708' } },
    ...{ code: '05', reason: 'arqcWrong', arqc: false },
  },
  {
    name: 'a TVR changed after the card signed it',
    options: { unsigned: { 95: '0000040001' } },
    ...{ code: '05', reason: 'arqcWrong', arqc: false },
  },
  {
    name: 'an amount that the card did not sign',
    options: { signed: { '9F02': '000000000001' } },
    ...{ code: '05', reason: 'amountDiffers', arqc: true },
  },
  {
    name: 'a PIN entry that the message hides',
    options: { pin: null, signed: { 95: '0000040000', '9F34': '020300' } },
    ...{ code: '05', reason: 'pinEntryModeDiffers', arqc: true },
  },
  {
    name: 'an offline PIN that the card did not see',
    options: { pin: null, signed: { '9F34': '010302' } },
    ...{ code: '05', reason: 'offlinePinClaimFalse', arqc: true },
  },
  {
    name: 'the cryptogram of a dynamic token',
    options: { signed: { '9F1A': '0000', '9A': '000000' } },
    ...{ code: '05', reason: 'tokenCryptogram', arqc: null },
  },
  {
    name: 'dynamic data authentication failed',
    options: { signed: { 95: '0800040000' } },
    ...{ code: '05', reason: 'dataAuthenticationFailed', arqc: true },
  },
  {
    name: 'a wrong PIN',
    options: { pin: '654321' },
    ...{ code: '55', reason: 'pinWrong', arqc: true },
  },
  {
    name: 'an amount above the limit',
    options: { amount: 5_000_001n },
    ...{ code: '61', reason: 'amountLimit', arqc: true },
  },
  {
    name: 'an amount above the balance',
    options: { account: 2, amount: 101n },
    ...{ code: '51', reason: 'funds', arqc: true },
  },
];

for (const { name, options, code, reason, arqc } of REFUSED) {
  test(`refused, no money moves: ${name} -> ${code} ${reason}`, async () => {
    const world = await IssuerWorld.open();
    const request = world.purchase({ atc: 9, ...options });
    const reply = await answer(world, request);
    assert.deepEqual([reply.code, reply.reason, reply.arqcVerified], [code, reason, arqc]);
    assert.equal(reply.ledgerEntryId, null);
    assert.equal(reply.approvalCode, null);
    // The card hears from its issuer exactly when its own cryptogram was right.
    const proof = arqc ? expectedProof(options.account ?? 1, 9, request)(code) : null;
    assert.equal(reply.proof, proof);
    await assertBooks(world, 0);
    // The same request again: the same answer.
    assert.deepEqual((await answer(world, request)).message.fields, reply.message.fields);
    await assertBooks(world, 0);
  });
}

test('a cryptogram that is wrong by one bit, any bit: 05 arqcWrong, and the true one pays', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  const iccData = request.fields.get(55);
  assert.ok(iccData instanceof Uint8Array);
  const start = iccData.length - 8;
  for (let bit = 0; bit < 64; bit++) {
    const flipped = iccData.map((byte, index) =>
      index === start + (bit >> 3) ? byte ^ (1 << (bit & 7)) : byte,
    );
    const changes = [[11, world.nextStan()] as const, [55, flipped] as const];
    const reply = await answer(world, withMac(withFields(request, changes)));
    assert.deepEqual([reply.code, reply.reason], ['05', 'arqcWrong'], `bit ${bit}`);
  }
  assert.equal((await answer(world, request)).code, '00');
  await assertBooks(world, 1);
});

test('every step of the table refuses in one of the cases above or below', () => {
  const names = PAYMENT_STEPS.map(({ name }) => name);
  assert.deepEqual(names, [
    'transaction',
    'hotList',
    'cardState',
    'expiry',
    'cryptogram',
    'transactionCounter',
    'envelope',
    'dataAuthentication',
    'cardholderVerification',
    'pin',
    'limit',
    'dayLimit',
    'balance',
  ]);
});

test('the last unit of a balance can be spent, and no more', async () => {
  const world = await IssuerWorld.open();
  assert.equal((await answer(world, world.purchase({ account: 2, amount: 100n }))).code, '00');
  assert.equal((await answer(world, world.purchase({ account: 2, amount: 1n }))).code, '51');
  assert.equal(await world.balance(2), 0n);
});

test('a wrong or missing MAC: A0, and the request leaves no trace', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  const mac = request.fields.get(128);
  assert.ok(mac instanceof Uint8Array);
  const flipped = mac.map((byte, index) => (index === 7 ? byte ^ 1 : byte));
  for (const wrong of [flipped, undefined]) {
    const reply = await answer(world, withFields(request, [[128, wrong]]));
    assert.deepEqual([reply.code, reply.reason], ['A0', 'macWrong']);
  }
  const other = withFields(request, [[4, '000000000001']]);
  assert.equal((await answer(world, other)).code, 'A0', 'an amount changed on the way');
  const { requests } = await world.books();
  assert.deepEqual(requests, []);
  assert.equal((await answer(world, request)).code, '00', 'the true one still counts');
});

test('a message without a needed field: 30; an unknown type: 12; both leave no trace', async () => {
  const world = await IssuerWorld.open();
  for (const field of [2, 4, 7, 11, 22, 32, 41, 49]) {
    const reply = await answer(world, world.purchase({ fields: [[field, undefined]] }));
    assert.equal(reply.code, '30', `field ${field}`);
  }
  for (const fields of [
    [[3, '190000']],
    [[25, '08']],
    [
      [3, '610000'],
      [25, '91'],
    ],
  ] as const) {
    const reply = await answer(world, world.purchase({ fields }));
    assert.deepEqual([reply.code, reply.reason], ['12', 'messageType']);
  }
  const reversal = world.reversal(world.purchase(), [[90, undefined]]);
  assert.equal((await answer(world, reversal)).code, '30');
  assert.deepEqual((await world.books()).requests, []);
});

test('twenty copies of one request at once: one debit, one answer', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  const replies = await Promise.all(Array.from({ length: 20 }, () => answer(world, request)));
  const texts = new Set(replies.map(({ message }) => JSON.stringify([...message.fields])));
  assert.equal(texts.size, 1);
  assert.equal(await world.balance(), RICH - 1234n);
  await assertBooks(world, 1);
});

test('a trace number used for another request: 94, the first one stands', async () => {
  const world = await IssuerWorld.open();
  const stan = world.nextStan();
  assert.equal((await answer(world, world.purchase({ stan }))).code, '00');
  const reply = await answer(world, world.purchase({ stan, amount: 999n }));
  assert.deepEqual([reply.code, reply.reason], ['94', 'traceUsed']);
  assert.equal(reply.ledgerEntryId, null);
  await assertBooks(world, 1);
});

test('a counter pays once: a copied cryptogram and an older one are refused', async () => {
  const world = await IssuerWorld.open();
  const first = world.purchase({ atc: 5 });
  assert.equal((await answer(world, first)).code, '00');
  const copied = withMac(withFields(first, [[11, world.nextStan()]]));
  const replayed = await answer(world, copied);
  assert.deepEqual([replayed.code, replayed.reason], ['05', 'atcReplayed']);
  const behind = await answer(world, world.purchase({ atc: 4 }));
  assert.deepEqual([behind.code, behind.reason], ['05', 'atcBehind']);
  const again = await answer(world, world.purchase({ atc: 4 }));
  assert.equal(again.reason, 'atcReplayed');
  await assertBooks(world, 1);
});

test('a declined cryptogram is used up, a forged one is not', async () => {
  const world = await IssuerWorld.open();
  const declined = world.purchase({ atc: 5, pin: '654321' });
  assert.equal((await answer(world, declined)).code, '55');
  assert.equal((await answer(world, world.purchase({ atc: 5 }))).reason, 'atcReplayed');
  const forged = world.purchase({ atc: 900, unsigned: { '9F26': '00'.repeat(8) } });
  assert.equal((await answer(world, forged)).reason, 'arqcWrong');
  assert.equal((await answer(world, world.purchase({ atc: 6 }))).code, '00');
});

test('three wrong PINs in a row, then 75 even for the right one; a right one clears', async () => {
  const world = await IssuerWorld.open();
  const codes = async (...pins: readonly string[]): Promise<readonly string[]> => {
    const seen: string[] = [];
    for (const pin of pins) seen.push((await answer(world, world.purchase({ pin }))).code);
    return seen;
  };
  assert.deepEqual(await codes('000000', '000000', '123456'), ['55', '55', '00']);
  assert.deepEqual(await codes('000000', '000000', '000000'), ['55', '55', '55']);
  assert.deepEqual(await codes('123456', '000000'), ['75', '75']);
  await assertBooks(world, 1);
});

test('a repeated wrong PIN message counts once', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase({ pin: '000000' });
  for (let times = 0; times < 5; times++) assert.equal((await answer(world, request)).code, '55');
  assert.equal((await answer(world, world.purchase())).code, '00');
});

test('a PIN block for another card is a wrong PIN', async () => {
  const world = await IssuerWorld.open();
  const other = world.purchase({ account: 2 }).fields.get(52);
  assert.equal((await answer(world, world.purchase({ fields: [[52, other]] }))).code, '55');
});

test('fifty parallel guesses get three tries', async () => {
  const world = await IssuerWorld.open();
  const guesses = Array.from({ length: 50 }, (_, index) =>
    world.purchase({ pin: String(index).padStart(6, '0') }),
  );
  const codes = (await Promise.all(guesses.map((guess) => answer(world, guess)))).map(
    ({ code }) => code,
  );
  assert.equal(codes.filter((code) => code === '55').length, 3);
  assert.equal(codes.filter((code) => code === '75').length, 47);
});

test('a card is good to the end of its month in China', async () => {
  const world = await IssuerWorld.open();
  const old = (): Iso8583Message => world.purchase({ account: 3, fields: [[14, '2610']] });
  world.clock.set(Date.UTC(2026, 9, 31, 15, 59, 59));
  assert.equal((await answer(world, old())).code, '00');
  world.clock.set(Date.UTC(2026, 9, 31, 16, 0, 0));
  assert.equal((await answer(world, old())).code, '54');
});

test('reversal: gives back once, however often it comes, and by whatever number', async () => {
  const world = await IssuerWorld.open();
  const original = world.purchase();
  await answer(world, original);
  const first = world.reversal(original);
  const reply = await answer(world, first);
  assert.deepEqual([reply.mti, reply.code], ['0430', '00']);
  assert.equal(textOf(reply.message, 90), textOf(first, 90));
  assert.equal(await world.balance(), RICH);
  const repeat = withMac({ ...withFields(first, [[38, '123456']]), mti: '0421' });
  for (const again of [first, repeat, world.reversal(original)]) {
    const { code, mti } = await answer(world, again);
    assert.deepEqual([mti, code], ['0430', '00']);
  }
  assert.equal(await world.balance(), RICH);
  const { transactions } = await world.books();
  assert.equal(transactions.filter(({ kind }) => kind === 'reversal').length, 1);
  await assertBooks(world, 1);
  assert.equal((await answer(world, original)).code, '00', 'the stored answer of the original');
  assert.equal(await world.balance(), RICH, 'which moves nothing');
});

test('a reversal that overtakes its original is remembered, the late original is refused', async () => {
  const world = await IssuerWorld.open();
  const original = world.purchase();
  assert.equal((await answer(world, world.reversal(original))).code, '00');
  const late = await answer(world, original);
  assert.deepEqual([late.code, late.reason], ['12', 'reversedBefore']);
  assert.equal((await answer(world, world.reversal(original))).code, '00');
  await assertBooks(world, 0);
  assert.equal(await world.balance(), RICH);
});

test('a reversal of a declined purchase moves nothing', async () => {
  const world = await IssuerWorld.open();
  const original = world.purchase({ pin: '000000' });
  await answer(world, original);
  assert.equal((await answer(world, world.reversal(original))).code, '00');
  await assertBooks(world, 0);
});

test('a reversal of another amount or card is refused and moves nothing', async () => {
  const world = await IssuerWorld.open();
  const original = world.purchase();
  await answer(world, original);
  for (const change of [[4, '000000001233'] as const, [2, panOf(2)] as const]) {
    assert.equal((await answer(world, world.reversal(original, [change]))).code, '12');
  }
  assert.equal(await world.balance(), RICH - 1234n);
  assert.equal((await answer(world, world.reversal(original))).code, '00');
  assert.equal(await world.balance(), RICH);
});

test('a reversal with a wrong MAC has no effect', async () => {
  const world = await IssuerWorld.open();
  const original = world.purchase();
  await answer(world, original);
  const forged = withFields(world.reversal(original), [[128, new Uint8Array(8)]]);
  assert.equal((await answer(world, forged)).code, 'A0');
  assert.equal(await world.balance(), RICH - 1234n);
});

test('purchase and reversal at once end with the money back, in either order', async () => {
  for (let round = 0; round < 10; round++) {
    const world = await IssuerWorld.open();
    const original = world.purchase();
    const reversal = world.reversal(original);
    const both = round % 2 === 0 ? [original, reversal] : [reversal, original];
    await Promise.all(both.map((message) => answer(world, message)));
    assert.equal(await world.balance(), RICH);
  }
});

test('lab fault: the answer is lost after the books have it, a repeat gets it', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  world.droppedReplies = 1;
  assert.equal(await world.send(request), null);
  assert.equal(await world.balance(), RICH - 1234n);
  assert.equal((await answer(world, request)).code, '00');
  await assertBooks(world, 1);
});

test('no answer leaves before the commit: a store that fails means silence', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  const failing = new IssuerCore({
    ...world.ports,
    store: {
      importCards: (cards, atMs) => world.store.importCards(cards, atMs),
      findCard: (query) => world.store.findCard(query),
      findRequest: (key) => world.store.findRequest(key),
      findHold: (key) => world.store.findHold(key),
      findOpenScripts: (cardId) => world.store.findOpenScripts(cardId),
      findDelivered: (key) => world.store.findDelivered(key),
      findLoad: (key) => world.store.findLoad(key),
      findLoadPayer: (cardId, panLookup) => world.store.findLoadPayer(cardId, panLookup),
      expireHolds: (nowMs, limit) => world.store.expireHolds(nowMs, limit),
      settlementLines: (date) => world.store.settlementLines(date),
      burnAtc: (cardId, atc) => world.store.burnAtc(cardId, atc),
      readBooks: () => world.store.readBooks(),
      close: () => world.store.close(),
      commit: () => Promise.reject(new TapError('ERR_DATABASE_COMMIT_UNKNOWN', 'lost')),
    },
  });
  assert.equal(await failing.handle(request, world.keys), null);
  assert.equal(world.log.at(-1)?.['code'], 'ERR_DATABASE_COMMIT_UNKNOWN');
});

test('an HSM that fails at the cryptogram: 96, stored, no money', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  const hsm: Hsm = {
    call: async (command) => {
      if (command.command === 'verifyArqc') throw new TapError('ERR_HSM_LOST', 'lost');
      return world.ports.hsm.call(command);
    },
  };
  const reply = await new IssuerCore({ ...world.ports, hsm }).handle(request, world.keys);
  assert.equal(reply && textOf(reply, 39), '96');
  assert.equal((await answer(world, request)).code, '96', 'and it stays so for a repeat');
  await assertBooks(world, 0);
});

test('a card that was issued meanwhile is found', async () => {
  const world = await IssuerWorld.open();
  let asked = 0;
  const ports = { ...world.ports, refreshCards: async () => ++asked > 1 };
  const core = new IssuerCore(ports);
  const reply = await core.handle(world.purchase({ account: 50 }), world.keys);
  assert.equal(reply && textOf(reply, 39), '14');
  assert.equal(asked, 1);
});

test('neither log nor books hold a card number, PIN block, track or cryptogram', async () => {
  const world = await IssuerWorld.open();
  const request = world.purchase();
  await answer(world, request);
  await answer(world, world.reversal(request));
  const text = JSON.stringify([world.log, await world.books()], (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  assert.match(text, /1234/, 'the search finds what is there');
  const pan = panOf(1);
  const arqc = Buffer.from(iccValue(request, '9F26')).toString('hex');
  for (const secret of [pan, pan.slice(6, 15), arqc, arqc.toUpperCase()]) {
    assert.ok(!text.includes(secret), secret);
  }
  assert.ok(NOW_MS > 0);
});
