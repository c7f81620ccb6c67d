/** The statement that elements sign: one canonical text for one set of facts, read back whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AttestedFacts,
  attestationStatement,
  readAttestationStatement,
} from './attestation.ts';
import { tokenWishShape } from './token.ts';

const FACTS: AttestedFacts = {
  ...{ elementId: '0011223344556677', loadFileHash: '1F'.repeat(32), lifeCycle: 'operable' },
  ...{ counter: 7, exporter: 'E0'.repeat(32), parameterVersion: 3 },
  order: {
    ...{ orderId: 'order-1', merchantId: '898110150001', merchantName: '测试 "店"' },
    ...{ terminalId: '00000001', amountMinor: '1234', currency: '156' },
    ...{ origin: 'https://shop.example', dateYymmdd: '260701', timeHhmmss: '101112' },
    ...{ transactionType: '00', signature: '5A'.repeat(64) },
  },
  ...{ field55Hash: 'AB'.repeat(32), pinBlockHash: null },
  ...{ tvr: '0080008000', cvmResults: '020000' },
};
const TEXT = attestationStatement(FACTS);

test('a statement is read back as it was made, and each fact changes it', () => {
  assert.deepEqual(readAttestationStatement(TEXT), FACTS);
  const changed: readonly Partial<AttestedFacts>[] = [
    { elementId: '00' },
    { loadFileHash: '2F'.repeat(32) },
    { lifeCycle: 'locked' },
    { counter: 8 },
    { exporter: 'E1'.repeat(32) },
    { parameterVersion: 4 },
    { field55Hash: 'AC'.repeat(32) },
    { pinBlockHash: 'AC'.repeat(32) },
    { tvr: '0000000000' },
    { cvmResults: '1F0302' },
    ...Object.keys(FACTS.order).map((name) => ({ order: { ...FACTS.order, [name]: 'x' } })),
  ];
  const texts = new Set(changed.map((change) => attestationStatement({ ...FACTS, ...change })));
  assert.equal(texts.size, changed.length);
  assert.ok(!texts.has(TEXT));
});

test('only the canonical text is a statement', () => {
  const list = JSON.parse(TEXT) as unknown[];
  const without = (place: number): string => JSON.stringify(list.toSpliced(place, 1));
  for (const wrong of [
    '',
    'null',
    '[]',
    `${TEXT} `,
    TEXT.replace('tapnpay-attestation-1', 'tapnpay-attestation-2'),
    TEXT.replace('"1234"', '1234'),
    TEXT.replace(',7,', ',7.0,'),
    JSON.stringify([...list, 'more']),
    ...list.map((_, place) => without(place)),
    `["${'x'.repeat(5_000)}"]`,
  ]) {
    assert.throws(() => readAttestationStatement(wrong), { code: 'ERR_MESSAGE_FIELD' }, wrong);
  }
});

test('a wish for a token: three modes, bounded, and nothing else', () => {
  for (const wish of [
    { mode: 'plain' },
    { mode: 'challenge', challenge: '00000001' },
    { mode: 'sign', data: ['A', '~'.repeat(40)] },
  ]) {
    assert.deepEqual(tokenWishShape({ ...wish, more: 1 }, 'wish'), wish);
  }
  for (const wrong of [
    null,
    {},
    { mode: 'toString' },
    { mode: 'challenge' },
    { mode: 'challenge', challenge: '' },
    { mode: 'challenge', challenge: '123456789' },
    { mode: 'sign', data: [] },
    { mode: 'sign', data: [''] },
    { mode: 'sign', data: ['茶'] },
    { mode: 'sign', data: ['~'.repeat(41)] },
    { mode: 'sign', data: ['1', '2', '3', '4', '5'] },
  ]) {
    assert.throws(() => tokenWishShape(wrong, 'wish'), { code: 'ERR_MESSAGE_FIELD' });
  }
});
