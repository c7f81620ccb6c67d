/**
 * Shows a tap whole: the contactless kernel on the virtual card in a reader's field, the issuer's
 * checks on what comes out, and what each broken or torn card leaves behind.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { applicationCryptogram, deriveIccMasterKey, deriveSessionKey } from '../../crypto/index.ts';
import { decodeResponse, decodeTlv, encodeCommand, flattenTlv } from '../../iso7816/index.ts';
import type { CaPublicKey, IccImage } from '../data/index.ts';
import {
  assembleAcInput,
  checkCryptogramEnvelope,
  type EnvelopeFinding,
  type IccImageRequest,
} from '../issuer/index.ts';
import {
  type ContactlessOutcome,
  contactlessTransaction,
  contactTransaction,
  driveKernel,
  type KernelDriver,
  type OnlineAnswer,
  type OnlineRequest,
  type PinEntry,
  terminalProfileOf,
} from '../terminal/index.ts';
import { changed, imageOf, KEYS, rsaKey, spoiled, stateOf } from './icc.test-kit.ts';
import { createVirtualIcc, type VirtualIcc } from './index.ts';
import { SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN, sampleCard } from './sample.test-card.ts';

const SAMPLE = sampleCard(nodeCiphers, KEYS);
let counter = 0;
const random = {
  bytes: (lengthBytes: number) => new Uint8Array(lengthBytes).map((_, at) => at + counter++),
};

const profile = (caKey: CaPublicKey, qualifiers: string) =>
  terminalProfileOf(
    {
      terminalTransactionQualifiers: qualifiers,
      countryCode: '0156',
      terminalType: '34',
      terminalCapabilities: '2048C0',
      additionalTerminalCapabilities: '6000801001',
      aids: [
        {
          aid: 'A000000333010101',
          applicationVersion: '0030',
          tacDefault: 'D84000A800',
          tacDenial: '0010000000',
          tacOnline: 'D84004F800',
          floorLimitMinor: '0',
          defaultDdol: '9F3704',
          contactless: {
            floorLimitMinor: '0',
            transactionLimitMinor: '500000',
            cvmLimitMinor: '30000',
          },
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

type Verdict = { arqcValid: boolean; findings: readonly EnvelopeFinding[] };

/** The issuer's opinion of a request whose message says how the card was read. */
function judge(request: OnlineRequest, amount: string, entry = '07'): Verdict {
  const values = flattenTlv(decodeTlv(request.field55));
  const udk = deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN);
  const key = deriveSessionKey(udk, values.get('9F36') ?? new Uint8Array(0));
  const expected = applicationCryptogram(key, assembleAcInput(values));
  const findings = checkCryptogramEnvelope(values, {
    pan: request.pan,
    amount,
    posEntryMode: `${entry}${request.pinRequired ? '1' : '2'}`,
    panSequenceNumber: `0${request.panSequenceNumber.expose()}`,
    currency: '156',
    hasPinData: request.pinRequired,
    ...(request.track2 ? { track2: request.track2 } : {}),
  });
  return { arqcValid: toHex(expected) === toHex(request.arqc.value), findings };
}

type Tap = {
  readonly amountMinor?: bigint;
  readonly caKey?: CaPublicKey;
  /** 9F66 of the reader; one that authenticates online taps too when left out. */
  readonly qualifiers?: string;
  readonly authorise?: (request: OnlineRequest) => OnlineAnswer;
  readonly enterPin?: () => PinEntry;
  /** The card leaves the field before this command. */
  readonly tornAt?: number;
  /** Turns an answer of the card. */
  readonly bend?: (answer: Uint8Array, index: number) => Uint8Array;
};

const APPROVED: OnlineAnswer = { result: 'answered', responseCode: '00', scripts: [] };
const input = (how: Tap) => ({
  ciphers: nodeCiphers,
  terminal: profile(how.caKey ?? SAMPLE.caKey, how.qualifiers ?? '35000080'),
  amountMinor: how.amountMinor ?? 1234n,
  otherAmountMinor: 0n,
  transactionType: 0x00,
  dateYymmdd: '260701',
  timeHhmmss: '101112',
  sequenceCounter: 1,
  merchant: { nameAndLocation: 'TEST SHOP' },
});
const driver = (card: VirtualIcc, how: Tap): KernelDriver => {
  let index = 0;
  return {
    transmit: (command) => {
      if (index === how.tornAt) throw new TapError('ERR_CARD_REMOVED', 'left the field');
      const answer = card.transmit(encodeCommand(command));
      const bent = how.bend?.(answer, index) ?? answer;
      index += 1;
      return decodeResponse(bent);
    },
    random: (lengthBytes) => random.bytes(lengthBytes),
    selectApplication: () => 0,
    enterPin: how.enterPin ?? (() => 'entered'),
    authorise: how.authorise ?? (() => APPROVED),
  };
};

async function tap(card: VirtualIcc, how: Tap = {}): Promise<ContactlessOutcome> {
  card.reset();
  return await driveKernel(contactlessTransaction(input(how)), driver(card, how));
}

const inField = (image: IccImage) =>
  createVirtualIcc({ image, ciphers: nodeCiphers, random, interface: 'contactless' });
test('a small tap: fDDA passes, no PIN, sound ARQC under CVN 17, approved', async () => {
  const card = inField(SAMPLE.image);
  let verdict: Verdict | null = null;
  const outcome = await tap(card, {
    authorise: (request) => {
      verdict = judge(request, '000000001234');
      return APPROVED;
    },
    enterPin: () => assert.fail('no PIN below the limit'),
  });
  assert.deepEqual(verdict, { arqcValid: true, findings: [] });
  assert.equal(outcome.outcome, 'approved');
  assert.equal(outcome.dataAuthentication, 'fDDA');
  assert.equal(toHex(outcome.tvr), '0000000000');
  assert.equal(toHex(outcome.cvmResults), '1F0302');
});

/** Every command of a tap, by its instruction. */
async function commandsOf(how: Tap): Promise<{ names: string[]; outcome: ContactlessOutcome }> {
  const names: string[] = [];
  const card = inField(SAMPLE.image);
  const counting: VirtualIcc = {
    ...card,
    transmit: (command) => {
      names.push(toHex(command.subarray(1, 2)));
      return card.transmit(command);
    },
  };
  const outcome = await driveKernel(contactlessTransaction(input(how)), driver(counting, how));
  return { names, outcome };
}

test('a reader that authenticates no online taps: three commands (EMV Book A table 5-4)', async () => {
  let verdict: Verdict | null = null;
  const { names, outcome } = await commandsOf({
    qualifiers: '34000080',
    authorise: (request) => {
      verdict = judge(request, '000000001234');
      return APPROVED;
    },
  });
  assert.deepEqual(names, ['A4', 'A4', 'A8']);
  assert.deepEqual(verdict, { arqcValid: true, findings: [] });
  assert.equal(outcome.outcome, 'approved');
  assert.equal(outcome.dataAuthentication, 'none');
  assert.equal(toHex(outcome.tvr), '8000000000');
});

test('the same reader above the CVM limit: authenticated, for an online PIN may follow', async () => {
  const { names, outcome } = await commandsOf({ qualifiers: '34000080', amountMinor: 30_001n });
  assert.deepEqual(names, ['A4', 'A4', 'A8', 'B2', 'B2', 'B2', 'B2', 'B2']);
  assert.equal(outcome.dataAuthentication, 'fDDA');
  assert.equal(toHex(outcome.cvmResults), '420300');
});

test('the same reader without a PIN pad: no PIN can follow, three commands', async () => {
  const { names } = await commandsOf({ qualifiers: '32000080', amountMinor: 30_001n });
  assert.deepEqual(names, ['A4', 'A4', 'A8']);
});

test('a larger tap: the PIN is asked after the card has left, and the envelope agrees', async () => {
  const card = inField(SAMPLE.image);
  let verdict: Verdict | null = null;
  const outcome = await tap(card, {
    amountMinor: 40_000n,
    authorise: (request) => {
      assert.equal(request.pinRequired, true);
      verdict = judge(request, '000000040000');
      return APPROVED;
    },
  });
  assert.deepEqual(verdict, { arqcValid: true, findings: [] });
  assert.equal(toHex(outcome.tvr), '0000040000');
  assert.equal(toHex(outcome.cvmResults), '420300');
});

test('another amount than the card signed: the issuer finds the ARQC wrong', async () => {
  let valid = true;
  await tap(inField(SAMPLE.image), {
    authorise: (request) => {
      const values = new Map(flattenTlv(decodeTlv(request.field55)));
      values.set('9F02', fromHex('000000001235'));
      const udk = deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN);
      const key = deriveSessionKey(udk, values.get('9F36') ?? new Uint8Array(0));
      const expected = applicationCryptogram(key, assembleAcInput(values));
      valid = toHex(expected) === toHex(request.arqc.value);
      return APPROVED;
    },
  });
  assert.equal(valid, false);
});

test('a tap re-labelled as an insertion is found in the envelope', async () => {
  let findings: readonly EnvelopeFinding[] = [];
  await tap(inField(SAMPLE.image), {
    authorise: (request) => {
      findings = judge(request, '000000001234', '05').findings;
      return APPROVED;
    },
  });
  assert.deepEqual(findings, ['cryptogramVersionDiffers']);
});

for (const [what, dgis] of [
  ['issuer certificate', spoiled('0403')],
  ['card certificate', spoiled('0404')],
  ['certificate of the contact side', { '0404': SAMPLE.image.applications[0]?.dgis['0303'] ?? '' }],
  ['signed record', changed('0401', '5F2503250101', '5F2503250201')],
  ['signed AIP', changed('9207', '7C00', '7C80')],
  ['card key', { '8101': '03' }],
] as const) {
  test(`one wrong thing, ${what}: fDDA failed in TVR byte 1, the issuer decides`, async () => {
    let valid = false;
    const outcome = await tap(inField(imageOf({ dgis })), {
      authorise: (request) => {
        valid = judge(request, '000000001234').arqcValid;
        return { ...APPROVED, responseCode: '05' };
      },
    });
    assert.equal(outcome.dataAuthentication, 'failed');
    assert.equal(toHex(outcome.tvr), '0800000000');
    assert.equal(valid, true);
    assert.deepEqual([outcome.outcome, outcome.reason], ['declined', 'issuer:05']);
  });
}

test('a card whose issuer prefers insertion when fDDA fails asks for it', async () => {
  const contactless = { ctq: '1000' };
  const broken = imageOf({ request: { contactless }, dgis: spoiled('0403') });
  const outcome = await tap(inField(broken), { authorise: () => assert.fail('asked') });
  assert.deepEqual([outcome.outcome, outcome.reason], ['tryAnotherInterface', 'card:useContact']);
});

test('a card with a key above 1024 bits is authenticated too', async () => {
  const { image, caKey } = sampleCard(nodeCiphers, { ...KEYS, icc: rsaKey(1152) });
  assert.equal((await tap(inField(image), { caKey })).dataAuthentication, 'fDDA');
});

/** Cards of the wallet and what a tap makes of them. */
for (const [what, request, word] of [
  ['insert-only', { contactlessRefusal: '6984' }, 'tryAnotherInterface card:useContact'],
  ['contact-only', { contactless: null }, 'notAccepted terminal:noApplication'],
  ['foreign', { aid: 'A0000000041010' }, 'notAccepted terminal:noApplication'],
  ['expired, asked online', { expiryYymm: '2606' }, 'declined issuer:54'],
] as const) {
  test(`${what}: ${word}`, async () => {
    const { image, caKey } = sampleCard(nodeCiphers, KEYS, request as Partial<IccImageRequest>);
    const outcome = await tap(inField(image), {
      caKey,
      authorise: () => ({ ...APPROVED, responseCode: '54' }),
    });
    assert.equal(`${outcome.outcome} ${outcome.reason}`, word);
  });
}

test('torn before any of the eight commands: thrown, and only a GPO has used a counter', async () => {
  for (let tornAt = 0; tornAt < 8; tornAt++) {
    const card = inField(SAMPLE.image);
    const asked = { authorise: () => assert.fail('asked') };
    await assert.rejects(tap(card, { ...asked, tornAt }), { code: 'ERR_CARD_REMOVED' });
    assert.equal(stateOf(card.image()).atc, tornAt > 2 ? 1 : 0);
    // The same card pays at the next tap.
    assert.equal((await tap(card)).outcome, 'approved');
  }
});

test('any single flipped byte on the way is a coded fault, a failed check or changes nothing', async () => {
  for (let index = 0; index < 8; index++) {
    for (const at of [0, 1, 7, 20, 33, 50, 64]) {
      const bend = (answer: Uint8Array, answered: number) =>
        answered === index && at < answer.length - 2
          ? answer.map((value, position) => (position === at ? value ^ 0x10 : value))
          : answer;
      try {
        const outcome = await tap(inField(SAMPLE.image), { bend });
        assert.ok(['approved', 'notAccepted', 'declined'].includes(outcome.outcome));
      } catch (fault) {
        assert.ok(fault instanceof TapError && /^ERR_CARD_/.test(fault.code), String(fault));
      }
    }
  }
});

test('the same card pays by tap, by insertion and by tap: one counter, three sound cryptograms', async () => {
  let image = SAMPLE.image;
  const counters: string[] = [];
  for (const by of ['contactless', 'contact', 'contactless'] as const) {
    const card = createVirtualIcc({ image, ciphers: nodeCiphers, random, interface: by });
    const how: Tap = {
      authorise: (request) => {
        const verdict = judge(request, '000000001234', by === 'contact' ? '05' : '07');
        assert.deepEqual(verdict, { arqcValid: true, findings: [] });
        counters.push(toHex(request.values.get('9F36') ?? new Uint8Array(0)));
        return APPROVED;
      },
    };
    if (by === 'contact') await driveKernel(contactTransaction(input(how)), driver(card, how));
    else assert.equal((await tap(card, how)).outcome, 'approved');
    image = card.image();
  }
  assert.deepEqual(counters, ['0001', '0002', '0003']);
});
