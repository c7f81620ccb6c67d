/** A recording names nobody, keeps every length, and replays as the same card. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, concatBytes, fromHex, Pan, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, encodeTlv } from '@tapnpay/protocol/iso7816';
import fc from 'fast-check';
import { scriptedReader } from './readers/index.ts';
import { parseRecording, recordingScript, SessionRecorder } from './recording.ts';
import { maskExchanges, sandboxPan } from './recording-mask.ts';

const PAN = '6210948000000011';
const NAME = toHex(asciiToBytes('ZHANG/SAN'));
const tlv = (tag: string, hex: string) => encodeTlv(tag, fromHex(hex));
const answer = (template: string, ...objects: Uint8Array[]) =>
  `${toHex(encodeTlv(template, concatBytes(...objects)))}9000`;
const READ = '00B2011400';
const RECORD = answer(
  '70',
  tlv('5A', PAN),
  tlv('57', `${PAN}D31122201234567F`),
  tlv('5F20', NAME),
  tlv('9F1F', toHex(asciiToBytes('123456'))),
  tlv('9F46', 'AB'.repeat(144)),
  tlv('9F61', toHex(asciiToBytes('110101199001011234'))),
  tlv('5F24', '311231'),
);
const [SANDBOX] = [sandboxPan(16, 0)];

/** Every form in which a number could be found in the text. */
function leaks(text: string): readonly string[] {
  const forms = [PAN, toHex(asciiToBytes(PAN)), NAME, '201234567', '110101199001011234'];
  return forms.filter((form) => text.includes(form));
}

test('PAN, track 2, name and identity number are replaced, lengths and the rest stay', () => {
  assert.notDeepEqual(leaks(RECORD), [], 'the detector sees the clear record');
  const [masked] = maskExchanges([{ command: READ, response: RECORD }]);
  assert.ok(masked?.response);
  assert.deepEqual(leaks(masked.response), []);
  assert.equal(masked.response.length, RECORD.length);
  const objects = decodeTlv(fromHex(masked.response.slice(0, -4)))[0]?.children ?? [];
  const values = Object.fromEntries(objects.map(({ tag, value }) => [tag, toHex(value)]));
  assert.equal(values['5A'], SANDBOX);
  assert.equal(values['57'], `${SANDBOX}D31122200000000F`);
  assert.equal(values['5F20'], '58'.repeat(9));
  assert.equal(values['5F24'], '311231');
  assert.equal(values['9F46'], '00'.repeat(144));
});

test('sandbox PANs have the length of the real one and a valid check digit (ISO 7812)', () => {
  for (let digits = 12; digits <= 19; digits++) {
    for (const index of [0, 1, 9]) {
      const pan = sandboxPan(digits, index);
      assert.equal(pan.length, digits);
      assert.equal(Pan(pan).slice(0, 6), '629999');
    }
  }
});

test('one PAN is one sandbox PAN wherever it stands; two stay two', () => {
  const other = '6228480402564890018';
  const exchanges = maskExchanges([
    // Found by its digits before any object named it, in a command and at an odd half byte too.
    { command: `80CA00000A0${PAN}F00`, response: '9000' },
    { command: READ, response: answer('70', tlv('5A', PAN)) },
    { command: READ, response: answer('77', tlv('57', `${PAN}D3112220`)) },
    { command: READ, response: answer('70', tlv('5A', `${other}F`)) },
    { command: '80CA000000', response: `DF0210${toHex(asciiToBytes(PAN))}9000` },
  ]);
  const text = JSON.stringify(exchanges);
  assert.equal(text.includes(PAN) || text.includes(other), false);
  assert.equal(exchanges[0]?.command, `80CA00000A0${SANDBOX}F00`);
  assert.ok(exchanges[2]?.response?.includes(`${SANDBOX}D3112220`));
  assert.ok(exchanges[3]?.response?.includes(`${sandboxPan(19, 1)}F`));
  assert.ok(exchanges[4]?.response?.includes(toHex(asciiToBytes(SANDBOX))));
});

test('PIN data of VERIFY and PIN CHANGE are zeros, also enciphered', () => {
  const [verify, change, select] = maskExchanges([
    { command: '00200080082412345FFFFFFFFF', response: '9000' },
    { command: `84240002${'10'}${'A5'.repeat(16)}`, response: '9000' },
    { command: '00A4040007A0000003330101', response: '6A82' },
  ]);
  assert.equal(verify?.command, `0020008008${'0'.repeat(16)}`);
  assert.equal(change?.command, `8424000210${'0'.repeat(32)}`);
  assert.equal(select?.command, '00A4040007A0000003330101');
});

test('an account that cannot be parsed is hidden whole, by GET RESPONSE too', () => {
  for (const command of [READ, '80A8000002830000', '00C0000020']) {
    const [masked] = maskExchanges([{ command, response: `5A20${PAN}9000` }]);
    assert.equal(masked?.response, `${'0'.repeat(20)}9000`);
  }
  const [odd] = maskExchanges([{ command: READ, response: answer('70', tlv('57', `${PAN}AB`)) }]);
  assert.equal(odd?.response, `700B5709${'0'.repeat(18)}9000`);
  const [short] = maskExchanges([{ command: READ, response: answer('70', tlv('5A', '0000')) }]);
  assert.equal(short?.response, '70045A0200009000', 'two zeros are no PAN to look for');
});

async function recordOne(): Promise<SessionRecorder> {
  const reader = scriptedReader({
    interface: 'contact',
    steps: [
      { command: READ, response: RECORD },
      { command: '00B2021400', response: '6A83' },
      { command: '00B2031400', fault: 'ERR_CARD_TRANSPORT' },
    ],
  });
  const recorder = new SessionRecorder();
  const session = recorder.record(await reader.connect());
  await session.transmit(fromHex(READ));
  await session.exclusively((card) => card.transmit(fromHex('00B2021400')));
  await assert.rejects(session.transmit(fromHex('00B2031400')), { code: 'ERR_CARD_TRANSPORT' });
  return recorder;
}

test('a recording is masked, says so, and replays exchange by exchange', async () => {
  const text = (await recordOne()).text({ mode: 'masked' });
  assert.deepEqual(leaks(text), []);
  const recording = parseRecording(text);
  assert.deepEqual(
    [recording.header.masked, recording.header.certificatesVerify, recording.header.interface],
    [true, false, 'contact'],
  );
  const session = await scriptedReader(recordingScript(recording)).connect();
  assert.equal(toHex(session.atr), recording.header.atr);
  const first = await session.transmit(fromHex(READ));
  assert.equal(toHex(first).includes(SANDBOX), true);
  await assert.rejects(session.transmit(fromHex(READ)), { code: 'ERR_CARD_SCRIPT' });
  assert.equal(toHex(await session.transmit(fromHex('00B2021400'))), '6A83');
  await assert.rejects(session.transmit(fromHex('00B2031400')), { code: 'ERR_CARD_TRANSPORT' });
});

test('unmasked, when asked for, it is the session to the byte, and says so', async () => {
  const recording = parseRecording((await recordOne()).text({ mode: 'unmasked' }));
  assert.deepEqual([recording.header.masked, recording.header.certificatesVerify], [false, true]);
  assert.deepEqual(recording.exchanges[0], { command: READ, response: RECORD });
});

test('what is no recording is refused with its line', async () => {
  const text = (await recordOne()).text({ mode: 'masked' });
  const [header = '', ...lines] = text.split('\n');
  const refused = (candidate: string, line?: number) =>
    assert.throws(
      () => parseRecording(candidate),
      (fault: unknown) =>
        fault instanceof Error &&
        'code' in fault &&
        fault.code === 'ERR_READER_RECORDING' &&
        (line === undefined || (fault as unknown as { data: { line: number } }).data.line === line),
    );
  refused('', 1);
  refused('null', 1);
  refused(lines.join('\n'), 1);
  refused(header.replace('"version":1', '"version":2'), 1);
  refused(header.replace(/"atr":"[^"]*"/, '"atr":"3"'), 1);
  refused(`${header}\n{"command":"00"}`, 2);
  refused(`${header}\n{"command":"0","response":"9000"}`, 2);
  refused(`${header}\n${lines[0]}\n{"command":"00","fault":"no"}`, 3);
  refused(`${header}\n{`, 2);
  assert.throws(() => new SessionRecorder().text({ mode: 'masked' }), {
    code: 'ERR_READER_RECORDING',
  });
});

test('whatever a card answers, masking keeps lengths and throws nothing', () => {
  const hex = fc.uint8Array({ minLength: 2, maxLength: 80 }).map(toHex);
  const command = fc.uint8Array({ minLength: 4, maxLength: 30 }).map(toHex);
  fc.assert(
    fc.property(fc.array(fc.record({ command, response: hex }), { maxLength: 5 }), (exchanges) => {
      const masked = maskExchanges(exchanges);
      assert.deepEqual(
        masked.map((one) => [one.command.length, one.response?.length]),
        exchanges.map((one) => [one.command.length, one.response.length]),
      );
    }),
  );
});
