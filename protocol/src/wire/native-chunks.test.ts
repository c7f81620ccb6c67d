/** Shows how long frames are cut and joined, and that chunks of another kind join to nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cutNativeFrame,
  cutNativeText,
  NATIVE_CHUNK_CHARACTERS,
  NATIVE_CHUNKS_MAX,
  NATIVE_FRAME_BYTES_MAX,
  NATIVE_MESSAGE_CHARACTERS_MAX,
  type NativeChunk,
  NativeJoiner,
} from './native-chunks.ts';

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const frameOf = (text: string) => ({ type: 'report', text });
const EMPTY_BYTES = bytesOf(frameOf(''));

function joined(frames: readonly unknown[]): readonly unknown[] {
  const joiner = new NativeJoiner();
  const got = frames.map((frame) => joiner.take(JSON.parse(JSON.stringify(frame))));
  assert.equal(joiner.heldCharacters, 0);
  return got;
}
function chunksOf(text: string): readonly NativeChunk[] {
  return cutNativeFrame(frameOf(text), 7).map((frame) => {
    assert.ok(frame.type === 'chunk' && 'index' in frame);
    return frame;
  });
}

test('a frame of exactly the limit passes whole, one byte more in chunks', () => {
  const room = NATIVE_FRAME_BYTES_MAX - EMPTY_BYTES;
  for (const character of ['x', '支', 'é']) {
    const width = Buffer.byteLength(character);
    const text = character.repeat(Math.floor(room / width)) + 'x'.repeat(room % width);
    const frame = frameOf(text);
    assert.equal(bytesOf(frame), NATIVE_FRAME_BYTES_MAX);
    assert.deepEqual(cutNativeFrame(frame, 0), [frame]);
    assert.ok(cutNativeFrame(frameOf(`${text}x`), 0).length > 1, character);
  }
});

test('every chunk is below the limit, whatever its text is', () => {
  for (const unit of ['支', '"', '\\', '\u0001', '😀', 'x', '\ud83d']) {
    const frame = frameOf(unit.repeat(Math.ceil(400_000 / unit.length)));
    const cut = cutNativeFrame(frame, 1);
    for (const chunk of cut) assert.ok(bytesOf(chunk) <= NATIVE_FRAME_BYTES_MAX, unit);
    assert.deepEqual(joined(cut).at(-1), frame);
  }
});

test('no surrogate pair is cut, at either parity', () => {
  for (const before of ['', 'x']) {
    for (const { text } of chunksOf(before + '😀'.repeat(200_000))) {
      assert.ok(!/^[\udc00-\udfff]|[\ud800-\udbff]$/.test(text));
    }
  }
});

test('the texts are those of the frames', () => {
  const frame = frameOf('x'.repeat(300_000));
  const texts = cutNativeText(JSON.stringify(frame), 3);
  assert.deepEqual(
    texts.map((text) => JSON.parse(text)),
    cutNativeFrame(frame, 3),
  );
  assert.deepEqual(cutNativeText('{"type":"doctor"}', 3), ['{"type":"doctor"}']);
});

test('what is cut joins to itself, between whole frames', () => {
  const text = fc.string({ unit: 'binary', maxLength: 20 });
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 12_000 }), (piece, times) => {
      const frame = frameOf(piece.repeat(times));
      const cut = cutNativeFrame(frame, 9);
      const got = joined([{ type: 'doctor' }, ...cut, { type: 'doctor' }]);
      assert.deepEqual(got.at(-2), JSON.parse(JSON.stringify(frame)));
      assert.ok(got.slice(1, -2).every((one) => one === null));
    }),
    { numRuns: 12 },
  );
});

test('a frame above all limits is not cut', () => {
  const tooLong = frameOf('x'.repeat(NATIVE_MESSAGE_CHARACTERS_MAX));
  assert.throws(() => cutNativeFrame(tooLong, 0), { code: 'ERR_FRAME_LENGTH' });
  const longest = frameOf('x'.repeat(NATIVE_MESSAGE_CHARACTERS_MAX - EMPTY_BYTES));
  assert.equal(cutNativeFrame(longest, 0).length, NATIVE_CHUNKS_MAX);
});

test('chunks that are mixed, out of order, missing, double or too many are refused', () => {
  const [one, two, three] = chunksOf('支'.repeat(3 * NATIVE_CHUNK_CHARACTERS - 1000));
  assert.ok(one && two && three);
  const wrong: readonly (readonly unknown[])[] = [
    [two],
    [one, three],
    [one, one],
    [two, one, three],
    [one, { ...two, id: 8 }],
    [one, { ...two, count: 4 }],
    [one, { type: 'doctor' }],
    [one, two, { type: 'hello' }, three],
    [{ ...one, count: 0 }],
    [{ ...one, index: 1, count: 1 }],
  ];
  for (const frames of wrong) {
    assert.throws(
      () => joined(frames),
      { code: 'ERR_FRAME_CHUNK' },
      JSON.stringify(wrong.indexOf(frames)),
    );
  }
});

test('a chunk of another shape, of no JSON, of chunks, and too long a sum are refused', () => {
  const chunk = { type: 'chunk', id: 1, index: 0, count: 1, text: '{"type":"doctor"}' };
  assert.deepEqual(joined([chunk]), [{ type: 'doctor' }]);
  const shapes = [
    { ...chunk, id: -1 },
    { ...chunk, id: '1' },
    { ...chunk, index: 0.5 },
    { ...chunk, index: NATIVE_CHUNKS_MAX },
    { ...chunk, count: NATIVE_CHUNKS_MAX + 1 },
    { ...chunk, text: null },
    { ...chunk, text: 'x'.repeat(NATIVE_FRAME_BYTES_MAX + 1) },
    { type: 'chunk' },
  ];
  for (const wrong of shapes) {
    assert.throws(() => joined([wrong]), { code: 'ERR_MESSAGE_FIELD' });
  }
  assert.throws(() => joined([{ ...chunk, text: '{' }]), { code: 'ERR_FRAME_JSON' });
  const nested = { ...chunk, text: JSON.stringify(chunk) };
  assert.throws(() => joined([nested]), { code: 'ERR_FRAME_CHUNK' });
  assert.throws(() => joined([{ ...chunk, text: 'null' }]), { code: 'ERR_FRAME_CHUNK' });
  const fat = Array.from({ length: NATIVE_CHUNKS_MAX }, (_, index) => ({
    ...chunk,
    index,
    count: NATIVE_CHUNKS_MAX,
    text: ' '.repeat(NATIVE_FRAME_BYTES_MAX),
  }));
  const joiner = new NativeJoiner();
  let held = 0;
  assert.throws(
    () => {
      for (const one of fat) {
        joiner.take(one);
        held = joiner.heldCharacters;
      }
    },
    { code: 'ERR_FRAME_LENGTH' },
  );
  assert.ok(held <= NATIVE_MESSAGE_CHARACTERS_MAX);
});

test('what is no object passes to the one who checks shapes', () => {
  assert.deepEqual(joined([1, 'chunk', [], {}]), [1, 'chunk', [], {}]);
  // Null means that more is to come.
  assert.throws(() => joined([null]), { code: 'ERR_MESSAGE_FIELD' });
});
