/** Shows the limit of a page's message in bytes, at its edge, for ASCII and for wider text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGENT_MESSAGE_BYTES_MAX } from '@tapnpay/protocol/wire';
import { isTooLarge } from './size.ts';

const messageOf = (base64: string) => ({ type: 'channelData', session: 's', base64 }) as const;
const EMPTY_BYTES = JSON.stringify(messageOf('')).length;

test('the last byte that fits, and one more', () => {
  const room = AGENT_MESSAGE_BYTES_MAX - EMPTY_BYTES;
  assert.equal(isTooLarge(messageOf('')), false);
  assert.equal(isTooLarge(messageOf('a'.repeat(room))), false);
  assert.equal(isTooLarge(messageOf('a'.repeat(room + 1))), true);
});

test('wider characters count by their bytes', () => {
  const room = Math.floor((AGENT_MESSAGE_BYTES_MAX - EMPTY_BYTES) / 3);
  assert.equal(isTooLarge(messageOf('支'.repeat(room))), false);
  assert.equal(isTooLarge(messageOf('支'.repeat(room + 1))), true);
});

test('what JSON cannot hold is over every limit', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  for (const extra of [{ cycle }, { big: 1n }]) {
    assert.equal(isTooLarge({ ...messageOf(''), ...extra }), true);
  }
});
