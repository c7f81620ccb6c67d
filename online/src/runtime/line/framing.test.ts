/** Shows that frames of both formats survive every cut of the stream, and what breaks a line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, concatBytes } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import { encodeFrame, FrameDecoder, type FrameFormat } from './index.ts';
import { code } from './line.test-kit.ts';

const FORMATS: readonly FrameFormat[] = ['ascii4', 'binary2'];

test('frames: every cut of a stream gives the same messages, in both formats (fast-check)', () => {
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 });
  fc.assert(
    fc.property(
      bodies,
      fc.integer({ min: 1, max: 70 }),
      fc.constantFrom(...FORMATS),
      (messages, step, format) => {
        const stream = concatBytes(...messages.map((body) => encodeFrame(body, format)));
        const decoder = new FrameDecoder(format);
        const got: Uint8Array[] = [];
        for (let at = 0; at < stream.length; at += step) {
          got.push(...decoder.push(stream.slice(at, at + step)));
        }
        assert.deepEqual(
          got.map((body) => [...body]),
          messages.map((body) => [...body]),
        );
        assert.equal(decoder.heldBytes, 0);
      },
    ),
  );
});

test('frames: whatever comes ends in messages or ERR_LINE_FRAME, and hold no more than one (fast-check)', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5_000 }),
      fc.constantFrom(...FORMATS),
      (bytes, format) => {
        const decoder = new FrameDecoder(format);
        try {
          for (const body of decoder.push(bytes))
            assert.ok(body.length > 0 && body.length <= 4_096);
        } catch (fault) {
          assert.ok(code('ERR_LINE_FRAME')(fault));
        }
        assert.ok(decoder.heldBytes <= 4_100);
      },
    ),
  );
});

test('frames: a frame is a plain array: its slice is a copy', () => {
  const frame = encodeFrame(Uint8Array.of(7));
  frame.slice()[4] = 8;
  assert.equal(frame[4], 7);
});

test('frames: the length is four digits between institutions, two bytes at a POS centre', () => {
  const body = new Uint8Array(300).fill(7);
  assert.deepEqual([...encodeFrame(body).subarray(0, 4)], [...asciiToBytes('0300')]);
  assert.deepEqual([...encodeFrame(body, 'binary2').subarray(0, 3)], [0x01, 0x2c, 7]);
});

test('frames: over-long and non-numeric lengths are refused, at the first wrong digit', () => {
  for (const wrong of ['9999', '4097', '00-1', '+100', ' 100', '1E02', 'x']) {
    const push = () => [...new FrameDecoder().push(asciiToBytes(wrong))];
    assert.throws(push, code('ERR_LINE_FRAME'), wrong);
  }
  const long = () => [...new FrameDecoder('binary2').push(Uint8Array.of(0xff, 0xff))];
  assert.throws(long, code('ERR_LINE_FRAME'), 'length 65535');
  assert.throws(() => encodeFrame(new Uint8Array(0)), code('ERR_LINE_FRAME'));
  assert.throws(() => encodeFrame(new Uint8Array(4097)), code('ERR_LINE_FRAME'));
});

test('frames: length 0 is a keep-alive, counted, between messages and inside a cut', () => {
  for (const [format, none] of [
    ['ascii4', asciiToBytes('0000')],
    ['binary2', Uint8Array.of(0, 0)],
  ] as const) {
    const decoder = new FrameDecoder(format);
    const frame = encodeFrame(Uint8Array.of(7, 8), format);
    const stream = concatBytes(none, frame, none, none, frame, none);
    const got = [...stream].flatMap((byte) => [...decoder.push(Uint8Array.of(byte))]);
    assert.equal(got.length, 2);
    assert.equal(decoder.keepAlives, 4);
    assert.equal(decoder.heldBytes, 0);
  }
});

test('frames: messages before a broken one are delivered', () => {
  const seen: Uint8Array[] = [];
  const chunk = concatBytes(encodeFrame(Uint8Array.of(7)), asciiToBytes('zzzz'));
  assert.throws(() => {
    for (const body of new FrameDecoder().push(chunk)) seen.push(body);
  }, code('ERR_LINE_FRAME'));
  assert.equal(seen.length, 1);
});
