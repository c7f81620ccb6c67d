/** Virtual cards on disk and the laboratory's faults. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import { SAMPLE_PAN, sampleCard } from '../../protocol/src/emv/icc/sample.test-card.ts';
import { cardFault, VirtualCards } from './index.ts';
import { nodeCiphers, systemRandom } from './system.ts';

function rsaKey(modulusLength: number) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}

const keys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
const { image } = sampleCard(nodeCiphers, keys);
const imageText = JSON.stringify(image);
const INTERFACES = ['contact', 'contactless'];
const root = mkdtempSync(join(tmpdir(), 'tapnpay-cards-'));
after(() => rmSync(root, { recursive: true }));

let count = 0;
function newCards(): { readonly cards: VirtualCards; readonly directory: string } {
  count += 1;
  const directory = join(root, String(count));
  const cards = new VirtualCards({ directory, ciphers: nodeCiphers, random: systemRandom });
  return { cards, directory };
}

const SELECT = fromHex('00A4040008A000000333010101');
const GPO = fromHex('80A8000006830401560156');

test('a card is listed with masked data, and its name is checked', () => {
  const { cards, directory } = newCards();
  cards.add('my-card', imageText);
  assert.deepEqual(cards.list(), [
    {
      name: 'my-card',
      label: 'PBOC DEBIT',
      panMasked: '629999******0009',
      expiryYymm: '3112',
      applicationTransactionCounter: 0,
      interfaces: INTERFACES,
      purpose: 'my-card',
    },
  ]);
  assert.ok(!JSON.stringify(cards.list()).includes(SAMPLE_PAN));
  assert.throws(() => cards.add('my-card', imageText), { code: 'ERR_CARD_EXISTS' });
  for (const name of ['', '../x', 'A', 'x'.repeat(33), 'a/b', '.json']) {
    assert.throws(() => cards.add(name, imageText), { code: 'ERR_CARD_NAME' });
  }
  assert.throws(() => cards.add('other', '{"version":1}'), {
    code: 'ERR_EMV_IMAGE_VERSION',
  });
  assert.throws(() => cards.insert('absent'), { code: 'ERR_CARD_UNKNOWN' });
  if (process.platform !== 'win32') {
    assert.equal(statSync(join(directory, 'my-card.json')).mode & 0o777, 0o600);
  }
});

test("the card's counter is on the disk before its answer is given out", async () => {
  const { cards, directory } = newCards();
  cards.add('card', imageText);
  const channel = cards.insert('card');
  await channel.transmit(SELECT);
  const kept = () =>
    iccSummary(parseIccImage(readFileSync(join(directory, 'card.json'), 'utf8')))
      .applicationTransactionCounter;
  assert.equal(kept(), 0);
  const answer = channel.transmit(GPO);
  assert.equal(kept(), 1, 'durable before anybody can see the answer');
  assert.equal(toHex((await answer).slice(-2)), '9000');
  await cards.close();
  const again = newCardsOf(directory).insert('card');
  await again.transmit(SELECT);
  await again.transmit(GPO);
  assert.equal(kept(), 2);
  assert.deepEqual(readdirSync(directory), ['card.json']);
});

function newCardsOf(directory: string, onChange?: () => void): VirtualCards {
  const ports = { directory, ciphers: nodeCiphers, random: systemRandom };
  return new VirtualCards({ ...ports, ...(onChange ? { onChange } : {}) });
}

test('one card at the reader at a time, and one that was taken away does not answer', async () => {
  const { cards } = newCards();
  cards.add('one', imageText);
  cards.add('two', imageText);
  const one = cards.insert('one');
  assert.deepEqual(cards.presented(), { name: 'one', interface: 'contact' });
  const two = cards.insert('two');
  assert.deepEqual(cards.presented(), { name: 'two', interface: 'contact' });
  assert.deepEqual([one.isThere(), two.isThere()], [false, true]);
  await assert.rejects(one.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  await two.transmit(SELECT);
  cards.remove();
  await assert.rejects(two.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  assert.equal(cards.presented(), null);
});

test('a card is at one reader at a time, and comes back with what the other reader did', async () => {
  const { cards, directory } = newCards();
  cards.add('card', imageText);
  const changes: string[] = [];
  const other = newCardsOf(directory, () => changes.push(other.presented()?.name ?? 'none'));
  const mine = cards.insert('card');
  await mine.ready;
  const refused = other.insert('card');
  await assert.rejects(refused.ready, { code: 'ERR_CARD_IN_USE' });
  await assert.rejects(refused.transmit(SELECT), { code: 'ERR_CARD_IN_USE' });
  assert.equal(other.presented(), null);
  assert.deepEqual(changes, ['card', 'none']);
  await mine.transmit(SELECT);
  await mine.transmit(GPO);
  await cards.close();
  const taken = other.insert('card');
  await taken.transmit(SELECT);
  await taken.transmit(GPO);
  assert.equal(other.list()[0]?.applicationTransactionCounter, 2);
  await other.close();
});

test('a card that does not power up is let go', async () => {
  const { cards, directory } = newCards();
  cards.add('card', imageText);
  const spoilt = cards.insert('card');
  // Spoilt between the look at it and its power: the lock is held by then.
  writeFileSync(join(directory, 'card.json'), '{');
  await assert.rejects(spoilt.ready, { code: 'ERR_EMV_IMAGE' });
  writeFileSync(join(directory, 'card.json'), imageText);
  const again = cards.insert('card');
  await again.ready;
  await cards.close();
});

test('the same card can be presented again and again', async () => {
  const { cards } = newCards();
  cards.add('card', imageText);
  for (let count = 0; count < 5; count++) {
    const channel = cards.insert('card');
    assert.equal(toHex((await channel.transmit(SELECT)).slice(-2)), '9000');
  }
  await cards.close();
});

test('a card that is lifted before command N answers N-1 and is gone for good', async () => {
  const { cards } = newCards();
  cards.add('card', imageText);
  const channel = cards.present('card', 'contact', { liftAfter: 2 });
  await channel.transmit(SELECT);
  await assert.rejects(channel.transmit(GPO), { code: 'ERR_CARD_REMOVED' });
  await assert.rejects(channel.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  assert.equal(cards.presented(), null);
  assert.equal(cards.list()[0]?.applicationTransactionCounter, 0, 'the lost command never came');
});

test('a card without antenna cannot be tapped', () => {
  const { cards } = newCards();
  const contactOnly = JSON.stringify(sampleCard(nodeCiphers, keys, { contactless: null }).image);
  cards.add('card', contactOnly);
  assert.throws(() => cards.present('card', 'contactless'), { code: 'ERR_CARD_INTERFACE' });
  assert.deepEqual(cards.list()[0]?.interfaces, ['contact']);
  assert.equal(cards.presented(), null);
});

test('a spoilt card file is a coded fault', () => {
  const { cards, directory } = newCards();
  cards.add('card', imageText);
  writeFileSync(join(directory, 'card.json'), '{');
  assert.throws(() => cards.list(), { code: 'ERR_EMV_IMAGE' });
});

const echo = (answer: Uint8Array): CardChannel => ({ transmit: async () => answer });
const GENERATE_ARQC = fromHex('80AE80000100');
const cryptogram = fromHex('1122334455667788');

test('flip-arqc changes one bit of the first ARQC, in either format (B3 §6.5.5.4)', async () => {
  const fields = concatBytes(fromHex('800001'), cryptogram, fromHex('0701010390000001'));
  const format1 = concatBytes(encodeTlv('80', fields), fromHex('9000'));
  const format2 = concatBytes(
    encodeTlv('77', concatBytes(encodeTlv('9F36', fromHex('0001')), encodeTlv('9F26', cryptogram))),
    fromHex('9000'),
  );
  for (const answer of [format1, format2]) {
    const card = cardFault('flip-arqc')?.(echo(answer));
    const bent = await card?.transmit(GENERATE_ARQC);
    assert.ok(bent);
    const differing = [...bent].filter((byte, index) => byte !== answer[index]);
    assert.deepEqual(differing, [0x89]);
    assert.deepEqual(await card?.transmit(GENERATE_ARQC), answer, 'once only');
  }
});

test('flip-arqc changes the cryptogram in a contactless GPO answer, not in that of a contact one', async () => {
  const fields = [
    ...[encodeTlv('82', fromHex('7C00')), encodeTlv('9F36', fromHex('0001'))],
    ...[encodeTlv('9F26', cryptogram), encodeTlv('9F10', fromHex('07010103A0000001'))],
  ];
  const tapped = concatBytes(encodeTlv('77', concatBytes(...fields)), fromHex('9000'));
  const card = cardFault('flip-arqc')?.(echo(tapped));
  const bent = await card?.transmit(GPO);
  assert.ok(bent);
  const differing = [...bent].flatMap((byte, index) => (byte === tapped[index] ? [] : [index]));
  const last = toHex(tapped).indexOf(toHex(cryptogram)) / 2 + 7;
  assert.deepEqual(differing, [last]);
  assert.deepEqual(await card?.transmit(GPO), tapped, 'once only');
  const inserted = concatBytes(
    encodeTlv('80', fromHex('7C00080101001001020118010400')),
    fromHex('9000'),
  );
  assert.deepEqual(await cardFault('flip-arqc')?.(echo(inserted)).transmit(GPO), inserted);
});

test('flip-arqc leaves other commands and refusals alone', async () => {
  const answer = fromHex('9000');
  const card = cardFault('flip-arqc')?.(echo(answer));
  assert.deepEqual(await card?.transmit(SELECT), answer);
  assert.deepEqual(await card?.transmit(GENERATE_ARQC), answer);
});

test('card-removed@N rejects before APDU N and stays away; a wrong N is refused', async () => {
  let reached = 0;
  const card = cardFault('card-removed@3')?.({
    transmit: async () => {
      reached += 1;
      return fromHex('9000');
    },
  });
  assert.ok(card);
  await card.transmit(SELECT);
  await card.transmit(SELECT);
  await assert.rejects(card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  await assert.rejects(card.transmit(SELECT), { code: 'ERR_CARD_REMOVED' });
  assert.equal(reached, 2);
  const again = cardFault('card-removed@3')?.(echo(fromHex('9000')));
  await again?.transmit(SELECT);
  await again?.transmit(SELECT);
  await assert.rejects(Promise.resolve(again?.transmit(SELECT)), { code: 'ERR_CARD_REMOVED' });
  for (const name of ['card-removed', 'card-removed@0', 'card-removed@256', 'card-removed@x']) {
    assert.throws(() => cardFault(name), { code: 'ERR_CARD_FAULT' });
  }
  assert.equal(cardFault('drop-reply'), null);
});
