/**
 * Templates of the card, answers to INITIALIZE UPDATE and chained C-MACs against published bytes;
 * the sessions themselves are vectors (vectors/globalplatform). Each wrong form has its code.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import {
  decodeCardRecognition,
  decodeCplc,
  decodeInitializeUpdate,
  decodeKeyInformation,
  keyTypeName,
  objectIdentifierText,
  scp02SessionKey,
  scp02WrapMac,
  scp03WrapMac,
} from './index.ts';

const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof TapError && thrown.code === wanted;

test('an SCP02 answer has counter and a 6-byte challenge (GPCS 2.3.1 §E.5.1)', () => {
  const answer = decodeInitializeUpdate(
    fromHex('00003266201710208650 FF02 0019 051296110E96 65CAA9C7C9B8233B'),
  );
  assert.equal(answer.keyVersionNumber, 0xff);
  assert.equal(answer.secureChannelProtocol, 2);
  assert.equal(toHex(answer.sequenceCounter ?? new Uint8Array()), '0019');
  assert.equal(toHex(answer.cardChallenge), '051296110E96');
  assert.equal(answer.parameterI, null);
});

test('an SCP03 answer has parameter i; the counter only with pseudo-random challenges', () => {
  const text = '00000000000000000000 30 03 70 3B1ACA81E821F219 081CDC01C26B372D 000003';
  const long = decodeInitializeUpdate(fromHex(text));
  assert.equal(long.parameterI, 0x70);
  assert.equal(toHex(long.sequenceCounter ?? new Uint8Array()), '000003');
  assert.equal(decodeInitializeUpdate(fromHex(text.slice(0, -7))).sequenceCounter, null);
});

test('an answer of a wrong length or an unknown protocol has its code', () => {
  assert.throws(() => decodeInitializeUpdate(new Uint8Array(27)), code('ERR_GP_LENGTH'));
  const unknown = new Uint8Array(28).fill(9);
  assert.throws(() => decodeInitializeUpdate(unknown), code('ERR_GP_FORMAT'));
  const scp03 = new Uint8Array(28);
  scp03[11] = 3;
  assert.throws(() => decodeInitializeUpdate(scp03), code('ERR_GP_LENGTH'));
});

test('C-MACs of SCP02 are chained through the enciphered MAC before (§E.3.4)', () => {
  const sessionMac = scp02SessionKey(
    fromHex('101102030405060708090A0B0C0D0E0F'),
    'commandMac',
    fromHex('0001'),
  );
  let previous: Uint8Array = fromHex('EBECE14C7D6A4376');
  const expected: readonly (readonly [string, string, string])[] = [
    ['80F22002', '', '84F220020814DB34FA4341DCA8'],
    ['80CA0066', '', '84CA00660855ED7C5FF069512B'],
    ['80F22002', '4F0212345C054F9F70C5', '84F22002124F0212345C054F9F70C58FC1B380C4228AF8'],
    ['80F28002', '4F00', '84F280020A4F003B95F09317DE6A4E'],
  ];
  for (const [header, data, wrapped] of expected) {
    const command = { header: fromHex(header), data: fromHex(data) };
    const made = scp02WrapMac(sessionMac, command, previous);
    assert.equal(toHex(made.command), wrapped);
    previous = made.mac;
  }
});

test('a command that has no room for its MAC is refused in both protocols', () => {
  const command = { header: new Uint8Array(4), data: new Uint8Array(250) };
  const key = new Uint8Array(16);
  assert.throws(() => scp02WrapMac(key, command, null), code('ERR_GP_LENGTH'));
  const chain = { value: null, macBytes: 8 } as const;
  assert.throws(() => scp03WrapMac(nodeCiphers, key, command, chain), code('ERR_GP_LENGTH'));
});

test('a key information template lists its keys (GPCS 2.3.1 §11.3.3.1)', () => {
  const keys = decodeKeyInformation(
    fromHex('E024C00401018010C00402018010C00403018010C00401038010C00402038010C00403038010'),
  );
  assert.deepEqual(
    keys.map(({ keyVersionNumber, keyIdentifier }) => [keyVersionNumber, keyIdentifier]),
    [
      [1, 1],
      [1, 2],
      [1, 3],
      [3, 1],
      [3, 2],
      [3, 3],
    ],
  );
  assert.deepEqual(keys[0]?.components, [{ type: 0x80, lengthBytes: 16 }]);
  assert.equal(keyTypeName(0x80), 'DES');
  assert.equal(keyTypeName(0x01), null);
});

test('a key of two components and one in extended form are read', () => {
  const [rsa] = decodeKeyInformation(fromHex('E008C0060171A180A003'));
  assert.deepEqual(rsa?.components, [
    { type: 0xa1, lengthBytes: 128 },
    { type: 0xa0, lengthBytes: 3 },
  ]);
  const [extended] = decodeKeyInformation(fromHex('E00CC00A0130FF8800100118010C'));
  assert.deepEqual(extended?.components, [{ type: 0x88, lengthBytes: 16 }]);
});

test('a cut key information is refused with its place', () => {
  assert.throws(() => decodeKeyInformation(fromHex('E005C003010180')), code('ERR_GP_FORMAT'));
  assert.throws(() => decodeKeyInformation(fromHex('E007C0050101801081')), code('ERR_GP_FORMAT'));
});

test('card recognition data says GlobalPlatform version and secure channel (§H.2)', () => {
  const card = decodeCardRecognition(
    fromHex(
      '6631732F06072A864886FC6B01600C060A2A864886FC6B02020101' +
        '630906072A864886FC6B03640B06092A864886FC6B040215',
    ),
  );
  assert.equal(card.objectIdentifier, '1.2.840.114283.1');
  assert.equal(card.isGlobalPlatform, true);
  assert.equal(card.globalPlatformVersion, '2.1.1');
  assert.deepEqual(card.secureChannels, [{ protocol: 2, parameterI: 0x15 }]);
  assert.equal(card.identificationScheme, '1.2.840.114283.3');
  assert.equal(card.cardDetails, null);
});

test('object identifiers: large first arcs are read, unended and endless arcs refused', () => {
  assert.equal(objectIdentifierText(fromHex('8837')), '2.999');
  assert.throws(() => objectIdentifierText(fromHex('2A86')), code('ERR_GP_FORMAT'));
  assert.throws(() => objectIdentifierText(new Uint8Array()), code('ERR_GP_FORMAT'));
  assert.throws(() => objectIdentifierText(new Uint8Array(9).fill(0xff)), code('ERR_GP_FORMAT'));
});

test('CPLC has 18 fields; a date that is none stays raw', () => {
  const bytes = new Uint8Array(42);
  bytes.set(fromHex('4790 5168 4791 7114 0000 1299 FFFFFFFF'));
  const fields = decodeCplc(bytes);
  assert.equal(fields.length, 18);
  assert.deepEqual(fields[3], {
    name: 'operatingSystemReleaseDate',
    offsetBytes: 6,
    value: '7114',
    date: { yearDigit: 7, dayOfYear: 114 },
  });
  assert.deepEqual(fields[5]?.date, { yearDigit: 1, dayOfYear: 299 });
  assert.equal(fields[9]?.date, null);
  bytes.set(fromHex('FFFF'), 10);
  assert.equal(decodeCplc(bytes)[5]?.date, null);
  assert.throws(() => decodeCplc(new Uint8Array(41)), code('ERR_GP_LENGTH'));
});
