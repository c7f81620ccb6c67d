/** A small certification authority for tests: ECDSA P-256 certificates made in memory, no tools. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** A certificate and, where we made it, its key. */
export type TestCertificate = { readonly certPem: string; readonly keyPem: string };

/** What a certificate is made for. */
export type TestSubject = {
  readonly name: string;
  readonly publicKey: KeyObject;
  /** Name for `subjectAltName`; servers need it. */
  readonly dnsName?: string;
  readonly validDays?: number;
};

const DAY_MS = 86_400_000;
const OID_ECDSA_SHA256 = '06082A8648CE3D040302';
const OID_COMMON_NAME = '0603550403';
const OID_BASIC_CONSTRAINTS = '0603551D13';
const OID_SUBJECT_ALT_NAME = '0603551D11';

/** An authority of its own; each has a fresh key. */
export class TestAuthority {
  readonly #key: KeyObject;
  readonly #name: string;
  #serial = 1;
  readonly certPem: string;

  constructor(name = 'Test CA') {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = pair.privateKey;
    this.#name = name;
    this.certPem = this.#make({ name, publicKey: pair.publicKey }, { isAuthority: true });
  }

  /** A certificate for somebody's public key. */
  certify(subject: TestSubject): string {
    return this.#make(subject, { isAuthority: false });
  }

  /** A key pair and its certificate. */
  issue(subject: Omit<TestSubject, 'publicKey'>): TestCertificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { certPem: this.certify({ ...subject, publicKey }), keyPem };
  }

  #make(subject: TestSubject, { isAuthority }: { readonly isAuthority: boolean }): string {
    const nowMs = Date.now();
    const days = subject.validDays ?? 30;
    const algorithm = sequence(hex(OID_ECDSA_SHA256));
    const extensions = [
      ...(isAuthority ? [extension(OID_BASIC_CONSTRAINTS, sequence(hex('0101FF')))] : []),
      ...(subject.dnsName === undefined
        ? []
        : [extension(OID_SUBJECT_ALT_NAME, sequence(tlv(0x82, text(subject.dnsName))))]),
    ];
    const body = sequence(
      hex('A003020102'),
      tlv(0x02, Uint8Array.of(this.#serial++)),
      algorithm,
      nameOf(this.#name),
      sequence(time(nowMs - 2 * DAY_MS), time(nowMs + days * DAY_MS)),
      nameOf(subject.name),
      new Uint8Array(subject.publicKey.export({ type: 'spki', format: 'der' })),
      ...(extensions.length > 0 ? [tlv(0xa3, sequence(...extensions))] : []),
    );
    const signature = new Uint8Array(sign('sha256', body, this.#key));
    const certificate = sequence(body, algorithm, tlv(0x03, join(Uint8Array.of(0), signature)));
    const lines =
      Buffer.from(certificate)
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

function nameOf(commonName: string): Uint8Array {
  const attribute = sequence(hex(OID_COMMON_NAME), tlv(0x0c, text(commonName)));
  return sequence(tlv(0x31, attribute));
}

function extension(oid: string, value: Uint8Array): Uint8Array {
  return sequence(hex(oid), tlv(0x04, value));
}

function time(atMs: number): Uint8Array {
  const digits = new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, text(`${digits}Z`));
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(0x30, join(...parts));
}

function tlv(tag: number, value: Uint8Array): Uint8Array {
  const { length } = value;
  if (length < 0x80) return join(Uint8Array.of(tag, length), value);
  if (length < 0x100) return join(Uint8Array.of(tag, 0x81, length), value);
  return join(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), value);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function hex(digits: string): Uint8Array {
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

function text(characters: string): Uint8Array {
  return new Uint8Array(Buffer.from(characters, 'utf8'));
}
