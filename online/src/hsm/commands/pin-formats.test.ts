/**
 * Translations between PIN block formats: 0, 3 and 4 into each other for one PAN, never into 1.
 * @see ISO 9564-1 §9.3, §9.4
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  decipherPinBlockFormat4,
  encipherPinBlockFormat4,
  pinBlockFormat0,
  pinBlockFormat3,
  pinOfBlockFormat0,
  pinOfBlockFormat3,
  tdesDecrypt,
  tdesEncrypt,
  tr31UnwrapD,
} from '@tapnpay/protocol/crypto';
import type { PinFormat } from '@tapnpay/protocol/wire';
import { nodeCiphers } from '../../runtime/system.ts';
import { HsmError } from '../errors.ts';
import { seededRandom, type TestSystem, testSystem } from '../hsm.test-kit.ts';

const PAN = '6299990000000000012';
/** Far from the first: in formats 0 and 3 a near PAN can give another PIN instead of an error. */
const OTHER_PAN = '6299999999999999993';
const PIN = '951753';
const FORMATS: readonly PinFormat[] = [0, 3, 4];
const random = seededRandom('pin formats');

let system: TestSystem;
/** A PIN key of each cipher at the switch. */
let keys: Readonly<Record<'T' | 'A', { readonly block: string; readonly clear: Uint8Array }>>;
before(async () => {
  system = await testSystem();
  const made = async (algorithm: 'T' | 'A') => {
    const request = { command: 'generateKey', usage: 'P0', algorithm } as const;
    const { keyBlock: block } = await system.hsm('switch').call(request);
    const master = system.contexts.switch.masterKey.expose();
    return { block, clear: tr31UnwrapD(nodeCiphers, master, block).key };
  };
  keys = { T: await made('T'), A: await made('A') };
});

function keyOf(format: PinFormat) {
  return format === 4 ? keys.A : keys.T;
}

function blockOf(format: PinFormat, pan: string = PAN): string {
  const { clear } = keyOf(format);
  if (format === 4) {
    const random8 = random.bytes(8);
    return toHex(encipherPinBlockFormat4(nodeCiphers, clear, { pin: PIN, pan, random8 }));
  }
  const random10 = random.bytes(10);
  const block =
    format === 3 ? pinBlockFormat3({ pin: PIN, pan, random10 }) : pinBlockFormat0(PIN, pan);
  return toHex(tdesEncrypt(clear, block));
}

function pinOf(format: PinFormat, blockHex: string, pan: string): string {
  const { clear } = keyOf(format);
  const block = fromHex(blockHex);
  if (format === 4) return decipherPinBlockFormat4(nodeCiphers, clear, block, pan);
  const open = tdesDecrypt(clear, block);
  return format === 3 ? pinOfBlockFormat3(open, pan) : pinOfBlockFormat0(open, pan);
}

function translation(from: PinFormat, to: PinFormat, change: object = {}) {
  return {
    ...({ command: 'translatePin', from: { key: keyOf(from).block, format: from } } as const),
    ...{ toKey: keyOf(to).block, toFormat: to, pan: PAN, pinBlock: blockOf(from) },
    ...change,
  } as const;
}

test('formats 0, 3 and 4 become each other, PIN and PAN unchanged', async () => {
  const hsm = system.hsm('switch');
  for (const from of FORMATS) {
    for (const to of FORMATS) {
      const { pinBlock } = await hsm.call(translation(from, to));
      assert.equal(pinOf(to, pinBlock, PAN), PIN, `${from} to ${to}`);
      assert.throws(() => pinOf(to, pinBlock, OTHER_PAN), { code: 'ERR_CRYPTO_PIN_BLOCK' });
    }
  }
});

test('blocks of formats 3 and 4 differ each time, those of format 0 do not', async () => {
  const hsm = system.hsm('switch');
  for (const to of FORMATS) {
    const blocks = new Set<string>();
    for (let count = 0; count < 4; count++) {
      blocks.add((await hsm.call(translation(0, to))).pinBlock);
    }
    assert.equal(blocks.size, to === 0 ? 1 : 4);
  }
});

test('never to format 1 or 2, nor from them: they carry no PAN', async () => {
  const hsm = system.hsm('switch');
  for (const format of [1, 2, 5, '0', null]) {
    for (const from of FORMATS) {
      const toOne = translation(from, 0, { toFormat: format });
      await assert.rejects(hsm.call(toOne), { code: 'ERR_HSM_PARAMETER' });
      const fromOne = translation(from, 0, { from: { key: keyOf(from).block, format } });
      await assert.rejects(hsm.call(fromOne), { code: 'ERR_HSM_PARAMETER' });
    }
  }
});

test('a format goes with its cipher: 3DES for 0 and 3, AES for 4', async () => {
  const hsm = system.hsm('switch');
  for (const format of FORMATS) {
    const wrong = format === 4 ? keys.T.block : keys.A.block;
    const from = { key: wrong, format };
    const code = { code: 'ERR_HSM_KEY_USAGE' };
    await assert.rejects(hsm.call(translation(format, 0, { from })), code);
    await assert.rejects(hsm.call(translation(0, format, { toKey: wrong })), code);
  }
});

test('a block of another PAN, format or length has the one error of all PIN blocks', async () => {
  const hsm = system.hsm('switch');
  const seen = new Set<string>();
  const wrong = [
    ...FORMATS.map((format) => translation(format, 0, { pan: OTHER_PAN })),
    translation(0, 0, { pinBlock: blockOf(3) }),
    translation(3, 3, { pinBlock: blockOf(0) }),
    translation(4, 4, { pinBlock: '00'.repeat(16) }),
    translation(0, 3, { pinBlock: '00'.repeat(16) }),
    translation(4, 0, { pinBlock: '00'.repeat(8) }),
  ];
  for (const [index, request] of wrong.entries()) {
    await assert.rejects(hsm.call(request), (thrown) => {
      assert.ok(thrown instanceof HsmError, String(index));
      seen.add(JSON.stringify(thrown));
      return true;
    });
  }
  assert.equal(seen.size, 1);
  assert.match([...seen].join(), /ERR_HSM_PIN/);
});
