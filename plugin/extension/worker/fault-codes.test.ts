/** Shows that each text by which a browser tells of a lost host has its own code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostFaultOf, portFaultOf, textOf } from './fault-codes.ts';

const HOST: readonly (readonly [string, string])[] = [
  ['Specified native messaging host not found.', 'ERR_HOST_MISSING'],
  ['Access to the specified native messaging host is forbidden.', 'ERR_HOST_FORBIDDEN'],
  ['Native host has exited.', 'ERR_HOST_EXITED'],
  ['Error when communicating with the native messaging host.', 'ERR_HOST_PROTOCOL'],
  // Firefox.
  ['No such native application org.tapnpay.host', 'ERR_HOST_MISSING'],
  [
    'Native application tried to send a message of 1936289639 bytes, which exceeds the limit of 1048576 bytes.',
    'ERR_HOST_PROTOCOL',
  ],
  ['JSON.parse: unexpected character at line 1 column 1 of the JSON data', 'ERR_HOST_PROTOCOL'],
  // Firefox says nothing of a host that exits; whatever is new counts as that, too.
  ['', 'ERR_HOST_EXITED'],
  ['An unexpected error occurred', 'ERR_HOST_EXITED'],
  ['Message length exceeded maximum allowed length.', 'ERR_MESSAGE_TOO_LARGE'],
];

for (const [text, code] of HOST) {
  test(`host: ${code} for "${text.slice(0, 60)}"`, () => assert.equal(hostFaultOf(text), code));
}

test('a page port that closes without a word: worker stopped, or extension replaced', () => {
  assert.equal(portFaultOf('', true), 'ERR_WORKER_STOPPED');
  assert.equal(portFaultOf('', false), 'ERR_EXTENSION_RELOADED');
  assert.equal(portFaultOf('Extension context invalidated.', true), 'ERR_EXTENSION_RELOADED');
  assert.equal(
    portFaultOf('Could not establish connection. Receiving end does not exist.', true),
    'ERR_WORKER_STOPPED',
  );
});

test('the text of anything thrown', () => {
  assert.equal(textOf(new Error('x')), 'x');
  assert.equal(textOf('x'), 'x');
  assert.equal(textOf(undefined), 'undefined');
});
