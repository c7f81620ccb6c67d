/**
 * Replays a real UnionPay card's recorded session through the kernel: a scripted card that fails on
 * any command the recording does not have. Order is free between READ RECORD and GENERATE AC.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
} from '../../iso7816/index.ts';
import {
  type CaPublicKey,
  type ContactTransaction,
  contactTransaction,
  loadCaPublicKeys,
  NO_RANDOM_SELECTION,
  type OnlineAnswer,
  type TerminalProfile,
} from './index.ts';
import { runKernel } from './kernel.test-kit.ts';

const SHARED = new URL('../../../../../shared/data/', import.meta.url);
const TRACE_FILE = new URL('unionpay-contact-trace.txt', SHARED);
const CA_KEY_FILE = new URL('unionpay-capk.json', SHARED);
const isThere = existsSync(TRACE_FILE) && existsSync(CA_KEY_FILE);
const skip =
  !isThere && process.env['CI'] !== 'true' ? 'no ../shared/data beside the clone' : false;

/** Unpredictable numbers of the recording: for INTERNAL AUTHENTICATE, then for the cryptogram. */
const UNPREDICTABLE_NUMBERS = ['7863AFC6', '3510540E'];

type Exchange = { readonly command: string; readonly response: string };

function readTrace(): readonly Exchange[] {
  const lines = readFileSync(TRACE_FILE, 'utf8').trim().split(/\r?\n/);
  return lines.flatMap((line, index) =>
    index % 2 === 0 ? [{ command: line.trim(), response: (lines[index + 1] ?? '').trim() }] : [],
  );
}

/** Answers the recording; commands from READ RECORD to GENERATE AC in any order, each once. */
function traceCard(trace: readonly Exchange[], change: (response: string) => string) {
  const firstAc = trace.findIndex((exchange) => exchange.command.startsWith('80AE'));
  const gpo = trace.findIndex((exchange) => exchange.command.startsWith('80A8'));
  const rest = trace.map((exchange, index) => ({
    ...exchange,
    isFree: index > gpo && index < firstAc,
  }));
  const card = (command: CommandApdu): ResponseApdu => {
    const wire = toHex(encodeCommand(command));
    const isFree = rest[0]?.isFree === true;
    const found = rest.findIndex((exchange) => exchange.command === wire);
    const isExpected = isFree ? rest[found]?.isFree === true : found === 0;
    assert.ok(isExpected, `the card expects ${rest[0]?.command}, not ${wire}`);
    const [exchange] = rest.splice(found, 1);
    return decodeResponse(fromHex(change(exchange?.response ?? '')));
  };
  return { card, rest };
}

function caKeys(): readonly CaPublicKey[] {
  const rows: { rid: string; index: string; modulus: string; exponent: string; sha1: string }[] =
    JSON.parse(readFileSync(CA_KEY_FILE, 'utf8'));
  return rows.map((row) => ({
    rid: fromHex(row.rid),
    index: Number.parseInt(row.index, 16),
    modulus: fromHex(row.modulus),
    exponent: fromHex(row.exponent),
    sha1: fromHex(row.sha1),
    expiryYymmdd: null,
  }));
}

/** The terminal that the recorded bytes show. */
function traceTerminal(keys: readonly CaPublicKey[]): TerminalProfile {
  return {
    countryCode: '036',
    currency: '036',
    currencyExponent: 2,
    terminalType: 0x22,
    // Signature and no CVM, no PIN; SDA and DDA.
    capabilities: fromHex('E028C0'),
    additionalCapabilities: fromHex('6000F0A001'),
    terminalTransactionQualifiers: fromHex('36000080'),
    interfaceDeviceSerialNumber: 'TAPNPAY1',
    aids: [
      {
        aid: fromHex('A0000003330101'),
        partialSelection: true,
        applicationVersion: fromHex('0020'),
        tacDefault: fromHex('D84000A800'),
        tacDenial: fromHex('0010000000'),
        tacOnline: fromHex('D84004F800'),
        floorLimitMinor: 0n,
        randomSelection: NO_RANDOM_SELECTION,
        defaultDdol: fromHex('9F3704'),
        defaultTdol: null,
        contactless: null,
      },
    ],
    caPublicKeys: loadCaPublicKeys(nodeCiphers, keys),
  };
}

function traceTransaction(keys: readonly CaPublicKey[] = caKeys()): ContactTransaction {
  return {
    ciphers: nodeCiphers,
    terminal: traceTerminal(keys),
    amountMinor: 6580n,
    otherAmountMinor: 0n,
    transactionType: 0x00,
    dateYymmdd: '150316',
    timeHhmmss: '160136',
    sequenceCounter: 1,
    merchant: {},
  };
}

/** The recording's issuer approved, with issuer authentication data the card cannot use. */
const ISSUER_ANSWER: OnlineAnswer = {
  result: 'answered',
  responseCode: '00',
  issuerAuthenticationData: fromHex('1122334455667788'),
  scripts: [],
};

function replay(options: {
  readonly input?: ContactTransaction;
  readonly change?: (response: string) => string;
}) {
  const { card, rest } = traceCard(readTrace(), options.change ?? ((response) => response));
  const randoms = UNPREDICTABLE_NUMBERS.map(fromHex);
  const run = runKernel(contactTransaction(options.input ?? traceTransaction()), {
    transmit: card,
    random: () => randoms.shift() ?? new Uint8Array(4),
    selectApplication: () => 0,
    authorise: () => ISSUER_ANSWER,
  });
  return { ...run, rest };
}

test('the recorded session replays byte for byte to its end', { skip }, () => {
  const { outcome, phases, rest } = replay({});
  assert.deepEqual(rest, []);
  // CA key 09 -> issuer certificate -> ICC certificate -> signed dynamic data (EMV 4.3 B2 §6).
  assert.equal(outcome.dataAuthentication, 'DDA');
  const oda = phases.find(({ phase }) => phase === 'offlineDataAuthentication');
  assert.deepEqual(oda?.facts, { method: 'DDA', result: 'passed' });
  // The TVR that the recorded CDOL1 data hold: only "transaction exceeds floor limit".
  const taa = phases.find(({ phase }) => phase === 'terminalActionAnalysis');
  assert.equal(toHex(taa?.tvr ?? new Uint8Array(0)), '0000008000');
  assert.equal(taa?.facts['request'], 'ARQC');
  assert.equal(toHex(outcome.cvmResults), '5E0300');
  assert.equal(toHex(outcome.arqc?.value ?? new Uint8Array(0)), 'B04398D218017BF9');
});

test('the recorded outcome is explained: issuer authentication fails, the card gives a TC all the same', {
  skip,
}, () => {
  // EXTERNAL AUTHENTICATE with 8 bytes (an ARPC without response code) brings 6700. The issuer's
  // code is 00, so a TC is asked for (P1 40), and the recorded CID 40 is a TC: this card's ADA does
  // not decline on failed issuer authentication. It stands in its CVR 0360AC02 and in the TVR.
  const { outcome, phases } = replay({});
  const authentication = phases.find(({ phase }) => phase === 'issuerAuthentication');
  assert.deepEqual(authentication?.facts, { result: 'failed', statusWord: '6700' });
  assert.equal(outcome.issuerAuthentication, 'failed');
  assert.equal(toHex(outcome.tvr), '0000008040');
  assert.equal(toHex(outcome.tsi), 'F800');
  assert.equal(outcome.second?.type, 'TC');
  assert.equal(toHex(outcome.second?.value ?? new Uint8Array(0)), 'E5869B494D460AB4');
  assert.equal(outcome.outcome, 'approved');
  assert.equal(outcome.reason, 'issuer:00');
  assert.equal(outcome.panMasked, '621094******0011');
  assert.equal(outcome.label, 'UICC CREDIT');
});

test('the recorded field 55 has what the issuer needs, in order', { skip }, () => {
  const { requests } = replay({});
  const field55 = toHex(requests[0]?.field55 ?? new Uint8Array(0));
  assert.equal(
    field55.slice(0, 96),
    '9F2608B04398D218017BF99F2701809F100807000103A0A802019F37043510540E9F36020006950500000080009A0315',
  );
  assert.equal(requests[0]?.pinRequired, false);
});

/** A recording whose signed answers have one bit flipped. */
function flipped(start: string): (response: string) => string {
  return (response) => {
    const at = response.indexOf(start);
    if (at < 0) return response;
    const digit = at + start.length;
    const value = Number.parseInt(response[digit] ?? '0', 16) ^ 0x1;
    return response.slice(0, digit) + value.toString(16).toUpperCase() + response.slice(digit + 1);
  };
}

/** Until the first wrong byte in CDOL1 the session goes on; the TVR in it shows the fault. */
function tvrOfBrokenReplay(change: (response: string) => string, keys = caKeys()) {
  const phases: { phase: string; tvr: string; facts: unknown }[] = [];
  const { card } = traceCard(readTrace(), change);
  const randoms = UNPREDICTABLE_NUMBERS.map(fromHex);
  const ended = new Error('TVR seen');
  assert.throws(
    () =>
      runKernel(contactTransaction(traceTransaction(keys)), {
        transmit: (command) => {
          if (command.ins === 0xae) throw ended;
          return card(command);
        },
        random: () => randoms.shift() ?? new Uint8Array(4),
        onPhase: ({ phase, tvr, facts }) => phases.push({ phase, tvr: toHex(tvr), facts }),
      }),
    ended,
  );
  const oda = phases.find(({ phase }) => phase === 'offlineDataAuthentication');
  const last = phases.at(-1);
  return { facts: oda?.facts, tvr: last?.tvr };
}

test('one wrong bit in certificate or signature of the recorded card: TVR 08 in byte 1', {
  skip,
}, () => {
  // EMV 4.3 B3 §10.3: DDA failed; the transaction goes on to the action codes.
  const cases = [
    ['9081B0', 'issuerCertificate:'],
    ['9F4681B0', 'iccCertificate:'],
    ['8081B0', 'signedDynamicData:'],
    // Signed static data: the PAN sequence number of file 2 record 1.
    ['5F34010', 'iccCertificate:hash'],
    ['9F482A', 'iccCertificate:hash'],
    ['9224', 'issuerCertificate:hash'],
  ] as const;
  for (const [start, why] of cases) {
    const { facts, tvr } = tvrOfBrokenReplay(flipped(start));
    assert.equal(tvr, '0800008000', start);
    assert.ok((facts as { why: string }).why.startsWith(why), `${start}: ${JSON.stringify(facts)}`);
  }
});

test('without CA key 09 the recorded card fails DDA; EMV 4.3 B2 §6.2', { skip }, () => {
  const keys = caKeys().filter((key) => key.index !== 0x09);
  const { facts, tvr } = tvrOfBrokenReplay((response) => response, keys);
  assert.deepEqual(facts, { method: 'DDA', result: 'failed', why: 'caKey:missing' });
  assert.equal(tvr, '0800008000');
});

test('every published key loads, and none does with one wrong bit; EMV 4.3 B2 §11.2.2', {
  skip,
}, () => {
  const keys = caKeys();
  loadCaPublicKeys(nodeCiphers, keys);
  for (const key of keys) {
    const modulus = key.modulus.map((value, index) => (index === 40 ? value ^ 0x10 : value));
    assert.throws(() => loadCaPublicKeys(nodeCiphers, [{ ...key, modulus }]), {
      code: 'ERR_KERNEL_CA_KEY',
    });
  }
});
