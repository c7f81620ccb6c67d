/**
 * Dynamic tokens of the application with a virtual card: the digits are those of the card's own
 * cryptogram over the shape of a token, the counter goes on, and nobody is charged or asked online.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { fromHex, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import {
  applicationCryptogram,
  deriveIccMasterKey,
  deriveSessionKey,
} from '@tapnpay/protocol/crypto';
import {
  iccSummary,
  TOKEN_BITMAP_DEFAULT,
  tokenBits,
  tokenDataBytes,
  tokenSignature,
  tokenTerminalValues,
} from '@tapnpay/protocol/emv/data';
import { createVirtualIcc } from '@tapnpay/protocol/emv/icc';
import { assembleAcInput } from '@tapnpay/protocol/emv/issuer';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { SignedParameterSet, TokenWish } from '@tapnpay/protocol/wire';
import { TestGateway, testParameters } from '../../protocol/node/gateway.test-peer.ts';
import {
  SAMPLE_IMK_AC,
  SAMPLE_PAN,
  SAMPLE_PSN,
} from '../../protocol/src/emv/icc/sample.test-card.ts';
import { createPaymentApplication } from './index.ts';
import { cardImage, parameters, pay } from './payment.test-kit.ts';
import { type HostScript, ScriptedHost } from './scripted-host.test-host.ts';
import { dayAndTime } from './token.ts';

const DAY_MS = 86_400_000;
/** The scripted host's clock. */
const NOW_MS = 1_782_000_000_000;
const IN_TERM = { validFromMs: NOW_MS - DAY_MS, validUntilMs: NOW_MS + DAY_MS };
const udk = deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN);
const bitmap = fromHex(TOKEN_BITMAP_DEFAULT);

function make(
  wish: TokenWish,
  script: HostScript = {},
  set: SignedParameterSet = testParameters(parameters, IN_TERM),
) {
  let card = cardImage;
  const powerUp = () => {
    const icc = createVirtualIcc({ image: card, ciphers: nodeCiphers, random: systemRandom });
    return (command: Uint8Array) => {
      const answer = icc.transmit(command);
      card = icc.image();
      return answer;
    };
  };
  const gateway = new TestGateway(udk);
  const host = new ScriptedHost(powerUp, gateway, script);
  const context = { elementId: '00112233445566AA', parameters: set, ciphers: nodeCiphers };
  const { token, reason } = host.run(createPaymentApplication(context).token({ wish }));
  return { token, reason, host, gateway, atc: iccSummary(card).applicationTransactionCounter };
}

/** The bits of the cryptogram that an issuer would find. */
function expectedBits(wish: TokenWish, token: string, atc: number): string {
  const { mask, value } = tokenBits(bitmap, token);
  const input = new Map(tokenTerminalValues(wish));
  input.set('82', fromHex('7C00'));
  input.set('9F36', uintToBytes(atc, 2));
  const cvr = value.slice(16, 18);
  input.set('9F10', fromHex(`07010103A0${toHex(cvr)}01`));
  const made = applicationCryptogram(
    deriveSessionKey(udk, uintToBytes(atc, 2)),
    assembleAcInput(input),
  );
  const whole = wish.mode === 'sign' ? tokenSignature(made, tokenDataBytes(wish.data)) : made;
  assert.equal(value[2], atc & 0xff, 'the low byte of the counter');
  assert.equal(
    toHex(value.subarray(3, 11)),
    toHex(whole.map((byte, at) => byte & (mask[3 + at] ?? 0))),
  );
  return toHex(whole);
}

const WISHES: readonly TokenWish[] = [
  { mode: 'plain' },
  { mode: 'challenge', challenge: '12345678' },
  { mode: 'challenge', challenge: '7' },
  { mode: 'sign', data: ['PAY 100.00 CNY', 'TO 6225880000000001'] },
];

test('each mode: fifteen digits of the card’s cryptogram, an AAC at the end, nobody online', () => {
  for (const wish of WISHES) {
    const { token, reason, host, gateway, atc } = make(wish);
    assert.equal(reason, null);
    assert.match(token ?? '', /^[0-9]{15}$/);
    expectedBits(wish, token ?? '', atc);
    const calls = host.calls.map(({ call }) => call);
    assert.ok(!calls.some((call) => ['channelOpen', 'attest', 'sealPin', 'hop'].includes(call)));
    assert.equal(calls.at(-1), 'releaseCard');
    assert.equal(gateway.received.length, 0);
    const commands = host.calls.flatMap((call) =>
      call.call === 'cardTransmit' ? [call.command] : [],
    );
    const generated = commands.filter((command) => command[1] === 0xae);
    assert.deepEqual(
      generated.map((command) => command[2]),
      [0x80, 0x00],
      'ARQC, then AAC',
    );
    assert.ok(!commands.some((command) => command[1] === 0x20), 'no VERIFY');
  }
});

test('a torn card is asked for again; who says no, or inserts nothing, gets no token', () => {
  const contact = { interface: 'contact' } as const;
  for (const removedBefore of [1, 4, 8]) {
    const torn = { ...contact, removedBefore };
    const { token, host } = make({ mode: 'plain' }, { presentations: [torn, contact] });
    assert.match(token ?? '', /^[0-9]{15}$/);
    assert.deepEqual(host.tokenRequests, [
      [1, null],
      [2, 'ERR_CARD_REMOVED'],
    ]);
  }
  for (const fault of ['ERR_USER_CANCELLED', 'ERR_CARD_TIMEOUT']) {
    const { token, reason } = make({ mode: 'plain' }, { presentations: [{ fault }] });
    assert.deepEqual([token, reason], [null, fault]);
  }
  const always = Array.from({ length: 9 }, () => ({ ...contact, removedBefore: 1 }));
  const never = make({ mode: 'plain' }, { presentations: always });
  assert.deepEqual([never.token, never.reason], [null, 'ERR_CARD_REMOVED']);
  assert.equal(never.host.tokenRequests.length, 4);
  const tapped = make({ mode: 'plain' }, { presentations: [{ interface: 'contactless' }] });
  assert.equal(tapped.reason, 'ERR_CARD_INTERFACE');
});

test('parameters decide: out of term, not signed, without the application, or a bitmap too long', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const [reason, set] of [
    ['PARAMS_OUTDATED', testParameters(parameters, { validFromMs: 1, validUntilMs: 2 })],
    ['ERR_PARAMETERS', testParameters(parameters, IN_TERM, privateKey)],
    [
      'terminal:noApplication',
      testParameters(
        {
          ...parameters,
          aids: [
            {
              ...(parameters.aids[0] as (typeof parameters.aids)[number]),
              aid: 'A000000003101010',
            },
          ],
        },
        IN_TERM,
      ),
    ],
    [
      'ERR_EMV_TOKEN',
      testParameters(parameters, {
        ...IN_TERM,
        token: { issuerProprietaryBitmap: `${'00'.repeat(11)}${'FF'.repeat(32)}` },
      }),
    ],
  ] as const) {
    const made = make({ mode: 'plain' }, {}, set);
    assert.deepEqual([made.token, made.reason], [null, reason]);
  }
});

test('a wish that no card takes gives none; the next payment of the card is as ever', () => {
  assert.equal(make({ mode: 'challenge', challenge: '123456789' }).reason, 'ERR_EMV_TOKEN');
  assert.equal(make({ mode: 'sign', data: [] }).reason, 'ERR_EMV_TOKEN');
  assert.equal(pay().result.outcome, 'approved');
});

test('day and time are those of the calendar, leap days and ends of years included', () => {
  for (let atMs = 0; atMs < Date.UTC(2099, 0); atMs += 1_234_567_890) {
    const text = new Date(atMs).toISOString();
    const { dateYymmdd, timeHhmmss } = dayAndTime(atMs);
    assert.equal(dateYymmdd, text.slice(2, 10).replaceAll('-', ''), text);
    assert.equal(timeHhmmss, text.slice(11, 19).replaceAll(':', ''), text);
  }
  for (const day of ['2000-02-29', '2024-02-29', '2024-12-31', '2025-01-01', '2026-03-01']) {
    assert.equal(dayAndTime(Date.parse(day)).dateYymmdd, day.slice(2).replaceAll('-', ''));
  }
});
