/**
 * Complaints about other people's MAC and key software, as tests of ours with our own bytes.
 * Numbers are those of the table of users' issues in the specification of the dialects.
 */
import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { before, test } from 'node:test';
import { asciiToBytes, concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  desDecrypt,
  desEncrypt,
  retailMac,
  tdesEncrypt,
  tr31UnwrapD,
  unionPayPosMac,
  x99Mac,
} from '@tapnpay/protocol/crypto';
import { type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import { nodeCiphers } from '../runtime/system.ts';
import type { HsmDriver } from './driver.ts';
import { EmbeddedDriver } from './embedded.ts';
import { executeBatch } from './execute.ts';
import { sampleRequests, seededRandom, type TestSystem, testSystem } from './hsm.test-kit.ts';

const KEY = fromHex('1F2E3D4C5B6A79880716253443526170');

let system: TestSystem;
before(async () => {
  system = await testSystem();
});

/** A block of the issuer's HSM with the key above; the ceremony may form any kind. */
async function blockOf(
  usage: KeyUsage,
  seed: string,
): Promise<{ block: KeyBlock; key: Uint8Array }> {
  const random = seededRandom(`bug reports ${seed}`);
  const components = [toHex(random.bytes(16)), toHex(random.bytes(16))];
  const request = { command: 'formKey', usage, algorithm: 'T', components } as const;
  const { keyBlock: block } = await system.hsm('issuer', 'ceremony').call(request);
  const master = system.contexts.issuer.masterKey.expose();
  return { block, key: tr31UnwrapD(nodeCiphers, master, block).key };
}

async function macUnder(block: KeyBlock, text: Uint8Array): Promise<string> {
  const request = { command: 'generateMac', key: block, data: toHex(text) } as const;
  return (await system.hsm('issuer').call(request)).mac;
}

test('7: the MAC of field 128 is the last block of 3DES-CBC over the zero-padded text', async () => {
  const { block, key } = await blockOf(KeyUsage.macX9, '7');
  for (const length of [1, 7, 8, 9, 64, 119, 131]) {
    const text = asciiToBytes('0200 196299990000000000012 000000 '.repeat(5).slice(0, length));
    const padded = concatBytes(text, new Uint8Array((8 - (length % 8)) % 8));
    const cipher = createCipheriv('des-ede-cbc', key, new Uint8Array(8)).setAutoPadding(false);
    const expected = toHex(cipher.update(padded)).slice(-16);
    assert.equal(await macUnder(block, text), expected, String(length));
  }
});

test('36: X9.19 pads with zeros, a card with 80: the two retail MACs are told apart', async () => {
  const { block, key } = await blockOf(KeyUsage.macX919, '36');
  for (const length of [5, 8, 16, 21]) {
    const text = asciiToBytes('field 64 or 128 of a line'.slice(0, length));
    const line = toHex(retailMac(key, text, { padding: 1 }));
    const card = toHex(retailMac(key, text, { padding: 2 }));
    assert.equal(await macUnder(block, text), line);
    assert.notEqual(line, card);
  }
});

test('36: the MAC of the POS dialect is eight characters on the wire, no more', async () => {
  const { block, key } = await blockOf(KeyUsage.macUnionPayPos, '36 pos');
  const text = asciiToBytes('0200 and everything up to field 63');
  const mac = await macUnder(block, text);
  assert.equal(mac, toHex(unionPayPosMac(key, text)));
  assert.equal(mac.length, 16);
  assert.match(Buffer.from(mac, 'hex').toString('ascii'), /^[0-9A-F]{8}$/);
  const check = { command: 'verifyMac', key: block, data: toHex(text), mac } as const;
  assert.deepEqual(await system.hsm('issuer').call(check), { valid: true });
});

test('36: one text has another MAC under every scheme, and each key has one scheme', async () => {
  const text = asciiToBytes('MAC over chosen fields');
  const macs = new Set<string>();
  for (const mac of [x99Mac, unionPayPosMac]) macs.add(toHex(mac(KEY, text)));
  for (const padding of [1, 2] as const) macs.add(toHex(retailMac(KEY, text, { padding })));
  assert.equal(macs.size, 4);
  const components = [toHex(KEY), '00'.repeat(16)];
  const ceremony = system.hsm('issuer', 'ceremony');
  const form = (usage: KeyUsage) =>
    ceremony.call({ command: 'formKey', usage, algorithm: 'T', components });
  await form(KeyUsage.macX9);
  await assert.rejects(form(KeyUsage.macX919), { code: 'ERR_HSM_KEY_USAGE' });
});

test('40: a device without 3DES unwrap is found out by name, before a key is lost', async () => {
  const { importKey } = sampleRequests(system, '00');
  const embedded = new EmbeddedDriver(system.contexts.issuer);
  const capabilities = new Set([...embedded.capabilities].filter((name) => name !== 'tdesUnwrap'));
  const driver: HsmDriver = {
    ...{ name: 'token', capabilities, keys: embedded.keys },
    execute: () => assert.fail('the device was asked'),
    close: () => undefined,
  };
  const device = { party: 'issuer', driver } as const;
  const replies = await executeBatch(device, 'issuer', [importKey.request]);
  assert.match(JSON.stringify(replies), /ERR_HSM_MECHANISM.*tdesUnwrap/);
});

test('40: bytes that a caller changes after its call change nothing of the answer', async () => {
  const { block, key } = await blockOf(KeyUsage.macX9, '40');
  const text = seededRandom('text').bytes(40);
  const expected = toHex(x99Mac(key, text));
  const mutable = { command: 'generateMac' as const, key: block, data: toHex(text) };
  const pending = system.hsm('issuer').call(mutable);
  mutable.data = '00';
  key.fill(0);
  assert.equal((await pending).mac, expected);
});

test('41: single DES works although OpenSSL 3 has none', () => {
  assert.throws(() => createCipheriv('des-ecb', KEY.subarray(0, 8), null));
  for (let index = 0; index < 2_000; index++) {
    const digest = new Uint8Array(createHash('sha256').update(`single ${index}`).digest());
    const [key, block] = [digest.slice(0, 8), digest.slice(8, 16)];
    const tripled = concatBytes(key, key, key);
    const cipher = createCipheriv('des-ede3-ecb', tripled, null).setAutoPadding(false);
    const enciphered = desEncrypt(key, block);
    assert.equal(toHex(enciphered), toHex(cipher.update(block)));
    assert.deepEqual(desDecrypt(key, enciphered), block);
  }
});

test('41: the check value of a MAC key of two equal halves is that of single DES', async () => {
  const half = fromHex('1F2E3D4C5B6B7989');
  const zone = system.keys.issuer.keys.zmk.keyBlock;
  const master = system.contexts.issuer.masterKey.expose();
  const zoneKey = tr31UnwrapD(nodeCiphers, master, zone).key;
  const kcv = toHex(desEncrypt(half, new Uint8Array(8))).slice(0, 8);
  const answer = await system.hsm('issuer').call({
    ...({ command: 'importKey', usage: 'M1', under: zone, kcv } as const),
    enciphered: toHex(tdesEncrypt(zoneKey, concatBytes(half, half))),
  });
  const text = asciiToBytes('single length MAK');
  assert.equal(await macUnder(answer.keyBlock, text), toHex(x99Mac(half, text)));
});
