/**
 * Shows the parts of a CRX3 file with a reader of its own: magic word, key, id, and a signature
 * that covers id and archive. That browsers take such a file: tests/browser/update-channel.test.ts.
 */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { crx3Of } from './crx3.ts';
import { temporaryFolder } from './plugin.test-kit.ts';
import { extensionIdOf, openPublisherKey } from './publisher-key.ts';

/** Fields of one protocol buffer, all of them bytes. */
function fieldsOf(buffer: Buffer): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>();
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = buffer.readUInt8(offset);
      offset += 1;
      value += (byte % 0x80) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (offset < buffer.length) {
    const tag = varint();
    assert.equal(tag % 8, 2, 'length-delimited');
    const length = varint();
    fields.set(Math.floor(tag / 8), buffer.subarray(offset, offset + length));
    offset += length;
  }
  assert.equal(offset, buffer.length);
  return fields;
}

function bytesOf(fields: ReadonlyMap<number, Buffer>, number: number): Buffer {
  const value = fields.get(number);
  assert.ok(value, `field ${number}`);
  return value;
}

/** The file in its parts. */
function parse(crx: Uint8Array) {
  const file = Buffer.from(crx);
  const headerLength = file.readUInt32LE(8);
  const header = fieldsOf(file.subarray(12, 12 + headerLength));
  const proof = fieldsOf(bytesOf(header, 2));
  const signedData = bytesOf(header, 10_000);
  const archive = file.subarray(12 + headerLength);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(signedData.length);
  return {
    magic: file.subarray(0, 4).toString('latin1'),
    version: file.readUInt32LE(4),
    publicKey: bytesOf(proof, 1),
    signature: bytesOf(proof, 2),
    id: bytesOf(fieldsOf(signedData), 1),
    archive,
    covered: Buffer.concat([Buffer.from('CRX3 SignedData\0'), length, signedData, archive]),
  };
}

test('header, key, id and archive are where Chromium looks for them', async (t) => {
  const publisher = await openPublisherKey(temporaryFolder(t));
  const archive = new Uint8Array(300).map((_, index) => index % 251);
  const crx = crx3Of(archive, publisher);
  const parts = parse(crx);
  assert.equal(parts.magic, 'Cr24');
  assert.equal(parts.version, 3);
  assert.deepEqual(new Uint8Array(parts.publicKey), publisher.publicKeySpki);
  assert.equal(extensionIdOf(new Uint8Array(parts.publicKey)), publisher.extensionId);
  assert.equal(parts.id.length, 16);
  const letters = [...parts.id.toString('hex')].map((digit) =>
    String.fromCharCode(97 + Number.parseInt(digit, 16)),
  );
  assert.equal(letters.join(''), publisher.extensionId);
  assert.deepEqual(new Uint8Array(parts.archive), archive);
  assert.deepEqual(crx3Of(archive, publisher), crx, 'the same input has the same output');
});

test('the signature covers the archive and the id: one other bit and it is wrong', async (t) => {
  const publisher = await openPublisherKey(temporaryFolder(t));
  const parts = parse(crx3Of(Uint8Array.of(1, 2, 3), publisher));
  const key = createPublicKey({ key: parts.publicKey, format: 'der', type: 'spki' });
  assert.ok(verify('sha256', parts.covered, key, parts.signature));
  for (const offset of [0, 20, 24, parts.covered.length - 1]) {
    const flipped = Buffer.from(parts.covered);
    flipped.writeUInt8(flipped.readUInt8(offset) ^ 1, offset);
    assert.equal(verify('sha256', flipped, key, parts.signature), false, `bit at ${offset}`);
  }
});
