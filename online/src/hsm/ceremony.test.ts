/** The key ceremony and the bureau: what they write, that they keep it, and how they recover. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromHex, Pan } from '@tapnpay/protocol/bytes';
import { applicationCryptogram, deriveSessionKey } from '@tapnpay/protocol/crypto';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import type { Hsm } from '@tapnpay/protocol/wire';
import {
  firstApplication,
  imageObject,
  imageUdk,
} from '../../../protocol/src/emv/data/icc-image.test-kit.ts';
import { HSM_PARTIES, type PaymentParty, readPartyKeys } from '../runtime/party-keys.ts';
import { systemClock } from '../runtime/system.ts';
import { LAB_CARDS, personaliseCards } from './cards.ts';
import { runCeremony } from './ceremony.ts';
import type { HsmContext } from './context.ts';
import { inProcessHsm } from './execute.ts';
import { contextOf, seededRandom } from './hsm.test-kit.ts';
import { sealedRsaVault } from './rsa-vault.ts';

const folders: string[] = [];
function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-keys-'));
  folders.push(folder);
  return folder;
}
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** 2026-11-25T00:00:00Z */
const clock = { ...systemClock, nowMs: () => 1_795_564_800_000 };

type Contexts = Readonly<Record<PaymentParty, HsmContext>>;
function threeHsms(seed = ''): Contexts {
  return {
    gateway: contextOf('gateway', `gateway${seed}`),
    switch: contextOf('switch', `switch${seed}`),
    issuer: contextOf('issuer', `issuer${seed}`),
  };
}
function ceremonyOf(contexts: Contexts): (party: PaymentParty) => Hsm {
  return (party) => inProcessHsm(contexts[party], 'ceremony');
}
function snapshot(dataDir: string): Readonly<Record<string, string>> {
  const names = readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(name, 'hex')]));
}

test('a ceremony writes a key file for each party, and a second one changes nothing', async () => {
  const dataDir = dataFolder();
  const connect = ceremonyOf(threeHsms());
  const made = await runCeremony({ dataDir, connect });
  assert.deepEqual(readdirSync(join(dataDir, 'keys')).sort(), [
    ...['gateway.json', 'issuer.json', 'switch.json'],
  ]);
  for (const party of HSM_PARTIES) {
    assert.deepEqual(readPartyKeys(dataDir, party), made[party]);
    assert.equal(made[party].label, 'LAB');
    assert.equal(statSync(join(dataDir, 'keys', `${party}.json`)).mode & 0o777, 0o600);
  }
  assert.equal(made.gateway.keys.zmk.kcv, made.switch.keys.zmkGateway.kcv);
  assert.equal(made.issuer.keys.zmk.kcv, made.switch.keys.zmkIssuer.kcv);
  const before = snapshot(dataDir);
  assert.deepEqual(await runCeremony({ dataDir, connect }), made);
  assert.deepEqual(snapshot(dataDir), before);
});

test('a ceremony that was cut short at any file is finished by the next one', async () => {
  const dataDir = dataFolder();
  const connect = ceremonyOf(threeHsms());
  const made = await runCeremony({ dataDir, connect });
  for (let written = 0; written <= HSM_PARTIES.length; written++) {
    const cut = dataFolder();
    mkdirSync(join(cut, 'keys'));
    writeFileSync(join(cut, 'keys', 'ceremony.json'), JSON.stringify(made));
    writeFileSync(join(cut, 'keys', 'gateway.json.a1b2.new'), 'torn');
    for (const party of HSM_PARTIES.slice(0, written)) {
      writeFileSync(join(cut, 'keys', `${party}.json`), JSON.stringify(made[party]));
    }
    assert.deepEqual(await runCeremony({ dataDir: cut, connect }), made);
    assert.ok(!existsSync(join(cut, 'keys', 'ceremony.json')));
  }
});

test('a lost key file or a lost master key ends with what to do, never with new keys', async () => {
  const dataDir = dataFolder();
  const connect = ceremonyOf(threeHsms());
  await runCeremony({ dataDir, connect });
  const others = ceremonyOf(threeHsms('2'));
  await assert.rejects(runCeremony({ dataDir, connect: others }), {
    code: 'ERR_HSM_CEREMONY',
    message: /another master key.*new data folder/,
  });
  const before = snapshot(dataDir);
  rmSync(join(dataDir, 'keys', 'switch.json'));
  await assert.rejects(runCeremony({ dataDir, connect }), {
    code: 'ERR_HSM_CEREMONY',
    message: /switch is missing.*put it back/,
  });
  assert.equal(Object.keys(snapshot(dataDir)).length, Object.keys(before).length - 1);
});

test('check values that differ at the ends of a zone stop the ceremony', async () => {
  const dataDir = dataFolder();
  const honest = ceremonyOf(threeHsms());
  const connect = (party: PaymentParty): Hsm => ({
    async call(request) {
      const answer = await honest(party).call(request);
      return party === 'switch' && 'kcv' in answer ? { ...answer, kcv: '00000000' } : answer;
    },
  });
  await assert.rejects(runCeremony({ dataDir, connect }), { code: 'ERR_HSM_CEREMONY' });
  assert.deepEqual(snapshot(dataDir), {});
});

test('a key file of another party, or none at all, is refused', async () => {
  const dataDir = dataFolder();
  assert.throws(() => readPartyKeys(dataDir, 'issuer'), { code: 'ERR_PARTY_KEYS' });
  await runCeremony({ dataDir, connect: ceremonyOf(threeHsms()) });
  const path = join(dataDir, 'keys', 'issuer.json');
  const good = JSON.parse(readFileSync(path, 'utf8')) as { keys: Record<string, unknown> };
  const { pvk: _, ...rest } = good.keys;
  for (const value of [{ ...good, party: 'switch' }, { ...good, keys: rest }, [], null]) {
    writeFileSync(path, JSON.stringify(value));
    assert.throws(() => readPartyKeys(dataDir, 'issuer'), { code: 'ERR_PARTY_KEYS' });
  }
});

/** A folder with keys and cards. */
async function lab() {
  const dataDir = dataFolder();
  const contexts = threeHsms();
  await runCeremony({ dataDir, connect: ceremonyOf(contexts) });
  const make = () =>
    personaliseCards({
      ...{ dataDir, clock, random: seededRandom('cards') },
      bureau: inProcessHsm(contexts.issuer, 'bureau'),
      ceremony: inProcessHsm(contexts.issuer, 'ceremony'),
    });
  const path = (name: string): string => join(dataDir, 'cards', `${name}.json`);
  return { dataDir, contexts, make, path, first: await make() };
}

test('lab cards have an image, a record and a PAN with a check digit', async () => {
  const { dataDir, first, path } = await lab();
  assert.deepEqual(
    first.records.map(({ name, balanceMinor, state, expiryYymm, pinFailures }) =>
      [name, balanceMinor, state, expiryYymm, pinFailures].join(' '),
    ),
    [
      'debit 10000000 active 3111 0',
      'low-balance 100 active 3111 0',
      'expired 10000000 active 2608 0',
      'blocked 10000000 blocked 3111 0',
      'wrong-issuer-key 10000000 active 3111 0',
      'travel 10000000 active 3111 0',
      'pin-blocked 10000000 active 3111 3',
      'refused 10000000 refused 3111 0',
      'insert-only 10000000 active 3111 0',
      'contact-only 10000000 active 3111 0',
      'foreign 10000000 active 3111 0',
      'credit 10000000 active 3111 0',
      'quasi-credit 10000000 active 3111 0',
      'e-cash 10000000 active 3111 0',
      'dual-currency 10000000 active 3111 0',
      'cda 10000000 active 3111 0',
    ],
  );
  for (const record of first.records) {
    assert.equal(Pan(record.pan), record.pan);
    assert.match(record.pvv, /^[0-9]{8}$/);
    assert.equal(statSync(path(record.name)).mode & 0o777, 0o600);
    const image = parseIccImage(readFileSync(path(record.name), 'utf8'));
    const { pan, expiryYymm } = iccSummary(image);
    assert.equal(pan, record.pan);
    assert.equal(expiryYymm, record.expiryYymm);
    assert.ok(Number(imageObject(image, '5F25').slice(0, 4)) < Number(expiryYymm));
  }
  assert.equal(statSync(join(dataDir, 'issuer-cards.json')).mode & 0o777, 0o600);
  const [caKey] = JSON.parse(readFileSync(join(dataDir, 'ca-public-keys.json'), 'utf8'));
  assert.equal(caKey.index, 'F0');
  assert.equal(LAB_CARDS.length, first.records.length);
  assert.equal(new Set(first.records.map(({ pan }) => pan)).size, LAB_CARDS.length);
});

test('lab cards are dual but for three; one has another label, one an AID of its own', async () => {
  const { path } = await lab();
  const images = LAB_CARDS.map(({ name }) => parseIccImage(readFileSync(path(name), 'utf8')));
  const special = images.map((image, index) => {
    const { label, interfaces } = iccSummary(image);
    const { aid } = firstApplication(image);
    const side = interfaces.length === 1 ? 'contact' : (image.lab.contactlessRefusal ?? 'dual');
    return [LAB_CARDS[index]?.name, aid, label, side].join('/');
  });
  const ordinary = special.filter((text) => text.endsWith('/A000000333010101/PBOC DEBIT/dual'));
  assert.equal(ordinary.length, LAB_CARDS.length - 6);
  assert.deepEqual(
    special.filter((text) => !ordinary.includes(text)),
    [
      'travel/A000000333010102/TRAVEL CREDIT/dual',
      'insert-only/A000000333010101/PBOC DEBIT/6984',
      'contact-only/A000000333010101/PBOC DEBIT/contact',
      'foreign/A0000003330101F1/PBOC DEBIT/dual',
      'credit/A000000333010102/PBOC CREDIT/dual',
      'quasi-credit/A000000333010103/PBOC QUASI/dual',
    ],
  );
});

test('the issuer finds the cryptogram of its cards right, of the foreign one wrong', async () => {
  const { dataDir, contexts, first, path } = await lab();
  const { imkAc } = readPartyKeys(dataDir, 'issuer').keys;
  for (const { name, pan, panSequenceNumber } of first.records) {
    const image = parseIccImage(readFileSync(path(name), 'utf8'));
    const key = deriveSessionKey(imageUdk(image, 'udkAc'), fromHex('0001'));
    const arqc = Buffer.from(applicationCryptogram(key, fromHex('AABB'))).toString('hex');
    const verdict = await inProcessHsm(contexts.issuer, 'issuer').call({
      ...({ command: 'verifyArqc', imkAc: imkAc.keyBlock, data: 'AABB' } as const),
      ...{ card: { pan, panSequenceNumber }, atc: '0001', arqc: arqc.toUpperCase() },
    });
    assert.equal(verdict.valid, name !== 'wrong-issuer-key', name);
  }
});

test('cards that exist are kept, and what a crash took away is made again', async () => {
  const { dataDir, first, make, path } = await lab();
  const before = snapshot(dataDir);
  assert.deepEqual(await make(), { records: first.records, made: [] });
  assert.deepEqual(snapshot(dataDir), before);
  // Images lost: the records stay as they are.
  rmSync(path('debit'));
  rmSync(path('expired'));
  assert.deepEqual(await make(), { records: first.records, made: ['debit', 'expired'] });
  // The CA's key lost: it is the same again.
  rmSync(join(dataDir, 'ca-public-keys.json'));
  assert.deepEqual((await make()).made, []);
  assert.ok(existsSync(join(dataDir, 'ca-public-keys.json')));
  // Records lost: the images, whose counters have moved on, stay as they are.
  const debit = readFileSync(path('debit'), 'utf8');
  rmSync(join(dataDir, 'issuer-cards.json'));
  assert.deepEqual(await make(), { records: first.records, made: [] });
  assert.equal(readFileSync(path('debit'), 'utf8'), debit);
});

test('a card out of format and a file that is no list of cards are refused', async () => {
  const { dataDir, contexts, make } = await lab();
  const [debit] = LAB_CARDS;
  assert.ok(debit);
  const wrong = [
    { name: '../debit' },
    { pan: '6299990000000000011' },
    { pan: '6222020000000007' },
    { balanceMinor: '1.00' },
    { monthsValid: 0.5 },
  ];
  for (const change of wrong) {
    await assert.rejects(
      personaliseCards({
        ...{ dataDir, clock, specs: [{ ...debit, ...change }] },
        bureau: inProcessHsm(contexts.issuer, 'bureau'),
        ceremony: inProcessHsm(contexts.issuer, 'ceremony'),
      }),
      { code: 'ERR_HSM_CARDS' },
    );
  }
  for (const text of ['', '{}', '[1]', '[{"pan":1}]']) {
    writeFileSync(join(dataDir, 'issuer-cards.json'), text);
    await assert.rejects(make(), { code: 'ERR_HSM_CARDS' });
  }
});

test('the sealed RSA keys open under their master key alone, and not when a bit is wrong', () => {
  const path = join(dataFolder(), 'rsa.bin');
  const lmk = seededRandom('lmk').bytes(32);
  const vault = (key: Uint8Array) =>
    sealedRsaVault({ path, lmk: key, random: seededRandom('nonce') });
  const made = vault(lmk).authority();
  assert.deepEqual(vault(lmk).authority(), made);
  assert.equal(made.ca.modulus.length, 176);
  assert.equal(made.issuer.modulus.length, 144);
  assert.throws(() => vault(seededRandom('other').bytes(32)).authority(), {
    code: 'ERR_HSM_STORE',
  });
  const file = readFileSync(path);
  for (const at of [0, 20, file.length - 1]) {
    const broken = Buffer.from(file);
    broken[at] = (broken[at] ?? 0) ^ 0x80;
    writeFileSync(path, broken);
    assert.throws(() => vault(lmk).authority(), { code: 'ERR_HSM_STORE' });
  }
  writeFileSync(path, 'short');
  assert.throws(() => vault(lmk).authority(), { code: 'ERR_HSM_STORE' });
});
