/** Verification of tokens in the HSM: what is found, and that it is no oracle for payments. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  applicationCryptogram,
  deriveIccMasterKey,
  deriveSessionKey,
} from '@tapnpay/protocol/crypto';
import { tokenSignature, tokenTerminalValues } from '@tapnpay/protocol/emv/data';
import { assembleAcInput } from '@tapnpay/protocol/emv/issuer';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import { type Hsm, KeyUsage } from '@tapnpay/protocol/wire';
import { createHsmContext, inProcessHsm } from '../index.ts';
import { TOKEN_ATCS_MAX } from './token-command.ts';

const MASTER = '9E15204313F7318ACB79B90BD986AD29';
const CARD = { pan: '6299990000000009', panSequenceNumber: '01' };
const IAD = '07010103A0000001';
let issuer: Hsm;
let gateway: Hsm;
let imkAc = '';

before(async () => {
  const context = createHsmContext({
    ...{ ciphers: nodeCiphers, random: systemRandom, party: 'issuer' },
    lmk: new Uint8Array(32).fill(7),
  });
  issuer = inProcessHsm(context, 'issuer');
  gateway = inProcessHsm(context, 'gateway');
  const components = ['00'.repeat(16), MASTER];
  const usage = KeyUsage.issuerMasterAc;
  const request = { command: 'formKey', usage, algorithm: 'T', components } as const;
  imkAc = (await inProcessHsm(context, 'ceremony').call(request)).keyBlock;
});

/** What the card makes: a token's cryptogram, or with these values another one. */
function cryptogramOf(atc: string, values: Readonly<Record<string, string>> = {}): Uint8Array {
  const input = new Map(tokenTerminalValues({ mode: 'plain' }));
  const card = { '82': '7C00', '9F36': atc, '9F10': IAD, ...values };
  for (const [tag, hex] of Object.entries(card)) input.set(tag, fromHex(hex));
  const udk = deriveIccMasterKey(fromHex(MASTER), CARD.pan, CARD.panSequenceNumber);
  return applicationCryptogram(deriveSessionKey(udk, fromHex(atc)), assembleAcInput(input));
}

const ask = (changes: object = {}, hsm: Hsm = issuer) =>
  hsm.call({
    ...({
      command: 'verifyToken',
      imkAc,
      card: CARD,
      atcs: ['0006', '0007'],
      aip: '7C00',
    } as const),
    ...{ issuerApplicationData: IAD, unpredictableNumber: '00000000' },
    ...{ mask: '0000000000FFFFFF', cryptogram: toHex(cryptogramOf('0007')), ...changes },
  });

test('the counter of the window whose cryptogram has these bits, or none', async () => {
  assert.deepEqual(await ask(), { atc: '0007' });
  assert.deepEqual(await ask({ atcs: ['0006'] }), { atc: null });
  assert.deepEqual(await ask({ aip: '7D00' }), { atc: null });
  assert.deepEqual(await ask({ unpredictableNumber: '00000001' }), { atc: null });
  assert.deepEqual(await ask({ card: { ...CARD, panSequenceNumber: '02' } }), { atc: null });
  const signed = '024142';
  const signature = tokenSignature(cryptogramOf('0007'), fromHex(signed));
  assert.deepEqual(await ask({ signed, cryptogram: toHex(signature) }), { atc: '0007' });
  assert.deepEqual(await ask({ signed: '024143', cryptogram: toHex(signature) }), { atc: null });
});

test('a payment’s cryptogram is never compared: the shape is the HSM’s own', async () => {
  const paid = cryptogramOf('0007', { '9F1A': '0156', '9A': '261130', '9F02': '000000001234' });
  assert.deepEqual(await ask({ cryptogram: toHex(paid) }), { atc: null });
});

test('few bits, many counters, other forms and other callers are refused', async () => {
  for (const [changes, code] of [
    [{ mask: '000000000000FFFE' }, 'ERR_HSM_PARAMETER'],
    [{ mask: '0000000000000000' }, 'ERR_HSM_PARAMETER'],
    [{ atcs: Array.from({ length: TOKEN_ATCS_MAX + 1 }, () => '0001') }, 'ERR_HSM_PARAMETER'],
    [{ atcs: ['1'] }, 'ERR_HSM_PARAMETER'],
    [{ cryptogram: '00' }, 'ERR_HSM_PARAMETER'],
    [{ data: 'AA' }, 'ERR_HSM_PARAMETER'],
    [{ issuerApplicationData: '00'.repeat(8) }, 'ERR_HSM_PARAMETER'],
  ] as const) {
    await assert.rejects(ask(changes), { code }, JSON.stringify(changes));
  }
  await assert.rejects(ask({}, gateway), { code: 'ERR_HSM_CALLER' });
});
