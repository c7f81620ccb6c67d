/**
 * Sessions with secure elements as their caller carries them: static keys of the element, both
 * challenges and where the session stands, sealed under a key that comes from the master key. The
 * HSM itself remembers none: it may be restarted in the middle of a session, and serves any number.
 *
 * What a caller could do with an older token is protect other commands under the same counter, that
 * is, compare commands of its own. A token opens for the caller that it was made for alone.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import type { InitializeUpdateAnswer } from '@tapnpay/protocol/globalplatform/data';
import {
  type HostSession,
  type SessionMessages,
  type SessionSnapshot,
  type StaticKeys,
  sessionMessages,
  sessionOf,
  staticKeys,
} from '@tapnpay/protocol/globalplatform/offcard';
import type { ElementSessionToken, HsmCaller } from '@tapnpay/protocol/wire';
import type { HsmContext } from './context.ts';
import { HsmError } from './errors.ts';

/** Commands of one session. */
export const SESSION_COMMANDS_MAX = 4096;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEAL_CONTEXT = 'tapnpay hsm element session 1';

/** What a session consists of before its first command. */
export type SessionParts = {
  readonly keys: StaticKeys;
  readonly hostChallenge: Uint8Array;
  readonly answer: Pick<
    InitializeUpdateAnswer,
    | 'secureChannelProtocol'
    | 'cardChallenge'
    | 'sequenceCounter'
    | 'keyVersionNumber'
    | 'parameterI'
  >;
  readonly securityLevel: number;
  readonly commandBytesMax: number;
};
/** An opened session. */
export type ElementSession = {
  readonly parts: SessionParts;
  readonly messages: SessionMessages;
  readonly host: HostSession;
  readonly commandCount: number;
};

type Sealed = {
  readonly keys: readonly [string, string, string];
  readonly hostChallenge: string;
  readonly protocol: 2 | 3;
  readonly cardChallenge: string;
  readonly sequenceCounter: string | null;
  readonly keyVersionNumber: number;
  readonly parameterI: number | null;
  readonly securityLevel: number;
  readonly commandBytesMax: number;
  readonly commandCount: number;
  readonly snapshot: SessionSnapshot;
};

/** A session that begins, or goes on from where it stood. */
export function elementSession(
  { ciphers }: Pick<HsmContext, 'ciphers'>,
  parts: SessionParts,
  from?: { readonly snapshot: SessionSnapshot; readonly commandCount: number },
): ElementSession {
  const { keys, answer, hostChallenge } = parts;
  const messages = sessionMessages(ciphers, {
    ...{ keys, answer, hostChallenge, from: from?.snapshot },
  });
  const whole = { ...answer, keyDiversificationData: NONE, cardCryptogram: NONE };
  const host = sessionOf(messages, whole, parts);
  return { parts, messages, host, commandCount: from?.commandCount ?? 0 };
}

const NONE: Uint8Array = new Uint8Array();

/** @throws HsmError `ERR_HSM_SESSION` after too many commands. */
export function sealSession(
  context: HsmContext,
  caller: HsmCaller,
  session: ElementSession,
  more = 0,
): ElementSessionToken {
  const { parts, messages } = session;
  const commandCount = session.commandCount + more;
  if (commandCount > SESSION_COMMANDS_MAX) {
    throw new HsmError('ERR_HSM_SESSION', `a session has ${SESSION_COMMANDS_MAX} commands`);
  }
  const { keys, answer } = parts;
  const hexOf = (key: StaticKeys['mac']): string => toHex(key.expose());
  const sealed: Sealed = {
    keys: [hexOf(keys.encryption), hexOf(keys.mac), hexOf(keys.dataEncryption)],
    hostChallenge: toHex(parts.hostChallenge),
    protocol: answer.secureChannelProtocol === 3 ? 3 : 2,
    cardChallenge: toHex(answer.cardChallenge),
    sequenceCounter: answer.sequenceCounter && toHex(answer.sequenceCounter),
    keyVersionNumber: answer.keyVersionNumber,
    parameterI: answer.parameterI,
    ...{ securityLevel: parts.securityLevel, commandBytesMax: parts.commandBytesMax },
    ...{ commandCount, snapshot: messages.snapshot() },
  };
  const nonce = context.random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealKey(context), nonce);
  cipher.setAAD(aad(caller));
  const body = concatBytes(cipher.update(JSON.stringify(sealed), 'utf8'), cipher.final());
  return toHex(concatBytes(nonce, body, cipher.getAuthTag()));
}

/** @throws HsmError `ERR_HSM_SESSION` for what is no session of this HSM and caller. */
export function openSession(
  context: HsmContext,
  caller: HsmCaller,
  token: ElementSessionToken,
): ElementSession {
  const sealed = unsealed(context, caller, fromHex(token));
  const [encryption, mac, dataEncryption] = sealed.keys.map(fromHex);
  if (!encryption || !mac || !dataEncryption) throw noSession();
  const parts: SessionParts = {
    keys: staticKeys({ encryption, mac, dataEncryption }),
    hostChallenge: fromHex(sealed.hostChallenge),
    answer: {
      secureChannelProtocol: sealed.protocol,
      cardChallenge: fromHex(sealed.cardChallenge),
      sequenceCounter: sealed.sequenceCounter === null ? null : fromHex(sealed.sequenceCounter),
      ...{ keyVersionNumber: sealed.keyVersionNumber, parameterI: sealed.parameterI },
    },
    ...{ securityLevel: sealed.securityLevel, commandBytesMax: sealed.commandBytesMax },
  };
  return elementSession(context, parts, sealed);
}

function unsealed(context: HsmContext, caller: HsmCaller, bytes: Uint8Array): Sealed {
  if (bytes.length <= NONCE_BYTES + TAG_BYTES) throw noSession();
  const tagOffset = bytes.length - TAG_BYTES;
  const nonce = bytes.slice(0, NONCE_BYTES);
  try {
    const decipher = createDecipheriv('aes-256-gcm', sealKey(context), nonce)
      .setAAD(aad(caller))
      .setAuthTag(bytes.slice(tagOffset));
    const body = decipher.update(bytes.slice(NONCE_BYTES, tagOffset));
    const clear = concatBytes(body, decipher.final());
    return JSON.parse(new TextDecoder().decode(clear)) as Sealed;
  } catch {
    // The cause could quote what was deciphered.
    throw noSession();
  }
}

function sealKey({ masterKey }: Pick<HsmContext, 'masterKey'>): Uint8Array {
  return createHmac('sha256', masterKey.expose()).update(SEAL_CONTEXT).digest();
}

function aad(caller: HsmCaller): Uint8Array {
  return new TextEncoder().encode(`${SEAL_CONTEXT} ${caller}`);
}

function noSession(): HsmError {
  return new HsmError('ERR_HSM_SESSION', 'this is no session of this HSM and caller');
}
