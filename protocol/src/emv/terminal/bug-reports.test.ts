/**
 * Public bug reports on kernels, TLV and readers, each restated as the kind of fault it stands for
 * and played to our kernels with bytes of our own. Reports about selection, transport and the
 * interchange are tests beside that code and named there in the same way.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, encodeCommand, encodeTlv, findTlv, flattenTlv } from '../../iso7816/index.ts';
import { answer, TEST_AID, TEST_PAN, type TestCardOptions } from './card.test-kit.ts';
import { cvm, refuses, run } from './case.test-kit.ts';
import { TAP_PDOL, tap } from './tap.test-kit.ts';

/** The plain card with another record 1 of file 1. */
const firstRecord = (record: string, card: TestCardOptions = cvm('1F00')): TestCardOptions => ({
  ...card,
  override: ({ ins, p1, p2 }) =>
    ins === 0xb2 && p2 === 0x0c && p1 === 1 ? answer(record) : undefined,
});
const OBJECTS = '9F080200309F42020156';
const wiresOf = (result: { commands: readonly Parameters<typeof encodeCommand>[0][] }) =>
  result.commands.map((command) => toHex(encodeCommand(command)));
const gpoOf = (wires: readonly string[]) => wires.find((wire) => wire.startsWith('80A8')) ?? '';

test('emv-bertlv #9: a length byte 91 for 145 bytes is card data that cannot be read', () => {
  const record = `7091${OBJECTS}${'00'.repeat(145 - OBJECTS.length / 2)}`;
  refuses('ERR_CARD_DATA', { card: firstRecord(record) });
});

test('ber-tlv #11, BerTlv.NET #1 and #3: filler before, between and after objects is skipped', () => {
  for (const filler of ['00', 'FF', '0000FF']) {
    const inside = `${filler}9F08020030${filler}9F42020156${filler}`;
    const record = toHex(encodeTlv('70', fromHex(inside)));
    const { outcome, tvr } = run({ card: firstRecord(record) });
    assert.equal(tvr, '0000008000', filler);
    assert.equal(toHex(outcome.values.get('9F42') ?? new Uint8Array(0)), '0156');
  }
});

test('node-emv #4 and #7: a nested template of 82-length keeps its last byte', () => {
  const inner = concatBytes(fromHex(OBJECTS), encodeTlv('9F1F', new Uint8Array(300).fill(0x37)));
  const record = toHex(encodeTlv('70', inner));
  assert.match(record, /^7082/);
  const { outcome } = run({ card: firstRecord(record) });
  assert.equal(outcome.values.get('9F1F')?.length, 300);
  assert.equal(outcome.values.get('9F1F')?.at(-1), 0x37);
});

test('Momentum #573: an object longer than its record is refused, the last DOL entry is not', () => {
  for (const overflowing of ['5A20629999', '5730629999', '5F206041', '5A81FF62']) {
    const record = `70${(overflowing.length / 2).toString(16).padStart(2, '0')}${overflowing}`;
    refuses('ERR_CARD_DATA', { card: firstRecord(record) });
  }
  const { commands } = run({ card: { ...cvm('1F00'), pdol: '9F02065F2A02' } });
  const gpo = commands.find(({ ins }) => ins === 0xa8);
  assert.equal(toHex(gpo?.data ?? new Uint8Array(0)), '83080000000012340156');
});

test('python-emv #22: a tag that the PDOL lists twice is sent twice, in its places', () => {
  const { wires } = { wires: wiresOf(run({ card: { ...cvm('1F00'), pdol: '9A035F2A029A03' } })) };
  assert.equal(gpoOf(wires), '80A800000A830826120101562612' + '0100');
});

test('tinkoff-asdk #55: whatever the PDOL asks for, GPO has as many bytes as it says', () => {
  for (const pdol of ['9F6604', '9F3700', 'DF8F7A01', '9F02069F0301', '5F2A03', '9F4E20', '95F0']) {
    const result = run({ card: { ...cvm('1F00'), pdol } });
    const asked = pdol.slice(-2);
    const gpo = result.commands.find(({ ins }) => ins === 0xa8);
    const template = decodeTlv(gpo?.data ?? new Uint8Array(0))[0];
    assert.equal(template?.tag, '83', pdol);
    assert.ok((template?.value.length ?? 0) >= Number.parseInt(asked, 16) % 0x100, pdol);
  }
});

test('openemv 97a1c6f: lists that ask for more than a command carries are refused', () => {
  const long = '9F02FF'.repeat(5);
  refuses('ERR_CARD_DATA', { card: { pdol: long } });
  refuses('ERR_CARD_DATA', { card: { elements: { '8C': long } } });
});

test('proxmark3 #1094 and #171: GPO carries Le, READ RECORD carries no Lc', () => {
  const wires = wiresOf(run({ card: { ...cvm('1F00'), pdol: '9F1A02' } }));
  assert.equal(gpoOf(wires), '80A80000048302015600');
  for (const wire of wires.filter((text) => text.startsWith('00B2'))) {
    assert.match(wire, /^00B2[0-9A-F]{4}00$/);
  }
});

test('py_emv_utils #1: an unknown tag or 9F06 in the PDOL is no reason to stop', () => {
  const { commands, outcome } = run({ card: { ...cvm('1F00'), pdol: '9F0608DF7F02' } });
  const gpo = commands.find(({ ins }) => ins === 0xa8);
  assert.equal(toHex(gpo?.data ?? new Uint8Array(0)), `830A${TEST_AID}0000`);
  assert.equal(outcome.outcome, 'approved');
});

test('O2Xfs #3: INTERNAL AUTHENTICATE answers in format 1 as in format 2', () => {
  assert.equal(run({ card: cvm('1F00') }).outcome.dataAuthentication, 'DDA');
});

test('O2Xfs #4: the PAN in the card certificate is compared without its filler', () => {
  const odd = '629999000000009';
  const elements = { '5A': `${odd}F`, '57': `${odd}D31122010000000000000`, '8E': cvmNone };
  const right = run({ card: { elements, iccPan: odd } });
  assert.equal(right.outcome.dataAuthentication, 'DDA');
  const wrong = run({ card: { elements, iccPan: '629999000000008' } });
  assert.equal(wrong.outcome.dataAuthentication, 'failed');
});
const cvmNone = '00000000000000001F00';

test('proxmark3 #793: signed data are the records and the AIP that 9F4A names, nothing less', () => {
  const forged = run({ card: { ...cvm('1F00'), forged: { '5F25': '250102' } } });
  assert.equal(forged.tvr.slice(0, 2), '08');
  const other = run({ card: { elements: { '8E': cvmNone, '9F4A': '95' } } });
  assert.equal(other.tvr.slice(0, 2), '08');
});

test('proxmark3 #675: an IAD of 32 bytes, CDCVM in 9F6C and an unknown 9F6E are taken', () => {
  const elements = {
    '9F10': `07011703A000020117${'00'.repeat(23)}`,
    '9F6C': '0080',
    '9F69': '01C0C1C2C3008000',
    '9F6E': '207000003030303030',
  };
  const { word, requests } = tap({ card: { elements } });
  assert.deepEqual(word, ['approved', 'issuer:00']);
  const field55 = flattenTlv(decodeTlv(requests[0]?.field55 ?? new Uint8Array(0)));
  assert.equal(field55.get('9F10')?.length, 32);
});

test('NFC-EMV-Reader #2: GPO with all data and no AFL is a whole tap', () => {
  const gpo = tapAnswer({ '94': null });
  const { outcome, wires, phases } = tap({ card: { override: (index) => gpo(index) } });
  assert.equal(wires.length, 3);
  const read = phases.find(({ phase }) => phase === 'readApplicationData');
  assert.deepEqual(read?.facts, { records: 0, type: 'ARQC' });
  assert.equal(outcome.arqc?.type, 'ARQC');
});

/** A GPO answer of a card that gives no signature. */
function tapAnswer(change: Readonly<Record<string, string | null>>) {
  const objects: Readonly<Record<string, string | null>> = {
    ...{ '82': '7C00', '94': '20010501', '9F36': '0006', '5F34': '01', '9F6C': '0000' },
    '57': `${TEST_PAN}D31122010000000000000F`,
    '9F10': '07011703A0000201',
    '9F26': '1111111111111111',
    ...change,
  };
  const parts = Object.entries(objects).map(([tag, value]) =>
    value === null ? new Uint8Array(0) : encodeTlv(tag, fromHex(value)),
  );
  const all = answer(toHex(encodeTlv('77', concatBytes(...parts))));
  return (index: number) => (index === 2 ? all : undefined);
}

test('stripe-android #13667: AIP and AFL in template 80 are taken from a contact card', () => {
  const { wires } = { wires: wiresOf(run({ card: cvm('1F00') })) };
  assert.ok(wires.filter((wire) => wire.startsWith('00B2')).length >= 7);
});

test('proxmark3 #3171: no record is read beyond those that the AFL names', () => {
  const { wires } = tap();
  const read = wires.filter((wire) => wire.startsWith('00B2')).map((wire) => wire.slice(4, 8));
  assert.deepEqual(read, ['0124', '0224', '0324', '0424', '0524']);
});

test('EMV-NFC #5: a card that refuses country or currency ends as not accepted, with its word', () => {
  for (const statusWord of [0x6985, 0x6984, 0x6a80, 0x6283]) {
    const { outcome } = run({
      card: { override: ({ ins }) => (ins === 0xa8 ? answer('', statusWord) : undefined) },
    });
    assert.equal(outcome.outcome, 'notAccepted');
    assert.equal(outcome.online, 'notSent');
  }
});

test('jPOS #449: a PAN of 14 digits and its track 2 go to the issuer as they are', () => {
  const pan = '62999900000009';
  const elements = { '5A': pan, '57': `${pan}D3112201000000`, '8E': cvmNone };
  const { requests } = run({ card: { elements, iccPan: pan } });
  assert.equal(requests[0]?.pan.expose(), pan);
  assert.equal(requests[0]?.track2?.expose(), `${pan}D3112201000000`);
});

test('openemv 75941d2: filler of track 2 is no part of it, whatever its length', () => {
  for (const discretionary of ['0', '00', '123', '1234']) {
    const track = `${TEST_PAN}D3112201${discretionary}`;
    const elements = { '57': track.length % 2 === 0 ? track : `${track}F`, '8E': cvmNone };
    assert.equal(run({ card: { elements } }).requests[0]?.track2?.expose(), track);
  }
});

test('openemv 407a7c1: an AID of another length than 5 to 16 bytes is no candidate', () => {
  const entry = (aid: string) => encodeTlv('61', encodeTlv('4F', fromHex(aid)));
  const record = toHex(
    encodeTlv('70', concatBytes(entry('A0000003'), entry(`${TEST_AID}${'00'.repeat(9)}`))),
  );
  const { outcome, commands } = run({
    card: {
      ...cvm('1F00'),
      override: ({ ins, p2, data }) => {
        if (ins === 0xa4 && toHex(data ?? new Uint8Array(0)).startsWith('315041')) {
          return answer('6F15840E315041592E5359532E4444463031A503880107');
        }
        return ins === 0xb2 && p2 >> 3 === 7 ? answer(record, 0x9000) : undefined;
      },
    },
  });
  assert.equal(outcome.outcome, 'approved');
  const selected = commands.filter(({ ins }) => ins === 0xa4).map(({ data }) => data?.length);
  assert.ok(selected.every((length) => length === 14 || length === 8));
});

test('a Java card that answers 6984 or 6999 to an unknown AID is asked for the next one', () => {
  for (const statusWord of [0x6984, 0x6999, 0x6a82, 0x6f00]) {
    const { outcome } = run({
      card: {
        ...cvm('1F00'),
        override: ({ ins, data }) =>
          ins === 0xa4 && toHex(data ?? new Uint8Array(0)) !== TEST_AID
            ? answer('', statusWord)
            : undefined,
      },
    });
    assert.equal(outcome.outcome, 'approved', statusWord.toString(16));
  }
});

test('a failed DDA is TVR 08 in byte 1 and the transaction goes on to the issuer', () => {
  const { tvr, requested, outcome } = run({
    card: { ...cvm('1F00'), signature: (bytes) => bytes.map((value) => value ^ 1) },
  });
  assert.equal(tvr, '0800008000');
  assert.equal(requested, 0x80);
  assert.equal(outcome.online, 'answered');
});

test('dates: 49 is 2049 and 50 is 1950 (EMV 4.3 B4 §6.7.3)', () => {
  const at = (dateYymmdd: string, expiry: string) =>
    run({
      card: {
        elements: { '5F24': expiry, '5F25': '500101', '8E': cvmNone },
        iccExpiryMmyy: '1249',
        issuerExpiryMmyy: '1249',
      },
      change: { input: { dateYymmdd }, terminal: { caPublicKeys: { find: () => undefined } } },
    }).tvr.slice(2, 4);
  assert.equal(at('491231', '491231'), '00');
  assert.equal(at('491231', '500101'), '40');
});

test('a currency exponent that differs from the card’s changes neither amount nor field 55', () => {
  const { requests } = run({
    card: firstRecord(toHex(encodeTlv('70', fromHex(`${OBJECTS}9F440100`)))),
  });
  const field55 = decodeTlv(requests[0]?.field55 ?? new Uint8Array(0));
  assert.equal(toHex(findTlv(field55, '9F02')?.value ?? new Uint8Array(0)), '000000001234');
});

test('a PDOL of a tap that asks a tag twice is answered in its places', () => {
  const gpo = (command: { readonly data?: Uint8Array }) => toHex(command.data ?? new Uint8Array(0));
  let sent = '';
  tap({
    card: {
      pdol: `${TAP_PDOL}9A03`,
      override: (index, command) => {
        if (index !== 2) return undefined;
        sent = gpo(command);
        return tapAnswer({ '94': null })(2);
      },
    },
  });
  assert.match(sent, /^8324/);
  assert.ok(sent.endsWith('261201'));
});
