/**
 * CRX3, the signed form in which Chromium takes an extension: a magic word, a header in protocol
 * buffers with the publisher's signature, and the ZIP archive.
 * @see CRX3, crx3.proto
 */
import { sign } from 'node:crypto';
import { asciiToBytes, concatBytes, fromHex } from '@tapnpay/protocol/bytes';
import type { PublisherKey } from './publisher-key.ts';

const MAGIC = asciiToBytes('Cr24');
const CRX_VERSION = 3;
/** What the signature covers before the signed part of the header. */
const SIGNATURE_CONTEXT = concatBytes(asciiToBytes('CRX3 SignedData'), new Uint8Array(1));
/** Fields of CrxFileHeader. */
const FIELD_SHA256_WITH_RSA = 2;
const FIELD_SIGNED_HEADER_DATA = 10_000;
/** Fields of AsymmetricKeyProof. */
const FIELD_PUBLIC_KEY = 1;
const FIELD_SIGNATURE = 2;
/** Field of SignedData. */
const FIELD_CRX_ID = 1;
/** Wire type "length-delimited" of protocol buffers. */
const WIRE_TYPE_BYTES = 2;

/** The archive, signed. The same input has the same output: RSASSA-PKCS1-v1_5 has no random. */
export function crx3Of(archive: Uint8Array, publisher: PublisherKey): Uint8Array {
  const { privateKey, publicKeySpki, extensionId } = publisher;
  const signedData = field(FIELD_CRX_ID, idBytes(extensionId));
  const covered = concatBytes(SIGNATURE_CONTEXT, uint32(signedData.length), signedData, archive);
  const signature = new Uint8Array(sign('sha256', covered, privateKey));
  const proof = concatBytes(
    field(FIELD_PUBLIC_KEY, publicKeySpki),
    field(FIELD_SIGNATURE, signature),
  );
  const header = concatBytes(
    field(FIELD_SHA256_WITH_RSA, proof),
    field(FIELD_SIGNED_HEADER_DATA, signedData),
  );
  return concatBytes(MAGIC, uint32(CRX_VERSION), uint32(header.length), header, archive);
}

/** The 16 bytes that the letters a to p stand for. */
function idBytes(extensionId: string): Uint8Array {
  const hex = extensionId.replace(/./g, (letter) => (letter.charCodeAt(0) - 0x61).toString(16));
  return fromHex(hex.toUpperCase());
}

function field(number: number, value: Uint8Array): Uint8Array {
  const tag = (number << 3) | WIRE_TYPE_BYTES;
  return concatBytes(varint(tag), varint(value.length), value);
}

/** Base 128, least significant group first. */
function varint(value: number): Uint8Array {
  const groups: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    groups.push(0x80 + (rest % 0x80));
    rest = Math.floor(rest / 0x80);
  }
  return Uint8Array.of(...groups, rest);
}

/** Little-endian. */
function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
