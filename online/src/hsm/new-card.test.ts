/** A card of a person's model from the lab's issuer: payable, once, and refused with words. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { Hsm } from '@tapnpay/protocol/wire';
import { imageObject } from '../../../protocol/src/emv/data/icc-image.test-kit.ts';
import type { HsmParty } from '../runtime/party-keys.ts';
import { runCeremony } from './ceremony.ts';
import { createHsmContext, type HsmContext } from './context.ts';
import {
  HsmError,
  inProcessHsm,
  memoryRsaVault,
  personaliseCards,
  personaliseModel,
  readCardRecords,
} from './index.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-new-card-'));
after(() => rmSync(dataDir, { recursive: true }));
let issuer: { readonly bureau: Hsm; readonly ceremony: Hsm };

before(async () => {
  const contextOf = (party: HsmParty): HsmContext =>
    createHsmContext({
      ...{ ciphers: nodeCiphers, random: systemRandom, party, rsa: memoryRsaVault() },
      lmk: systemRandom.bytes(32),
    });
  const contexts = new Map<HsmParty, HsmContext>();
  const hsmOf = (party: HsmParty): Hsm => {
    const context = contexts.get(party) ?? contextOf(party);
    contexts.set(party, context);
    return inProcessHsm(context, 'ceremony');
  };
  await runCeremony({ dataDir, connect: hsmOf });
  const context = contexts.get('issuer');
  assert.ok(context);
  issuer = { bureau: inProcessHsm(context, 'bureau'), ceremony: inProcessHsm(context, 'ceremony') };
});

const PAN = '6299990000000009';
const MODEL = {
  pan: PAN,
  holder: { name: 'ZHANG/SAN' },
  validity: { from: '2506', to: '3012' },
  applications: [
    { product: 'debit', label: 'MINE', pin: { value: '8642' }, electronicCash: {} },
    { product: 'credit', interfaces: ['contact'] },
  ],
  troubles: ['no-pse'],
};
const make = (name: string, change: object = {}) =>
  personaliseModel({
    ...{ dataDir, ...issuer, name },
    modelText: JSON.stringify({ ...MODEL, ...change }),
  });

test('the card is what its model says, and the issuer knows it', async () => {
  await make('mine');
  const image = parseIccImage(readFileSync(join(dataDir, 'cards', 'mine.json'), 'utf8'));
  const { label, expiryYymm, pan } = iccSummary(image);
  assert.deepEqual([label, expiryYymm, pan], ['MINE', '3012', PAN]);
  assert.equal(imageObject(image, '5F25'), '250601');
  assert.equal(imageObject(image, '5F20'), Buffer.from('ZHANG/SAN').toString('hex').toUpperCase());
  assert.equal(image.applications[0]?.dgis['8010'], '248642FFFFFFFFFF');
  assert.equal(image.applications.length, 2);
  assert.equal(image.pse, null);
  const [record] = readCardRecords(dataDir);
  assert.deepEqual([record?.name, record?.pan, record?.expiryYymm], ['mine', PAN, '3012']);
});

for (const [what, name, change, code] of [
  ['a name that is taken', 'mine', { pan: '6299990000000017' }, 'ERR_HSM_CARDS'],
  ['a PAN that is taken', 'other', {}, 'ERR_HSM_CARDS'],
  ['a PAN outside the lab', 'other', { pan: '6222020000000007' }, 'ERR_HSM_CARDS'],
  ['a name that is no file name', '../x', { pan: '6299990000000017' }, 'ERR_HSM_CARDS'],
  ['a model out of format', 'other', { troubles: ['rust'] }, 'ERR_CARD_MODEL'],
  [
    'SM2 keys, which it has not',
    'other',
    { pan: '6299990000000017', applications: [{ product: 'debit', algorithms: ['SM2'] }] },
    'ERR_HSM_PARAMETER',
  ],
] as const) {
  test(`the lab's issuer refuses ${what}`, async () => {
    await assert.rejects(make(name, change), { code });
    assert.equal(readCardRecords(dataDir).length, 1);
  });
}

test('a card of an older version is refused with its file and what to do', async () => {
  const path = join(dataDir, 'cards', 'debit.json');
  writeFileSync(path, '{"version":2}');
  await assert.rejects(
    personaliseCards({ dataDir, ...issuer }),
    (thrown) =>
      thrown instanceof HsmError &&
      thrown.code === 'ERR_HSM_CARDS' &&
      thrown.message.includes(path) &&
      thrown.message.includes('--data'),
  );
});
