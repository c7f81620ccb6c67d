/** The issuer's half of EMV against the keys of a made card: right, and wrong by one bit. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { asciiToBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveSessionKey,
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  rsaRaw,
  scriptMac4,
  sm4ApplicationCryptogram,
  sm4Arpc,
  sm4ScriptMac4,
  tr31UnwrapD,
} from '@tapnpay/protocol/crypto';
import { caPublicKeyHashInput, ecBalanceMac, parseIccImage } from '@tapnpay/protocol/emv/data';
import type { HsmAnswers } from '@tapnpay/protocol/wire';
import { imageObject, imageUdk } from '../../../../protocol/src/emv/data/icc-image.test-kit.ts';
import { nodeCiphers } from '../../runtime/system.ts';
import { flipBit, sampleRequests, type TestSystem, testSystem } from '../hsm.test-kit.ts';

const CARD = { pan: '6299990000000000012', panSequenceNumber: '01' } as const;
const ATC = '0017';
const DATA = '00'.repeat(29).concat('A1B2C3D4E5F60708');

let system: TestSystem;
let card: HsmAnswers['personaliseCard'];
before(async () => {
  system = await testSystem();
  const { request } = sampleRequests(system, '00').personaliseCard;
  const answer = await system.hsm('issuer', 'bureau').call(request);
  card = answer as HsmAnswers['personaliseCard'];
});

function sessionKey(name: 'udkAc' | 'udkMac'): Uint8Array {
  return deriveSessionKey(imageUdk(parseIccImage(card.image), name), fromHex(ATC));
}

function verification(change: object = {}) {
  const arqc = toHex(applicationCryptogram(sessionKey('udkAc'), fromHex(DATA)));
  const imkAc = system.keys.issuer.keys.imkAc.keyBlock;
  return {
    ...({ command: 'verifyArqc', imkAc, card: CARD, atc: ATC, data: DATA, arqc } as const),
    ...change,
  };
}

test('the cryptogram of a made card is right (CVN 01, EMV 4.3 B2 §8.1)', async () => {
  assert.deepEqual(await system.hsm('issuer').call(verification()), { valid: true });
});

test('one bit of cryptogram, data, ATC or card makes it wrong', async () => {
  const hsm = system.hsm('issuer');
  const { arqc } = verification();
  const wrong = [
    ...Array.from({ length: 64 }, (_, bit) => ({ arqc: flipBit(arqc, bit) })),
    ...[0, 100, 295].map((bit) => ({ data: flipBit(DATA, bit) })),
    { atc: flipBit(ATC, 15) },
    { card: { ...CARD, panSequenceNumber: '02' } },
    { card: { ...CARD, pan: '6299990000000000020' } },
  ];
  for (const change of wrong) {
    assert.deepEqual(await hsm.call(verification(change)), { valid: false });
  }
});

test('the ARPC is what the card computes (EMV 4.3 B2 §8.2.1, method 1)', async () => {
  const { imkAc, card: id, atc, arqc } = verification();
  const arc = toHex(asciiToBytes('00'));
  const answer = await system
    .hsm('issuer')
    .call({ command: 'generateArpc', imkAc, card: id, atc, arqc, arc });
  assert.equal(answer.arpc, toHex(arpcMethod1(sessionKey('udkAc'), fromHex(arqc), fromHex(arc))));
});

test('the MAC of a script command is what the card computes (EMV 4.3 B2 §9.2)', async () => {
  const header = '84DA9F5809';
  const data = '0000000005';
  const answer = await system.hsm('issuer').call({
    command: 'generateScriptMac',
    imkMac: system.keys.issuer.keys.imkMac.keyBlock,
    ...{ card: CARD, atc: ATC, arqc: '1122334455667788', header, data },
  });
  const expected = scriptMac4(
    sessionKey('udkMac'),
    fromHex(header),
    fromHex(ATC),
    fromHex('1122334455667788'),
    fromHex(data),
  );
  assert.equal(answer.mac, toHex(expected));
});

/** A session key of the sample card under one of the SM4 issuer master keys. */
function sm4SessionKey(name: 'imkAcSm4' | 'imkMacSm4'): Uint8Array {
  const master = system.contexts.issuer.masterKey.expose();
  const imk = tr31UnwrapD(nodeCiphers, master, system.keys.issuer.keys[name].keyBlock).key;
  const card = deriveSm4IccMasterKey(nodeCiphers, imk, CARD);
  return deriveSm4SessionKey(nodeCiphers, card, fromHex(ATC));
}

test('the cryptogram of an SM4 card is right, and wrong by one bit (PBOC3 P17)', async () => {
  const hsm = system.hsm('issuer');
  const imkAc = system.keys.issuer.keys.imkAcSm4.keyBlock;
  for (const data of [DATA, DATA.slice(0, 26), 'A0']) {
    const key = sm4SessionKey('imkAcSm4');
    const arqc = toHex(sm4ApplicationCryptogram(nodeCiphers, key, fromHex(data)));
    const good = { ...verification({ imkAc, data, arqc }), algorithm: '4' } as const;
    assert.deepEqual(await hsm.call(good), { valid: true });
    for (const change of [
      { arqc: flipBit(arqc, 63) },
      { data: flipBit(data, 3) },
      { atc: '0018' },
    ]) {
      assert.deepEqual(await hsm.call({ ...good, ...change }), { valid: false });
    }
    const as3Des = { ...good, algorithm: 'T' } as const;
    await assert.rejects(hsm.call(as3Des), { code: 'ERR_HSM_KEY_USAGE' });
  }
});

test('ARPC and script MAC of an SM4 card are what the card computes (PBOC3 P17)', async () => {
  const hsm = system.hsm('issuer');
  const { imkAcSm4, imkMacSm4 } = system.keys.issuer.keys;
  const cryptogram = fromHex('1122334455667788');
  const common = { algorithm: '4', card: CARD, atc: ATC, arqc: toHex(cryptogram) } as const;
  const arpc = await hsm.call({
    ...({ command: 'generateArpc', imkAc: imkAcSm4.keyBlock, arc: '3030' } as const),
    ...common,
  });
  const authorisationResponseCode = fromHex('3030');
  const parts = { cryptogram, authorisationResponseCode };
  assert.equal(arpc.arpc, toHex(sm4Arpc(nodeCiphers, sm4SessionKey('imkAcSm4'), parts)));
  const [header, data] = ['04DA9F790A', '000000005000'];
  const script = await hsm.call({
    ...({ command: 'generateScriptMac', imkMac: imkMacSm4.keyBlock, header, data } as const),
    ...common,
  });
  const expected = sm4ScriptMac4(nodeCiphers, sm4SessionKey('imkMacSm4'), {
    ...{ header: fromHex(header), atc: fromHex(ATC), cryptogram, data: fromHex(data) },
  });
  assert.equal(script.mac, toHex(expected));
});

test('a balance is believed with the MAC of its card alone, under 3DES and SM4', async () => {
  const hsm = system.hsm('issuer');
  const { imkMac, imkMacSm4 } = system.keys.issuer.keys;
  const balance = '0000012345';
  for (const algorithm of ['T', '4'] as const) {
    const isSm4 = algorithm === '4';
    const mac = ecBalanceMac(nodeCiphers, {
      algorithm: isSm4 ? 4 : 1,
      sessionKeyMac: isSm4 ? sm4SessionKey('imkMacSm4') : sessionKey('udkMac'),
      ...{ atc: fromHex(ATC), balance: fromHex(balance) },
    });
    const request = {
      ...({ command: 'verifyEcBalance', algorithm, card: CARD, atc: ATC, balance } as const),
      ...{ imkMac: (isSm4 ? imkMacSm4 : imkMac).keyBlock, mac: toHex(mac) },
    };
    assert.deepEqual(await hsm.call(request), { valid: true });
    for (const change of [{ balance: '0000012346' }, { atc: '0018' }, { mac: '00000000' }]) {
      assert.deepEqual(await hsm.call({ ...request, ...change }), { valid: false });
    }
  }
});

test('the certificates of a card chain to the sandbox CA (EMV 4.3 B2 §6.3, §6.4)', () => {
  const { caPublicKey } = card;
  const image = parseIccImage(card.image);
  assert.equal(caPublicKey.rid, 'A000000333');
  assert.equal(caPublicKey.index, 'F0');
  assert.equal(imageObject(image, '8F'), 'F0');
  assert.equal(caPublicKey.modulus.length, 2 * 176);
  assert.equal(caPublicKey.sha1, toHex(nodeCiphers.sha1(caPublicKeyHashInput(caPublicKey))));
  const issuer = rsaRaw(
    fromHex(caPublicKey.modulus),
    fromHex(caPublicKey.exponent),
    fromHex(imageObject(image, '90')),
  );
  assert.match(toHex(issuer), /^6A02629999FF1249000001.*BC$/);
  const leftmost = toHex(issuer.slice(15, -21));
  const modulus = `${leftmost}${imageObject(image, '92')}`.slice(0, 2 * 144);
  const icc = rsaRaw(
    fromHex(modulus),
    fromHex(imageObject(image, '9F32')),
    fromHex(imageObject(image, '9F46')),
  );
  assert.match(toHex(icc), /^6A046299990000000000012F1230.*BC$/);
});

test('two cards share the authority and no key of their own', async () => {
  const { request } = sampleRequests(system, '00').personaliseCard;
  const answer = await system.hsm('issuer', 'bureau').call({
    ...request,
    card: { ...CARD, panSequenceNumber: '02' },
  } as typeof request);
  const other = answer as HsmAnswers['personaliseCard'];
  assert.deepEqual(other.caPublicKey, card.caPublicKey);
  const [left, right] = [parseIccImage(card.image), parseIccImage(other.image)];
  assert.equal(imageObject(left, '90'), imageObject(right, '90'));
  assert.notEqual(imageObject(left, '9F46'), imageObject(right, '9F46'));
  for (const name of ['udkAc', 'udkMac', 'udkEnc'] as const) {
    assert.notDeepEqual(imageUdk(left, name), imageUdk(right, name));
  }
});

test('a card is effective ten years before its expiry unless told otherwise', async () => {
  const { request } = sampleRequests(system, '00').personaliseCard;
  assert.equal(imageObject(parseIccImage(card.image), '5F25').slice(0, 4), '2012');
  const named = { ...request, effectiveYymm: '2501', cardholderName: 'ZHANG/SAN' };
  const answer = await system.hsm('issuer', 'bureau').call(named as typeof request);
  const image = parseIccImage((answer as HsmAnswers['personaliseCard']).image);
  assert.equal(imageObject(image, '5F25').slice(0, 4), '2501');
  assert.equal(Buffer.from(imageObject(image, '5F20'), 'hex').toString().trim(), 'ZHANG/SAN');
});
