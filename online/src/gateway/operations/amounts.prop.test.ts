/**
 * Shows that amounts are never rounded, scaled or lost, from the merchant's text to field 4, tag
 * 9F02, the book and back, for currencies with no, two and three decimal places (complaints 3, 21,
 * 22, 23).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currencyExponent, formatAmount, parseAmount } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import { fieldText } from '../gateway.test-kit.ts';
import { LEDGER_PAYER_CLEARING } from '../model.ts';
import { bookOf, heldOrder, operationsWorld, paidOrder, wish } from './operations.test-kit.ts';

const EXPONENTS = { '392': 0, '156': 2, '414': 3 } as const;
const currency = fc.constantFrom(...(Object.keys(EXPONENTS) as (keyof typeof EXPONENTS)[]));
/** Up to the limit of a tap and of field 4. */
const minor = fc.bigInt({ min: 1n, max: 999_999_999_999n });

test('complaint 21: JPY 392, CNY 156 and KWD 414 reach field 4 as they were meant', async () => {
  for (const [code, amount, field4] of [
    ['392', '1234', '000000001234'],
    ['392', '999999999999', '999999999999'],
    ['156', '12.34', '000000001234'],
    ['156', '0.01', '000000000001'],
    ['156', '7', '000000000700'],
    ['414', '1.234', '000000001234'],
    ['414', '1.2', '000000001200'],
    ['414', '999999999.999', '999999999999'],
  ] as const) {
    const world = await operationsWorld();
    await paidOrder(world, { amount, currency: code });
    const [request] = world.line.sent;
    assert.equal(fieldText(request, 4), field4);
    assert.equal(fieldText(request, 49), code);
    assert.equal(currencyExponent(code), EXPONENTS[code]);
  }
  const { core } = await operationsWorld();
  const world = await operationsWorld();
  for (const [code, amount] of [
    ['392', '12.34'],
    ['392', '1.0'],
    ['156', '1.234'],
    ['414', '1.2345'],
  ] as const) {
    await assert.rejects(paidOrder(world, { amount, currency: code }), { code: 'ERR_AMOUNT' });
    const { paymentId } = await paidOrder(world, { amount: '5000', currency: code });
    const refund = world.core.operate(wish('refund', paymentId, { amount }));
    await assert.rejects(refund, { code: 'ERR_AMOUNT' });
  }
  assert.deepEqual(await core.workItems(), []);
});

test('any amount: order, field 4, 9F02, capture in part and refunds in parts add up exactly', async () => {
  await fc.assert(
    fc.asyncProperty(
      currency,
      minor,
      fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 5 }),
      async (code, heldMinor, weights) => {
        const world = await operationsWorld();
        const { core, line, strict } = world;
        const text = (value: bigint): string => formatAmount(value, code);
        const { paymentId } = await heldOrder(world, { amount: text(heldMinor), currency: code });
        assert.equal(fieldText(line.sent[0], 4), String(heldMinor).padStart(12, '0'));
        const capturedMinor = (heldMinor + 1n) / 2n;
        await core.operate(wish('capture', paymentId, { amount: text(capturedMinor) }));
        let leftMinor = capturedMinor;
        for (const weight of weights) {
          const partMinor = (capturedMinor * BigInt(weight)) / 5_000n;
          if (partMinor < 1n) continue;
          const { operation } = await core.operate(
            wish('refund', paymentId, { amount: text(partMinor) }),
          );
          assert.equal(operation.amountMinor, partMinor);
          leftMinor -= partMinor;
          assert.equal(strict.paidMinor(), leftMinor);
        }
        // No residue stays behind, and none is given back twice.
        if (leftMinor > 0n) await core.operate(wish('refund', paymentId));
        const { balance } = await core.paymentWhole(paymentId);
        assert.equal(balance.refundedMinor, capturedMinor);
        assert.equal(strict.paidMinor(), 0n);
        assert.equal((await bookOf(world, paymentId))[LEDGER_PAYER_CLEARING], 0n);
      },
    ),
    { numRuns: 60 },
  );
});

test('complaint 3: every text as amount of a refund is exactly that or refused', async () => {
  const world = await operationsWorld();
  const texts = fc.oneof(
    fc.string({ maxLength: 14 }),
    fc.stringMatching(/^-?[0-9]{0,13}\.?[0-9]{0,4}$/),
    fc.constantFrom('NaN', 'Infinity', '1e2', '-0.01', '+1', '0x10', '１', '1,00', ' 1', '1 '),
  );
  await fc.assert(
    fc.asyncProperty(currency, texts, async (code, amount) => {
      const { core, strict } = world;
      const { paymentId } = await paidOrder(world, { amount: '100', currency: code });
      const before = strict.paidMinor();
      const refunded = await core.operate(wish('refund', paymentId, { amount })).then(
        ({ operation }) => operation.amountMinor,
        (fault: { code: string }) => {
          assert.ok(['ERR_AMOUNT', 'ERR_REFUND_EXCEEDS'].includes(fault.code), fault.code);
          return 0n;
        },
      );
      assert.equal(before - strict.paidMinor(), refunded);
      if (refunded > 0n) {
        assert.equal(parseAmount(amount, code), refunded);
        assert.match(amount, /^[0-9]+(?:\.[0-9]+)?$/);
      }
    }),
    { numRuns: 300 },
  );
});
