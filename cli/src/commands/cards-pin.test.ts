/** Shows a new lab card whole: PIN drawn by the HSM, its letter, the chip, the issuer's account. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  createHsmContext,
  type HsmContext,
  inProcessHsm,
  memoryRsaVault,
  personaliseModel,
  readCardRecords,
  runCeremony,
} from '@tapnpay/online/hsm';
import { parseCardFile } from '@tapnpay/online/issuer';
import { type HsmParty, systemClock, systemRandom } from '@tapnpay/online/runtime';
import { parseIccImage } from '@tapnpay/protocol/emv/data';
import { nodeCiphers } from '@tapnpay/protocol/node';
import type { Hsm } from '@tapnpay/protocol/wire';
import { drawPin, removePinMailer, withPin, writePinMailer } from './cards-pin.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-pin-mailer-'));
after(() => rmSync(dataDir, { recursive: true }));
let bureau: Hsm;
let ceremony: Hsm;
let issuer: Hsm;

before(async () => {
  const contexts = new Map<HsmParty, HsmContext>();
  const contextOf = (party: HsmParty): HsmContext => {
    const rsa = memoryRsaVault();
    const lmk = systemRandom.bytes(32);
    const context =
      contexts.get(party) ??
      createHsmContext({ ciphers: nodeCiphers, random: systemRandom, party, rsa, lmk });
    contexts.set(party, context);
    return context;
  };
  await runCeremony({ dataDir, connect: (party) => inProcessHsm(contextOf(party), 'ceremony') });
  bureau = inProcessHsm(contextOf('issuer'), 'bureau');
  ceremony = inProcessHsm(contextOf('issuer'), 'ceremony');
  issuer = inProcessHsm(contextOf('issuer'), 'issuer');
});

const PAN = '6299990000000009';
const MODEL = {
  pan: PAN,
  validity: { from: '2506', to: '3012' },
  applications: [{ product: 'debit', electronicCash: { balanceMinor: '700' } }],
};

test('the PIN of the letter is the chip’s and the issuer’s; the account is what was asked for', async () => {
  const pin = await drawPin(dataDir, bureau, PAN);
  assert.match(pin.expose(), /^[0-9]{6}$/);
  assert.notEqual((await drawPin(dataDir, bureau, PAN)).expose(), pin.expose());
  const path = writePinMailer(dataDir, { name: 'mine', pan: PAN }, pin);
  const letter = readFileSync(path, 'utf8');
  assert.match(letter, /^LAB: a test card/);
  assert.match(letter, new RegExp(`PIN 密码 ${pin.expose()}`));
  assert.ok(!letter.includes(PAN));
  if (process.platform !== 'win32') assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.throws(() => writePinMailer(dataDir, { name: 'mine', pan: PAN }, pin), /EEXIST/);
  const limits = { dayAmountMinor: '5000', dayCount: 3 };
  await personaliseModel({
    ...{ dataDir, bureau, ceremony, name: 'mine' },
    modelText: withPin(JSON.stringify(MODEL), pin),
    account: { balanceMinor: '900', creditLineMinor: '40', limits },
  });
  const image = parseIccImage(readFileSync(join(dataDir, 'cards', 'mine.json'), 'utf8'));
  assert.equal(image.applications[0]?.dgis['8010'], `26${pin.expose()}FFFFFFFF`);
  const records = readCardRecords(dataDir);
  const making = { clock: systemClock, random: systemRandom, keyedDigest: (text: string) => text };
  const [card] = parseCardFile(JSON.stringify(records), making);
  assert.deepEqual(
    [card?.balanceMinor, card?.creditLineMinor, card?.electronicCashMinor],
    [900n, 40n, 700n],
  );
  assert.deepEqual([card?.limits.dayAmountMinor, card?.limits.dayCount], [5000n, 3]);
  assert.equal(card?.limits.noPinMinor, null);
});

test('a letter is written for the bureau alone, and a model’s own PIN is not replaced', async () => {
  await assert.rejects(drawPin(dataDir, issuer, PAN), { code: 'ERR_HSM_CALLER' });
  const pin = await drawPin(dataDir, bureau, PAN);
  const own = { ...MODEL, applications: [{ product: 'debit', pin: { value: '8642' } }] };
  assert.throws(() => withPin(JSON.stringify(own), pin), { code: 'ERR_CARD_MODEL' });
});

test('the letter of a card that could not be made goes again', async () => {
  const pin = await drawPin(dataDir, bureau, PAN);
  const path = writePinMailer(dataDir, { name: 'other', pan: PAN }, pin);
  removePinMailer(path);
  assert.throws(() => statSync(path), /ENOENT/);
  removePinMailer(path);
});
