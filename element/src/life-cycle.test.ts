/** The life cycle that an attestation carries: the registry's word, and the card's over it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAYMENT_INSTANCE_AID } from '@tapnpay/protocol/globalplatform/data';
import type { CardState } from '@tapnpay/protocol/globalplatform/oncard';
import { lifeCycleOf } from './life-cycle.ts';

const CARD_SECURED = 0x0f;

/** A card in a state, with the payment application in this life cycle; null: without it. */
function cardOf(application: number | null, lifeCycle = CARD_SECURED) {
  const entry = { aid: PAYMENT_INSTANCE_AID, lifeCycle: application };
  const entries = application === null ? [] : [entry];
  return { state: () => ({ lifeCycle, entries }) as unknown as CardState };
}

test('installed, operable when personalised, locked with its state kept', () => {
  assert.equal(lifeCycleOf(cardOf(0x03)), 'installed');
  assert.equal(lifeCycleOf(cardOf(0x07)), 'installed', 'selectable is not personalised');
  assert.equal(lifeCycleOf(cardOf(0x0f)), 'operable');
  assert.equal(lifeCycleOf(cardOf(0x8f)), 'locked');
  assert.equal(lifeCycleOf(cardOf(0x83)), 'locked');
});

test('a locked or terminated card locks it; without a card or the application it is as shipped', () => {
  assert.equal(lifeCycleOf(cardOf(0x0f, 0x7f)), 'locked');
  assert.equal(lifeCycleOf(cardOf(null, 0x7f)), 'locked');
  assert.equal(lifeCycleOf(cardOf(0x0f, 0xff)), 'locked');
  assert.equal(lifeCycleOf(cardOf(null)), 'operable');
  assert.equal(lifeCycleOf(null), 'operable');
});
