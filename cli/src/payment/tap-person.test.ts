/** The person of `tap` presents one card once and says why it stops. */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { CardInterface, CardRequest, ShownOrder } from '@tapnpay/protocol/wire';
import { TapPerson } from './tap-person.ts';

const ORDER: ShownOrder = {
  ...{ kind: 'purchase', amountMinor: '1234', currency: '156', merchantName: 'Shop' },
  origin: 'https://shop.test',
};
const ASK: CardRequest = {
  ...ORDER,
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
};

function person(cardInterface: CardInterface, pin: string | null = null) {
  let presented = 0;
  const one = new TapPerson({
    interface: cardInterface,
    pin,
    present: async () => {
      presented += 1;
      return { transmit: async (command) => command };
    },
  });
  return { person: one, presented: () => presented };
}

test('the card comes by the interface that was asked for on the command line', async () => {
  for (const wanted of ['contact', 'contactless'] as const) {
    const { person: one } = person(wanted);
    assert.equal((await one.presentCard(ASK)).interface, wanted);
    assert.equal(one.insertionReason, null);
  }
});

test('a card that was removed stays away', async () => {
  const { person: one, presented } = person('contactless');
  await one.presentCard(ASK);
  const again = { ...ASK, attempt: 2, reason: 'ERR_CARD_REMOVED' };
  await assert.rejects(one.presentCard(again), { code: 'ERR_CARD_REMOVED' });
  assert.deepEqual([presented(), one.insertionReason], [1, null]);
});

test('a tap that ends in insertion keeps the reason, the terminal’s own limit too', async () => {
  const asked = person('contactless');
  await asked.person.presentCard(ASK);
  const insert: CardRequest = {
    ...ASK,
    ...{ interfaces: ['contact'], attempt: 2, reason: 'card:useContact' },
  };
  await assert.rejects(asked.person.presentCard(insert), { code: 'ERR_USER_CANCELLED' });
  assert.equal(asked.person.insertionReason, 'card:useContact');
  const limited = person('contactless');
  const atOnce: CardRequest = { ...ASK, interfaces: ['contact'] };
  await assert.rejects(limited.person.presentCard(atOnce), { code: 'ERR_USER_CANCELLED' });
  assert.equal(limited.person.insertionReason, 'terminal:contactlessLimit');
  assert.equal(limited.presented(), 0);
});

test('a card that cannot be presented is its own fault', async () => {
  const one = new TapPerson({
    ...{ interface: 'contact', pin: null },
    present: () => Promise.reject(new Error('in use')),
  });
  await assert.rejects(one.presentCard(ASK), /in use/);
});

test('the PIN is sealed to the key, or not given', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicKeySpki = toHex(publicKey.export({ type: 'spki', format: 'der' }));
  const sealed = await person('contact', '246810').person.enterPin({ ...ORDER, publicKeySpki });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = { key: privateKey, padding, oaepHash: 'sha256' };
  assert.equal(privateDecrypt(key, fromHex(sealed ?? '')).toString(), '246810');
  assert.equal(await person('contact').person.enterPin({ ...ORDER, publicKeySpki }), null);
});
