/**
 * Key usage is the header's to say: every key of every command is given as a block of every other
 * usage and algorithm that this HSM knows, and refused. @see X9.143 tables 2, 3, 4 and 5
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, test } from 'node:test';
import { toHex } from '@tapnpay/protocol/bytes';
import { tr31WrapD } from '@tapnpay/protocol/crypto';
import type { HsmCommand, KeyAlgorithm, KeyUsage } from '@tapnpay/protocol/wire';
import { nodeCiphers } from '../../runtime/system.ts';
import type { HsmContext } from '../context.ts';
import { HsmError } from '../errors.ts';
import { executeForeign } from '../execute.ts';
import {
  type Sample,
  sampleRequests,
  seededRandom,
  type TestSystem,
  testSystem,
} from '../hsm.test-kit.ts';
import { adjusted } from '../keys.ts';
import { KEY_RULES } from '../profile.ts';

type Kind = { readonly usage: KeyUsage; readonly algorithm: KeyAlgorithm };
const KINDS: readonly Kind[] = Object.entries(KEY_RULES).flatMap(([usage, { algorithms }]) =>
  algorithms.map((algorithm) => ({ usage: usage as KeyUsage, algorithm })),
);
const MAC_KINDS = ['M1 T', 'M1 4', 'M3 T', '10 T'];

/** Each key of each command, as a path into the request, with the kinds that it takes. */
const KEYS: readonly (readonly [HsmCommand, path: string, kinds: readonly string[]])[] = [
  ['generateKey', 'exportUnder', ['K0 T']],
  ['importKey', 'under', ['K0 T']],
  ['generateMac', 'key', MAC_KINDS],
  ['verifyMac', 'key', MAC_KINDS],
  ['translatePin', 'from.key', ['P0 T']],
  ['translatePin', 'toKey', ['P0 T']],
  ['verifyPin', 'pinKey', ['P0 T']],
  ['verifyPin', 'pvk', ['V2 T']],
  ['generatePvv', 'pinKey', ['P0 T']],
  ['generatePvv', 'pvk', ['V2 T']],
  ['generatePin', 'pinKey', ['P0 T']],
  ['generatePin', 'pvk', ['V2 T']],
  ['verifyArqc', 'imkAc', ['E0 T']],
  ['verifyToken', 'imkAc', ['E0 T']],
  ['generateArpc', 'imkAc', ['E0 T']],
  ['generateScriptMac', 'imkMac', ['E2 T']],
  ['generatePinChange', 'imkEnc', ['E1 T']],
  ['generatePinChange', 'pinKey', ['P0 T']],
  ['verifyEcBalance', 'imkMac', ['E2 T']],
  ['exportInitialKey', 'baseKey', ['B0 A']],
  ['personaliseCard', 'imkAc', ['E0 T']],
  ['personaliseCard', 'imkMac', ['E2 T']],
  ['personaliseCard', 'imkEnc', ['E1 T']],
  ['personaliseCard', 'pvk', ['V2 T']],
  ['elementKeyCheckValues', 'source.key', ['E5 A']],
  ['openElementSession', 'source.key', ['E5 A']],
  ['openElementScript', 'source.key', ['E5 A']],
  ['putElementKeys', 'source.key', ['E5 A']],
  ['exportFactoryKeys', 'source.key', ['E5 A']],
];

let system: TestSystem;
let samples: Readonly<Record<HsmCommand, Sample>>;
before(async () => {
  system = await testSystem();
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  samples = sampleRequests(system, toHex(publicKey.export({ format: 'der', type: 'spki' })));
});

/** A block of this HSM whose key nobody has used before. */
function blockOf(context: HsmContext, kind: Kind, header: object = {}): string {
  const { usage, algorithm } = kind;
  const { modeOfUse } = KEY_RULES[usage];
  const seed = `${context.party} ${usage} ${algorithm}`;
  return tr31WrapD(
    nodeCiphers,
    context.masterKey.expose(),
    { usage, algorithm, modeOfUse, exportability: 'N', ...header },
    adjusted(algorithm, seededRandom(seed).bytes(16)),
    seededRandom('fill'),
  );
}

function codeWith(command: HsmCommand, path: string, block: string): string | null {
  const { party, caller, request } = samples[command];
  const [field = '', inner] = path.split('.');
  const found = (request as unknown as Record<string, object>)[field];
  const value = inner === undefined ? block : { ...found, [inner]: block };
  try {
    executeForeign(system.contexts[party], caller, { ...request, [field]: value });
    return null;
  } catch (thrown) {
    assert.ok(thrown instanceof HsmError, String(thrown));
    return thrown.code;
  }
}

test('every command refuses every key of a wrong usage or algorithm', () => {
  let refused = 0;
  for (const [command, path, kinds] of KEYS) {
    const context = system.contexts[samples[command].party];
    for (const kind of KINDS) {
      const code = codeWith(command, path, blockOf(context, kind));
      const name = `${kind.usage} ${kind.algorithm}`;
      if (kinds.includes(name)) {
        assert.notEqual(code, 'ERR_HSM_KEY_USAGE', `${command} ${path} ${name}`);
        continue;
      }
      assert.equal(code, 'ERR_HSM_KEY_USAGE', `${command} ${path} ${name}`);
      refused++;
    }
  }
  assert.ok(refused > 300, `${refused} refusals`);
});

test('every command that takes a key is in the table above', () => {
  const named = new Set(KEYS.map(([command, path]) => `${command} ${path.split('.')[0]}`));
  for (const [command, { request }] of Object.entries(samples)) {
    for (const [field, value] of Object.entries(request)) {
      const text = JSON.stringify(value);
      if (!/"D0[0-9]{3}[A-Z0-9]{4}00N/.test(text)) continue;
      assert.ok(named.has(`${command} ${field}`), `${command} ${field}`);
    }
  }
});

test('a right usage with a wrong mode of use or exportability is refused as well', () => {
  for (const [command, path, [name = '']] of KEYS) {
    const context = system.contexts[samples[command].party];
    const [usage, algorithm] = name.split(' ') as [KeyUsage, KeyAlgorithm];
    const wrongModes = ['D', 'E', 'G', 'V', 'S'];
    for (const header of [
      ...wrongModes.map((modeOfUse) => ({ modeOfUse })),
      ...['E', 'S'].map((exportability) => ({ exportability })),
    ]) {
      const block = blockOf(context, { usage, algorithm }, header);
      assert.equal(codeWith(command, path, block), 'ERR_HSM_KEY_USAGE', JSON.stringify(header));
    }
  }
});

test('an SM4 key needs the request to name SM4, and a 3DES key not to', () => {
  const context = system.contexts.issuer;
  for (const [command, path, usage] of [
    ['verifyArqc', 'imkAc', 'E0'],
    ['verifyToken', 'imkAc', 'E0'],
    ['generateArpc', 'imkAc', 'E0'],
    ['generateScriptMac', 'imkMac', 'E2'],
    ['generatePinChange', 'imkEnc', 'E1'],
    ['verifyEcBalance', 'imkMac', 'E2'],
  ] as const) {
    const { caller, request } = samples[command];
    const withSm4 = { ...request, algorithm: '4' };
    const codeOf = (block: string): string | null => {
      try {
        executeForeign(context, caller, { ...withSm4, [path]: block });
        return null;
      } catch (thrown) {
        return (thrown as HsmError).code;
      }
    };
    assert.notEqual(codeOf(blockOf(context, { usage, algorithm: '4' })), 'ERR_HSM_KEY_USAGE');
    assert.equal(codeOf(blockOf(context, { usage, algorithm: 'T' })), 'ERR_HSM_KEY_USAGE');
  }
});
