/** Static keys, runs of generators and codes, for the tests of the manager's side. */
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError } from '../../bytes/index.ts';
import { type CommandApdu, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import type { SessionVector } from '../sessions.test-vectors.ts';
import { type OpenedChannel, type OpenRequest, openSecureChannel, staticKeys } from './index.ts';
import type { StaticKeys } from './keys.ts';

/** Whether a thrown thing has a code. */
export const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof TapError && thrown.code === wanted;

/** Keys of hex text. */
export function keysOf(
  encryption: string,
  mac: string = encryption,
  dek: string = encryption,
): StaticKeys {
  return staticKeys({
    ...{ encryption: fromHex(encryption), mac: fromHex(mac), dataEncryption: fromHex(dek) },
  });
}

/** An answer of hex data and status word. */
export function answer(data: string, statusWord = 0x9000): ResponseApdu {
  return { data: fromHex(data), statusWord: StatusWord(statusWord) };
}

/** Runs steps against a function that is the card; every command is noted. */
export function run<Result>(
  steps: Generator<CommandApdu, Result, ResponseApdu>,
  card: (command: CommandApdu, index: number) => ResponseApdu,
): { readonly result: Result; readonly commands: readonly CommandApdu[] } {
  const commands: CommandApdu[] = [];
  let state = steps.next();
  while (!state.done) {
    commands.push(state.value);
    state = steps.next(card(state.value, commands.length - 1));
  }
  return { result: state.value, commands };
}

/** Opens the session of a vector: the host says its challenge, the card its recorded answer. */
export function openVector(
  vector: SessionVector,
  request: Partial<OpenRequest> = {},
): { readonly result: OpenedChannel; readonly commands: readonly CommandApdu[] } {
  const keys = keysOf(vector.encryption, vector.mac, vector.dataEncryption);
  const challenge = fromHex(vector.hostChallenge);
  const steps = openSecureChannel({
    ciphers: nodeCiphers,
    random: () => challenge,
    candidates: () => [{ name: 'card', keys }],
    securityLevel: Number.parseInt(vector.externalAuthenticate.slice(4, 6), 16),
    challengeBytes: challenge.length === 16 ? 16 : 8,
    ...request,
  });
  return run(steps, ({ ins }) =>
    ins === 0x50 ? answer(vector.initializeUpdateAnswer) : answer(''),
  );
}
