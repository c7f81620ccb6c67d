/** Enrolment against a gateway in the test: proofs that hold, and each wrong grant refused. */
import assert from 'node:assert/strict';
import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  publicEncrypt,
  verify,
} from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Secret, toHex } from '@tapnpay/protocol/bytes';
import { aesDukptWorkingKey, decipherPinBlockFormat4, kcvAes } from '@tapnpay/protocol/crypto';
import {
  type EnrolmentGrant,
  type EnrolmentRequest,
  enrolmentInput,
  type TerminalParametersJson,
} from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import { TEST_PARAMETER_KEY_SPKI, testParameters } from '../../protocol/node/gateway.test-peer.ts';
import { beginEnrolment, finishEnrolment } from './enrolment.ts';
import { createPinKey, encipherPin, type PinKey } from './pin.ts';
import { ElementState } from './state.ts';
import { ElementStore } from './store.ts';
import { elementCiphers, systemClock, systemRandom } from './system.ts';

const PAIRING_CODE = '0123456789';
const PAN = '6299990000000010';
const authority = new TestAuthority();
const orderKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const parameters: TerminalParametersJson = {
  terminalTransactionQualifiers: '26000080',
  countryCode: '0156',
  terminalType: '22',
  terminalCapabilities: 'E068C0',
  additionalTerminalCapabilities: 'F000F0A001',
  aids: [],
  caPublicKeys: [],
};

const directories: string[] = [];
after(() => {
  for (const path of directories) rmSync(path, { recursive: true });
});

function newState(directory?: string): { readonly state: ElementState; readonly path: string } {
  const path = directory ?? mkdtempSync(join(tmpdir(), 'tapnpay-enrol-'));
  if (directory === undefined) directories.push(path);
  return { state: new ElementState(new ElementStore(path, systemRandom)), path };
}

function grantOf(
  request: EnrolmentRequest,
  key = { id: '5441500100000001', value: Buffer.alloc(16, 0x42) },
): EnrolmentGrant {
  const spki = (hex: string) =>
    createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'spki' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const transport = { key: spki(request.transportKeySpki), padding, oaepHash: 'sha256' };
  return {
    certificatePem: authority.certify({
      name: request.elementId,
      publicKey: spki(request.publicKeySpki),
    }),
    caPem: authority.certPem,
    orderPublicKeySpki: toHex(orderKey.publicKey.export({ type: 'spki', format: 'der' })),
    initialKeyId: key.id,
    encipheredInitialKey: toHex(publicEncrypt(transport, key.value)),
    initialKeyKcv: kcvAes(elementCiphers, key.value),
    parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
    parameters: testParameters(parameters),
  };
}

const ports = { clock: systemClock, ciphers: elementCiphers };
const begin = (state: ElementState) =>
  beginEnrolment({ state, random: systemRandom, pairingCode: PAIRING_CODE });

test('the request proves the pairing code and the possession of the client key', async () => {
  const request = await begin(newState().state);
  const input = Buffer.from(enrolmentInput(request));
  const proof = createHmac('sha256', PAIRING_CODE).update(input).digest();
  assert.equal(request.pairingProof, toHex(proof));
  const key = createPublicKey({
    key: Buffer.from(request.publicKeySpki, 'hex'),
    format: 'der',
    type: 'spki',
  });
  const signature = Buffer.from(request.signature, 'hex');
  assert.ok(verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, signature));
});

test('a grant makes the identity in one step; the transport key is dropped', async () => {
  const { state, path } = newState();
  const request = await begin(state);
  finishEnrolment({ ...ports, state, grant: grantOf(request) });
  const again = newState(path).state.record;
  assert.equal(again.identity?.elementId, request.elementId);
  assert.equal(again.identity?.initialKey.expose(), '42'.repeat(16));
  assert.equal(again.pending, null);
  assert.ok(!JSON.stringify(again).includes('42424242'), 'a printed state masks its keys');
});

test('a grant without a request, or twice, is refused', async () => {
  const { state } = newState();
  const request = await begin(newState().state);
  const grant = grantOf(request);
  assert.throws(() => finishEnrolment({ ...ports, state, grant }), {
    code: 'ERR_ENROLMENT_NOT_BEGUN',
  });
});

test('each wrong part of a grant is refused by name and changes nothing', async () => {
  const { state } = newState();
  const request = await begin(state);
  const good = grantOf(request);
  const other = grantOf(await begin(newState().state));
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
  const stranger = new TestAuthority();
  const clientKey = createPublicKey({
    key: Buffer.from(request.publicKeySpki, 'hex'),
    format: 'der',
    type: 'spki',
  });
  const named = (name: string, validDays = 30) =>
    authority.certify({ name, publicKey: clientKey, validDays });
  const wrong: readonly (readonly [string, Partial<EnrolmentGrant>])[] = [
    ['certificatePem', { certificatePem: other.certificatePem }],
    ['certificatePem', { certificatePem: named('AAAAAAAAAAAAAAAA') }],
    ['certificatePem', { certificatePem: named(request.elementId, -1) }],
    ['certificatePem', { certificatePem: 'junk' }],
    ['certificatePem', { caPem: stranger.certPem }],
    ['caPem', { caPem: good.certificatePem }],
    ['orderPublicKeySpki', { orderPublicKeySpki: '00'.repeat(91) }],
    [
      'orderPublicKeySpki',
      { orderPublicKeySpki: toHex(p384.export({ type: 'spki', format: 'der' })) },
    ],
    ['encipheredInitialKey', { encipheredInitialKey: other.encipheredInitialKey }],
    ['initialKeyKcv', { initialKeyKcv: '0000000000' }],
  ];
  for (const [fieldPath, change] of wrong) {
    const grant = { ...good, ...change };
    assert.throws(() => finishEnrolment({ ...ports, state, grant }), {
      code: 'ERR_ENROLMENT_GRANT',
      data: { fieldPath },
    });
    assert.equal(state.record.identity, null);
  }
  finishEnrolment({ ...ports, state, grant: good });
  assert.equal(state.record.identity?.elementId, request.elementId);
});

function seal(key: PinKey, digits: string): Uint8Array {
  const der = Buffer.from(key.publicKeySpki, 'hex');
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, Buffer.from(digits));
}

async function enrolled(): Promise<{ state: ElementState; path: string }> {
  const made = newState();
  finishEnrolment({ ...ports, state: made.state, grant: grantOf(await begin(made.state)) });
  return made;
}

const randomBytes = (lengthBytes: number) => systemRandom.bytes(lengthBytes);
const pan = new Secret(PAN);

test('the PIN leaves as a format 4 block under the key of its KSN (X9.24-3)', async () => {
  const { state } = await enrolled();
  const pinKey = await createPinKey();
  const sealedPin = seal(pinKey, '123456');
  const { block, ksn } = encipherPin({
    ...{ sealedPin, pinKey, pan, state, randomBytes },
    ciphers: elementCiphers,
  });
  assert.equal(toHex(ksn), '544150010000000100000001');
  const initial = new Uint8Array(16).fill(0x42);
  const key = aesDukptWorkingKey(elementCiphers, initial, ksn.slice(0, 8), 1, 'pinEncryption');
  assert.equal(decipherPinBlockFormat4(elementCiphers, key, block, PAN), '123456');
});

test('a DUKPT counter never repeats: over restarts, failures and a key granted again', async () => {
  const made = await enrolled();
  let { state } = made;
  const pinKey = await createPinKey();
  const seen = new Set<string>();
  for (let round = 0; round < 4; round++) {
    const sealedPin = seal(pinKey, '123456');
    const facts = { sealedPin, pinKey, pan, ciphers: elementCiphers, randomBytes };
    // A block that is lost after its counter was taken burns the counter.
    const brokenRandom = () => {
      throw new Error('power cut');
    };
    assert.throws(() => encipherPin({ ...facts, state, randomBytes: brokenRandom }), /power cut/);
    const { ksn } = encipherPin({ ...facts, state });
    assert.ok(!seen.has(toHex(ksn)));
    seen.add(toHex(ksn));
    assert.equal(toHex(ksn).slice(-8), String(2 * round + 2).padStart(8, '0'));
    if (round === 1) state = newState(made.path).state;
    if (round === 2) {
      finishEnrolment({ ...ports, state, grant: grantOf(await begin(state)) });
    }
  }
});

test('what is no PIN, or sealed to another key, is refused and burns no counter', async () => {
  const { state } = await enrolled();
  const [pinKey, otherKey] = [await createPinKey(), await createPinKey()];
  const facts = { pinKey, pan, state, ciphers: elementCiphers, randomBytes };
  for (const digits of ['123', '1234567890123', '12345a', '']) {
    const sealedPin = seal(pinKey, digits);
    assert.throws(() => encipherPin({ ...facts, sealedPin }), { code: 'ERR_PIN_FORMAT' });
  }
  const sealedPin = seal(otherKey, '123456');
  assert.throws(() => encipherPin({ ...facts, sealedPin }), { code: 'ERR_PIN_FORMAT' });
  assert.deepEqual(state.record.pinCounters, {});
});

test('a used-up PIN key is said so', async () => {
  const { state } = await enrolled();
  state.update({ pinCounters: { '5441500100000001': 0xffff0000 } });
  const pinKey = await createPinKey();
  const facts = { pinKey, pan, state, ciphers: elementCiphers, randomBytes };
  assert.throws(() => encipherPin({ ...facts, sealedPin: seal(pinKey, '123456') }), {
    code: 'ERR_DUKPT_EXHAUSTED',
  });
});
