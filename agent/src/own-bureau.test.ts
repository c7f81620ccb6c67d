/**
 * Shows the own bureau: a card of a model is taken by a reader's folder, its CA keys are a CA key
 * file, its certificates chain to them in RSA and SM2, and a wrong model is told by its path.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromHex } from '@tapnpay/protocol/bytes';
import { rsaRaw } from '@tapnpay/protocol/crypto';
import {
  iccDgi,
  iccObject,
  parseCaKeyFile,
  verifySmIssuerCertificate,
} from '@tapnpay/protocol/emv/data';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import { personaliseCard, VirtualCards } from './index.ts';

const directory = mkdtempSync(join(tmpdir(), 'tapnpay-own-bureau-'));
after(() => rmSync(directory, { recursive: true }));
const PORTS = { ciphers: nodeCiphers, random: systemRandom };
const PAN = '6299990000000009';
const CARD = { pan: PAN, validity: { from: '2501', to: '3112' } };
const make = (application: object, card: object = {}) =>
  personaliseCard(
    PORTS,
    JSON.stringify({ ...CARD, applications: [{ product: 'debit', ...application }], ...card }),
  );

test('a card of a model is a card of the folder', () => {
  const cards = new VirtualCards({ directory, ...PORTS });
  const { image } = make({ label: 'MY CARD', electronicCash: {}, interfaces: ['contact'] });
  cards.add('mine', JSON.stringify(image));
  const [card] = cards.list();
  assert.deepEqual(
    [card?.label, card?.expiryYymm, card?.interfaces],
    ['MY CARD', '3112', ['contact']],
  );
});

test('its CA keys are a CA key file, and its certificates open under them', () => {
  const { image, caKeys } = make({ algorithms: ['RSA', 'SM2'], hasPinKey: true });
  const [rsa, sm] = parseCaKeyFile(nodeCiphers, JSON.stringify(caKeys));
  assert.ok(rsa?.algorithm === 'RSA' && sm?.algorithm === 'SM2');
  const [application] = image.applications;
  assert.ok(application);
  const certificate = iccObject({ dgis: { '0302': application.dgis['0302'] ?? '' } }, '90');
  const recovered = rsaRaw(
    fromHex(rsa.modulus),
    fromHex(rsa.exponent),
    certificate ?? new Uint8Array(0),
  );
  assert.deepEqual([recovered[0], recovered.at(-1)], [0x6a, 0xbc]);
  const smCertificate = iccObject({ dgis: { '0502': application.dgis['0502'] ?? '' } }, '90');
  const verdict = verifySmIssuerCertificate(nodeCiphers, {
    caKey: fromHex(sm.publicKey),
    certificate: smCertificate ?? new Uint8Array(0),
    pan: PAN,
  });
  assert.equal(verdict.ok, true);
  assert.ok(iccDgi(application, '8113'), 'a separate PIN key');
});

test('every card has keys of its own', () => {
  const [left, right] = [make({ dataAuthentication: [] }), make({ dataAuthentication: [] })];
  const keys = (card: typeof left) => card.image.applications[0]?.dgis['8000'];
  assert.notEqual(keys(left), keys(right));
});

test('a wrong model is told by its path, before any key is made', () => {
  assert.throws(
    () => make({ pin: { value: '12' } }),
    (thrown) =>
      thrown instanceof Error &&
      'code' in thrown &&
      thrown.code === 'ERR_CARD_MODEL' &&
      thrown.message.includes('applications[0].pin.value'),
  );
  assert.throws(() => personaliseCard(PORTS, '{'), { code: 'ERR_CARD_MODEL' });
});
