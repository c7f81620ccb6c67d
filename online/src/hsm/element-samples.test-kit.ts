/** For tests: good requests of the commands for secure elements, with an element that answers. */
import { fromHex, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import { tr31UnwrapD } from '@tapnpay/protocol/crypto';
import {
  diversifyKey,
  scp03Cryptogram,
  scp03SessionKey,
} from '@tapnpay/protocol/globalplatform/data';
import { predictedChallenge, staticKeys } from '@tapnpay/protocol/globalplatform/offcard';
import type { HsmElementRequest, HsmRequest, KeySetSource } from '@tapnpay/protocol/wire';
import { nodeCiphers } from '../runtime/system.ts';
import type { HsmContext } from './context.ts';
import { executeHsmCommand } from './execute.ts';
import type { Sample, TestSystem } from './hsm.test-kit.ts';

/** Data that make the sample's key set. */
export const SAMPLE_DATA = '54410011223344556677';
const HOST_CHALLENGE = '0102030405060708';
const TARGET = {
  ...({ protocol: 3, parameterI: 0x70, keyVersionNumber: 0x30 } as const),
  ...{ sequenceCounter: 5, invokerAid: 'A000000151000000' },
};

/** The answer to INITIALIZE UPDATE of an element that has the keys of a source. */
export function sampleAnswer(context: HsmContext, source: KeySetSource): string {
  const master = tr31UnwrapD(nodeCiphers, context.masterKey.expose(), source.key).key;
  const keyOf = (usage: 'encryption' | 'mac' | 'dataEncryption'): Uint8Array =>
    diversifyKey(nodeCiphers, master, {
      ...{ way: source.way, usage, keyDiversificationData: fromHex(source.data) },
    });
  const keys = staticKeys({
    ...{ encryption: keyOf('encryption'), mac: keyOf('mac') },
    dataEncryption: keyOf('dataEncryption'),
  });
  const cardChallenge = predictedChallenge(nodeCiphers, TARGET, keys);
  const challenges = { hostChallenge: fromHex(HOST_CHALLENGE), cardChallenge };
  const mac = scp03SessionKey(nodeCiphers, keys.mac.expose(), 'commandMac', challenges);
  const cryptogram = scp03Cryptogram(nodeCiphers, mac, 'cardCryptogram', challenges);
  const head = `${source.data}30${'03'}70`;
  const counter = toHex(uintToBytes(TARGET.sequenceCounter, 3));
  return `${head}${toHex(cardChallenge)}${toHex(cryptogram)}${counter}`;
}

/** One good request of each command for secure elements. */
export function elementSamples(
  system: TestSystem,
  spki: string,
): Readonly<Record<HsmElementRequest['command'], Sample>> {
  const context = system.contexts.tsm;
  const key = system.elementKeys.keys.elementAes.keyBlock;
  const source: KeySetSource = { key, way: 'kdf3', data: SAMPLE_DATA };
  const answer = sampleAnswer(context, source);
  const opening = { hostChallenge: HOST_CHALLENGE, securityLevel: 0x33, commandBytesMax: 255 };
  const open = { command: 'openElementSession', source, answer, ...opening } as const;
  const { session } = executeHsmCommand(context, 'tsm', open);
  const commands = ['80F28002024F0000'];
  const wrap = { command: 'wrapElementCommands', session, commands } as const;
  const waiting = executeHsmCommand(context, 'tsm', wrap);
  const of = (request: HsmRequest): Sample => ({ party: 'tsm', caller: 'tsm', request });
  return {
    generateElementMaster: of({
      ...({ command: 'generateElementMaster', algorithm: 'A', lengthBytes: 24 } as const),
    }),
    elementKeyCheckValues: of({ command: 'elementKeyCheckValues', source, protocol: 3 }),
    openElementSession: of(open),
    openElementScript: of({ command: 'openElementScript', source, target: TARGET, ...opening }),
    verifyElementAnswer: of({ command: 'verifyElementAnswer', session, answer }),
    wrapElementCommands: of(wrap),
    unwrapElementAnswers: of({
      ...({ command: 'unwrapElementAnswers', session: waiting.session } as const),
      answers: ['6A88'],
    }),
    putElementKeys: of({
      ...({ command: 'putElementKeys', session, source, type: 'aes' } as const),
      ...{ replaces: 0xff, newKeyVersionNumber: 0x30 },
    }),
    storeElementData: of({
      ...({ command: 'storeElementData', session, isEncrypted: true } as const),
      groupings: [{ identifier: 0x0101, value: '0102' }],
    }),
    signLoadFile: of({
      ...({ command: 'signLoadFile', kind: 'ecdsaP256', hash: '5A'.repeat(32) } as const),
    }),
    loadFileVerificationKey: of({ command: 'loadFileVerificationKey', kind: 'ecdsaP256' }),
    exportFactoryKeys: of({
      ...({ command: 'exportFactoryKeys', publicKeySpki: spki } as const),
      source: { ...source, key: system.elementKeys.keys.factoryAes.keyBlock },
    }),
  };
}
