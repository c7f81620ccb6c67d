/** What crosses the wall: every kind of value comes back as it was; junk has one code, and no more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import { SandboxError } from './errors.ts';
import { hostCallOf } from './host-call-shapes.ts';
import { packValue, unpackValue } from './values.ts';

const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => one + 0),
    fc.bigInt(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ maxLength: 6 }).filter((name) => !name.startsWith('$')),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).value;

test('values come back as they were', () => {
  fc.assert(
    fc.property(value, (one) => {
      assert.deepEqual(unpackValue(packValue(one)), one);
    }),
  );
});

test('a secret comes back as a secret, and is none in what is printed', () => {
  const back = unpackValue(packValue({ pan: new Secret('6299990000000009') }));
  const { pan } = back as { readonly pan: Secret<string> };
  assert.equal(pan.expose(), '6299990000000009');
  assert.equal(JSON.stringify(back), '{"pan":"[secret]"}');
});

test('what has a behaviour or no end does not cross from our side either', () => {
  const endless: unknown[] = [];
  endless.push(endless);
  for (const wrong of [() => {}, Symbol('x'), Number.NaN, endless]) {
    assert.throws(() => packValue(wrong), SandboxError);
  }
});

for (const [what, text] of [
  ['no JSON', '{'],
  ['a mark that is not known', '{"$function":"x"}'],
  ['bytes that did not come', '{"$bytes":0}'],
  ['bytes before the first', '{"$bytes":-1}'],
  ['bytes by a text', '{"$bytes":"length"}'],
  ['a large number with letters', '{"$bigint":"0x10"}'],
  ['a large number without end', `{"$bigint":"${'9'.repeat(401)}"}`],
  ['lists in lists', `${'['.repeat(40)}${']'.repeat(40)}`],
  ['too many values', `[${'0,'.repeat(30_000)}0]`],
] as const) {
  test(`from an applet: ${what}`, () => {
    assert.throws(() => unpackValue({ text, buffers: [] }), { code: 'ERR_APPLET_HOST_CALL' });
  });
}

test('a name of the prototype is a name like any other', () => {
  const text = '{"__proto__":{"call":"clock"},"constructor":1}';
  const back = unpackValue({ text, buffers: [] }) as object;
  assert.deepEqual(Object.keys(back), ['__proto__', 'constructor']);
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.throws(() => hostCallOf(back), { code: 'ERR_APPLET_HOST_CALL' });
});

test('of any text, unpacking and the shapes of calls throw their own fault and no other', () => {
  const json = fc.oneof(fc.string(), fc.json({ maxDepth: 20 }));
  fc.assert(
    fc.property(json, fc.array(fc.uint8Array(), { maxLength: 2 }), (text, buffers) => {
      try {
        hostCallOf(unpackValue({ text, buffers }));
      } catch (thrown) {
        assert.ok(thrown instanceof SandboxError, String(thrown));
      }
    }),
  );
});
