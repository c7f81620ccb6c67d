/** Shows that the few lines of a page judge versions as the protocol does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { updateNeed } from '@tapnpay/protocol/wire';
import { needOfVersion } from './versions.ts';

const ORDERED = [
  '0.1.0-alpha',
  '0.1.0-alpha.1',
  '0.1.0-alpha.2',
  '0.1.0-alpha.10',
  '0.1.0-beta',
  '0.1.0-rc.1',
  '0.1.0',
  '0.1.1',
  '0.2.0',
  '0.10.0',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.0+build.7',
  '2.0.0',
  '10.0.0',
];

test('every pair of them, against what is offered and what is required', () => {
  for (const present of ORDERED) {
    for (const latest of ORDERED) {
      for (const required of ORDERED) {
        const offered = { latest, required };
        const said = `${present} of ${latest}, ${required} required`;
        assert.equal(needOfVersion(present, offered), updateNeed(present, offered), said);
      }
    }
  }
});

test('numbers are numbers, a pre-release is older than its release, build data never counts', () => {
  assert.equal(needOfVersion('0.9.0', { latest: '0.10.0', required: '0.9.0' }), 'optional');
  assert.equal(needOfVersion('0.9.0', { latest: '0.10.0', required: '0.10.0' }), 'forced');
  assert.equal(needOfVersion('1.0.0-rc.1', { latest: '1.0.0', required: '1.0.0' }), 'forced');
  assert.equal(needOfVersion('1.0.0+1', { latest: '1.0.0', required: '1.0.0' }), 'ok');
});

for (const text of ['', '1', '1.2', '1.2.x', 'v1.2.3', '1.2.3.4', '1.2.3 ', '99999999999.0.0']) {
  test(`"${text}" is no version, whichever of the three it is`, () => {
    const good = '1.0.0';
    assert.equal(needOfVersion(text, { latest: good, required: good }), null);
    assert.equal(needOfVersion(good, { latest: text, required: good }), null);
    assert.equal(needOfVersion(good, { latest: good, required: text }), null);
  });
}
