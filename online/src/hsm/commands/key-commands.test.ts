/** Forming, making, importing and handing over keys: right, wrong, and wrong by one bit. */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptInitialKey,
  kcvAes,
  tdesDecrypt,
  tdesEncrypt,
  tr31UnwrapD,
} from '@tapnpay/protocol/crypto';
import type { KeyUsage } from '@tapnpay/protocol/wire';
import { nodeCiphers } from '../../runtime/system.ts';
import { flipBit, seededRandom, type TestSystem, testSystem } from '../hsm.test-kit.ts';
import { withOddParity } from '../keys.ts';

let system: TestSystem;
before(async () => {
  system = await testSystem();
});

function clearKey(party: 'gateway' | 'switch' | 'issuer', block: string): Uint8Array {
  const { masterKey } = system.contexts[party];
  return tr31UnwrapD(nodeCiphers, masterKey.expose(), block).key;
}

test('a key is the XOR of its components, and its check value that of the plain key', async () => {
  // 0123456789ABCDEFFEDCBA9876543210: the double-length key of many published examples.
  const key = '0123456789ABCDEFFEDCBA9876543210';
  const share = 'FF00FF00FF00FF00A5A5A5A5A5A5A5A5';
  const rest = toHex(fromHex(key).map((byte, index) => byte ^ (fromHex(share)[index] ?? 0)));
  const formed = await system.hsm('issuer', 'ceremony').call({
    command: 'formKey',
    usage: 'K0',
    algorithm: 'T',
    components: [share, rest],
  });
  assert.equal(formed.kcv, '08D7B4FB');
  assert.equal(toHex(clearKey('issuer', formed.keyBlock)), key);
});

test('both ends of a zone hold one key under different master keys', () => {
  const { gateway, issuer } = system.keys;
  const { zmkGateway, zmkIssuer } = system.keys.switch.keys;
  for (const [member, mine, theirs] of [
    ['gateway', gateway.keys.zmk, zmkGateway],
    ['issuer', issuer.keys.zmk, zmkIssuer],
  ] as const) {
    assert.equal(mine.kcv, theirs.kcv);
    assert.notEqual(mine.keyBlock, theirs.keyBlock);
    assert.deepEqual(clearKey(member, mine.keyBlock), clearKey('switch', theirs.keyBlock));
  }
  assert.notEqual(gateway.keys.zmk.kcv, issuer.keys.zmk.kcv);
});

test('a key with equal halves is refused wherever it is single DES in disguise', async () => {
  const half = '0123456789ABCDEF';
  const ceremony = system.hsm('issuer', 'ceremony');
  for (const usage of ['K0', 'P0', 'E0', 'E1', 'E2', 'V2'] as const) {
    // The last bit of each byte is parity: DES does not see it.
    for (const second of [half, '0022446688AACCEE']) {
      await assert.rejects(
        ceremony.call({
          ...({ command: 'formKey', usage, algorithm: 'T' } as const),
          components: [`${half}${second}`, '00'.repeat(16)],
        }),
        { code: 'ERR_HSM_PARAMETER' },
      );
    }
  }
});

/** Hands a clear key over the issuer's line as the switch would. */
function importRequest(key: Uint8Array, usage: KeyUsage, kcv?: string) {
  const zone = clearKey('issuer', system.keys.issuer.keys.zmk.keyBlock);
  return {
    command: 'importKey',
    usage,
    under: system.keys.issuer.keys.zmk.keyBlock,
    enciphered: toHex(tdesEncrypt(zone, key)),
    kcv: kcv ?? toHex(tdesEncrypt(key, new Uint8Array(8))).slice(0, 8),
  } as const;
}

test('of keys with equal halves a MAC key is imported, a PIN key is not', async () => {
  const half = withOddParity(seededRandom('half').bytes(8));
  const key = new Uint8Array([...half, ...half]);
  const hsm = system.hsm('issuer');
  await assert.rejects(hsm.call(importRequest(key, 'P0')), { code: 'ERR_HSM_PARAMETER' });
  const { kcv } = await hsm.call(importRequest(key, 'M1'));
  assert.match(kcv, /^[0-9A-F]{8}$/);
});

test('an imported key has the check value that came with it, or there is no key', async () => {
  const key = withOddParity(seededRandom('import').bytes(16));
  const hsm = system.hsm('issuer');
  const good = importRequest(key, 'P0');
  const { keyBlock, kcv } = await hsm.call(good);
  assert.equal(kcv, good.kcv);
  assert.deepEqual(clearKey('issuer', keyBlock), key);
  for (const bit of [0, 17, 31]) {
    await assert.rejects(hsm.call({ ...good, kcv: flipBit(good.kcv, bit) }), {
      code: 'ERR_HSM_KCV',
    });
  }
  for (const bit of [0, 63, 127]) {
    const enciphered = flipBit(good.enciphered, bit);
    await assert.rejects(hsm.call({ ...good, enciphered }), { code: 'ERR_HSM_KCV' });
  }
});

test('one key has one usage: a PIN key cannot come in again as a MAC key', async () => {
  const key = withOddParity(seededRandom('twice').bytes(16));
  const hsm = system.hsm('issuer');
  await hsm.call(importRequest(key, 'P0'));
  await hsm.call(importRequest(key, 'P0'));
  await assert.rejects(hsm.call(importRequest(key, 'M1')), { code: 'ERR_HSM_KEY_USAGE' });
  const otherParity = key.map((byte) => byte ^ 1);
  await assert.rejects(hsm.call(importRequest(otherParity, 'M1')), { code: 'ERR_HSM_KEY_USAGE' });
});

test('lines exchange PIN and MAC keys only', async () => {
  const key = withOddParity(seededRandom('master').bytes(16));
  for (const usage of ['K0', 'E0', 'E1', 'E2', 'V2', 'B0'] as const) {
    await assert.rejects(system.hsm('issuer').call(importRequest(key, usage)), {
      code: 'ERR_HSM_KEY_USAGE',
    });
    await assert.rejects(
      system.hsm('switch').call({ command: 'generateKey', usage, algorithm: 'T' }),
      { code: 'ERR_HSM_KEY_USAGE' },
    );
  }
});

test('a generated key leaves under the zone key alone, and only if asked', async () => {
  const zone = system.keys.switch.keys.zmkIssuer.keyBlock;
  const hsm = system.hsm('switch');
  const ask = { command: 'generateKey', usage: 'P0', algorithm: 'T' } as const;
  const kept = await hsm.call(ask);
  assert.equal(kept.enciphered, null);
  const sent = await hsm.call({ ...ask, exportUnder: zone });
  const clear = tdesDecrypt(clearKey('switch', zone), fromHex(sent.enciphered ?? ''));
  assert.deepEqual(clear, clearKey('switch', sent.keyBlock));
  assert.notEqual(kept.kcv, sent.kcv);
});

test('an initial key leaves under the key of an element, once (X9.24-3 §6.3)', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicKeySpki = toHex(publicKey.export({ format: 'der', type: 'spki' }));
  const base = system.keys.gateway.keys.bdk.keyBlock;
  const ask = {
    command: 'exportInitialKey',
    baseKey: base,
    initialKeyId: '1234567890123456',
    publicKeySpki,
  } as const;
  const hsm = system.hsm('gateway');
  const { enciphered, kcv } = await hsm.call(ask);
  const clear = privateDecrypt(
    { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
    fromHex(enciphered),
  );
  const expected = aesDukptInitialKey(
    nodeCiphers,
    clearKey('gateway', base),
    fromHex(ask.initialKeyId),
  );
  assert.equal(toHex(clear), toHex(expected));
  assert.equal(kcv, kcvAes(nodeCiphers, expected));
  await assert.rejects(hsm.call(ask), { code: 'ERR_HSM_PARAMETER', message: /before/ });
  await hsm.call({ ...ask, initialKeyId: '1234567890123457' });
});

test('an initial key does not leave under a short, elliptic or broken key', async () => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const spki = [short, curve].map((key) => toHex(key.export({ format: 'der', type: 'spki' })));
  for (const publicKeySpki of [...spki, '00', `${spki[0]?.slice(0, -8)}`]) {
    await assert.rejects(
      system.hsm('gateway').call({
        command: 'exportInitialKey',
        baseKey: system.keys.gateway.keys.bdk.keyBlock,
        initialKeyId: '9999999999999999',
        publicKeySpki,
      }),
      { code: 'ERR_HSM_PARAMETER' },
    );
  }
});

test('SM4 and AES line keys travel under a zone key of their own algorithm alone', async () => {
  for (const [algorithm, usage, other] of [
    ['4', 'M1', 'T'],
    ['A', 'P0', '4'],
  ] as const) {
    const random = seededRandom(`zone ${algorithm}`);
    const components = [toHex(random.bytes(16)), toHex(random.bytes(16))];
    const form = (party: 'switch' | 'issuer') =>
      system
        .hsm(party, 'ceremony')
        .call({ command: 'formKey', usage: 'K0', algorithm, components });
    const [atSwitch, atIssuer] = [await form('switch'), await form('issuer')];
    assert.equal(atSwitch.kcv, atIssuer.kcv);
    const ask = { command: 'generateKey', usage, algorithm } as const;
    const hsm = system.hsm('switch');
    const made = await hsm.call({ ...ask, exportUnder: atSwitch.keyBlock });
    const take = {
      ...({ command: 'importKey', usage, algorithm, kcv: made.kcv } as const),
      ...{ under: atIssuer.keyBlock, enciphered: made.enciphered ?? '' },
    };
    const taken = await system.hsm('issuer').call(take);
    assert.deepEqual(clearKey('issuer', taken.keyBlock), clearKey('switch', made.keyBlock));
    const zone3Des = system.keys.switch.keys.zmkIssuer.keyBlock;
    const code = { code: 'ERR_HSM_KEY_USAGE' };
    await assert.rejects(hsm.call({ ...ask, exportUnder: zone3Des }), code);
    await assert.rejects(system.hsm('issuer').call({ ...take, algorithm: other }), (thrown) =>
      ['ERR_HSM_KEY_USAGE', 'ERR_HSM_PARAMETER'].includes((thrown as { code: string }).code),
    );
    const wrong = flipBit(made.kcv, 7);
    await assert.rejects(system.hsm('issuer').call({ ...take, kcv: wrong }), {
      code: 'ERR_HSM_KCV',
    });
  }
});
