/** TR-31 version D: round trips, every changed character is noticed, junk ends in its own error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../node/index.ts';
import { fromHex, type RandomSource } from '../bytes/index.ts';
import { CryptoError, type Tr31Header, tr31HeaderOf, tr31UnwrapD, tr31WrapD } from './index.ts';

const KBPK = fromHex('88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6');
const KEY = fromHex('0123456789ABCDEFFEDCBA9876543210');
const HEADER: Tr31Header = { usage: 'P0', algorithm: 'T', modeOfUse: 'B', exportability: 'N' };
const FILL: RandomSource = { bytes: (lengthBytes) => new Uint8Array(lengthBytes).fill(0x5a) };
const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;
const wrap = (header: Tr31Header, key = KEY, protection = KBPK): string =>
  tr31WrapD(nodeCiphers, protection, header, key, FILL);

test('X9.143 §4: every key size and protection key size comes back with its attributes', () => {
  for (const protectionBytes of [16, 24, 32]) {
    const protection = KBPK.subarray(0, protectionBytes);
    for (const keyBytes of [8, 14, 16, 24, 32, 64]) {
      const key = new Uint8Array(keyBytes).fill(keyBytes);
      const block = wrap(HEADER, key, protection);
      const opened = tr31UnwrapD(nodeCiphers, protection, block);
      assert.deepEqual(opened, { ...HEADER, keyVersion: '00', optionalBlocks: [], key });
      assert.equal(Number(block.slice(1, 5)), block.length);
    }
  }
});

test('X9.143 §4.3.6: optional blocks are bound, and PB fills them to whole cipher blocks', () => {
  for (const text of ['', 'L', 'LAB', 'twelve chars', 'a label of some length']) {
    const optionalBlocks = [{ id: 'LB', data: text }];
    const block = wrap({ ...HEADER, optionalBlocks });
    assert.equal((block.length - 16) % 16, 0);
    assert.deepEqual(tr31HeaderOf(block).optionalBlocks, optionalBlocks);
    assert.deepEqual(tr31UnwrapD(nodeCiphers, KBPK, block).optionalBlocks, optionalBlocks);
  }
});

test('one changed character anywhere is refused, most of all in the usage', () => {
  const block = wrap({ ...HEADER, optionalBlocks: [{ id: 'LB', data: 'LAB' }] });
  for (let index = 0; index < block.length; index++) {
    const other = block.charAt(index) === '0' ? '1' : '0';
    const changed = `${block.slice(0, index)}${other}${block.slice(index + 1)}`;
    assert.throws(() => tr31UnwrapD(nodeCiphers, KBPK, changed), CryptoError);
  }
  const usage = block.replace(/^(.{5})P0/, '$1M1');
  assert.throws(() => tr31UnwrapD(nodeCiphers, KBPK, usage), code('ERR_CRYPTO_KEY_BLOCK_MAC'));
});

test('a wrong protection key is a wrong MAC, one of a wrong length its own error', () => {
  const block = wrap(HEADER);
  const other = KBPK.map((value) => value ^ 1);
  assert.throws(() => tr31UnwrapD(nodeCiphers, other, block), code('ERR_CRYPTO_KEY_BLOCK_MAC'));
  const short = KBPK.subarray(0, 8);
  assert.throws(() => tr31UnwrapD(nodeCiphers, short, block), code('ERR_CRYPTO_KEY_LENGTH'));
  assert.throws(() => wrap(HEADER, KEY, short), code('ERR_CRYPTO_KEY_LENGTH'));
});

test('header fields and keys of a wrong shape are not wrapped', () => {
  const refused = code('ERR_CRYPTO_KEY_BLOCK');
  assert.throws(() => wrap({ ...HEADER, usage: 'P' }), refused);
  assert.throws(() => wrap({ ...HEADER, algorithm: 'TT' }), refused);
  assert.throws(() => wrap({ ...HEADER, modeOfUse: '' }), refused);
  assert.throws(() => wrap({ ...HEADER, keyVersion: '0é' }), refused);
  assert.throws(() => wrap({ ...HEADER, optionalBlocks: [{ id: 'L', data: '' }] }), refused);
  const long = [{ id: 'LB', data: 'x'.repeat(252) }];
  assert.throws(() => wrap({ ...HEADER, optionalBlocks: long }), refused);
  const many = Array.from({ length: 100 }, () => ({ id: 'LB', data: 'x' }));
  assert.throws(() => wrap({ ...HEADER, optionalBlocks: many }), refused);
  assert.throws(() => wrap(HEADER, new Uint8Array(0)), code('ERR_CRYPTO_KEY_LENGTH'));
  assert.throws(() => wrap(HEADER, new Uint8Array(513)), code('ERR_CRYPTO_KEY_LENGTH'));
});

test('junk and other versions end in the error of a malformed block', () => {
  const refused = code('ERR_CRYPTO_KEY_BLOCK');
  const versionB = `B${wrap(HEADER).slice(1)}`;
  for (const block of ['', 'D', 'Dé', 'D0016P0TB00N0000', versionB, `${wrap(HEADER)}00`]) {
    assert.throws(() => tr31UnwrapD(nodeCiphers, KBPK, block), refused);
  }
  assert.throws(() => tr31UnwrapD(nodeCiphers, KBPK, wrap(HEADER).toLowerCase()), refused);
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 200 }), (junk) => {
      for (const block of [junk, `D0112P0AE00E0${junk}`.padEnd(112, '0').slice(0, 112)]) {
        assert.throws(() => tr31UnwrapD(nodeCiphers, KBPK, block), CryptoError);
      }
    }),
  );
});
