/**
 * Any bytes as keys, certificates, signatures and key files: a result of the module, never an
 * exception. Blocks with arbitrary contents are signed too, so that every check behind RSA is met.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { toHex } from '../../bytes/index.ts';
import { sm2Verify } from '../../crypto/index.ts';
import { certifyKey, kitKey, signBlock } from './certificate-recovery.test-kit.ts';
import {
  COMBINED_DATA_CHECKS,
  ICC_CERTIFICATE_CHECKS,
  ISSUER_CERTIFICATE_CHECKS,
  type RecoveryFailure,
  type RecoveryFault,
  readCaKeyFile,
  recoverCombinedDynamicData,
  recoverIccCertificate,
  recoverIssuerCertificate,
  recoverSignedDynamicData,
  recoverSignedStaticData,
  SM_ICC_CERTIFICATE_CHECKS,
  SM_ISSUER_CERTIFICATE_CHECKS,
  STATIC_DATA_CHECKS,
  verifySmCombinedDynamicData,
  verifySmIccCertificate,
  verifySmIssuerCertificate,
  verifySmStaticData,
} from './index.ts';

const SIGNER = kitKey(640);
const bytes = (maxLength = 260) => fc.uint8Array({ maxLength });
const key = fc.record({ modulus: bytes(), exponent: bytes(4) });
const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 19 });
const input = fc.record({
  certificate: bytes(),
  remainder: fc.option(bytes(60), { nil: undefined }),
  exponent: bytes(4),
  pan: digits,
  dateYymmdd: fc.constantFrom('261201', '000101', '991231'),
  staticData: bytes(40),
});

/** The result is a value, and a fault is one that the list of checks names. */
function isResult(
  result: { readonly ok: true } | RecoveryFailure,
  checks: readonly RecoveryFault[],
): void {
  if (result.ok) return;
  assert.ok(checks.includes(result.fault), result.fault);
  const { offsetBytes, part } = result.where;
  if (part === 'recovered') {
    assert.ok(result.recovered !== null && offsetBytes !== null);
    assert.ok(offsetBytes < result.recovered.length);
  }
}

const COMBINED = {
  unpredictableNumber: new Uint8Array(4),
  cryptogramInformationData: 0x80,
  transactionData: new Uint8Array(0),
};

test('arbitrary keys and certificates end in a result', () => {
  fc.assert(
    fc.property(key, input, (signer, given) => {
      const { certificate: signature, staticData } = given;
      isResult(
        recoverIssuerCertificate(nodeCiphers, { ...given, caKey: signer }),
        ISSUER_CERTIFICATE_CHECKS,
      );
      isResult(
        recoverIccCertificate(nodeCiphers, { ...given, issuerKey: signer }),
        ICC_CERTIFICATE_CHECKS,
      );
      const data = { signature, staticData };
      isResult(
        recoverSignedStaticData(nodeCiphers, { ...data, issuerKey: signer }),
        STATIC_DATA_CHECKS,
      );
      isResult(
        recoverCombinedDynamicData(nodeCiphers, { ...COMBINED, signature, iccKey: signer }),
        COMBINED_DATA_CHECKS,
      );
    }),
    { numRuns: 300 },
  );
});

test('arbitrary contents under a right signature end in a result', () => {
  const roomBytes = SIGNER.modulus.length - 22;
  const contents = fc.uint8Array({ minLength: roomBytes, maxLength: roomBytes });
  const format = fc.constantFrom(2, 3, 4, 5);
  // Half of them begin as the format does, so that deep checks are met.
  const body = fc.tuple(contents, format, fc.boolean()).map(([all, first, isAlgorithmRight]) =>
    all.map((byte, at) => {
      if (at === 0) return first;
      const algorithmAt = { 2: 10, 3: 1, 4: 16, 5: 1 }[first];
      return isAlgorithmRight && at === algorithmAt ? 1 : byte;
    }),
  );
  fc.assert(
    fc.property(body, input, (inner, given) => {
      const beyond = new Uint8Array(0);
      const signature = signBlock(SIGNER, { body: inner, beyond });
      const bare = {
        ...given,
        certificate: signature,
        remainder: undefined,
        exponent: new Uint8Array(0),
        staticData: beyond,
      };
      isResult(
        recoverIssuerCertificate(nodeCiphers, { ...bare, caKey: SIGNER }),
        ISSUER_CERTIFICATE_CHECKS,
      );
      isResult(
        recoverIccCertificate(nodeCiphers, { ...bare, issuerKey: SIGNER }),
        ICC_CERTIFICATE_CHECKS,
      );
      const data = { signature, staticData: beyond };
      isResult(
        recoverSignedStaticData(nodeCiphers, { ...data, issuerKey: SIGNER }),
        STATIC_DATA_CHECKS,
      );
      const dynamic = { ...COMBINED, unpredictableNumber: beyond, signature, iccKey: SIGNER };
      isResult(recoverCombinedDynamicData(nodeCiphers, dynamic), COMBINED_DATA_CHECKS);
      isResult(
        recoverSignedDynamicData(nodeCiphers, { ...dynamic, terminalData: beyond }),
        COMBINED_DATA_CHECKS,
      );
    }),
    { numRuns: 150 },
  );
});

test('one flipped bit of a right certificate, its remainder or its exponent never passes', () => {
  const head = '02629999FF1235000001';
  const { certificate, remainder, exponent } = certifyKey(SIGNER, kitKey(512), { head });
  const parts = { certificate, remainder, exponent };
  const right = recoverIssuerCertificate(nodeCiphers, { caKey: SIGNER, ...parts });
  assert.equal(right.ok, true);
  assert.ok(remainder.length > 0);
  const name = fc.constantFrom('certificate', 'remainder', 'exponent' as const);
  fc.assert(
    fc.property(name, fc.nat(), fc.integer({ min: 0, max: 7 }), (part, position, bit) => {
      const changed = parts[part as keyof typeof parts].slice();
      const at = position % changed.length;
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      const input = { caKey: SIGNER, ...parts, [part]: changed };
      assert.equal(recoverIssuerCertificate(nodeCiphers, input).ok, false);
    }),
    { numRuns: 200 },
  );
});

test('arbitrary points and SM2 certificates end in a result', () => {
  const smCertificate = fc.oneof(
    bytes(160),
    fc.uint8Array({ minLength: 142, maxLength: 142 }),
    fc.uint8Array({ minLength: 148, maxLength: 148 }),
  );
  fc.assert(
    fc.property(bytes(70), smCertificate, bytes(40), (signer, given, staticData) => {
      const certificate = given.map((byte, at) => {
        if (at === 0) return given.length === 148 ? 0x14 : 0x12;
        const key = given.length === 148 ? 16 : 10;
        return at >= key && at < key + 4 ? ([4, 0, 0x11, 0x40][at - key] ?? byte) : byte;
      });
      const base = { certificate, staticData, pan: '6299990000000009', dateYymmdd: '261201' };
      isResult(
        verifySmIssuerCertificate(nodeCiphers, { ...base, caKey: signer }),
        SM_ISSUER_CERTIFICATE_CHECKS,
      );
      isResult(
        verifySmIccCertificate(nodeCiphers, { ...base, issuerKey: signer }),
        SM_ICC_CERTIFICATE_CHECKS,
      );
      const signature = given;
      assert.equal(
        verifySmStaticData(nodeCiphers, { issuerKey: signer, signature, staticData }).ok,
        false,
      );
      const combined = { ...COMBINED, iccKey: signer, signature };
      assert.equal(verifySmCombinedDynamicData(nodeCiphers, combined).ok, false);
      const message = staticData;
      assert.equal(sm2Verify(nodeCiphers, { publicKey: signer, message, signature }), false);
    }),
    { numRuns: 300 },
  );
});

test('any text as a CA key file gives keys and coded faults, in bounded time', () => {
  const list = fc
    .array(
      fc.tuple(
        fc.constantFrom('9F06', '9F22', 'DF02', 'DF03', 'DF04', 'DF05', 'DF06', 'DF07', '5A'),
        bytes(20),
      ),
      { maxLength: 30 },
    )
    .map((objects) =>
      objects
        .map(([tag, value]) => tag + toHex(Uint8Array.of(value.length)) + toHex(value))
        .join(''),
    );
  const text = fc.oneof(fc.string({ maxLength: 300 }), list, fc.json(), bytes(200).map(toHex));
  fc.assert(
    fc.property(text, (file) => {
      const { keys, faults } = readCaKeyFile(nodeCiphers, file);
      assert.equal(keys.length, 0);
      assert.ok(faults.length > 0);
      for (const { code } of faults) assert.match(code, /^ERR_CA_KEY_/);
    }),
    { numRuns: 500 },
  );
});
