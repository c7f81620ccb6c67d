/**
 * The gateway's certification authority: one CA per installation, ECDSA P-256, made at first
 * start; it certifies the gateway's own TLS key and the client keys of elements.
 * @see RFC 5280
 */
import './reflect-metadata.ts';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { type Clock, fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { GATEWAY_SERVER_NAME } from '@tapnpay/protocol/wire';
import type { ElementCertifier } from '../enrolment.ts';
import { GatewayError } from '../errors.ts';
import { privateFile, readPrivateFile, writePrivateFile } from './key-files.ts';

const CA_NAME = 'CN=Tap and Pay LAB gateway CA';
const SIGNING = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const CA_LIFETIME_MS = 3650 * DAY_MS;
const LEAF_LIFETIME_MS = 730 * DAY_MS;
/** Clocks of elements may be behind. */
const BACKDATE_MS = 3_600_000;
/** A server certificate this near its end is made anew at start. */
const RENEW_BEFORE_MS = 30 * DAY_MS;
const SERIAL_BYTES = 16;

type Ports = { readonly clock: Clock; readonly random: RandomSource };
type Issuer = { readonly certificate: x509.X509Certificate; readonly key: webcrypto.CryptoKey };

/** Keys and certificates of a running gateway. */
export type Authority = ElementCertifier & {
  readonly serverCertificatePem: string;
  readonly serverKeyPem: string;
  readonly orderKey: KeyObject;
  /** The parameter-update key. */
  readonly parameterKey: KeyObject;
};

/** Opens the authority in `directory`, making what is missing. */
export async function openAuthority(directory: string, ports: Ports): Promise<Authority> {
  const caKeyPem = privateFile(join(directory, 'ca-key.pem'), newKeyPem);
  const caPem = await openCaCertificate(join(directory, 'ca.pem'), caKeyPem, ports);
  const issuer: Issuer = {
    certificate: new x509.X509Certificate(caPem),
    key: await signingKey(caKeyPem),
  };
  const serverKeyPem = privateFile(join(directory, 'server-key.pem'), newKeyPem);
  const serverPath = join(directory, 'server.pem');
  const serverCertificatePem = await openServerCertificate(serverPath, serverKeyPem, issuer, ports);
  const orderKey = createPrivateKey(privateFile(join(directory, 'order-key.pem'), newKeyPem));
  const parameterPath = join(directory, 'parameter-key.pem');
  const parameterKey = createPrivateKey(privateFile(parameterPath, newKeyPem));
  return {
    caPem,
    serverCertificatePem,
    serverKeyPem,
    orderKey,
    orderPublicKeySpki: spkiOf(createPublicKey(orderKey)),
    parameterKey,
    parameterPublicKeySpki: spkiOf(createPublicKey(parameterKey)),
    certify: (element) => certifyElement(issuer, element, ports),
  };
}

async function openCaCertificate(path: string, keyPem: string, ports: Ports): Promise<string> {
  const present = readPrivateFile(path);
  if (present !== null && new X509Certificate(present).checkPrivateKey(createPrivateKey(keyPem))) {
    return present;
  }
  const publicKey = await publicKeyOf(createPublicKey(keyPem));
  const privateKey = await signingKey(keyPem);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(ports),
      name: CA_NAME,
      ...validity(ports, CA_LIFETIME_MS),
      signingAlgorithm: SIGNING,
      keys: { publicKey, privateKey },
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ],
    },
    webcrypto,
  );
  const pem = certificate.toString('pem');
  writePrivateFile(path, pem);
  return pem;
}

async function openServerCertificate(
  path: string,
  keyPem: string,
  issuer: Issuer,
  ports: Ports,
): Promise<string> {
  const present = readPrivateFile(path);
  if (present !== null && isCurrent(present, keyPem, issuer, ports)) return present;
  const pem = await issue(issuer, ports, {
    name: `CN=${GATEWAY_SERVER_NAME}`,
    publicKey: createPublicKey(keyPem),
    usage: x509.ExtendedKeyUsage.serverAuth,
    names: [
      { type: 'dns', value: GATEWAY_SERVER_NAME },
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
    ],
  });
  writePrivateFile(path, pem);
  return pem;
}

function isCurrent(pem: string, keyPem: string, issuer: Issuer, ports: Ports): boolean {
  const certificate = new X509Certificate(pem);
  const ca = new X509Certificate(issuer.certificate.toString('pem'));
  return (
    certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
    certificate.verify(ca.publicKey) &&
    certificate.validToDate.getTime() - RENEW_BEFORE_MS > ports.clock.nowMs()
  );
}

/** A client certificate whose common name is the element's id. @throws GatewayError. */
async function certifyElement(
  issuer: Issuer,
  element: { readonly elementId: string; readonly publicKeySpki: string },
  ports: Ports,
): Promise<{ readonly pem: string; readonly sha256: string }> {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(element.elementId)) {
    throw new GatewayError('ERR_REQUEST', 'elementId has another form', { fieldPath: 'elementId' });
  }
  const pem = await issue(issuer, ports, {
    name: `CN=${element.elementId}`,
    publicKey: p256Key(element.publicKeySpki),
    usage: x509.ExtendedKeyUsage.clientAuth,
    names: [],
  });
  return { pem, sha256: certificateSha256(new X509Certificate(pem).raw) };
}

/** SHA-256 of a DER certificate, hex. */
export function certificateSha256(der: Uint8Array): string {
  return toHex(createHash('sha256').update(der).digest());
}

/** A P-256 public key from SPKI hex. @throws GatewayError `ERR_REQUEST` on any other key. */
export function p256Key(spkiHex: string): KeyObject {
  const wrong = (cause?: unknown): GatewayError =>
    new GatewayError('ERR_REQUEST', 'is no ECDSA P-256 public key', { fieldPath: 'key' }, cause);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(fromHex(spkiHex)), format: 'der', type: 'spki' });
  } catch (cause) {
    throw wrong(cause);
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw wrong();
  return key;
}

async function issue(
  issuer: Issuer,
  ports: Ports,
  leaf: {
    readonly name: string;
    readonly publicKey: KeyObject;
    readonly usage: x509.ExtendedKeyUsage;
    readonly names: readonly x509.JsonGeneralName[];
  },
): Promise<string> {
  const publicKey = await publicKeyOf(leaf.publicKey);
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([leaf.usage], true),
    await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate, false, webcrypto),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
  if (leaf.names.length > 0) {
    extensions.push(new x509.SubjectAlternativeNameExtension([...leaf.names]));
  }
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(ports),
      subject: leaf.name,
      issuer: issuer.certificate.subject,
      ...validity(ports, LEAF_LIFETIME_MS),
      signingAlgorithm: SIGNING,
      publicKey,
      signingKey: issuer.key,
      extensions,
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

function validity(ports: Ports, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  const nowMs = ports.clock.nowMs();
  return { notBefore: new Date(nowMs - BACKDATE_MS), notAfter: new Date(nowMs + lifetimeMs) };
}

/** A positive serial number of 127 bits. @see RFC 5280 §4.1.2.2 */
function serial(ports: Ports): string {
  const bytes = ports.random.bytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return toHex(bytes);
}

function newKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', pkcs8, SIGNING, false, ['sign']);
}

async function publicKeyOf(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const spki = key.export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', spki, SIGNING, true, ['verify']);
}

function spkiOf(key: KeyObject): string {
  return toHex(key.export({ type: 'spki', format: 'der' }));
}
