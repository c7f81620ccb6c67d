/** New PINs: random, known to the issuer by check value only, and on their way to the card. */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  deriveIccMasterKey,
  deriveSessionKey,
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  pinBlockFormat0,
  pinOfBlockFormat0,
  pinVerificationValue,
  tdesDecrypt,
  tdesEncrypt,
  tr31UnwrapD,
} from '@tapnpay/protocol/crypto';
import { decipherPinChange } from '@tapnpay/protocol/emv/data';
import { nodeCiphers } from '../../runtime/system.ts';
import { createHsmContext } from '../context.ts';
import { executeHsmCommand } from '../execute.ts';
import { contextOf, flipBit, seededRandom, type TestSystem, testSystem } from '../hsm.test-kit.ts';

const CARD = { pan: '6299990000000000012', panSequenceNumber: '01' } as const;
const { pan: PAN } = CARD;
const ATC = '0017';
const printer = generateKeyPairSync('rsa', { modulusLength: 2048 });
const printerKeySpki = toHex(printer.publicKey.export({ format: 'der', type: 'spki' }));

let system: TestSystem;
before(async () => {
  system = await testSystem();
});

function clearKey(block: string): Uint8Array {
  return tr31UnwrapD(nodeCiphers, system.contexts.issuer.masterKey.expose(), block).key;
}

function newPinRequest() {
  const { pvk } = system.keys.issuer.keys;
  return { command: 'generatePin', pvk: pvk.keyBlock, pan: PAN, pvki: '1' } as const;
}

function blockOf(pin: string, pan: string = PAN): string {
  return toHex(tdesEncrypt(clearKey(system.issuerLine.issuer.pin), pinBlockFormat0(pin, pan)));
}

test('a random PIN fits its check value, is another each time and is not in the answer', async () => {
  const hsm = system.hsm('issuer');
  const pinKey = system.issuerLine.issuer.pin;
  const { pvk } = system.keys.issuer.keys;
  const seen = new Set<string>();
  for (let count = 0; count < 20; count++) {
    const answer = await hsm.call({ ...newPinRequest(), pinKey });
    const { pvv, pinBlock } = answer;
    assert.equal(answer.letter, null);
    const check = { pinKey, pvk: pvk.keyBlock, pan: PAN, pvki: '1', pvv, pinBlock: pinBlock ?? '' };
    assert.deepEqual(await hsm.call({ command: 'verifyPin', ...check }), { valid: true });
    const pin = pinOfBlockFormat0(tdesDecrypt(clearKey(pinKey), fromHex(pinBlock ?? '')), PAN);
    assert.match(pin, /^[0-9]{6}$/);
    assert.ok(!JSON.stringify(answer).includes(pin));
    seen.add(pin);
  }
  assert.ok(seen.size >= 19);
});

test('PINs have 4 to 12 digits (ISO 9564-1 §8.1) and every digit comes', async () => {
  const hsm = system.hsm('issuer');
  const pinKey = system.issuerLine.issuer.pin;
  const digits = new Set<string>();
  for (const pinDigits of [4, 12, 12, 12, 12, 12, 12]) {
    const { pinBlock } = await hsm.call({ ...newPinRequest(), pinKey, pinDigits });
    const pin = pinOfBlockFormat0(tdesDecrypt(clearKey(pinKey), fromHex(pinBlock ?? '')), PAN);
    assert.equal(pin.length, pinDigits);
    for (const digit of pin) digits.add(digit);
  }
  assert.equal(digits.size, 10);
  for (const pinDigits of [0, 3, 13]) {
    await assert.rejects(hsm.call({ ...newPinRequest(), pinDigits }), {
      code: 'ERR_HSM_PARAMETER',
    });
  }
});

test('a letter is written for the bureau of a laboratory alone, and sealed to the printer', async () => {
  const request = { ...newPinRequest(), printerKeySpki };
  const { letter, pvv } = await system.hsm('issuer', 'bureau').call(request);
  const clear = privateDecrypt(
    {
      key: printer.privateKey,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
    },
    fromHex(letter ?? ''),
  ).toString();
  const [, pin = ''] = /^LAB 629999\*+0012 PIN ([0-9]{6})$/.exec(clear) ?? [];
  const pvk = clearKey(system.keys.issuer.keys.pvk.keyBlock);
  assert.equal(pvv, pinVerificationValue(pvk, { pan: PAN, pvki: '1', pin }));
  await assert.rejects(system.hsm('issuer').call(request), { code: 'ERR_HSM_CALLER' });
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const spki = toHex(short.export({ format: 'der', type: 'spki' }));
  const weak = { ...request, printerKeySpki: spki };
  await assert.rejects(system.hsm('issuer', 'bureau').call(weak), { code: 'ERR_HSM_PARAMETER' });
});

test('an HSM that is not labelled LAB writes no letter', () => {
  const random = seededRandom('live');
  const live = createHsmContext({
    ...{ lmk: random.bytes(32), ciphers: nodeCiphers, random, party: 'issuer', label: 'LIV' },
  });
  const { keyBlock: pvk } = executeHsmCommand(live, 'ceremony', {
    ...({ command: 'formKey', usage: 'V2', algorithm: 'T' } as const),
    components: [toHex(random.bytes(16)), toHex(random.bytes(16))],
  });
  const request = { command: 'generatePin', pvk, pan: PAN, pvki: '1' } as const;
  assert.match(executeHsmCommand(live, 'bureau', request).pvv, /^[0-9]{8}$/);
  assert.throws(() => executeHsmCommand(live, 'bureau', { ...request, printerKeySpki }), {
    code: 'ERR_HSM_CALLER',
  });
});

test('the check value of a chosen PIN comes from its block; a wrong block has none', async () => {
  const hsm = system.hsm('issuer');
  const { pvk } = system.keys.issuer.keys;
  const request = {
    ...({ command: 'generatePvv', pvk: pvk.keyBlock, pan: PAN, pvki: '1' } as const),
    pinKey: system.issuerLine.issuer.pin,
  };
  const { pvv } = await hsm.call({ ...request, pinBlock: blockOf('246810') });
  const expected = pinVerificationValue(clearKey(pvk.keyBlock), {
    ...{ pan: PAN, pvki: '1', pin: '246810' },
  });
  assert.equal(pvv, expected);
  const wrong = [blockOf('246810', '6299990000000000020'), flipBit(blockOf('246810'), 3)];
  for (const pinBlock of wrong) {
    await assert.rejects(hsm.call({ ...request, pinBlock }), { code: 'ERR_HSM_PIN' });
  }
});

/** Data of a PIN change under one cipher, and the key that the card opens it with. */
async function pinChange(algorithm: 'T' | '4', pinBlock: string) {
  const { imkEnc, imkEncSm4 } = system.keys.issuer.keys;
  const block = algorithm === '4' ? imkEncSm4.keyBlock : imkEnc.keyBlock;
  const answer = await system.hsm('issuer').call({
    ...({ command: 'generatePinChange', algorithm, imkEnc: block, card: CARD, atc: ATC } as const),
    ...{ pinKey: system.issuerLine.issuer.pin, pinBlock },
  });
  const imk = clearKey(block);
  const atc = fromHex(ATC);
  const sessionKeyEnc =
    algorithm === '4'
      ? deriveSm4SessionKey(nodeCiphers, deriveSm4IccMasterKey(nodeCiphers, imk, CARD), atc)
      : deriveSessionKey(deriveIccMasterKey(imk, PAN, CARD.panSequenceNumber), atc);
  return { ...answer, sessionKeyEnc };
}

test('the card deciphers the new PIN, under 3DES and SM4 (PBOC3 P5, P7, P17)', async () => {
  for (const algorithm of ['T', '4'] as const) {
    const { data, sessionKeyEnc } = await pinChange(algorithm, blockOf('135790'));
    const block = decipherPinChange(nodeCiphers, {
      algorithm: algorithm === '4' ? 4 : 1,
      ...{ sessionKeyEnc, enciphered: fromHex(data) },
    });
    assert.equal(block && toHex(block), '26135790FFFFFFFF');
    assert.ok(!data.includes('135790'));
  }
});

test('a PIN block of another card does not become a PIN change of this one', async () => {
  for (const algorithm of ['T', '4'] as const) {
    const foreign = blockOf('135790', '6299990000000000020');
    await assert.rejects(pinChange(algorithm, foreign), { code: 'ERR_HSM_PIN' });
  }
});

test('a fresh HSM knows no PIN key of another one', async () => {
  const other = contextOf('issuer', 'another');
  const request = { ...newPinRequest(), pinKey: system.issuerLine.issuer.pin };
  assert.throws(() => executeHsmCommand(other, 'issuer', request), { code: 'ERR_HSM_KEY_BLOCK' });
});
