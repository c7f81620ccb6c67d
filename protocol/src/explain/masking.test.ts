/** Card numbers leave no trace in a masked explanation, in any form; other digits stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { explain, readInput } from './index.ts';
import { maskExplanation, maskText } from './masking.ts';

/** A number of the sandbox range with a right check digit. */
const PAN = '6299990000000017';
const MIDDLE = PAN.slice(6, -4);

function maskedText(input: string): string {
  return JSON.stringify(maskExplanation(explain(nodeCiphers, input), readInput(input)));
}

test('data objects: PAN, track 2 and the ASCII of it are masked wherever they show', () => {
  const ascii = Buffer.from(PAN).toString('hex').toUpperCase();
  const inside = `5A08${PAN}5711${PAN}D30122010000000000F09F1F10${ascii}`;
  const input = `70${(inside.length / 2).toString(16).toUpperCase()}${inside}`;
  const text = maskedText(input);
  assert.ok(text.includes('629999******0017'));
  assert.ok(!text.includes(MIDDLE + PAN.slice(-4)), text);
  assert.ok(!text.includes(ascii.slice(12, 24) + ascii.slice(24)), text);
});

test('an interchange frame shows neither field 2 in clear nor its digits in the bytes', () => {
  const input = `0200 4020000000800000 16${PAN} 000001 3132333435363738`;
  const text = maskedText(input);
  assert.ok(text.includes('629999******0017'));
  assert.ok(!text.includes(PAN));
});

test('a PIN block computation shows no PAN, not even the field made of it', () => {
  const text = maskedText(JSON.stringify({ pin: '1234', pan: PAN }));
  assert.ok(!text.includes(PAN.slice(3, -1)), text);
  assert.ok(text.includes('******'));
});

test('digits with a wrong check digit are no card number and stay', () => {
  const wrong = `${PAN.slice(0, -1)}8`;
  const text = maskedText(`5A08${wrong}`);
  assert.ok(text.includes(wrong));
});

test('a piece of a number is masked by its place in the number', () => {
  assert.equal(maskText(`0000${PAN.slice(3, -1)}`, [PAN]), '0000999******001');
  assert.equal(maskText('no number here 12345', [PAN]), 'no number here 12345');
});
