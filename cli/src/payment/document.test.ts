/** The document of `tap --json`: which hops were passed, not reached, or have no meaning. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CardInterface,
  type ElementPayResult,
  Hop,
  type HopName,
} from '@tapnpay/protocol/wire';
import { tapDocument } from './document.ts';

const STARTED_MS = 1_000_000;
const RESULT: ElementPayResult = {
  ...{ outcome: 'approved', reason: null, charged: 'yes', interface: 'contactless' },
  ...{ paymentId: 'p-1', responseCode: '00', card: null, tvr: '', tsi: '', cvmResults: '' },
  cryptogram: { arqc: '11'.repeat(8), arpc: null, second: null, secondType: null },
  ...{ dataAuthentication: 'fDDA', channel: null },
};
const ORDER = {
  ...{ orderId: 'o-1', amountMinor: '1', currency: '156', status: 'paid', paymentId: 'p-1' },
};

function documentOf(cardInterface: CardInterface, passed: readonly (readonly [HopName, number])[]) {
  return tapDocument({
    ...{ order: ORDER, payment: null, result: RESULT, resolution: null },
    interface: cardInterface,
    hops: passed.map(([name, ms]) => ({
      ...{ n: Hop[name], name, party: 'element', atMs: STARTED_MS + ms, facts: {} },
    })),
    ...{ startedMs: STARTED_MS, totalMs: 90 },
  });
}
const statusOf = (document: ReturnType<typeof documentOf>, wanted: HopName) =>
  document.hops.find(({ name }) => name === wanted)?.status;

test('hop 12 has no meaning for a tap, and is not reached by a card that did not come to it', () => {
  const tap = documentOf('contactless', [['tap', 10]]);
  assert.equal(statusOf(tap, 'finish'), 'notApplicable');
  assert.equal(statusOf(tap, 'confirm'), 'notReached');
  assert.equal(statusOf(tap, 'tap'), 'passed');
  assert.equal(tap.interface, 'contactless');
  const contact = documentOf('contact', [['tap', 10]]);
  assert.equal(statusOf(contact, 'finish'), 'notReached');
  assert.equal(statusOf(documentOf('contact', [['finish', 80]]), 'finish'), 'passed');
});

test('14 hops in order, each at its first record', () => {
  const { hops } = documentOf('contactless', [
    ['tap', 30],
    ['tap', 10],
  ]);
  assert.deepEqual(
    hops.map(({ n }) => n),
    Array.from({ length: 14 }, (_, index) => index + 1),
  );
  assert.equal(hops[3]?.ms, 10);
  assert.deepEqual([hops[0]?.ms, hops[0]?.party], [null, null]);
});
