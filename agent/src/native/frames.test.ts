/** Shows how standard input is cut into frames, wherever a pipe breaks them, and what is refused. */
import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { NATIVE_FRAME_BYTES_MAX } from '@tapnpay/protocol/wire';
import { encodeNativeFrame, NativeFrameDecoder } from './frames.ts';

const TEXTS = ['{}', '{"a":"春风茶馆"}', `{"b":"${'x'.repeat(5_000)}"}`] as const;
const STREAM = Buffer.concat(TEXTS.map((text) => encodeNativeFrame(text)));
const texts = (decoder: NativeFrameDecoder, chunk: Uint8Array): readonly string[] =>
  [...decoder.push(chunk)].map((body) => body.toString('utf8'));

function head(lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (endianness() === 'LE') bytes.writeUInt32LE(lengthBytes);
  else bytes.writeUInt32BE(lengthBytes);
  return bytes;
}

test("a frame is its length in the machine's order, then the text's bytes", () => {
  const frame = encodeNativeFrame('"支"');
  assert.deepEqual(Buffer.from(frame), Buffer.concat([head(5), Buffer.from('"支"')]));
});

test('frames come out the same, split at every place', () => {
  for (let at = 0; at <= STREAM.length; at++) {
    const decoder = new NativeFrameDecoder();
    const got = [...texts(decoder, STREAM.subarray(0, at)), ...texts(decoder, STREAM.subarray(at))];
    assert.deepEqual(got, TEXTS);
    assert.ok(decoder.isEmpty);
  }
});

test('frames come out the same byte by byte, and all at once', () => {
  const decoder = new NativeFrameDecoder();
  const got: string[] = [];
  for (const byte of STREAM) got.push(...texts(decoder, Uint8Array.of(byte)));
  assert.deepEqual(got, TEXTS);
  assert.deepEqual(texts(new NativeFrameDecoder(), STREAM), TEXTS);
});

test('what was given out stays as it was when more comes into the same memory', () => {
  const decoder = new NativeFrameDecoder();
  const memory = Buffer.from(encodeNativeFrame('{"a":1}'));
  const [body] = [...decoder.push(memory)];
  memory.fill(0);
  assert.equal(body?.toString('utf8'), '{"a":1}');
});

test('a length of zero and one over the limit are refused, after the frames before them', () => {
  for (const length of [0, NATIVE_FRAME_BYTES_MAX + 1, 0xffff_ffff]) {
    const decoder = new NativeFrameDecoder();
    const got: string[] = [];
    const read = () => {
      const bytes = Buffer.concat([encodeNativeFrame('{}'), head(length), Buffer.from('{}')]);
      for (const body of decoder.push(bytes)) got.push(body.toString('utf8'));
    };
    assert.throws(read, { code: 'ERR_FRAME_LENGTH' });
    assert.deepEqual(got, ['{}']);
  }
});

test('the longest frame passes, one byte more is not sent', () => {
  const longest = 'x'.repeat(NATIVE_FRAME_BYTES_MAX);
  assert.deepEqual(texts(new NativeFrameDecoder(), encodeNativeFrame(longest)), [longest]);
  assert.throws(() => encodeNativeFrame(`${longest}x`), { code: 'ERR_FRAME_LENGTH' });
  const wide = '支'.repeat(NATIVE_FRAME_BYTES_MAX / 3);
  assert.throws(() => encodeNativeFrame(`${wide}支`), { code: 'ERR_FRAME_LENGTH' });
  assert.throws(() => encodeNativeFrame(''), { code: 'ERR_FRAME_LENGTH' });
});

test('a truncated frame is known as one', () => {
  const decoder = new NativeFrameDecoder();
  for (const at of [1, 3, 4, 5]) {
    const cut = new NativeFrameDecoder();
    assert.deepEqual(texts(cut, STREAM.subarray(0, at)), []);
    assert.ok(!cut.isEmpty);
  }
  assert.ok(decoder.isEmpty);
});
