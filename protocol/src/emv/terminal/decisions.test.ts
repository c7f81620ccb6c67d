/**
 * From the card's data to the first cryptogram: reading, restrictions, risk management,
 * action analysis. Every case states the exact TVR.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, fromHex, type Secret, toHex } from '../../bytes/index.ts';
import { answer, TEST_PAN, type TestCardOptions } from './card.test-kit.ts';
import { type Change, cvm, quiet, refuses, run } from './case.test-kit.ts';

test('a plain card at a terminal above its floor limit: only that bit, and ARQC', () => {
  const { tvr, tsi, requested, cvm: results } = run({ card: cvm('1F00') });
  assert.deepEqual(
    { tvr, tsi, requested, results },
    {
      tvr: '0000008000',
      tsi: 'C800',
      requested: 0x80,
      results: '1F0002',
    },
  );
});

test('EMV 4.3 B3 §7.2: a mandatory object that is missing ends the transaction', () => {
  for (const tag of ['5A', '5F24', '8C', '8D']) {
    refuses('ERR_CARD_MISSING_DATA', { card: { elements: { [tag]: null } } });
  }
});

test('EMV 4.3 B3 §10.2: an object given twice ends the transaction', () => {
  const twice = (data: string): TestCardOptions => ({
    override: ({ ins, p2, p1 }) =>
      ins === 0xb2 && p2 === 0x0c && p1 === 1 ? answer(data) : undefined,
  });
  refuses('ERR_CARD_REDUNDANT_DATA', { card: twice('700A9F080200309F08020030') });
  refuses('ERR_CARD_REDUNDANT_DATA', { card: twice('70065F2403311231') });
  refuses('ERR_CARD_REDUNDANT_DATA', { card: twice('700482027C00') });
  // Not the card's to give, or unknown: ignored, however often.
  assert.equal(run({ card: twice('70129F02060000000000019F0206000000000002') }).requested, 0x80);
});

test('a card cannot write amount, TVR or response code through its records', () => {
  const forged = '9F02060000000000019505FFFFFFFFFF8A0230309F370400000000';
  const card: TestCardOptions = {
    ...cvm('1F00'),
    override: ({ ins, p2, p1 }) =>
      ins === 0xb2 && p2 === 0x0c && p1 === 1
        ? answer(`70${(forged.length / 2).toString(16)}${forged}`)
        : undefined,
  };
  const { requests, tvr } = run({ card });
  assert.equal(tvr, '0000008000');
  assert.equal(toHex(requests[0]?.values.get('9F02') ?? new Uint8Array(0)), '000000001234');
});

test('FF and 00 filler in a record is skipped, and hashed where it is signed', () => {
  // evsinev/ber-tlv #11.
  const card: TestCardOptions = {
    ...cvm('1F00'),
    override: ({ ins, p2, p1 }) =>
      ins === 0xb2 && p2 === 0x0c && p1 === 1
        ? answer('700D9F08020030FFFFFF9F42020156')
        : undefined,
  };
  assert.equal(run({ card }).tvr, '0000008000');
});

test('records: wrong status, no template, broken TLV', () => {
  const at = (response: ReturnType<typeof answer>, sfi = 1): TestCardOptions => ({
    override: ({ ins, p2 }) => (ins === 0xb2 && p2 >> 3 === sfi ? response : undefined),
  });
  refuses('ERR_CARD_STATUS', { card: at(answer('', 0x6a83)) });
  refuses('ERR_CARD_DATA', { card: at(answer('')) });
  refuses('ERR_CARD_DATA', { card: at(answer('7105')) });
  refuses('ERR_CARD_DATA', { card: at(answer('7005')) });
  refuses('ERR_CARD_DATA', { card: at(answer('70035A20FF')) });
});

test('EMV 4.3 B3 §7.1, §10.3: files above 10 need no template, but signed ones do', () => {
  const options = (afl: string): TestCardOptions => ({
    ...cvm('1F00'),
    override: ({ ins, p2 }) => {
      if (ins === 0xa8)
        return answer(`80${(2 + afl.length / 2).toString(16).padStart(2, '0')}7C00${afl}`);
      return ins === 0xb2 && p2 >> 3 === 11 ? answer('0102030405') : undefined;
    },
  });
  const base = '080101001001020118010400';
  assert.equal(run({ card: options(`${base}58010100`) }).tvr, '0000008000');
  const signed = run({ card: options(`${base}58010101`) });
  assert.equal(signed.tvr, '0800008000');
  assert.equal(signed.outcome.dataAuthentication, 'failed');
});

test('EMV 4.3 B3 §7.1: what only looks like a template in a proprietary file is passed over', () => {
  const card = (record: string): TestCardOptions => ({
    ...cvm('1F00'),
    override: ({ ins, p2 }) => {
      if (ins === 0xa8) return answer('80127C0008010100100102011801040058010100');
      return ins === 0xb2 && p2 >> 3 === 11 ? answer(record) : undefined;
    },
  });
  for (const record of ['7005', '70039F0820', '70', '7080', '7003010203']) {
    assert.equal(run({ card: card(record) }).tvr, '0000008000', record);
  }
});

test('EMV 4.3 B3 §10.4.1: versions that differ are 80 in byte 2, none on the card is fine', () => {
  assert.equal(run({ card: { elements: { '9F08': '0020' } }, change: quiet }).tvr, '0080040000');
  assert.equal(run({ card: { elements: { '9F08': null } }, change: quiet }).tvr, '0000040000');
  refuses('ERR_CARD_DATA', { card: { elements: { '9F08': '30' } } });
});

test('EMV 4.3 B3 §10.4.3: expiry and effective date, both days included', () => {
  const at = (dateYymmdd: string, elements: Record<string, string> = {}): string =>
    run({
      card: { elements: { '8E': '00000000000000001F00', ...elements } },
      change: { ...quiet, input: { dateYymmdd } },
    }).tvr;
  assert.equal(at('311231'), '0000000000');
  assert.equal(at('270101', { '5F24': '261231' }), '0040000000');
  assert.equal(at('250101'), '0000000000');
  assert.equal(at('241231'), '0020000000');
  // B4 §6.7.3: 50 to 99 are 19xx.
  assert.equal(at('261201', { '5F25': '991231' }), '0000000000');
  assert.equal(at('261201', { '5F24': '501231' }), '0040000000');
  for (const date of ['261301', '260100', '26AB01']) {
    refuses('ERR_CARD_DATA', { card: { elements: { '5F24': date } } });
  }
});

test('EMV 4.3 B3 §10.4.2: usage control by place, country and kind of transaction', () => {
  const lenient = { aid: { ...quiet.aid, tacDenial: fromHex('0000000000') } };
  const at = (control: string, change: Change = {}, country = '0156'): string =>
    run({
      card: {
        elements: {
          '9F07': control,
          '5F28': country,
          '8E': '00000000000000001F00',
          '9F0E': '0000000000',
        },
      },
      change: { ...lenient, ...change },
    }).tvr;
  const denied = '0010000000';
  const fine = '0000000000';
  assert.equal(at('FF00'), fine);
  assert.equal(at('FE00'), denied);
  assert.equal(at('2100'), fine);
  assert.equal(at('0900'), fine);
  assert.equal(at('1500'), denied);
  assert.equal(at('1100', {}, '0036'), fine);
  assert.equal(at('2900', {}, '0036'), denied);
  assert.equal(at('7F00', { input: { transactionType: 0x01 } }), denied);
  assert.equal(at('8100', { input: { transactionType: 0x01 } }), fine);
  assert.equal(at('FF00', { input: { transactionType: 0x09 } }), denied);
  assert.equal(at('FF80', { input: { transactionType: 0x09 } }), fine);
  // B4 §A1: types 14 to 16 that pay out cash are ATMs.
  const atm = (terminalType: number, additional: string): Change => ({
    terminal: { terminalType, additionalCapabilities: fromHex(additional) },
  });
  assert.equal(at('FD00', atm(0x15, '8000000000')), denied);
  assert.equal(at('FE00', atm(0x15, '8000000000')), fine);
  assert.equal(at('FE00', atm(0x15, '0000000000')), denied);
  assert.equal(at('FE00', atm(0x25, '8000000000')), denied);
  const withoutCountry = { '9F07': '0100', '5F28': null, '8E': '00000000000000001F00' };
  assert.equal(run({ card: { elements: withoutCountry }, change: quiet }).tvr, fine);
});

test('EMV 4.3 B4 §6.3.5: a card on the exception file has its TVR bit', () => {
  const asked: string[] = [];
  const isOnExceptionFile = (pan: Secret<string>) => {
    asked.push(pan.expose());
    return asked.length === 1;
  };
  const at = () =>
    run({ card: cvm('1F00'), change: { ...quiet, terminal: { isOnExceptionFile } } });
  assert.equal(at().tvr, '1000000000');
  assert.equal(at().tvr, '0000000000');
  assert.deepEqual(asked, [TEST_PAN, TEST_PAN]);
});

test('EMV 4.3 B3 §10.6.1: the floor limit itself counts as above', () => {
  const at = (floorLimitMinor: bigint): string =>
    run({ card: cvm('1F00'), change: { aid: { floorLimitMinor } } }).tvr;
  assert.equal(at(1235n), '0000000000');
  assert.equal(at(1234n), '0000008000');
});

test('EMV 4.3 B3 §10.6.2: random selection below, and biased above, the threshold', () => {
  const at = (drawn: number, thresholdMinor: bigint): string => {
    const randomSelection = { targetPercentage: 20, maximumTargetPercentage: 60, thresholdMinor };
    // 99 divides into: drawn - 1 modulo 99.
    const random = (length: number): Uint8Array =>
      concatBytes(new Uint8Array(length - 1), Uint8Array.of(drawn - 1));
    const aid = { floorLimitMinor: 2234n, randomSelection };
    return run({ card: cvm('1F00'), change: { aid }, driver: { random } }).tvr;
  };
  assert.equal(at(20, 2000n), '0000001000');
  assert.equal(at(21, 2000n), '0000000000');
  // Amount 1234 is half way from 234 to 2234: 20 + 40 * 0.5 = 40 per cent.
  assert.equal(at(40, 234n), '0000001000');
  assert.equal(at(41, 234n), '0000000000');
});

test('EMV 4.3 B3 §10.6.3: velocity by ATC and last online ATC; new card', () => {
  const at = (getData: Record<string, string>): string =>
    run({
      card: { elements: { '8E': '00000000000000001F00', '9F14': '02', '9F23': '04' }, getData },
      change: quiet,
    }).tvr;
  assert.equal(at({ '9F36': '0006', '9F13': '0004' }), '0000000000');
  assert.equal(at({ '9F36': '0007', '9F13': '0004' }), '0000004000');
  assert.equal(at({ '9F36': '0009', '9F13': '0004' }), '0000006000');
  assert.equal(at({ '9F36': '0001', '9F13': '0000' }), '0008000000');
  assert.equal(at({ '9F36': '0004', '9F13': '0004' }), '0000006000');
  assert.equal(at({ '9F36': '0004' }), '2000006000');
  assert.equal(at({ '9F13': '0004' }), '2000006000');
  assert.equal(at({ '9F36': '04', '9F13': '0003' }), '2000006000');
  const onlyLower = run({
    card: { elements: { '8E': '00000000000000001F00', '9F14': '02' } },
    change: quiet,
  });
  assert.equal(onlyLower.tvr, '0000000000');
  assert.ok(!onlyLower.commands.some(({ ins }) => ins === 0xca));
});

test('without "terminal risk management" in the AIP none is done; the merchant may force online', () => {
  const { tvr, tsi, phases } = run({ card: { ...cvm('1F00'), aip: '7400' } });
  const risk = phases.find(({ phase }) => phase === 'terminalRiskManagement');
  assert.deepEqual(risk?.facts, { performed: false });
  assert.deepEqual([tvr, tsi], ['0000000000', 'C000']);
  const forced = run({ card: cvm('1F00'), change: { ...quiet, input: { forceOnline: true } } });
  assert.deepEqual([forced.tvr, forced.requested], ['0000000800', 0x80]);
});

test('EMV 4.3 B3 §10.7: who denies is named, and the card is asked for an AAC', () => {
  const floor = { ...cvm('1F00'), firstCid: 0x00 };
  const byTerminal = run({ card: floor, change: { aid: { tacDenial: fromHex('0000008000') } } });
  assert.equal(byTerminal.requested, 0x00);
  assert.deepEqual(
    [byTerminal.outcome.outcome, byTerminal.outcome.reason],
    ['declined', 'terminal:TAC-denial'],
  );
  assert.equal(byTerminal.outcome.first?.type, 'AAC');
  assert.equal(byTerminal.outcome.online, 'notSent');
  const elements = { '8E': '00000000000000001F00', '9F0E': '0000008000' };
  const byIssuer = run({
    card: { elements, firstCid: 0x00 },
    change: { aid: { tacDenial: fromHex('0000000000') } },
  });
  assert.equal(byIssuer.outcome.reason, 'terminal:IAC-denial');
  const byBoth = run({
    card: { elements, firstCid: 0x00 },
    change: { aid: { tacDenial: fromHex('0000008000') } },
  });
  assert.equal(byBoth.outcome.reason, 'terminal:TAC+IAC-denial');
  refuses('ERR_CARD_DATA', { card: { elements: { '9F0E': '00' } } });
});

test('EMV 4.3 B3 §10.7: nothing matched is a TC offline, missing issuer codes mean online', () => {
  const offline = run({ card: { ...cvm('1F00'), firstCid: 0x40 }, change: quiet });
  assert.equal(offline.requested, 0x40);
  assert.deepEqual([offline.outcome.outcome, offline.outcome.reason], ['approved', 'card:TC']);
  assert.equal(toHex(offline.outcome.values.get('8A') ?? new Uint8Array(0)), '5931');
  assert.equal(toHex(offline.outcome.tsi), 'E800');
  // Signature leaves no bit; "merchant forced online" is only in the absent code's FF.
  const elements = { '8E': '00000000000000001F00', '9F0F': null };
  const online = run({
    card: { elements },
    change: {
      aid: { floorLimitMinor: 100_000n, tacOnline: fromHex('0000000000') },
      input: { forceOnline: true },
    },
  });
  assert.equal(online.requested, 0x80);
});

test('EMV 4.3 B4 §A1: an online-only terminal asks for ARQC, an offline-only one never', () => {
  const onlineOnly = run({
    card: cvm('1F00'),
    change: { ...quiet, terminal: { terminalType: 0x21 } },
  });
  assert.equal(onlineOnly.requested, 0x80);
  const terminal = { terminalType: 0x23 };
  const tc = run({ card: { ...cvm('1F00'), firstCid: 0x40 }, change: { ...quiet, terminal } });
  assert.equal(tc.requested, 0x40);
  const aac = run({
    card: { ...cvm('1F00'), firstCid: 0x00 },
    change: { terminal, aid: { tacDefault: fromHex('0000008000') } },
  });
  assert.deepEqual([aac.requested, aac.outcome.reason], [0x00, 'terminal:TAC+IAC-default']);
});

test('a PAN that is no PAN ends the transaction', () => {
  for (const pan of ['6299', '62999900000000090000', 'A299990000000009']) {
    refuses('ERR_CARD_DATA', { card: { elements: { '5A': pan } } });
  }
});

test('EMV 4.3 B3 §9.3: to a request for TC the card may answer TC, ARQC or AAC', () => {
  const card = cvm('1F00');
  const declined = run({ card: { ...card, firstCid: 0x00 }, change: quiet });
  assert.deepEqual([declined.requested, declined.outcome.reason], [0x40, 'card:AAC']);
  const online = run({ card: { ...card, firstCid: 0x80 }, change: quiet });
  assert.deepEqual([online.requested, online.outcome.reason], [0x40, 'issuer:00']);
});
