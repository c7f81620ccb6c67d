/**
 * The element's own card: unsigned, altered and foreign code is refused by it with the ciphers of
 * this process, what the registry says of the payment application, and faults that are told.
 */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '@tapnpay/protocol/bytes';
import {
  KEY_VERSION_73_DAP,
  PAYMENT_INSTANCE_AID,
  PAYMENT_LOAD_FILE_AID,
  PAYMENT_MODULE_AID,
  PRIVILEGE,
} from '@tapnpay/protocol/globalplatform/data';
import {
  type HostSession,
  installForInstall,
  installForLoad,
  installForMakeSelectable,
  installForPersonalization,
  loadCommands,
  openSecureChannel,
  putEccPublicKey,
  putRsaPublicKey,
  selectCommand,
  setStatusCommand,
  storeDataGroupings,
} from '@tapnpay/protocol/globalplatform/offcard';
import { DOMAIN_LOAD_FILE_AID, DOMAIN_MODULE_AID } from '@tapnpay/protocol/globalplatform/oncard';
import { type CommandApdu, decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import { elementCiphers, systemRandom } from '../system.ts';
import { CardFolder, scriptedCode } from './card.test-kit.ts';
import { type ElementCard, paymentApplicationState, paymentLoadFileHash } from './element-card.ts';
import { factoryKeys } from './managed.test-kit.ts';
import { cardVerifier } from './verifier.ts';

const PROVIDER = 'F054415009';
const CODE = scriptedCode([PAYMENT_MODULE_AID], 300);
const PAYMENT = {
  ...{ loadFileAid: PAYMENT_LOAD_FILE_AID, moduleAid: PAYMENT_MODULE_AID },
  ...{ applicationAid: PAYMENT_INSTANCE_AID, privileges: 0 },
};

/** A session of a manager with a domain of the card; answers are status words. */
function open(card: ElementCard, aid = '') {
  const send = (command: CommandApdu) => decodeResponse(card.process(encodeCommand(command)));
  send(selectCommand(aid));
  const keys = factoryKeys(card.facts());
  const steps = openSecureChannel({
    ...{ ciphers: elementCiphers, random: (lengthBytes) => systemRandom.bytes(lengthBytes) },
    ...{ candidates: () => [{ name: 'factory', keys }], securityLevel: 0x33 },
  });
  let state = steps.next();
  while (!state.done) state = steps.next(send(state.value));
  const { session } = state.value;
  const status = (...commands: readonly CommandApdu[]): string => {
    const words = commands.map((command) => {
      const { statusWord } = session.unwrap(send(session.wrap(command)));
      return statusWord.toString(16).toUpperCase();
    });
    return [...new Set(words)].join(' ');
  };
  return { session, status };
}

function load(session: HostSession, code: Uint8Array, signature?: Uint8Array) {
  const dapBlocks = signature === undefined ? [] : [{ domainAid: PROVIDER, signature }];
  const hash = elementCiphers.sha256(code);
  return [
    installForLoad({ loadFileAid: PAYMENT_LOAD_FILE_AID, domainAid: '', hash }),
    ...loadCommands({ dapBlocks, code }, session),
  ];
}

function signed(key: KeyObject, message: Uint8Array): Uint8Array {
  const options =
    key.asymmetricKeyType === 'ec'
      ? ({ key, dsaEncoding: 'ieee-p1363' } as const)
      : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return new Uint8Array(sign('sha256', message, options));
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ecc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const bytes = (text = ''): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
const { n, e } = rsa.publicKey.export({ format: 'jwk' });
const { x, y } = ecc.publicKey.export({ format: 'jwk' });
const RSA_KEY = { modulus: bytes(n), exponent: bytes(e) };
const POINT = Uint8Array.of(4, ...bytes(x), ...bytes(y));

for (const kind of ['rsa', 'ecc'] as const) {
  test(`mandated DAP by ${kind}: only signed code is loaded, as it was signed`, () => {
    using folder = new CardFolder();
    const card = folder.bear();
    const domain = installForInstall({
      ...{ loadFileAid: DOMAIN_LOAD_FILE_AID, moduleAid: DOMAIN_MODULE_AID },
      ...{ applicationAid: PROVIDER },
      privileges: PRIVILEGE.securityDomain | PRIVILEGE.mandatedDapVerification,
    });
    assert.equal(open(card).status(domain), '9000');
    const inside = open(card, PROVIDER);
    const versions = { replaces: 0, newKeyVersionNumber: KEY_VERSION_73_DAP };
    const put =
      kind === 'rsa'
        ? putRsaPublicKey(inside.session, { ...versions, ...RSA_KEY })
        : putEccPublicKey(inside.session, { ...versions, point: POINT });
    assert.equal(inside.status(...put.commands), '9000');
    const issuer = open(card);
    const key = kind === 'rsa' ? rsa.privateKey : ecc.privateKey;
    const good = signed(key, elementCiphers.sha256(CODE));
    const bent = good.map((byte, at) => (at === 9 ? byte ^ 1 : byte));
    const altered = scriptedCode([PAYMENT_MODULE_AID], 301);
    assert.match(issuer.status(...load(issuer.session, CODE)), /6985$/);
    assert.match(issuer.status(...load(issuer.session, CODE, bent)), /6A80$/);
    assert.match(issuer.status(...load(issuer.session, altered, good)), /6A80$/);
    assert.equal(card.state().loadFiles.length, 1);
    assert.equal(issuer.status(...load(issuer.session, CODE, good)), '9000');
    assert.equal(card.state().loadFiles.length, 2);
  });
}

test('signatures and keys of a wrong form are wrong signatures, not faults', () => {
  const message = Uint8Array.of(1, 2, 3);
  const bySigner = signed(rsa.privateKey, message);
  const byEcc = signed(ecc.privateKey, message);
  assert.ok(cardVerifier.isRsaPss(RSA_KEY, message, bySigner));
  assert.ok(cardVerifier.isEcdsaP256(POINT, message, byEcc));
  const nothing = new Uint8Array();
  for (const signature of [nothing, bySigner.slice(1), Uint8Array.of(...bySigner, 0), byEcc]) {
    assert.ok(!cardVerifier.isRsaPss(RSA_KEY, message, signature));
  }
  const shortSalt = new Uint8Array(
    sign('sha256', message, {
      ...{ key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 20 },
    }),
  );
  assert.ok(!cardVerifier.isRsaPss(RSA_KEY, message, shortSalt));
  assert.ok(!cardVerifier.isRsaPss({ modulus: nothing, exponent: nothing }, message, bySigner));
  for (const signature of [nothing, byEcc.slice(1), new Uint8Array(64), bySigner]) {
    assert.ok(!cardVerifier.isEcdsaP256(POINT, message, signature));
  }
  const offCurve = POINT.map((byte, at) => (at === 20 ? byte ^ 1 : byte));
  for (const point of [nothing, POINT.slice(1), offCurve, Uint8Array.of(2, ...POINT.slice(1))]) {
    assert.ok(!cardVerifier.isEcdsaP256(point, message, byEcc));
  }
});

test('the registry is the truth of the payment application: 安装, 可操作, 锁定', () => {
  using folder = new CardFolder();
  const card = folder.bear();
  const { session, status } = open(card);
  const state = () => paymentApplicationState(card.state());
  assert.deepEqual([state(), paymentLoadFileHash(card.state())], ['absent', null]);
  assert.equal(status(...load(session, CODE)), '9000');
  assert.equal(state(), 'absent', 'loaded is not installed');
  assert.equal(status(installForInstall({ ...PAYMENT, isSelectableLater: true })), '9000');
  assert.equal(state(), 'installed');
  assert.equal(status(installForMakeSelectable(PAYMENT_INSTANCE_AID)), '9000');
  assert.equal(state(), 'installed', 'selectable and not personalised is not operable');
  const data = storeDataGroupings(session, [{ identifier: 0x0101, value: Uint8Array.of(1) }]);
  assert.equal(status(installForPersonalization(PAYMENT_INSTANCE_AID), ...data), '9000');
  assert.equal(state(), 'operable');
  const hash = paymentLoadFileHash(card.state());
  assert.equal(toHex(hash ?? new Uint8Array()), toHex(elementCiphers.sha256(CODE)));
  const lock = { scope: 0x40, aid: PAYMENT_INSTANCE_AID };
  assert.equal(status(setStatusCommand({ ...lock, state: 0x80 })), '9000');
  assert.equal(state(), 'locked');
  assert.equal(folder.open().facts().paymentApplication, 'locked', 'also in the next process');
  assert.equal(status(setStatusCommand({ ...lock, state: 0x07 })), '9000');
  assert.equal(state(), 'operable', 'what it was before');
});

test('a store that fails: 6581, the session is over, and the old state is there', () => {
  using folder = new CardFolder();
  const card = folder.bear();
  const { session, status } = open(card);
  const before = card.facts().commits;
  const other = folder.open();
  open(other);
  const words = [status(installForMakeSelectable(PAYMENT_INSTANCE_AID)), card.facts().commits];
  assert.deepEqual(words, ['6A88', before], 'what changes nothing is not written');
  const domain = installForInstall({
    ...{ loadFileAid: DOMAIN_LOAD_FILE_AID, moduleAid: DOMAIN_MODULE_AID },
    ...{ applicationAid: PROVIDER, privileges: PRIVILEGE.securityDomain },
  });
  // Another process has written: this one may not.
  const answer = decodeResponse(card.process(encodeCommand(session.wrap(domain))));
  assert.equal(answer.statusWord, 0x6581);
  assert.equal(card.state().entries.length, 1);
  assert.equal(folder.open().state().entries.length, 1);
});
