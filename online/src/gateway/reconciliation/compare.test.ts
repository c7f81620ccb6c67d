/**
 * Shows each class of difference on its own, on both sources; that reversals across a cut-off are
 * none; and, over any day with any injected differences, that exactly those are found.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareDay, type DayBooks } from './compare.ts';
import { keyOf, type LocalRecord, type LocalTrace, type Money, type SwitchLine } from './model.ts';

const record = (stan: string, changes: Partial<LocalRecord> = {}): LocalRecord => ({
  transactionId: `sale:${stan}`,
  paymentId: `P${stan}`,
  kind: 'sale',
  mode: 'test',
  merchantId: 'M1',
  transmission: '0314092653',
  stan,
  retrievalReference: `607309${stan}`,
  side: 'debit',
  amountMinor: 1234n,
  currency: '156',
  ...changes,
});
const lineOf = (local: LocalRecord, changes: Partial<SwitchLine> = {}): SwitchLine => {
  const { transmission, stan, merchantId, retrievalReference } = local;
  const { side, amountMinor, currency } = local;
  const names = { transmission, stan, merchantId, retrievalReference };
  return { ...names, leg: 'original', kind: 'sale', side, amountMinor, currency, ...changes };
};
const trace = (stan: string, changes: Partial<LocalTrace> = {}): LocalTrace => ({
  ...{ transmission: '0314092653', stan, paymentId: `P${stan}`, state: 'reversed' },
  bookedOn: null,
  ...changes,
});
const day = (changes: Partial<DayBooks>): DayBooks => ({
  ...{ local: [], traces: [], switchLines: [], merchant: [] },
  reversedLater: new Set<string>(),
  ...changes,
});
const found = (books: DayBooks): readonly string[] =>
  compareDay(books).differences.map(({ source, class: of, key }) => `${source} ${of} ${key}`);

const sale = record('000001');
const key = keyOf(sale);

test('every class, by itself', () => {
  const both = { local: [sale], switchLines: [lineOf(sale)], merchant: [sale as Money] };
  assert.deepEqual(compareDay(day(both)), { matched: 1, differences: [] });
  for (const [changes, expected] of [
    [{ switchLines: [] }, `switch missing_switch ${key}`],
    [{ merchant: [] }, `merchant missing_merchant ${key}`],
    [{ switchLines: [lineOf(sale, { amountMinor: 1235n })] }, `switch amount_mismatch ${key}`],
    [{ merchant: [{ ...sale, amountMinor: 1n }] }, `merchant amount_mismatch ${key}`],
    [{ switchLines: [lineOf(sale, { currency: '840' })] }, `switch currency_mismatch ${key}`],
    [{ merchant: [{ ...sale, currency: '392' }] }, `merchant currency_mismatch ${key}`],
    [{ switchLines: [lineOf(sale, { side: 'refused' })] }, `switch status_mismatch ${key}`],
    [{ switchLines: [lineOf(sale, { side: 'none' })] }, `switch status_mismatch ${key}`],
    [{ switchLines: [lineOf(sale, { side: 'credit' })] }, `switch status_mismatch ${key}`],
    [{ merchant: [{ ...sale, side: 'credit' }] }, `merchant status_mismatch ${key}`],
    [{ switchLines: [lineOf(sale), lineOf(sale)] }, `switch duplicate ${key}`],
    [{ merchant: [sale, sale] }, `merchant duplicate ${key}`],
    [
      { switchLines: [lineOf(sale), lineOf(sale, { leg: 'reversal', side: 'credit' })] },
      `switch status_mismatch ${key}`,
    ],
  ] as const) {
    const books = day({ ...both, ...changes });
    assert.deepEqual(found(books), [expected]);
    assert.equal(compareDay(books).matched, 0);
  }
});

test('money at the switch that we have not: unknown, known by another state, on another day', () => {
  const switchLines = [lineOf(sale)];
  assert.deepEqual(found(day({ switchLines })), [`switch missing_local ${key}`]);
  for (const [state, bookedOn] of [
    ['reversed', null],
    ['declined', null],
    ['unknown', null],
    ['captured', '20260313'],
  ] as const) {
    const traces = [trace('000001', { state, bookedOn })];
    const [difference] = compareDay(day({ switchLines, traces })).differences;
    assert.equal(difference?.class, 'status_mismatch');
    assert.deepEqual(
      [difference?.facts['state'], difference?.facts['bookedOn']],
      [state, bookedOn],
    );
  }
  assert.deepEqual(found(day({ merchant: [sale] })), [`merchant missing_local ${key}`]);
});

test('a reversal is no difference: on the same day, and over the cut-off on both days', () => {
  const traces = [trace('000001')];
  const reversal = lineOf(sale, { leg: 'reversal', side: 'credit' });
  assert.deepEqual(found(day({ switchLines: [lineOf(sale), reversal], traces })), []);
  const first = { switchLines: [lineOf(sale)], traces };
  assert.deepEqual(found(day(first)), [`switch status_mismatch ${key}`]);
  assert.deepEqual(found(day({ ...first, reversedLater: new Set([key]) })), []);
  assert.deepEqual(found(day({ switchLines: [reversal], traces })), []);
  const booked = [trace('000001', { state: 'captured', bookedOn: '20260313' })];
  assert.deepEqual(found(day({ switchLines: [reversal], traces: booked })), [
    `switch status_mismatch ${key}`,
  ]);
  for (const side of ['none', 'refused'] as const) {
    assert.deepEqual(found(day({ switchLines: [lineOf(sale, { side })] })), []);
  }
});

test('any day, any injected differences, any order of lines: exactly those are found', () => {
  const injections = ['none', 'drop', 'cent', 'currency', 'double', 'refused'] as const;
  const rows = fc.array(
    fc.record({
      amountMinor: fc.bigInt({ min: 1n, max: 999_999n }),
      isDebit: fc.boolean(),
      injected: fc.constantFrom(...injections),
      atMerchant: fc.constantFrom('none', 'drop', 'cent'),
    }),
    { maxLength: 40 },
  );
  const classOf = {
    ...{ drop: 'missing_switch', cent: 'amount_mismatch', currency: 'currency_mismatch' },
    ...{ double: 'duplicate', refused: 'status_mismatch' },
  } as const;
  fc.assert(
    fc.property(rows, fc.nat({ max: 5 }), fc.boolean(), (all, strangers, turned) => {
      const local: LocalRecord[] = [];
      const lines: SwitchLine[] = [];
      const merchant: Money[] = [];
      const expected: string[] = [];
      let matched = 0;
      for (const [place, row] of all.entries()) {
        const { amountMinor, injected, atMerchant } = row;
        const side = row.isDebit ? 'debit' : 'credit';
        const stan = String(place).padStart(6, '0');
        const one = record(stan, { amountMinor, side });
        local.push(one);
        if (injected === 'double') lines.push(lineOf(one), lineOf(one));
        if (injected === 'none') lines.push(lineOf(one));
        if (injected === 'cent') lines.push(lineOf(one, { amountMinor: amountMinor + 1n }));
        if (injected === 'currency') lines.push(lineOf(one, { currency: '840' }));
        if (injected === 'refused') lines.push(lineOf(one, { side: 'refused' }));
        if (injected !== 'none') expected.push(`switch ${classOf[injected]} ${keyOf(one)}`);
        if (atMerchant === 'none') merchant.push(one);
        if (atMerchant === 'cent') merchant.push({ ...one, amountMinor: amountMinor + 1n });
        if (atMerchant === 'cent') expected.push(`merchant amount_mismatch ${keyOf(one)}`);
        if (atMerchant === 'drop') expected.push(`merchant missing_merchant ${keyOf(one)}`);
        if (injected === 'none' && atMerchant === 'none') matched++;
      }
      for (let n = 0; n < strangers; n++) {
        const stranger = record(String(900_000 + n));
        lines.push(lineOf(stranger));
        expected.push(`switch missing_local ${keyOf(stranger)}`);
      }
      const switchLines = turned ? lines.reverse() : lines;
      const books = day({ local, switchLines, merchant });
      assert.deepEqual(found(books).toSorted(), expected.sort());
      assert.equal(compareDay(books).matched, matched);
    }),
    { numRuns: 500 },
  );
});
