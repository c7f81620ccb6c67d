/**
 * The sample application on the real card in the real sandbox: its load file is loaded, installed
 * and personalised by a manager, then points move over APDUs. Wrong readers change nothing.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bytesToUint, concatBytes, fromHex, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import { aesCmac } from '@tapnpay/protocol/crypto';
import {
  aesKeyCheckValue,
  decodeApplicationPackage,
  KEY_TYPE_88_AES,
  LOYALTY_INSTANCE_AID,
  LOYALTY_LOAD_FILE_AID,
  LOYALTY_MODULE_AID,
  STATUS_40_APPLICATIONS,
} from '@tapnpay/protocol/globalplatform/data';
import {
  inSession,
  installForPersonalization,
  keyGroupings,
  openSecureChannel,
  selectCommand,
  storeDataGroupings,
} from '@tapnpay/protocol/globalplatform/offcard';
import type { CommandApdu, ResponseApdu } from '@tapnpay/protocol/iso7816';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import { createSandboxRunner } from '../element/src/sandbox/index.ts';
import { elementCiphers, systemClock } from '../element/src/system.ts';
import { builtLoadFile } from '../protocol/node/load-file.test-build.ts';
import { type Managed, TestCard } from '../protocol/src/globalplatform/managed.test-kit.ts';

const CODE = new Uint8Array(readFileSync(builtLoadFile('loyalty')));
const NUMBER = '0011223344556677';
const KEY = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const LIMIT = 500;
const NAMES = {
  ...{ file: LOYALTY_LOAD_FILE_AID, module: LOYALTY_MODULE_AID, aid: LOYALTY_INSTANCE_AID },
};

function newCard(): { readonly card: TestCard; readonly managed: Managed } {
  const ports = { ciphers: elementCiphers, random: systemRandom, clock: systemClock };
  const card = new TestCard({ runner: createSandboxRunner(ports) });
  const managed = card.open({ commandBytesMax: 0x4000 });
  assert.equal(managed.load({ aid: LOYALTY_LOAD_FILE_AID, code: CODE }), '9000');
  assert.equal(managed.install(NAMES), '9000');
  return { card, managed };
}

const PROFILE = concatBytes(fromHex(NUMBER), uintToBytes(LIMIT, 4));
function personalise(managed: Managed, profile: Uint8Array = PROFILE): string {
  const keyCheckValue = aesKeyCheckValue(nodeCiphers, KEY);
  const names = { keyIdentifier: 1, keyVersionNumber: 0x30, type: KEY_TYPE_88_AES };
  const groupings = [
    { identifier: 0x0101, value: profile },
    ...keyGroupings({ ...names, bytes: KEY, keyCheckValue }),
  ];
  assert.equal(managed.status(installForPersonalization(LOYALTY_INSTANCE_AID)), '9000');
  return managed.status(...storeDataGroupings(managed.session, groupings, { isEncrypted: true }));
}

const command = (ins: number, data?: string, p1 = 0): CommandApdu => ({
  ...{ cla: 0x80, ins, p1, p2: 0 },
  ...(data === undefined ? {} : { data: fromHex(data) }),
});
const amount = (points: number, reference = 'A1A2A3A4A5A6A7A8') =>
  toHex(uintToBytes(points, 4)) + reference;
const CREDIT = 0x30;
const DEBIT = 0x32;
const BALANCE = 0x34;
const HISTORY = 0x36;

/** Balance and counter of the selected card. */
function balance(card: TestCard): readonly [number, number] {
  const { data } = card.send(command(BALANCE));
  assert.equal(toHex(data.subarray(0, 8)), NUMBER);
  return [bytesToUint(data.subarray(8, 12)), bytesToUint(data.subarray(12))];
}

/** Selects the application and opens the channel of its domain inside it. */
function credit(card: TestCard, points: number): ResponseApdu {
  card.send(selectCommand(LOYALTY_INSTANCE_AID));
  const { session } = card.run(
    openSecureChannel({
      ...{ ciphers: nodeCiphers, random: (lengthBytes) => systemRandom.bytes(lengthBytes) },
      ...{ candidates: () => [{ name: 'own', keys: card.keys }], securityLevel: 0x33 },
    }),
  );
  return card.run(
    inSession(
      session,
      (function* (): Generator<CommandApdu, ResponseApdu, ResponseApdu> {
        return yield command(CREDIT, amount(points));
      })(),
    ),
  );
}

test('a card is loaded, personalised, filled by its domain and used by any reader', () => {
  const { card, managed } = newCard();
  assert.equal(personalise(managed), '9000');
  assert.equal(managed.list(STATUS_40_APPLICATIONS)[LOYALTY_INSTANCE_AID], 0x0f);
  const credited = credit(card, 300);
  assert.equal(credited.statusWord, 0x9000);
  assert.deepEqual(balance(card), [300, 1]);
  const debited = card.send(command(DEBIT, amount(120, '00000000000000B1')));
  assert.deepEqual(balance(card), [180, 2]);
  const [movement, mac] = [debited.data.slice(0, -16), debited.data.slice(-16)];
  assert.equal(toHex(mac), toHex(aesCmac(nodeCiphers, KEY, movement)));
  assert.equal(toHex(card.send(command(HISTORY)).data), toHex(movement));
  const oldest = toHex(card.send(command(HISTORY, undefined, 1)).data);
  assert.equal(oldest.slice(0, 26), `01${amount(300)}`);
  assert.equal(card.status(command(HISTORY, undefined, 2)), '6A83');
});

test('what was done lasts over a restart, and the key is not in anything that the card says', () => {
  const { card, managed } = newCard();
  personalise(managed);
  credit(card, 10);
  card.restart();
  card.send(selectCommand(LOYALTY_INSTANCE_AID));
  assert.deepEqual(balance(card), [10, 1]);
  const said = toHex(card.send(command(DEBIT, amount(1))).data);
  assert.ok(!said.includes(toHex(KEY)));
});

test('a reader without the keys of the domain credits nothing', () => {
  const { card, managed } = newCard();
  personalise(managed);
  card.send(selectCommand(LOYALTY_INSTANCE_AID));
  assert.equal(card.status(command(CREDIT, amount(5))), '6982');
  assert.equal(card.status({ ...command(CREDIT, amount(5)), cla: 0x84 }), '6982');
  assert.deepEqual(balance(card), [0, 0]);
});

test('wrong amounts are refused and change nothing', () => {
  const { card, managed } = newCard();
  personalise(managed);
  assert.equal(credit(card, LIMIT + 1).statusWord, 0x9402);
  assert.equal(credit(card, LIMIT).statusWord, 0x9000);
  for (const [data, word] of [
    [amount(LIMIT + 1), '9401'],
    [amount(0), '6A80'],
    ['00000001', '6700'],
    [undefined, '6700'],
  ] as const) {
    assert.equal(card.status(command(DEBIT, data)), word, data ?? 'nothing');
  }
  assert.equal(card.status(command(0x99)), '6D00');
  assert.deepEqual(balance(card), [LIMIT, 1]);
});

test('before personalisation, and after a wrong one, there is no purse', () => {
  const { card, managed } = newCard();
  assert.equal(personalise(managed, fromHex('0011')), '6A80');
  card.send(selectCommand(LOYALTY_INSTANCE_AID));
  assert.equal(card.status(command(BALANCE)), '6985');
  assert.equal(card.status(command(DEBIT, amount(1))), '6985');
});

test('ten movements are kept; the eleventh takes the place of the first', () => {
  const { card, managed } = newCard();
  personalise(managed);
  credit(card, 100);
  for (let count = 1; count <= 10; count++) card.send(command(DEBIT, amount(count)));
  assert.equal(card.status(command(HISTORY, undefined, 9)), '9000');
  assert.equal(card.status(command(HISTORY, undefined, 10)), '6A83');
  const last = card.send(command(HISTORY, undefined, 9)).data;
  assert.equal(bytesToUint(last.subarray(1, 5)), 1);
});

test('a store that fails leaves the purse as it was, in the next call too', () => {
  const { card, managed } = newCard();
  personalise(managed);
  credit(card, 50);
  card.failingCommits = 1;
  assert.equal(card.status(command(DEBIT, amount(20))), '6581');
  card.send(selectCommand(LOYALTY_INSTANCE_AID));
  assert.deepEqual(balance(card), [50, 1]);
});

test('the load file says who it is; the card knows it by the hash of these bytes', () => {
  const { card } = newCard();
  const { manifest } = decodeApplicationPackage(CODE);
  assert.equal(manifest.loadFileAid, LOYALTY_LOAD_FILE_AID);
  assert.deepEqual(manifest.modules, [{ aid: LOYALTY_MODULE_AID, name: 'loyalty' }]);
  const file = card.card.state().loadFiles.find(({ aid }) => aid === LOYALTY_LOAD_FILE_AID);
  assert.equal(toHex(file?.hash ?? new Uint8Array()), toHex(nodeCiphers.sha256(CODE)));
});
