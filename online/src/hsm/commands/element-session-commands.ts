/**
 * Masters of elements' key sets, and sessions from them. An element's proof is checked before the
 * host's is given out; nothing here shows a key of an element. @see GPCS 2.3.1 §E.5, GP-D §7.1
 */
import { constants, publicEncrypt } from 'node:crypto';
import { concatBytes, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import {
  decodeInitializeUpdate,
  GlobalPlatformError,
  isLevelOffered,
  SCP02_PARAMETERS,
} from '@tapnpay/protocol/globalplatform/data';
import {
  assertPredictable,
  checkedAnswer,
  externalAuthenticate,
  initializeUpdateCommand,
  isKeyFit,
  predictedChallenge,
} from '@tapnpay/protocol/globalplatform/offcard';
import { encodeCommand } from '@tapnpay/protocol/iso7816';
import {
  countShape,
  hexShape,
  KeyUsage,
  type OpenedElementSession,
  oneOfShape,
} from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import { elementSession, type SessionParts, sealSession } from '../element-session.ts';
import { HsmError } from '../errors.ts';
import { randomKey, wrapKey } from '../keys.ts';
import { keyLengths } from '../profile.ts';
import {
  checkValuesOf,
  elementKeys,
  keySetShape,
  masterNeed,
  protocolShape,
} from './element-keys.ts';
import { SPKI_BYTES_MAX, transportKey } from './key-commands.ts';
import { bytesOf, type Command, command, noKeys, strictShape } from './rule.ts';

const ANSWER_BYTES_MAX = 64;
const COMMAND_BYTES_MAX = 0x7fff;
const COUNTER_MAX = 0xff_ffff;

const hostChallenge = hexShape({ min: 8, max: 16 });
const securityLevel = countShape(0x33);
const commandBytesMax = countShape(COMMAND_BYTES_MAX);

/** A new master that nobody has seen. */
export const generateElementMasterCommand: Command<'generateElementMaster'> = command(
  'generateElementMaster',
  {
    callers: ['tsm'],
    fields: { algorithm: oneOfShape('T', 'A'), lengthBytes: countShape(32) },
    mechanisms: () => ['globalPlatform'],
    keys: noKeys,
    run: ({ context, request: { algorithm, lengthBytes } }) => {
      const usage = KeyUsage.elementMaster;
      if (!keyLengths(usage, algorithm).includes(lengthBytes)) {
        throw new HsmError('ERR_HSM_PARAMETER', `no master of ${lengthBytes} bytes`);
      }
      const key = randomKey(context, algorithm, lengthBytes);
      return wrapKey(context, { usage, algorithm }, key);
    },
  },
);

/** What people and cards compare. */
export const elementKeyCheckValuesCommand: Command<'elementKeyCheckValues'> = command<
  'elementKeyCheckValues',
  'master'
>('elementKeyCheckValues', {
  callers: ['tsm'],
  fields: { source: keySetShape, protocol: protocolShape },
  mechanisms: () => ['globalPlatform'],
  keys: ({ source }) => ({ master: masterNeed(source) }),
  run: ({ context: { ciphers }, request: { source, protocol }, keys }) => ({
    kcvs: checkValuesOf(ciphers, elementKeys(ciphers, keys.master, source), protocol),
  }),
});

/** A session, after the element's cryptogram was found good. */
export const openElementSessionCommand: Command<'openElementSession'> = command<
  'openElementSession',
  'master'
>('openElementSession', {
  callers: ['tsm'],
  fields: {
    ...{ source: keySetShape, hostChallenge, securityLevel, commandBytesMax },
    answer: hexShape({ min: 28, max: ANSWER_BYTES_MAX }),
  },
  mechanisms: () => ['globalPlatform'],
  keys: ({ source }) => ({ master: masterNeed(source) }),
  run: ({ context, caller, request, keys }) => {
    const challenge = bytesOf(request.hostChallenge);
    const answer = checkedAnswer(decodeInitializeUpdate(bytesOf(request.answer)), challenge);
    const parts = {
      ...{ keys: elementKeys(context.ciphers, keys.master, request.source), answer },
      ...{ hostChallenge: challenge, securityLevel: request.securityLevel },
      commandBytesMax: request.commandBytesMax,
    };
    return begun(context, caller, parts, answer.cardCryptogram);
  },
});

/** The same beforehand; the element's cryptogram is checked when its answers are here. */
export const openElementScriptCommand: Command<'openElementScript'> = command<
  'openElementScript',
  'master'
>('openElementScript', {
  callers: ['tsm'],
  fields: {
    ...{ source: keySetShape, hostChallenge, securityLevel, commandBytesMax },
    target: strictShape({
      ...{ protocol: protocolShape, parameterI: countShape(0xff) },
      ...{ keyVersionNumber: countShape(0xff), sequenceCounter: countShape(COUNTER_MAX) },
      invokerAid: hexShape({ min: 5, max: 16 }),
    }),
  },
  mechanisms: () => ['globalPlatform'],
  keys: ({ source }) => ({ master: masterNeed(source) }),
  run: ({ context, caller, request, keys }) => {
    const { source, target } = request;
    assertPredictable(target, request.securityLevel);
    const set = elementKeys(context.ciphers, keys.master, source);
    const counterBytes = target.protocol === 3 ? 3 : 2;
    const challenge = bytesOf(request.hostChallenge);
    const parts: SessionParts = {
      ...{ keys: set, hostChallenge: challenge, securityLevel: request.securityLevel },
      commandBytesMax: request.commandBytesMax,
      answer: {
        ...{ secureChannelProtocol: target.protocol, keyVersionNumber: target.keyVersionNumber },
        parameterI: target.protocol === 3 ? target.parameterI : null,
        cardChallenge: predictedChallenge(context.ciphers, target, set),
        sequenceCounter: uintToBytes(target.sequenceCounter, counterBytes),
      },
    };
    const first = initializeUpdateCommand(target.keyVersionNumber, challenge);
    return {
      ...begun(context, caller, parts, null),
      initializeUpdate: toHex(encodeCommand(first)),
    };
  },
});

/** The factory keys of a new element to itself, once. @see RFC 8017 §7.1 */
export const exportFactoryKeysCommand: Command<'exportFactoryKeys'> = command<
  'exportFactoryKeys',
  'master'
>('exportFactoryKeys', {
  callers: ['tsm'],
  fields: {
    source: keySetShape,
    publicKeySpki: hexShape({ min: 1, max: SPKI_BYTES_MAX }),
  },
  mechanisms: () => ['globalPlatform', 'rsaOaep'],
  keys: ({ source }) => ({ master: masterNeed(source) }),
  run: ({ context, request: { source, publicKeySpki }, keys, kinds }) => {
    if (source.way === 'none') {
      throw new HsmError('ERR_HSM_PARAMETER', 'a master itself never leaves');
    }
    const key = transportKey(publicKeySpki);
    if (!context.initialKeys.claim(`factory ${source.data}`)) {
      throw new HsmError('ERR_HSM_PARAMETER', 'these factory keys were handed over before');
    }
    const set = elementKeys(context.ciphers, keys.master, source);
    const clear = concatBytes(
      ...[set.encryption.expose(), set.mac.expose(), set.dataEncryption.expose()],
    );
    const options = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    return {
      enciphered: toHex(publicEncrypt(options, clear)),
      kcvs: checkValuesOf(context.ciphers, set, kinds.master.algorithm === 'A' ? 3 : 2),
    };
  },
});

/** @throws GlobalPlatformError `ERR_GP_CARD_CRYPTOGRAM`, `ERR_GP_PROTOCOL`. */
function begun(
  context: HsmContext,
  caller: Parameters<typeof sealSession>[1],
  parts: SessionParts,
  cardCryptogram: Uint8Array | null,
): OpenedElementSession {
  const { answer } = parts;
  const protocol = answer.secureChannelProtocol === 3 ? 3 : 2;
  const parameterI = answer.parameterI ?? SCP02_PARAMETERS[0] ?? 0;
  if (!isLevelOffered(protocol, parameterI, parts.securityLevel)) {
    throw new GlobalPlatformError('ERR_GP_PROTOCOL', 'the element does not offer that level');
  }
  const isFit = isKeyFit(parts.keys, protocol);
  const session = isFit ? elementSession(context, parts) : null;
  const isProved =
    session !== null &&
    (cardCryptogram === null || session.messages.isCardCryptogram(cardCryptogram));
  if (!isProved) {
    const text = 'the keys do not explain the cryptogram of the element';
    throw new GlobalPlatformError('ERR_GP_CARD_CRYPTOGRAM', text);
  }
  const proof = externalAuthenticate(session.messages, parts.securityLevel);
  return {
    session: sealSession(context, caller, session),
    externalAuthenticate: toHex(encodeCommand(proof)),
    dataBytesMax: session.host.dataBytesMax,
  };
}
