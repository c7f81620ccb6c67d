/**
 * Shows card, kernel and issuer together: the contact kernel runs on the virtual card, the issuer's
 * checks judge field 55, and each wrong bit ends with the TVR that EMV says.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { asciiToBytes, concatBytes, fromHex, type Secret, toHex } from '../../bytes/index.ts';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  scriptMac4,
} from '../../crypto/index.ts';
import {
  decodeResponse,
  decodeTlv,
  encodeCommand,
  encodeTlv,
  flattenTlv,
} from '../../iso7816/index.ts';
import { type CaPublicKey, type IccImage, iccObject } from '../data/index.ts';
import { assembleAcInput, checkCryptogramEnvelope, type EnvelopeFinding } from '../issuer/index.ts';
import {
  type ContactOutcome,
  contactTransaction,
  driveKernel,
  type OnlineAnswer,
  type OnlineRequest,
  terminalProfileOf,
} from '../terminal/index.ts';
import { changed, imageOf, KEYS, spoiled, stateOf } from './icc.test-kit.ts';
import { createVirtualIcc, type VirtualIcc } from './index.ts';
import {
  SAMPLE_IMK_AC,
  SAMPLE_IMK_MAC,
  SAMPLE_PAN,
  SAMPLE_PSN,
  sampleCard,
} from './sample.test-card.ts';

const SAMPLE = sampleCard(nodeCiphers, KEYS);
let counter = 0;
const random = {
  bytes: (lengthBytes: number) => new Uint8Array(lengthBytes).map((_, at) => at + counter++),
};

const profile = (caKey: CaPublicKey) =>
  terminalProfileOf(
    {
      terminalTransactionQualifiers: '37000080',
      countryCode: '0156',
      terminalType: '22',
      terminalCapabilities: 'E068C0',
      additionalTerminalCapabilities: 'F000F0A001',
      aids: [
        {
          aid: 'A000000333',
          applicationVersion: '0030',
          tacDefault: 'D84000A800',
          tacDenial: '0010000000',
          tacOnline: 'D84004F800',
          floorLimitMinor: '0',
          defaultDdol: '9F3704',
          contactless: null,
        },
      ],
      caPublicKeys: [caKey],
    },
    {
      ciphers: nodeCiphers,
      currency: '156',
      currencyExponent: 2,
      interfaceDeviceSerialNumber: 'TAPNPAY1',
    },
  );

/** What the issuer found, and its answer. */
type Verdict = { arqcValid: boolean; findings: readonly EnvelopeFinding[] };
type Issuer = { verdict: Verdict | null; answer: (request: OnlineRequest) => OnlineAnswer };

function issuer(arc = '00', bend: (data: Uint8Array) => Uint8Array = (data) => data): Issuer {
  const self: Issuer = {
    verdict: null,
    answer(request) {
      const values = flattenTlv(decodeTlv(request.field55));
      const atc = values.get('9F36') ?? new Uint8Array(0);
      const udk = deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN);
      const key = deriveSessionKey(udk, atc);
      const expected = applicationCryptogram(key, assembleAcInput(values));
      const findings = checkCryptogramEnvelope(values, {
        pan: request.pan,
        amount: '000000001234',
        posEntryMode: request.pinRequired ? '051' : '052',
        panSequenceNumber: `0${request.panSequenceNumber.expose()}`,
        currency: '156',
        hasPinData: request.pinRequired,
        ...track(request.track2),
      });
      self.verdict = { arqcValid: toHex(expected) === toHex(request.arqc.value), findings };
      const code = asciiToBytes(arc);
      const data = concatBytes(arpcMethod1(key, request.arqc.value, code), code);
      return {
        result: 'answered',
        responseCode: arc,
        issuerAuthenticationData: bend(data),
        scripts: [],
      };
    },
  };
  return self;
}

const track = (track2: Secret<string> | null) => (track2 ? { track2 } : {});

async function pay(
  card: VirtualIcc,
  authorise: (request: OnlineRequest) => OnlineAnswer,
  caKey: CaPublicKey = SAMPLE.caKey,
): Promise<ContactOutcome> {
  card.reset();
  const kernel = contactTransaction({
    ciphers: nodeCiphers,
    terminal: profile(caKey),
    amountMinor: 1234n,
    otherAmountMinor: 0n,
    transactionType: 0x00,
    dateYymmdd: '260701',
    timeHhmmss: '101112',
    sequenceCounter: 1,
    merchant: { nameAndLocation: 'TEST SHOP' },
  });
  return driveKernel(kernel, {
    transmit: (command) => decodeResponse(card.transmit(encodeCommand(command))),
    random: (lengthBytes) => random.bytes(lengthBytes),
    selectApplication: () => 0,
    enterPin: () => 'entered',
    authorise,
  });
}

const cardOf = (image: IccImage) => createVirtualIcc({ image, ciphers: nodeCiphers, random });
test('an online purchase: DDA passes, PIN online, ARQC sound, ARPC accepted, TC', async () => {
  const card = cardOf(SAMPLE.image);
  const bank = issuer();
  const outcome = await pay(card, bank.answer);
  assert.deepEqual(bank.verdict, { arqcValid: true, findings: [] });
  assert.equal(outcome.dataAuthentication, 'DDA');
  assert.equal(outcome.outcome, 'approved');
  assert.equal(outcome.second?.type, 'TC');
  assert.equal(outcome.issuerAuthentication, 'passed');
  assert.equal(stateOf(card.image()).lastOnlineAtc, 1);
});

test('a second purchase has the next counter and another cryptogram', async () => {
  const card = cardOf(SAMPLE.image);
  const one = await pay(card, issuer().answer);
  const bank = issuer();
  const two = await pay(card, bank.answer);
  assert.equal(bank.verdict?.arqcValid, true);
  assert.equal(two.outcome, 'approved');
  assert.notDeepEqual(one.arqc?.value, two.arqc?.value);
  assert.equal(stateOf(card.image()).atc, 2);
  assert.equal(stateOf(card.image()).log.length, 2);
});

test('a declined answer ends with AAC, and the card knows it was online', async () => {
  const card = cardOf(SAMPLE.image);
  const outcome = await pay(card, issuer('51').answer);
  assert.equal(outcome.outcome, 'declined');
  assert.equal(outcome.second?.type, 'AAC');
  assert.equal(stateOf(card.image()).lastOnlineAtc, 1);
});

test('one wrong bit in the ARPC: TVR byte 5 bit 7, AAC by the card', async () => {
  const card = cardOf(SAMPLE.image);
  const bend = (data: Uint8Array) => data.map((value, at) => (at === 0 ? value ^ 1 : value));
  const outcome = await pay(card, issuer('00', bend).answer);
  assert.equal(outcome.issuerAuthentication, 'failed');
  assert.equal(toHex(outcome.tvr).slice(-2), '40');
  assert.equal(outcome.second?.type, 'AAC');
  assert.notEqual(outcome.outcome, 'approved');
});

for (const [what, dgis] of [
  ['issuer certificate', spoiled('0302')],
  ['card certificate', spoiled('0303')],
  ['signed record', changed('0201', '5F2503250101', '5F2503250201')],
  ['card key', { '8101': '03' }],
] as const) {
  test(`one wrong bit, ${what}: DDA failed in TVR byte 1, still a sound ARQC`, async () => {
    const card = cardOf(imageOf({ dgis }));
    const bank = issuer('05');
    const outcome = await pay(card, bank.answer);
    assert.equal(outcome.dataAuthentication, 'failed');
    assert.equal(toHex(outcome.tvr).slice(0, 2), '08');
    assert.equal(bank.verdict?.arqcValid, true);
    assert.equal(outcome.outcome, 'declined');
  });
}

test('a card of SDA only: the static signature is checked', async () => {
  const request = { profile: { aip: '5C00' } };
  const outcome = await pay(cardOf(imageOf({ request })), issuer().answer);
  assert.equal(outcome.dataAuthentication, 'SDA');
  assert.equal(outcome.outcome, 'approved');
  const broken = imageOf({ request, dgis: spoiled('0304') });
  const refused = await pay(cardOf(broken), issuer('05').answer);
  assert.equal(toHex(refused.tvr).slice(0, 2), '42');
});

test('a card under other keys: the issuer finds the ARQC wrong', async () => {
  const wrong = deriveIccMasterKey(SAMPLE_IMK_MAC, SAMPLE_PAN, SAMPLE_PSN);
  const keys = `${toHex(wrong)}${SAMPLE.image.applications[0]?.dgis['8000']?.slice(32)}`;
  const bank = issuer('05');
  const outcome = await pay(cardOf(imageOf({ dgis: { '8000': keys } })), bank.answer);
  assert.equal(bank.verdict?.arqcValid, false);
  assert.equal(outcome.dataAuthentication, 'DDA');
  assert.equal(outcome.outcome, 'declined');
});

test('no issuer reachable: a new card declines', async () => {
  const outcome = await pay(cardOf(SAMPLE.image), () => ({ result: 'unable' }));
  assert.equal(outcome.outcome, 'declined');
  assert.equal(outcome.second?.type, 'AAC');
});

test('a blocked application is not accepted', async () => {
  const image = imageOf({ state: { applicationBlocked: true } });
  const blocked = pay(cardOf(image), issuer().answer).then(
    (outcome) => outcome.outcome,
    () => 'fault',
  );
  assert.notEqual(await blocked, 'approved');
});

test('a script 72 with a sound MAC is done after the TC, and counted', async () => {
  const card = cardOf(SAMPLE.image);
  const bank = issuer();
  const outcome = await pay(card, (request) => {
    const answer = bank.answer(request);
    if (answer.result !== 'answered') return answer;
    const atc = flattenTlv(decodeTlv(request.field55)).get('9F36') ?? new Uint8Array(0);
    const key = deriveSessionKey(deriveIccMasterKey(SAMPLE_IMK_MAC, SAMPLE_PAN, SAMPLE_PSN), atc);
    const header = fromHex('04DA9F5805');
    const plain = Uint8Array.of(7);
    const mac = scriptMac4(key, header, atc, request.arqc.value, plain);
    const command = encodeTlv('86', concatBytes(header, plain, mac));
    return { ...answer, scripts: [encodeTlv('72', command)] };
  });
  assert.equal(outcome.second?.type, 'TC');
  assert.equal(outcome.scriptResults.length, 1);
  const limit = iccObject(card.image().applications[0] ?? { dgis: {} }, '9F58');
  assert.equal(toHex(limit ?? new Uint8Array(0)), '07');
  assert.equal(stateOf(card.image()).scriptCounter, 1);
});
