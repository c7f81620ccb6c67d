/**
 * Shows data groupings and STORE DATA blocks: the table, both length forms, records and the one
 * file that has none, packing into commands and taking them apart, every fault with its offset.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, fromHex, TapError, toHex } from '../../bytes/index.ts';
import { decodeCommand, encodeCommand } from '../../iso7816/index.ts';
import * as data from './index.ts';

const fault =
  (code: string, offsetBytes?: number) =>
  (thrown: unknown): boolean =>
    thrown instanceof TapError &&
    thrown.code === code &&
    thrown.data['offsetBytes'] === offsetBytes;

const decode = (hex: string) => data.decodeDgis(fromHex(hex));

test('a grouping is id, length in one byte and value; from 255 bytes FF and two (EMV CPS §4.2)', () => {
  assert.equal(toHex(data.encodeDgi({ id: '9010', value: fromHex('0303') })), '9010020303');
  const short = { id: '0201', value: new Uint8Array(254).fill(0x70) };
  assert.equal(toHex(data.encodeDgi(short).slice(0, 4)), '0201FE70');
  const long = { id: '0201', value: new Uint8Array(255).fill(0x70) };
  assert.equal(toHex(data.encodeDgi(long).slice(0, 6)), '0201FF00FF70');
  assert.deepEqual(data.decodeDgis(concatBytes(data.encodeDgi(short), data.encodeDgi(long))), [
    short,
    long,
  ]);
});

test('an empty value is a grouping, no bytes are none', () => {
  assert.deepEqual(decode('0D0100'), [{ id: '0D01', value: new Uint8Array(0) }]);
  assert.deepEqual(decode(''), []);
});

for (const [what, hex, code, offsetBytes] of [
  ['the long form for a short value', '0D01FF000100', 'ERR_DGI_LENGTH', 2],
  ['the long form for 254 bytes', `0D01FF00FE${'00'.repeat(254)}`, 'ERR_DGI_LENGTH', 2],
  ['more than the most bytes', '9010020303 0D01FF0401'.replace(' ', ''), 'ERR_DGI_LENGTH', 7],
  ['an id that is cut', '90100203030D', 'ERR_DGI_CUT', 5],
  ['a length that is cut', '0D01FF01', 'ERR_DGI_CUT', 0],
  ['a value that is cut', '0D0102AA', 'ERR_DGI_CUT', 0],
  ['too many groupings', '0D0100'.repeat(513), 'ERR_DGI_COUNT', 3 * 512],
] as const) {
  test(`the decoder refuses ${what}`, () => {
    assert.throws(() => decode(hex), fault(code, offsetBytes));
  });
}

test('the encoder refuses what no grouping is', () => {
  const value = new Uint8Array(0);
  for (const id of ['', '0D0', '0d01', '0D01F']) {
    assert.throws(() => data.encodeDgi({ id, value }), fault('ERR_DGI_ID'));
  }
  const long = { id: '0D01', value: new Uint8Array(1025) };
  assert.throws(() => data.encodeDgi(long), fault('ERR_DGI_LENGTH'));
});

test('records are named by file and record; file 13 holds internal data instead', () => {
  assert.equal(data.recordDgi(1, 1), '0101');
  assert.equal(data.recordDgi(30, 255), '1EFF');
  for (const id of ['0101', '0CFF', '0E01', '1E01']) assert.ok(data.isRecordDgi(id), id);
  for (const id of ['0001', '0100', '0D01', '0D02', '1F01', '8000', '9102', '01', '01010']) {
    assert.equal(data.isRecordDgi(id), false, id);
  }
  for (const [sfi, record] of [
    [0, 1],
    [13, 1],
    [31, 1],
    [1, 0],
    [257, 1],
    [1, 257],
  ] as const) {
    assert.throws(() => data.recordDgi(sfi, record), fault('ERR_DGI_ID'));
  }
});

test('the table: keys and PIN are secret, moduli and check values are not; names in both languages', () => {
  const secret = [...data.DGI_TABLE.values()].filter(({ isSecret }) => isSecret);
  assert.deepEqual(
    secret.map(({ id }) => id),
    ['8000', '8001', '8010', '8101', '8111', '8401'],
  );
  for (const { id, nameEn, nameZh } of data.DGI_TABLE.values()) {
    assert.match(id, /^[0-9A-F]{4}$/);
    assert.ok(nameEn.length > 3 && /[\u4e00-\u9fff]/.test(nameZh), id);
  }
  assert.equal(data.DGI_TABLE.get('8000')?.lengthBytes, 48);
  assert.equal(data.isSecretDgi('0101'), false);
});

const dgi = fc.record(
  {
    id: fc.integer({ min: 0, max: 0xffff }).map((id) => toHex(Uint8Array.of(id >> 8, id & 255))),
    value: fc.uint8Array({ maxLength: 600 }),
  },
  { noNullPrototype: true },
);

test('decode of encode is the same groupings; any bytes end in groupings or a coded error', () => {
  fc.assert(
    fc.property(fc.array(dgi, { maxLength: 8 }), (dgis) => {
      assert.deepEqual(data.decodeDgis(concatBytes(...dgis.map(data.encodeDgi))), dgis);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      try {
        assert.deepEqual(concatBytes(...data.decodeDgis(bytes).map(data.encodeDgi)), bytes);
      } catch (thrown) {
        if (!(thrown instanceof data.EmvDataError)) throw thrown;
      }
    }),
  );
});

/** All groupings of commands, taken one after the other. */
function accepted(commands: readonly Uint8Array[]): readonly data.Dgi[] {
  const found: data.Dgi[] = [];
  let progress = data.STORE_DATA_START;
  for (const command of commands) {
    const taken = data.acceptStoreData(progress, data.decodeStoreData(decodeCommand(command)));
    progress = taken.progress;
    found.push(...taken.dgis);
  }
  return found;
}

test('commands: at most 255 bytes, counted from 0, the last one marked (GPCS §11.11.2)', () => {
  const dgis = [60, 100, 90, 254, 600].map((length, index) => ({
    id: `020${index + 1}`,
    value: new Uint8Array(length).fill(index),
  }));
  const commands = data.storeDataCommands([
    { dgis: [{ id: '8000', value: new Uint8Array(48) }], isEnciphered: true },
    { dgis, isEnciphered: false },
  ]);
  assert.deepEqual(
    commands.map(({ p1, p2, data: bytes }) => [p1, p2, bytes?.length]),
    [
      [0x68, 0, 51],
      [0x08, 1, 166],
      [0x08, 2, 93],
      [0x08, 3, 255],
      [0x08, 4, 2],
      [0x08, 5, 255],
      [0x08, 6, 255],
      [0x88, 7, 95],
    ],
  );
  assert.deepEqual(accepted(commands.map(encodeCommand)).slice(1), dgis);
});

test('what is stored comes out again, whatever its sizes', () => {
  fc.assert(
    fc.property(fc.array(dgi, { minLength: 1, maxLength: 12 }), (dgis) => {
      const commands = data.storeDataCommands([{ dgis, isEnciphered: false }]);
      assert.deepEqual(accepted(commands.map(encodeCommand)), dgis);
    }),
  );
});

test('nothing to store, or more than 256 commands, is refused', () => {
  assert.throws(() => data.storeDataCommands([]), fault('ERR_STORE_DATA'));
  const dgis = Array.from({ length: 257 }, () => ({ id: '0201', value: new Uint8Array(250) }));
  const group = { dgis, isEnciphered: false };
  assert.throws(() => data.storeDataCommands([group]), fault('ERR_STORE_DATA'));
});

for (const [what, hex, offsetBytes] of [
  ['another class', '84E2880003010100', 0],
  ['another instruction', '80E4880003010100', 1],
  ['no structure', '80E2800003010100', 2],
  ['a BER-TLV structure', '80E2900003010100', 2],
  ['encryption that depends on the application', '80E2A80003010100', 2],
  ['reserved bits', '80E2890003010100', 2],
  ['no data', '80E28800', 4],
] as const) {
  test(`a STORE DATA command with ${what} is refused`, () => {
    const command = decodeCommand(fromHex(hex));
    assert.throws(() => data.decodeStoreData(command), fault('ERR_STORE_DATA', offsetBytes));
  });
}

for (const [what, hexes, code, offsetBytes] of [
  ['a block left out', ['80E2080003010100', '80E2880203010200'], 'ERR_STORE_DATA', 3],
  ['a first block that is not 0', ['80E2880103010100'], 'ERR_STORE_DATA', 3],
  ['a grouping half enciphered', ['80E20800040101 02AA', '80E2E80101BB'], 'ERR_STORE_DATA', 2],
  ['an end in the middle', ['80E2880004010102AA'], 'ERR_STORE_DATA', 4],
  ['a wrong length', ['80E288000 50101FF0001'], 'ERR_DGI_LENGTH', 2],
] as const) {
  test(`a card refuses ${what}`, () => {
    const commands = hexes.map((hex) => fromHex(hex.replace(' ', '')));
    assert.throws(() => accepted(commands), fault(code, offsetBytes));
  });
}
