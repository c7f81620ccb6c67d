/** Frames, UTF-8 and shapes of our wires: round trips, and a coded error for every junk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BytesError, concatBytes, uintToBytes } from '../bytes/index.ts';
import {
  applicationMessageShape,
  bytesToUtf8,
  checkShape,
  decodeByHand,
  elementCommandShape,
  elementEventShape,
  encodeByHand,
  encodeJsonFrame,
  gatewayMessageShape,
  JsonFrameDecoder,
  utf8ToBytes,
  WireError,
} from './index.ts';

const FRAME_BYTES_MAX = 4096;

test('UTF-8 agrees with the runtime, lone surrogates included (RFC 3629)', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const bytes = utf8ToBytes(text);
      assert.deepEqual(bytes, new Uint8Array(new TextEncoder().encode(text)));
      assert.deepEqual(encodeByHand(text), bytes);
      const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
      assert.equal(bytesToUtf8(bytes), decoded);
      assert.equal(decodeByHand(bytes), decoded);
    }),
  );
  for (const encode of [utf8ToBytes, encodeByHand]) {
    assert.deepEqual(encode('\ud800'), Uint8Array.of(0xef, 0xbf, 0xbd));
  }
});

test('UTF-8 is refused exactly where the runtime refuses it (RFC 3629 §4)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
      let expected: string | null = null;
      try {
        expected = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {}
      for (const decode of [bytesToUtf8, decodeByHand]) {
        if (expected !== null) assert.equal(decode(bytes), expected);
        else assert.throws(() => decode(bytes), BytesError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a frame stream cut anywhere gives the same messages', () => {
  const messages = [{ a: '银行卡' }, [1, 2], 'x'];
  const stream = concatBytes(...messages.map((m) => encodeJsonFrame(m, FRAME_BYTES_MAX)));
  fc.assert(
    fc.property(fc.array(fc.nat({ max: stream.length }), { maxLength: 8 }), (cuts) => {
      const decoder = new JsonFrameDecoder(FRAME_BYTES_MAX);
      const edges = [0, ...cuts.sort((x, y) => x - y), stream.length];
      const got = edges.flatMap((end, i) => decoder.push(stream.subarray(edges[i - 1] ?? 0, end)));
      assert.deepEqual(got, messages);
      assert.equal(decoder.heldBytes, 0);
    }),
  );
});

test('an over-long, an empty and a non-JSON frame are coded faults', () => {
  const code = (bytes: Uint8Array) => {
    try {
      new JsonFrameDecoder(FRAME_BYTES_MAX).push(bytes);
    } catch (error) {
      return (error as WireError).code;
    }
    return null;
  };
  assert.equal(code(uintToBytes(FRAME_BYTES_MAX + 1, 4)), 'ERR_FRAME_LENGTH');
  assert.equal(code(uintToBytes(0, 4)), 'ERR_FRAME_LENGTH');
  assert.equal(code(Uint8Array.of(0, 0, 0, 1, 0x7b)), 'ERR_FRAME_JSON');
  assert.equal(code(Uint8Array.of(0, 0, 0, 1, 0xff)), 'ERR_FRAME_JSON');
  assert.throws(() => encodeJsonFrame('x'.repeat(5000), FRAME_BYTES_MAX), {
    code: 'ERR_FRAME_LENGTH',
  });
});

test('a frame decoder throws nothing but its own error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        new JsonFrameDecoder(64).push(bytes);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
  );
});

test('message shapes throw nothing but their own error', () => {
  const types = ['welcome', 'payment', 'pay', 'answer', 'result', 'hop', 'apduAnswer'];
  const junk = fc.oneof(
    fc.jsonValue(),
    fc.record({ type: fc.constantFrom(...types), id: fc.jsonValue(), order: fc.jsonValue() }),
  );
  fc.assert(
    fc.property(junk, (value) => {
      const shapes = [gatewayMessageShape, applicationMessageShape, elementEventShape];
      for (const shape of [...shapes, elementCommandShape]) {
        try {
          checkShape<unknown>(shape, value, 'message');
        } catch (error) {
          assert.ok(error instanceof WireError);
        }
      }
    }),
  );
});

test('a shape keeps known fields only and names the wrong one', () => {
  const good = { type: 'status', id: 7, extra: 1 };
  assert.deepEqual(checkShape(elementCommandShape, good, 'command'), { type: 'status', id: 7 });
  assert.throws(() => checkShape(elementCommandShape, { type: 'status', id: -1 }, 'command'), {
    code: 'ERR_MESSAGE_FIELD',
    data: { fieldPath: 'command.id' },
  });
  const inherited = JSON.parse('{"__proto__":{"type":"status"},"id":1}');
  assert.throws(() => checkShape(elementCommandShape, inherited, 'command'), WireError);
});
