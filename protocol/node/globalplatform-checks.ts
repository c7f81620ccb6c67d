/** How the published secure channel sessions are recomputed, for the table of vector checks. */
import { bytesToUint, toHex } from '../src/bytes/index.ts';
import {
  decodeInitializeUpdate,
  scp02CardCryptogram,
  scp02ExternalAuthenticate,
  scp02HostCryptogram,
  scp02SessionKey,
  scp03Cryptogram,
  scp03Derive,
  scp03SessionKey,
  scp03WrapMac,
} from '../src/globalplatform/data/index.ts';
import { nodeCiphers } from './ciphers.ts';

type Input = {
  bytes(name: string): Uint8Array;
  text(name: string): string;
  number(name: string): number;
};
type Outputs = Readonly<Record<string, string>>;

/** SCP02: static keys, host challenge and the card's answer -> both sides' proofs. */
export function checkScp02Session(input: Input): Outputs {
  const answer = decodeInitializeUpdate(input.bytes('initializeUpdateAnswer'));
  const sequenceCounter = answer.sequenceCounter ?? new Uint8Array();
  const hostChallenge = input.bytes('hostChallenge');
  const { cardChallenge } = answer;
  const challenges = { hostChallenge, sequenceCounter, cardChallenge };
  const sessionEnc = scp02SessionKey(input.bytes('key'), 'encryption', sequenceCounter);
  const sessionMac = scp02SessionKey(input.bytes('keyMac'), 'commandMac', sequenceCounter);
  const host = scp02HostCryptogram(sessionEnc, challenges);
  const level = bytesToUint(input.bytes('securityLevel'));
  return {
    sessionEnc: toHex(sessionEnc),
    cardCryptogram: toHex(scp02CardCryptogram(sessionEnc, challenges)),
    externalAuthenticate: toHex(scp02ExternalAuthenticate(sessionMac, host, level).command),
  };
}

/** The same for SCP03. */
export function checkScp03Session(input: Input): Outputs {
  const { cardChallenge } = decodeInitializeUpdate(input.bytes('initializeUpdateAnswer'));
  const challenges = { hostChallenge: input.bytes('hostChallenge'), cardChallenge };
  // The MAC key makes all proofs of SCP03, the ENC key none.
  const sessionMac = scp03SessionKey(nodeCiphers, input.bytes('key'), 'commandMac', challenges);
  const sessionEnc = scp03SessionKey(nodeCiphers, input.bytes('keyEnc'), 'encryption', challenges);
  const host = scp03Cryptogram(nodeCiphers, sessionMac, 'hostCryptogram', challenges);
  const header = Uint8Array.of(0x84, 0x82, bytesToUint(input.bytes('securityLevel')), 0);
  const macBytes = cardChallenge.length === 16 ? 16 : 8;
  const command = { header, data: host };
  const chain = { value: null, macBytes } as const;
  const wrapped = scp03WrapMac(nodeCiphers, sessionMac, command, chain);
  return {
    sessionEnc: toHex(sessionEnc),
    cardCryptogram: toHex(scp03Cryptogram(nodeCiphers, sessionMac, 'cardCryptogram', challenges)),
    externalAuthenticate: toHex(wrapped.command),
  };
}

/** One call of SCP03's key derivation function. */
export function checkScp03Kdf(input: Input): Outputs {
  const output = scp03Derive(nodeCiphers, input.bytes('key'), {
    constant: Number.parseInt(input.text('constant'), 16),
    context: input.bytes('context'),
    lengthBytes: input.number('lengthBytes'),
  });
  return { output: toHex(output) };
}
