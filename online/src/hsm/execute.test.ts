/** Who may call what with which keys, and that a refusal always has a code of the HSM's own. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, test } from 'node:test';
import { toHex } from '@tapnpay/protocol/bytes';
import { tr31HeaderOf, tr31UnwrapD, tr31WrapD } from '@tapnpay/protocol/crypto';
import type { HsmCaller, HsmCommand } from '@tapnpay/protocol/wire';
import fc from 'fast-check';
import { HSM_PARTIES } from '../runtime/party-keys.ts';
import { nodeCiphers } from '../runtime/system.ts';
import { HSM_COMMANDS } from './commands/table.ts';
import { HsmError, type HsmErrorCode } from './errors.ts';
import { executeForeign, executeHsmCommand, inProcessHsm } from './execute.ts';
import {
  contextOf,
  flipBit,
  type Sample,
  sampleRequests,
  seededRandom,
  type TestSystem,
  testSystem,
} from './hsm.test-kit.ts';
import { withOddParity } from './keys.ts';
import { KEY_RULES } from './profile.ts';

const CALLERS: readonly HsmCaller[] = ['gateway', 'switch', 'issuer', 'bureau', 'ceremony', 'tsm'];
const COMMANDS = Object.keys(HSM_COMMANDS) as HsmCommand[];
const element = generateKeyPairSync('rsa', { modulusLength: 2048 });
const spki = toHex(element.publicKey.export({ format: 'der', type: 'spki' }));

let system: TestSystem;
let samples: Readonly<Record<HsmCommand, Sample>>;
before(async () => {
  system = await testSystem();
  samples = sampleRequests(system, spki);
});

/** The code that a command is refused with, null when it is done. */
function codeOf(run: () => unknown): HsmErrorCode | null {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof HsmError, String(thrown));
    return thrown.code;
  }
  return null;
}

/** Runs the sample of a command with fields replaced. */
function attempt(command: HsmCommand, change: object, caller?: HsmCaller): HsmErrorCode | null {
  const sample = samples[command];
  return codeOf(() =>
    executeForeign(system.contexts[sample.party], caller ?? sample.caller, {
      ...sample.request,
      ...change,
    }),
  );
}

test('each HSM takes each command from the callers of its row and of its party alone', () => {
  const allowed: string[] = [];
  for (const party of [...HSM_PARTIES, 'tsm'] as const) {
    for (const caller of CALLERS) {
      for (const command of COMMANDS) {
        const { request } = samples[command];
        const code = codeOf(() => executeForeign(system.contexts[party], caller, request));
        if (code !== 'ERR_HSM_CALLER') allowed.push(`${party} ${caller} ${command}`);
      }
    }
  }
  assert.deepEqual(allowed, [
    ...['gateway gateway status', 'gateway gateway forgetKeys', 'gateway gateway importKey'],
    ...['gateway gateway generateMac', 'gateway gateway verifyMac'],
    'gateway gateway exportInitialKey',
    ...['gateway ceremony status', 'gateway ceremony forgetKeys', 'gateway ceremony formKey'],
    ...['switch switch status', 'switch switch forgetKeys', 'switch switch generateKey'],
    ...['switch switch importKey', 'switch switch generateMac', 'switch switch verifyMac'],
    'switch switch translatePin',
    ...['switch ceremony status', 'switch ceremony forgetKeys', 'switch ceremony formKey'],
    ...['issuer issuer status', 'issuer issuer forgetKeys', 'issuer issuer importKey'],
    ...['issuer issuer generateMac', 'issuer issuer verifyMac', 'issuer issuer verifyPin'],
    ...['issuer issuer generatePvv', 'issuer issuer generatePin', 'issuer issuer verifyArqc'],
    'issuer issuer verifyToken',
    ...['issuer issuer generateArpc', 'issuer issuer generateScriptMac'],
    ...['issuer issuer generatePinChange', 'issuer issuer verifyEcBalance'],
    ...['issuer bureau status', 'issuer bureau generatePin', 'issuer bureau personaliseCard'],
    ...['issuer ceremony status', 'issuer ceremony forgetKeys', 'issuer ceremony formKey'],
    ...['tsm ceremony status', 'tsm ceremony forgetKeys', 'tsm ceremony formKey'],
    ...['tsm tsm status', 'tsm tsm forgetKeys', 'tsm tsm generateElementMaster'],
    ...['tsm tsm elementKeyCheckValues', 'tsm tsm openElementSession'],
    ...['tsm tsm openElementScript', 'tsm tsm verifyElementAnswer'],
    ...['tsm tsm wrapElementCommands', 'tsm tsm unwrapElementAnswers'],
    ...['tsm tsm putElementKeys', 'tsm tsm storeElementData', 'tsm tsm signLoadFile'],
    ...['tsm tsm loadFileVerificationKey', 'tsm tsm exportFactoryKeys'],
  ]);
});

test('no command makes an ARQC: the issuer can only compare one', () => {
  const answers = COMMANDS.filter((name) => /arqc|cryptogram/i.test(name));
  assert.deepEqual(answers, ['verifyArqc']);
  const { party, caller, request } = samples.verifyArqc;
  const answer = executeHsmCommand(system.contexts[party], caller, request);
  assert.deepEqual(answer, { valid: false });
});

test('an unknown command and a request that is no object are refused', () => {
  const context = system.contexts.issuer;
  for (const value of [null, 7, 'status', [], {}, { command: 'exportKey' }, { command: 3 }]) {
    assert.equal(
      codeOf(() => executeForeign(context, 'issuer', value)),
      'ERR_HSM_COMMAND',
    );
  }
  assert.equal(
    codeOf(() => executeForeign(context, 'issuer', { command: 'toString' })),
    'ERR_HSM_COMMAND',
  );
});

test('status names party, label and check value, and says plainly what this is not', () => {
  const answer = executeHsmCommand(system.contexts.switch, 'switch', { command: 'status' });
  assert.match(answer.notice, /No certified HSM/);
  assert.match(answer.notice, /not constant in time/);
  assert.equal(answer.driver, 'embedded');
  assert.ok(answer.mechanisms.includes('sm4'));
  assert.equal(answer.label, 'LAB');
  assert.equal(answer.party, 'switch');
  assert.match(answer.masterKeyKcv, /^[0-9A-F]{10}$/);
});

test('a key serves the usage in its header and no other (X9.143 table 2)', () => {
  const { imkAc, imkMac, pvk, zmk } = system.keys.issuer.keys;
  const { pin, mac } = system.issuerLine.issuer;
  const wrong: readonly (readonly [HsmCommand, object])[] = [
    ['generateMac', { key: pin }],
    ['verifyMac', { key: zmk.keyBlock }],
    ['verifyPin', { pinKey: mac }],
    ['verifyPin', { pvk: pin }],
    ['verifyArqc', { imkAc: imkMac.keyBlock }],
    ['generateArpc', { imkAc: imkMac.keyBlock }],
    ['generateScriptMac', { imkMac: imkAc.keyBlock }],
    ['importKey', { under: pin }],
    ['personaliseCard', { pvk: imkAc.keyBlock }],
    ['personaliseCard', { imkEnc: imkMac.keyBlock }],
    ['exportInitialKey', { baseKey: system.gatewayLine.gateway.pin }],
    ['generateKey', { exportUnder: system.issuerLine.switch.pin }],
    ['translatePin', { toKey: system.issuerLine.switch.mac }],
    ['translatePin', { from: { key: system.keys.switch.keys.zmkIssuer.keyBlock, format: 0 } }],
    ['verifyPin', { pvk: imkAc.keyBlock, pinKey: pvk.keyBlock }],
  ];
  for (const [command, change] of wrong) {
    assert.equal(attempt(command, change), 'ERR_HSM_KEY_USAGE', command);
  }
});

test('a key block with any character changed, or of another HSM, is refused', () => {
  const { mac } = system.issuerLine.issuer;
  for (let index = 1; index < mac.length; index += 3) {
    const other = mac[index] === '0' ? '1' : '0';
    const code = attempt('generateMac', {
      key: `${mac.slice(0, index)}${other}${mac.slice(index + 1)}`,
    });
    assert.ok(code === 'ERR_HSM_KEY_BLOCK' || code === 'ERR_HSM_PARAMETER', `${index}: ${code}`);
  }
  assert.equal(attempt('generateMac', { key: system.issuerLine.switch.mac }), 'ERR_HSM_KEY_BLOCK');
});

test('a block whose header was never one of ours is refused, though its MAC is right', () => {
  const { issuer } = system.contexts;
  const block = (header: object): string =>
    tr31WrapD(
      nodeCiphers,
      issuer.masterKey.expose(),
      { usage: 'M1', algorithm: 'T', modeOfUse: 'C', exportability: 'N', ...header },
      withOddParity(seededRandom('block').bytes(16)),
      seededRandom('fill'),
    );
  assert.equal(attempt('generateMac', { key: block({}) }), null);
  for (const header of [{ usage: 'D0' }, { algorithm: 'A' }, { modeOfUse: 'V' }]) {
    assert.equal(attempt('generateMac', { key: block(header) }), 'ERR_HSM_KEY_USAGE');
  }
});

test('keys leave labelled, not exportable and of odd parity (X9.143, FIPS 46-3)', () => {
  const { party, caller, request } = samples.generateKey;
  const context = system.contexts[party];
  const { keyBlock } = executeHsmCommand(context, caller, request) as { keyBlock: string };
  const header = tr31HeaderOf(keyBlock);
  assert.equal(header.usage, 'P0');
  assert.equal(header.exportability, 'N');
  assert.deepEqual(header.optionalBlocks, [{ id: 'LB', data: 'LAB' }]);
  const { key } = tr31UnwrapD(nodeCiphers, context.masterKey.expose(), keyBlock);
  assert.deepEqual(withOddParity(key), key);
  for (const byte of key) {
    const ones = byte.toString(2).replaceAll('0', '').length;
    assert.equal(ones % 2, 1);
  }
});

test('fields that are missing, malformed or unknown are refused by name, never echoed', () => {
  const wrong: readonly (readonly [HsmCommand, object])[] = [
    ['generateMac', { data: 'xy' }],
    ['generateMac', { data: '0' }],
    ['generateMac', { data: 'ab' }],
    ['generateMac', { data: undefined }],
    ['generateMac', { data: '00'.repeat(8193) }],
    ['verifyMac', { mac: '00000000' }],
    ['verifyArqc', { atc: '1' }],
    ['verifyArqc', { card: { pan: '6299990000000000012', panSequenceNumber: '1' } }],
    ['verifyArqc', { data: '' }],
    ['generateArpc', { arc: '30' }],
    ['verifyPin', { pvv: '123' }],
    ['verifyPin', { pvki: '7' }],
    ['verifyPin', { pan: '62999900000000000x2' }],
    ['translatePin', { toFormat: 1 }],
    ['translatePin', { panTo: '6299990000000000020' }],
    ['translatePin', { from: { key: 'x', format: 0 } }],
    ['formKey', { components: ['0123456789ABCDEFFEDCBA9876543210'] }],
    ['formKey', { algorithm: 'A' }],
    ['formKey', { usage: 'D0' }],
    ['generateKey', { usage: 'M1', algorithm: 'A' }],
    ['exportInitialKey', { initialKeyId: '12' }],
    ['personaliseCard', { expiryYymm: '3013' }],
    ['personaliseCard', { pin: '123' }],
    ['personaliseCard', { label: '' }],
    ['personaliseCard', { cardholderName: 'é' }],
    ['personaliseCard', { label: '旅行卡' }],
    ['personaliseCard', { aid: 'A0000003' }],
    ['personaliseCard', { interfaces: 'both' }],
  ];
  for (const [command, change] of wrong) {
    assert.equal(
      attempt(command, change),
      'ERR_HSM_PARAMETER',
      `${command} ${JSON.stringify(change)}`,
    );
  }
  try {
    executeForeign(system.contexts.issuer, 'issuer', {
      ...samples.verifyPin.request,
      pan: '6299990000000000012 ',
    });
    assert.fail('accepted');
  } catch (thrown) {
    assert.doesNotMatch(JSON.stringify(thrown), /62999900/);
  }
});

test('whatever a request holds, the refusal is coded and never internal', () => {
  const names = fc.constantFrom(...COMMANDS);
  const junk = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.string(),
    fc.constantFrom('', '00', 'D0128', undefined, null, 0, -1, 1e300, [], {}, { pan: 1 }),
  );
  fc.assert(
    fc.property(names, fc.nat(), junk, (command, at, value) => {
      if (command === 'personaliseCard' || command === 'exportInitialKey') fc.pre(at % 8 === 0);
      const { party, caller, request } = samples[command];
      const fields = Object.keys(request).filter((name) => name !== 'command');
      const field = fields[at % (fields.length + 1)] ?? 'extra';
      const changed = { ...request, [field]: value };
      const code = codeOf(() => executeForeign(system.contexts[party], caller, changed));
      assert.notEqual(code, 'ERR_HSM_INTERNAL');
    }),
    { numRuns: 400 },
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      codeOf(() => executeForeign(system.contexts.issuer, 'issuer', value));
    }),
    { numRuns: 200 },
  );
});

test('no answer but the new card holds a clear key or PIN', () => {
  const secrets = new Set<string>();
  for (const context of Object.values(system.contexts)) {
    secrets.add(toHex(context.masterKey.expose()));
    for (const [party, file] of Object.entries({ ...system.keys, tsm: system.elementKeys })) {
      if (party !== context.party) continue;
      for (const { keyBlock } of Object.values(file.keys)) {
        secrets.add(toHex(tr31UnwrapD(nodeCiphers, context.masterKey.expose(), keyBlock).key));
      }
    }
  }
  assert.equal(secrets.size, 4 + 12 + 5 - 2, 'two zone keys are shared');
  for (const command of COMMANDS) {
    if (command === 'personaliseCard') continue;
    const { party, caller, request } = samples[command];
    let text: string;
    try {
      text = JSON.stringify(executeHsmCommand(system.contexts[party], caller, request));
    } catch (thrown) {
      text = JSON.stringify(thrown);
    }
    for (const secret of secrets) assert.ok(!text.includes(secret), command);
  }
});

test('a context shows no key when it is printed or serialised', () => {
  const context = contextOf('issuer', 'printed');
  const master = toHex(context.masterKey.expose());
  assert.ok(!JSON.stringify(context).toUpperCase().includes(master));
  assert.match(String(context.masterKey), /^\[master key\]$/);
});

test('every usage has a rule, and the executor in process answers as a client does', async () => {
  assert.deepEqual(Object.keys(KEY_RULES).length, 11);
  const hsm = inProcessHsm(system.contexts.issuer, 'issuer');
  await assert.rejects(hsm.call(samples.formKey.request), { code: 'ERR_HSM_CALLER' });
  const good = samples.generateMac.request;
  const changed = { ...samples.verifyMac.request, data: '0102030405060708' };
  const made = (await hsm.call(good)) as { mac: string };
  assert.deepEqual(await hsm.call({ ...changed, mac: made.mac } as typeof good), { valid: true });
  const flipped = { ...changed, mac: flipBit(made.mac, 63) } as typeof good;
  assert.deepEqual(await hsm.call(flipped), { valid: false });
});
