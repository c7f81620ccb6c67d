/** Making of SM2 certificates and SM2-signed static data for 国密 cards. @see PBOC3 P17 */
import { compressedToBcd, concatBytes, fromHex, type RandomSource } from '../../bytes/index.ts';
import { type CipherProvider, isSm2PublicKey, sm2Sign } from '../../crypto/index.ts';
import {
  SM_SIGNED_DATA,
  type SmCertificateForm,
  smCertificateBody,
  smStaticDataBody,
} from '../data/index.ts';
import { EmvIssuerError } from './errors.ts';

export { signSmDynamicData } from '../data/index.ts';

/** What both certificates need. */
type CertificateRequest = {
  /** 64 bytes x ‖ y. */
  readonly publicKey: Uint8Array;
  readonly expiryMmyy: string;
  /** Three bytes. */
  readonly serialNumber: Uint8Array;
  readonly random: RandomSource;
};

/**
 * The CA's certificate of an issuer key, 142 bytes for tag 90; 92 and 9F32 do not exist.
 * @throws EmvIssuerError `ERR_EMV_KEY` for a wrong key, identifier, date or serial number;
 *   CryptoError `ERR_CRYPTO_SM2` for the CA's private key.
 */
export function issueSmIssuerCertificate(
  ciphers: Pick<CipherProvider, 'sm3'>,
  request: CertificateRequest & {
    readonly caPrivateKey: Uint8Array;
    /** Leftmost 3 to 8 digits of the PAN. */
    readonly issuerIdentifier: string;
  },
): Uint8Array {
  const { issuerIdentifier, caPrivateKey } = request;
  if (!/^[0-9]{3,8}$/.test(issuerIdentifier)) throw keyError('issuer identifier has 3 to 8 digits');
  const body = certificateBody(SM_SIGNED_DATA.issuerCertificate, request, issuerIdentifier);
  const { random } = request;
  return concatBytes(body, sm2Sign(ciphers, { privateKey: caPrivateKey, message: body, random }));
}

/**
 * The issuer's certificate of a card key, 148 bytes for tag 9F46; it covers the static data too.
 * @throws as `issueSmIssuerCertificate`.
 */
export function issueSmIccCertificate(
  ciphers: Pick<CipherProvider, 'sm3'>,
  request: CertificateRequest & {
    readonly issuerPrivateKey: Uint8Array;
    readonly pan: string;
    readonly staticData: Uint8Array;
  },
): Uint8Array {
  const { pan, issuerPrivateKey, random } = request;
  if (!/^[0-9]{8,19}$/.test(pan)) throw keyError('PAN has 8 to 19 digits');
  const body = certificateBody(SM_SIGNED_DATA.iccCertificate, request, pan);
  const message = concatBytes(body, request.staticData);
  return concatBytes(body, sm2Sign(ciphers, { privateKey: issuerPrivateKey, message, random }));
}

/** Signed static application data (93), 67 bytes. @throws as `issueSmIssuerCertificate`. */
export function signSmStaticData(
  ciphers: Pick<CipherProvider, 'sm3'>,
  request: {
    readonly issuerPrivateKey: Uint8Array;
    /** Two bytes. */
    readonly dataAuthenticationCode: Uint8Array;
    readonly staticData: Uint8Array;
    readonly random: RandomSource;
  },
): Uint8Array {
  const { dataAuthenticationCode, issuerPrivateKey, random } = request;
  if (dataAuthenticationCode.length !== SM_SIGNED_DATA.staticData.authenticationCodeBytes) {
    throw keyError('data authentication code has 2 bytes');
  }
  const body = smStaticDataBody(dataAuthenticationCode);
  const message = concatBytes(body, request.staticData);
  return concatBytes(body, sm2Sign(ciphers, { privateKey: issuerPrivateKey, message, random }));
}

function certificateBody(
  form: SmCertificateForm,
  request: CertificateRequest,
  identifier: string,
): Uint8Array {
  const { publicKey, expiryMmyy, serialNumber } = request;
  if (!isSm2PublicKey(publicKey)) throw keyError('public key is no point of the SM2 curve');
  if (!/^(0[1-9]|1[0-2])[0-9]{2}$/.test(expiryMmyy)) throw keyError('expiry is MMYY');
  if (serialNumber.length !== 3) throw keyError('certificate serial number has 3 bytes');
  return smCertificateBody(form, {
    identifier: compressedToBcd(identifier, form.identifierBytes),
    expiryMmyy: fromHex(expiryMmyy),
    serialNumber,
    publicKey,
  });
}

function keyError(why: string): EmvIssuerError {
  return new EmvIssuerError('ERR_EMV_KEY', why);
}
