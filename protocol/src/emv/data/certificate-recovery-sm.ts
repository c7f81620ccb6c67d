/**
 * Checks of SM2 certificates and signed data: clear fields, then a signature over them. Results are
 * those of `certificate-recovery.ts`; nothing is thrown, whatever the bytes. @see PBOC3 P17
 */
import { byteAt, concatBytes } from '../../bytes/index.ts';
import {
  type CipherProvider,
  isSm2PublicKey,
  SM2_PUBLIC_KEY_BYTES,
  SM2_SIGNATURE_BYTES,
  sm2Verify,
} from '../../crypto/index.ts';
import {
  type CertificateExpectation,
  type CombinedDataInput,
  checkSubject,
  combinedDataOf,
  failure,
  iccDynamicNumberOf,
  type RecoveredCertificate,
  type RecoveredCombinedData,
  type RecoveredDynamicData,
  type RecoveredStaticData,
  type RecoveryFailure,
  type RecoveryFault,
  subjectOf,
} from './certificate-recovery.ts';
import {
  SM_SIGNED_DATA,
  type SmCertificateForm,
  type SmCertificateOffsets,
  smCertificateOffsets,
  smDynamicDataParts,
} from './certificates-sm.ts';

/** Checks of an SM2 issuer certificate in their order. */
export const SM_ISSUER_CERTIFICATE_CHECKS: readonly RecoveryFault[] = [
  'length',
  'format',
  'keyAlgorithm',
  'curveParameter',
  'keyLength',
  'signature',
  'issuerIdentifier',
  'expired',
  'revoked',
  'publicKey',
];
/** Checks of an SM2 card certificate in their order. */
export const SM_ICC_CERTIFICATE_CHECKS: readonly RecoveryFault[] = SM_ISSUER_CERTIFICATE_CHECKS.map(
  (check) => (check === 'issuerIdentifier' ? 'pan' : check),
).filter((check) => check !== 'revoked');
/** Checks of SM2-signed static data in their order. */
export const SM_STATIC_DATA_CHECKS: readonly RecoveryFault[] = ['length', 'format', 'signature'];
/** Checks of SM2-signed dynamic data in their order. */
export const SM_DYNAMIC_DATA_CHECKS: readonly RecoveryFault[] = [
  'format',
  'dynamicDataLength',
  'signature',
];

/** An issuer's 64-byte SM2 key of its certificate (90) under the CA's. @see PBOC3 P17 */
export function verifySmIssuerCertificate(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: CertificateExpectation & {
    /** 64 bytes x ‖ y. */
    readonly caKey: Uint8Array;
    readonly certificate: Uint8Array;
  },
): RecoveredCertificate<Uint8Array> | RecoveryFailure {
  return verifyCertificate(ciphers, SM_SIGNED_DATA.issuerCertificate, {
    ...input,
    signer: input.caKey,
    staticData: new Uint8Array(0),
    fault: 'issuerIdentifier',
  });
}

/** A card's 64-byte SM2 key of its certificate (9F46), which covers the static data. */
export function verifySmIccCertificate(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: CertificateExpectation & {
    readonly issuerKey: Uint8Array;
    readonly certificate: Uint8Array;
    readonly staticData: Uint8Array;
  },
): RecoveredCertificate<Uint8Array> | RecoveryFailure {
  return verifyCertificate(ciphers, SM_SIGNED_DATA.iccCertificate, {
    ...input,
    signer: input.issuerKey,
    fault: 'pan',
  });
}

/** Data authentication code of SM2-signed static data (93, 67 bytes). */
export function verifySmStaticData(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: {
    readonly issuerKey: Uint8Array;
    readonly signature: Uint8Array;
    readonly staticData: Uint8Array;
  },
): RecoveredStaticData | RecoveryFailure {
  const { signature: signed, issuerKey, staticData } = input;
  const { format, authenticationCodeBytes } = SM_SIGNED_DATA.staticData;
  const end = 1 + authenticationCodeBytes;
  if (signed.length !== end + SM2_SIGNATURE_BYTES) {
    return failure('length', 'certificate', null, null);
  }
  if (byteAt(signed, 0) !== format) return failure('format', 'certificate', 0, signed);
  const message = concatBytes(signed.subarray(0, end), staticData);
  const stands = sm2Verify(ciphers, {
    publicKey: issuerKey,
    message,
    signature: signed.subarray(end),
  });
  if (!stands) return failure('signature', 'certificate', end, signed);
  return { ok: true, recovered: signed, dataAuthenticationCode: signed.slice(1, end) };
}

/** ICC dynamic data of SM2-signed dynamic data (9F4B). */
export function verifySmDynamicData(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: {
    readonly iccKey: Uint8Array;
    readonly signature: Uint8Array;
    readonly terminalData: Uint8Array;
  },
): RecoveredDynamicData | RecoveryFailure {
  const { signature: signed, iccKey, terminalData } = input;
  if (signed[0] !== SM_SIGNED_DATA.dynamicData.format) {
    return failure('format', 'certificate', 0, signed);
  }
  const parts = smDynamicDataParts(signed);
  if (parts === null) return failure('dynamicDataLength', 'certificate', 1, signed);
  const { iccDynamicData, signature } = parts;
  const end = signed.length - SM2_SIGNATURE_BYTES;
  const message = concatBytes(signed.subarray(0, end), terminalData);
  if (!sm2Verify(ciphers, { publicKey: iccKey, message, signature })) {
    return failure('signature', 'certificate', end, signed);
  }
  const iccDynamicNumber = iccDynamicNumberOf(iccDynamicData);
  return { ok: true, recovered: signed, iccDynamicData, iccDynamicNumber };
}

/** As `recoverCombinedDynamicData`, with SM2 and a transaction hash of SM3. */
export function verifySmCombinedDynamicData(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: CombinedDataInput & { readonly iccKey: Uint8Array },
): RecoveredCombinedData | RecoveryFailure {
  const { iccKey, signature, unpredictableNumber: terminalData } = input;
  const opened = verifySmDynamicData(ciphers, { iccKey, signature, terminalData });
  if (!opened.ok) return opened;
  const hash = ciphers.sm3(input.transactionData);
  return combinedDataOf(opened, { input, dynamicDataAt: 2, hash });
}

function verifyCertificate(
  ciphers: Pick<CipherProvider, 'sm3'>,
  form: SmCertificateForm,
  input: CertificateExpectation & {
    readonly signer: Uint8Array;
    readonly certificate: Uint8Array;
    readonly staticData: Uint8Array;
    readonly fault: 'issuerIdentifier' | 'pan';
  },
): RecoveredCertificate<Uint8Array> | RecoveryFailure {
  const { certificate, signer } = input;
  const offsets = smCertificateOffsets(form);
  if (certificate.length !== offsets.lengthBytes) {
    return failure('length', 'certificate', null, null);
  }
  const wrong = wrongConstant(certificate, form, offsets);
  if (wrong) return failure(wrong.fault, 'certificate', wrong.offsetBytes, certificate);
  const clear = certificate.subarray(0, offsets.signature);
  const stands = sm2Verify(ciphers, {
    publicKey: signer,
    message: concatBytes(clear, input.staticData),
    signature: certificate.subarray(offsets.signature),
  });
  if (!stands) return failure('signature', 'certificate', offsets.signature, certificate);
  const place = {
    identifierAt: offsets.identifier,
    expiryAt: offsets.expiry,
    fault: input.fault,
  };
  const wrongSubject = checkSubject(certificate, place, input);
  if (wrongSubject) {
    const { offsetBytes } = wrongSubject.where;
    return { ...wrongSubject, where: { part: 'certificate', offsetBytes } };
  }
  const key = certificate.slice(offsets.publicKey, offsets.signature);
  if (!isSm2PublicKey(key)) {
    return failure('publicKey', 'certificate', offsets.publicKey, certificate);
  }
  return { ok: true, recovered: certificate, key, ...subjectOf(certificate, place) };
}

/**
 * The first byte that is not what every SM2 certificate of this form has. The encryption algorithm
 * is not looked at: no card key enciphers here.
 */
function wrongConstant(
  certificate: Uint8Array,
  form: SmCertificateForm,
  offsets: SmCertificateOffsets,
): { readonly fault: RecoveryFault; readonly offsetBytes: number } | undefined {
  const { signatureAlgorithm, curveParameter } = SM_SIGNED_DATA;
  const constants: readonly (readonly [RecoveryFault, number, number])[] = [
    ['format', 0, form.format],
    ['keyAlgorithm', offsets.signatureAlgorithm, signatureAlgorithm],
    ['curveParameter', offsets.curveParameter, curveParameter],
    ['keyLength', offsets.keyLength, SM2_PUBLIC_KEY_BYTES],
  ];
  const wrong = constants.find(([, at, value]) => byteAt(certificate, at) !== value);
  return wrong && { fault: wrong[0], offsetBytes: wrong[1] };
}
