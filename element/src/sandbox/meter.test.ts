/** The counter in a module: it counts loops alone, and what is no module is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { FUEL_EXPORT, meteredModule } from './meter.ts';

const section = (id: number, hex: string): Uint8Array => {
  const body = fromHex(hex);
  return Uint8Array.of(id, body.length, ...body);
};
/** block, loop, local.get 0, i32.eqz, br_if 1, subtract one, f32.const, drop, br 0, end, end. */
const BODY = '00 0240 0340 2000 45 0D01 2000 4101 6B 2100 4300000000 1A 0C00 0B 0B 2000 0B';
/** `count(n)`: a loop from n down to 0, with an immediate of each kind on its way. */
const PARTS: readonly Uint8Array[] = [
  fromHex('0061736D01000000'),
  section(1, '01 60 01 7F 01 7F'),
  section(3, '01 00'),
  section(7, '01 05 636F756E74 00 00'),
  section(10, `01 ${toHex(Uint8Array.of(fromHex(BODY).length))} ${BODY}`),
];
const COUNT = concatBytes(...PARTS);

type Counting = { readonly count: (n: number) => number; readonly fuel: { value: number } };

function instance(bytes: Uint8Array): Counting {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports as Counting;
}

test('each turn of a loop takes one; at zero the module traps', () => {
  const metered = instance(meteredModule(COUNT));
  metered.fuel.value = 100;
  assert.equal(metered.count(10), 0);
  assert.equal(metered.fuel.value, 89);
  assert.throws(() => metered.count(1000), /unreachable/);
  assert.equal(metered.fuel.value, 0);
  assert.ok(FUEL_EXPORT in instance(meteredModule(COUNT)));
});

test('without the counter the same module has no end of its own (positive control)', () => {
  const free = instance(COUNT);
  assert.equal(free.count(100_000), 0);
  assert.equal(free.fuel, undefined);
});

test('a module that is cut off, or has an instruction that is not known, is refused', () => {
  const ends = PARTS.map((_, index) => concatBytes(...PARTS.slice(0, index + 1)).length);
  for (let length = 9; length < COUNT.length; length++) {
    if (ends.includes(length)) continue;
    assert.throws(() => meteredModule(COUNT.subarray(0, length)), RangeError, `${length} bytes`);
  }
  const vector = COUNT.with(COUNT.lastIndexOf(0x1a), 0xfd);
  assert.throws(() => meteredModule(vector), RangeError);
});
