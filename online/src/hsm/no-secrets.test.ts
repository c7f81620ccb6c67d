/**
 * No command reveals a key or a clear PIN: every answer and every refusal of every command is
 * searched for every key of the system and for the PIN, in the forms in which bytes are written.
 * The detector itself is shown to find each form.
 */
import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  encipherPinBlockFormat4,
  pinBlockFormat0,
  tdesEncrypt,
  tr31UnwrapD,
} from '@tapnpay/protocol/crypto';
import { diversifyKey } from '@tapnpay/protocol/globalplatform/data';
import type { HsmCommand, HsmRequest } from '@tapnpay/protocol/wire';
import type { HsmParty } from '../runtime/party-keys.ts';
import { nodeCiphers } from '../runtime/system.ts';
import { HSM_COMMANDS } from './commands/table.ts';
import { SAMPLE_DATA } from './element-samples.test-kit.ts';
import { executeForeign } from './execute.ts';
import { type Sample, sampleRequests, type TestSystem, testSystem } from './hsm.test-kit.ts';

const COMMANDS = Object.keys(HSM_COMMANDS) as HsmCommand[];
const PAN = '6299990000000000012';
/** Of digits that no key check value, counter or PAN of the samples has in a row. */
const PIN = '837461';
const element = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spki = toHex(element.publicKey.export({ format: 'der', type: 'spki' }));

let system: TestSystem;
let samples: Readonly<Record<HsmCommand, Sample>>;
before(async () => {
  system = await testSystem();
  samples = { ...sampleRequests(system, spki), ...goodPins() };
});

function clearKey(party: HsmParty, block: string): Uint8Array {
  return tr31UnwrapD(nodeCiphers, system.contexts[party].masterKey.expose(), block).key;
}

/** The PIN commands with a block that holds the PIN, so that they succeed. */
function goodPins(): Partial<Record<HsmCommand, Sample>> {
  const plain = sampleRequests(system, spki);
  const blockUnder = (key: Uint8Array): string =>
    toHex(tdesEncrypt(key, pinBlockFormat0(PIN, PAN)));
  const atIssuer = blockUnder(clearKey('issuer', system.issuerLine.issuer.pin));
  const atSwitch = blockUnder(clearKey('switch', system.gatewayLine.switch.pin));
  const withBlock = (command: HsmCommand, pinBlock: string): Sample => ({
    ...plain[command],
    request: { ...plain[command].request, pinBlock } as HsmRequest,
  });
  return {
    translatePin: withBlock('translatePin', atSwitch),
    verifyPin: withBlock('verifyPin', atIssuer),
    generatePvv: withBlock('generatePvv', atIssuer),
    generatePinChange: withBlock('generatePinChange', atIssuer),
  };
}

/** Forms of a secret in text: hex, base64, the bytes as characters, JSON lists of numbers. */
function formsOf(secret: Uint8Array): readonly string[] {
  const buffer = Buffer.from(secret);
  return [
    ...[buffer.toString('hex'), buffer.toString('base64'), buffer.toString('base64url')],
    ...[buffer.toString('latin1'), buffer.toString('utf16le'), [...secret].join(',')],
  ].map((form) => form.toLowerCase().replace(/=+$/, ''));
}

function formsOfPin(pin: string): readonly string[] {
  const bcd = Buffer.from(pin, 'hex');
  return [...new Set([...formsOf(Buffer.from(pin, 'ascii')), ...formsOf(bcd), pin])];
}

function findsIn(text: string, forms: readonly string[]): boolean {
  const lower = text.toLowerCase();
  return forms.some((form) => form.length > 2 && lower.includes(form));
}

/** Answer or refusal of a command. */
function saidBy({ party, caller, request }: Sample): { text: string; isDone: boolean } {
  try {
    const answer = executeForeign(system.contexts[party], caller, request);
    return { text: JSON.stringify(answer), isDone: true };
  } catch (thrown) {
    return { text: JSON.stringify(thrown), isDone: false };
  }
}

function systemKeys(): readonly Uint8Array[] {
  const keys = (['gateway', 'switch', 'issuer'] as const).flatMap((party) => [
    system.contexts[party].masterKey.expose(),
    ...Object.values(system.keys[party].keys).map(({ keyBlock }) => clearKey(party, keyBlock)),
  ]);
  const lines = [system.gatewayLine.gateway, system.gatewayLine.switch];
  const working = [
    ...lines.map(({ pin }, index) => clearKey(index === 0 ? 'gateway' : 'switch', pin)),
    ...[system.issuerLine.issuer.pin, system.issuerLine.issuer.mac].map((block) =>
      clearKey('issuer', block),
    ),
  ];
  const masters = Object.entries(system.elementKeys.keys);
  // The open factory master is known to everybody.
  const ofElements = masters
    .filter(([name]) => name !== 'factoryOpen')
    .map(([, { keyBlock }]) => clearKey('tsm', keyBlock));
  const source = { way: 'kdf3' as const, keyDiversificationData: fromHex(SAMPLE_DATA) };
  const ofSample = (['encryption', 'mac', 'dataEncryption'] as const).map((usage) =>
    diversifyKey(nodeCiphers, clearKey('tsm', system.elementKeys.keys.elementAes.keyBlock), {
      ...source,
      usage,
    }),
  );
  return [...keys, ...working, ...ofElements, ...ofSample];
}

test('no answer and no refusal holds a key or a PIN', () => {
  const keyForms = systemKeys().flatMap(formsOf);
  const pinForms = formsOfPin(PIN);
  const done = new Set<string>();
  for (const command of COMMANDS) {
    // The image of a new card is the chip's own: see the test below.
    if (command === 'personaliseCard') continue;
    for (const request of variantsOf(samples[command].request)) {
      const { text, isDone } = saidBy({ ...samples[command], request });
      if (isDone) done.add(command);
      assert.ok(!findsIn(text, keyForms), `${command} shows a key`);
      assert.ok(!findsIn(text, pinForms), `${command} shows a PIN`);
    }
  }
  const undone = COMMANDS.filter((command) => !done.has(command));
  assert.deepEqual(undone, ['importKey', 'personaliseCard'], 'commands that never succeeded');
});

/** The sample, and the sample with each field gone, which is mostly refused. */
function variantsOf(request: HsmRequest): readonly HsmRequest[] {
  const fields = Object.keys(request).filter((field) => field !== 'command');
  return [
    request,
    ...fields.map((field) => {
      const { [field as keyof HsmRequest]: _, ...rest } = request as HsmRequest;
      return rest as HsmRequest;
    }),
  ];
}

test('a new card holds its own keys and no key of the issuer', () => {
  const { text, isDone } = saidBy(samples.personaliseCard);
  assert.ok(isDone);
  assert.ok(!findsIn(text, systemKeys().flatMap(formsOf)));
});

test('the detector finds a key and a PIN in every form that it looks for', () => {
  const key = fromHex('0123456789ABCDEFFEDCBA9876543210');
  const leaks = [
    ...['0123456789ABCDEFFEDCBA9876543210', '0123456789abcdeffedcba9876543210'],
    ...['ASNFZ4mrze/+3LqYdlQyEA==', '1,35,69,103,137,171,205,239,254,220,186,152,118,84,50,16'],
    JSON.stringify({ deep: [{ value: Buffer.from(key).toString('hex') }] }),
  ];
  for (const leak of leaks) assert.ok(findsIn(leak, formsOf(key)), leak);
  assert.ok(!findsIn('0123456789ABCDEFFEDCBA9876543211', formsOf(key)));
  const pins = ['PIN 837461.', '{"pin":"837461"}', '26837461FFFFFFFF', 'ODM3NDYx', '383337343631'];
  for (const leak of pins) assert.ok(findsIn(leak, formsOfPin(PIN)), leak);
  assert.ok(!findsIn('837462', formsOfPin(PIN)));
});

test('a sealed letter shows no PIN and opens with the private key', () => {
  const { pvk } = system.keys.issuer.keys;
  const request = {
    ...({ command: 'generatePin', pvk: pvk.keyBlock, pan: PAN, pvki: '1' } as const),
    printerKeySpki: spki,
  };
  const said = saidBy({ party: 'issuer', caller: 'bureau', request });
  const { letter } = JSON.parse(said.text) as { letter: string };
  const clear = privateDecrypt(
    {
      key: element.privateKey,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
    },
    fromHex(letter),
  ).toString();
  const [pin = ''] = /[0-9]{6}$/.exec(clear) ?? [];
  assert.match(pin, /^[0-9]{6}$/);
  assert.ok(!said.text.includes(pin));
});

test('a PIN that goes through the gateway is in none of its answers', () => {
  const base = clearKey('gateway', system.keys.gateway.keys.bdk.keyBlock);
  const random8 = new Uint8Array(8);
  const block = encipherPinBlockFormat4(nodeCiphers, base, { pin: PIN, pan: PAN, random8 });
  const request = {
    command: 'translatePin',
    from: {
      key: system.keys.gateway.keys.bdk.keyBlock,
      format: 4,
      ksn: '123456789012345600000001',
    },
    ...{ toKey: system.gatewayLine.gateway.pin, pan: PAN, pinBlock: toHex(block) },
  } as const;
  const { text, isDone } = saidBy({ party: 'gateway', caller: 'gateway', request });
  assert.equal(isDone, false);
  assert.ok(!findsIn(text, formsOfPin(PIN)));
});
