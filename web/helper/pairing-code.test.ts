/** Shows that a pairing code is taken as people type it, and an origin only when it is exactly one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  askingOrigin,
  codeOfFragment,
  isWholePairingCode,
  shapePairingCode,
} from './pairing-code.ts';

test('a code takes its printed form while it is typed', () => {
  assert.equal(shapePairingCode(''), '');
  assert.equal(shapePairingCode('k7q'), 'K7Q');
  assert.equal(shapePairingCode('k7qm'), 'K7QM');
  assert.equal(shapePairingCode('k7qm2'), 'K7QM-2');
  assert.equal(shapePairingCode('  k7qm - 2d9x extra'), 'K7QM-2D9X');
});

test('look-alike letters are read as digits, and U as nothing', () => {
  assert.equal(shapePairingCode('oilu'), '011');
});

test('only eight characters in the printed form are a whole code', () => {
  assert.ok(isWholePairingCode('K7QM-2D9X'));
  for (const wrong of ['', 'K7QM-2D9', 'K7QM2D9X', 'k7qm-2d9x', 'K7QM-2D9XX', 'K7QM-2D9U']) {
    assert.ok(!isWholePairingCode(wrong), wrong);
  }
});

test('the fragment gives a whole code or nothing', () => {
  assert.equal(codeOfFragment('#k7qm-2d9x'), 'K7QM-2D9X');
  assert.equal(codeOfFragment('#k7qm'), '');
  assert.equal(codeOfFragment(''), '');
});

test('an origin is taken only when it is exactly an http or https origin', () => {
  const of = (origin: string) => askingOrigin(`?origin=${encodeURIComponent(origin)}`);
  assert.equal(of('http://127.0.0.1:4600'), 'http://127.0.0.1:4600');
  assert.equal(of('https://pay.example'), 'https://pay.example');
  const wrong = [
    '*',
    '',
    '/',
    'null',
    'javascript:1',
    'http://127.0.0.1:4600/',
    'http://a@b.example',
  ];
  for (const origin of wrong) assert.equal(of(origin), null, origin);
  assert.equal(askingOrigin(''), null);
});
