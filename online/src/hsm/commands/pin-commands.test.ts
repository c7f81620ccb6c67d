/** A PIN's way from element to issuer, and that no step tells more than right or wrong. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  aesDukptInitialKey,
  aesDukptKsn,
  aesDukptWorkingKey,
  encipherPinBlockFormat4,
  pinBlockFormat0,
  pinOfBlockFormat0,
  pinVerificationValue,
  tdesDecrypt,
  tdesEncrypt,
  tr31UnwrapD,
  visaPvv,
} from '@tapnpay/protocol/crypto';
import { nodeCiphers } from '../../runtime/system.ts';
import { HsmError } from '../errors.ts';
import { flipBit, seededRandom, type TestSystem, testSystem } from '../hsm.test-kit.ts';

const PAN = '6299990000000000012';
const OTHER_PAN = '6299990000000000020';
const PIN = '123456';
const INITIAL_KEY_ID = fromHex('1234567890123456');

let system: TestSystem;
before(async () => {
  system = await testSystem();
});

function clearKey(party: 'gateway' | 'switch' | 'issuer', block: string): Uint8Array {
  const { masterKey } = system.contexts[party];
  return tr31UnwrapD(nodeCiphers, masterKey.expose(), block).key;
}

/** What an element sends. */
function elementPin(pin: string, counter = 1): { block: string; ksn: string } {
  const base = clearKey('gateway', system.keys.gateway.keys.bdk.keyBlock);
  const initial = aesDukptInitialKey(nodeCiphers, base, INITIAL_KEY_ID);
  const key = aesDukptWorkingKey(nodeCiphers, initial, INITIAL_KEY_ID, counter, 'pinEncryption');
  const random8 = seededRandom(`pin ${counter}`).bytes(8);
  return {
    block: toHex(encipherPinBlockFormat4(nodeCiphers, key, { pin, pan: PAN, random8 })),
    ksn: toHex(aesDukptKsn(INITIAL_KEY_ID, counter)),
  };
}

function fromElement(change: { pan?: string; pinBlock?: string; ksn?: string } = {}) {
  const { block, ksn } = elementPin(PIN);
  return {
    command: 'translatePin',
    from: { key: system.keys.gateway.keys.bdk.keyBlock, format: 4, ksn: change.ksn ?? ksn },
    toKey: system.gatewayLine.gateway.pin,
    pan: change.pan ?? PAN,
    pinBlock: change.pinBlock ?? block,
  } as const;
}

function fromZone(pinBlock: string, pan: string = PAN) {
  return {
    command: 'translatePin',
    from: { key: system.gatewayLine.switch.pin, format: 0 },
    toKey: system.issuerLine.switch.pin,
    pan,
    pinBlock,
  } as const;
}

/** A PIN block under the PIN key of the issuer's line. */
function issuerBlock(pin: string, pan: string = PAN): string {
  const key = clearKey('issuer', system.issuerLine.issuer.pin);
  return toHex(tdesEncrypt(key, pinBlockFormat0(pin, pan)));
}

function verification(change: { pinBlock: string; pan?: string; pvki?: string; pvv?: string }) {
  const { pvk } = system.keys.issuer.keys;
  const clear = clearKey('issuer', pvk.keyBlock);
  return {
    command: 'verifyPin',
    pinKey: system.issuerLine.issuer.pin,
    pvk: pvk.keyBlock,
    pan: PAN,
    pvki: '1',
    pvv: pinVerificationValue(clear, { pan: PAN, pvki: '1', pin: PIN }),
    ...change,
  } as const;
}

test('from element to issuer: one PIN, three keys, two formats (ISO 9564-1 §9)', async () => {
  const first = await system.hsm('gateway').call(fromElement());
  const atSwitch = clearKey('switch', system.gatewayLine.switch.pin);
  const block = tdesDecrypt(atSwitch, fromHex(first.pinBlock));
  assert.equal(pinOfBlockFormat0(block, PAN), PIN);
  const second = await system.hsm('switch').call(fromZone(first.pinBlock));
  assert.notEqual(second.pinBlock, first.pinBlock);
  assert.equal(second.pinBlock, issuerBlock(PIN));
  const verdict = await system.hsm('issuer').call(verification(second));
  assert.deepEqual(verdict, { valid: true });
});

test('every fault of a PIN block has one code, one text and no facts', async () => {
  const { block } = elementPin(PIN);
  const gateway = [
    fromElement({ pan: OTHER_PAN }),
    fromElement({ ksn: toHex(aesDukptKsn(INITIAL_KEY_ID, 2)) }),
    fromElement({ ksn: `${toHex(INITIAL_KEY_ID)}00000000` }),
    fromElement({ ksn: `${toHex(INITIAL_KEY_ID)}FFFFFFFF` }),
    fromElement({ pinBlock: block.slice(16) }),
    ...[0, 64, 127].map((bit) => fromElement({ pinBlock: flipBit(block, bit) })),
  ];
  const zone = [
    fromZone('0011223344556677'),
    fromZone('00112233445566778899AABBCCDDEEFF'),
    fromZone(issuerBlock(PIN)),
  ];
  const seen = new Set<string>();
  for (const [party, requests] of [
    ['gateway', gateway],
    ['switch', zone],
  ] as const) {
    for (const request of requests) {
      await assert.rejects(system.hsm(party).call(request), (thrown) => {
        assert.ok(thrown instanceof HsmError);
        seen.add(JSON.stringify(thrown));
        return true;
      });
    }
  }
  assert.equal(seen.size, 1);
  assert.match([...seen].join(), /"ERR_HSM_PIN".*"data":\{\}/);
});

test('a caller translates from the one format of its side, never to another than 0', async () => {
  const zoneAtGateway = {
    ...fromElement(),
    from: { key: system.gatewayLine.gateway.pin, format: 0 },
    pinBlock: '0011223344556677',
  } as const;
  await assert.rejects(system.hsm('gateway').call(zoneAtGateway), { code: 'ERR_HSM_CALLER' });
  const elementAtSwitch = { ...fromElement(), toKey: system.issuerLine.switch.pin };
  await assert.rejects(system.hsm('switch').call(elementAtSwitch), { code: 'ERR_HSM_CALLER' });
  const format1 = { ...fromZone('0011223344556677'), from: { ...fromZone('').from, format: 1 } };
  await assert.rejects(system.hsm('switch').call(format1 as never), { code: 'ERR_HSM_PARAMETER' });
  const toFormat1 = { ...fromZone('0011223344556677'), toFormat: 1 };
  await assert.rejects(system.hsm('switch').call(toFormat1 as never), {
    code: 'ERR_HSM_PARAMETER',
  });
});

test('one PAN counts for both sides: a second one is not even a field', async () => {
  const request = { ...fromElement(), toPan: OTHER_PAN };
  await assert.rejects(system.hsm('gateway').call(request), { code: 'ERR_HSM_PARAMETER' });
  const { ksn: _, ...withoutKsn } = fromElement().from;
  await assert.rejects(system.hsm('gateway').call({ ...fromElement(), from: withoutKsn }), {
    code: 'ERR_HSM_CALLER',
  });
});

test('a PIN that differs in any digit is wrong, the last ones included', async () => {
  const hsm = system.hsm('issuer');
  for (const pin of ['023456', '123457', '123465', '1234', '12345', '1234567', '654321']) {
    const verdict = await hsm.call(verification({ pinBlock: issuerBlock(pin) }));
    assert.deepEqual(verdict, { valid: false }, pin);
  }
});

test('a PVV, PVKI, PAN or block wrong by one bit or digit is a wrong PIN, no error', async () => {
  const hsm = system.hsm('issuer');
  const pinBlock = issuerBlock(PIN);
  const { pvv } = verification({ pinBlock });
  const wrong = [
    ...[...pvv].map((digit, index) => ({
      pinBlock,
      pvv: `${pvv.slice(0, index)}${(Number(digit) + 1) % 10}${pvv.slice(index + 1)}`,
    })),
    { pinBlock, pvv: pvv.slice(0, 4) },
    { pinBlock, pvki: '2' },
    { pinBlock, pan: OTHER_PAN },
    ...[0, 31, 63].map((bit) => ({ pinBlock: flipBit(pinBlock, bit) })),
  ];
  for (const change of wrong) {
    assert.deepEqual(await hsm.call(verification(change)), { valid: false });
  }
  assert.deepEqual(await hsm.call(verification({ pinBlock })), { valid: true });
});

test('a block that does not decode is wrong even for the PIN that stands in for it', async () => {
  const clear = clearKey('issuer', system.keys.issuer.keys.pvk.keyBlock);
  const pvv = pinVerificationValue(clear, { pan: PAN, pvki: '1', pin: '000000' });
  const pinBlock = issuerBlock('000000');
  const hsm = system.hsm('issuer');
  assert.deepEqual(await hsm.call(verification({ pinBlock, pvv })), { valid: true });
  const broken = verification({ pinBlock: flipBit(pinBlock, 5), pvv });
  assert.deepEqual(await hsm.call(broken), { valid: false });
});

test('four digits have the plain PVV, longer PINs one for each four (Visa PVV)', () => {
  const pvk = fromHex('0123456789ABCDEFFEDCBA9876543210');
  const of = (pin: string): string => pinVerificationValue(pvk, { pan: PAN, pvki: '1', pin });
  const plain = (pin: string): string => visaPvv(pvk, { pan: PAN, pvki: '1', pin });
  assert.equal(of('1234'), plain('1234'));
  assert.equal(of('123456'), `${plain('1234')}${plain('3456')}`);
  assert.equal(of('123456789012'), `${plain('1234')}${plain('5678')}${plain('9012')}`);
});
