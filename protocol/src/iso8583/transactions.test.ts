/**
 * The table of transaction kinds: every row is found again from a message made by it, repeats
 * included, and a message of no row has no kind.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeMessage } from './message.ts';
import { TRANSACTION_SPECS, transactionKindOf, transactionSpec } from './transactions.ts';

for (const spec of TRANSACTION_SPECS) {
  test(`${spec.kind} is known by type ${spec.mti}, fields 3 and 25 (Q/CUP 006)`, () => {
    const fields = [[3, spec.processingCode] as const, [25, spec.conditionCode] as const];
    assert.equal(transactionKindOf(makeMessage(spec.mti, fields)), spec.kind);
    assert.equal(transactionKindOf(makeMessage(`${spec.mti.slice(0, 3)}1`, fields)), spec.kind);
    assert.equal(transactionSpec(spec.kind), spec);
  });
}

test('a message of no row has no kind', () => {
  const sale = [[3, '000000'] as const, [25, '99'] as const];
  assert.equal(transactionKindOf(makeMessage('0200', sale)), null);
  assert.equal(
    transactionKindOf(
      makeMessage('0420', [
        [3, '000000'],
        [25, '00'],
      ]),
    ),
    null,
  );
  assert.equal(transactionKindOf(makeMessage('0200', [])), null);
});
