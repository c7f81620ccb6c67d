/** A manager of the card in a running element process, over its frames. */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  diversifyKeys,
  type HostSession,
  inSession,
  openSecureChannel,
  type StaticKeys,
  selectCommand,
  staticKeys,
} from '@tapnpay/protocol/globalplatform/offcard';
import {
  type CommandApdu,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
} from '@tapnpay/protocol/iso7816';
import {
  type CardBirth,
  type CardFacts,
  cardFactsShape,
  checkShape,
  LAB_BIRTH,
  manageAnswerShape,
} from '@tapnpay/protocol/wire';
import type { Running } from '../running.test-kit.ts';
import { elementCiphers, systemRandom } from '../system.ts';

/** Gives the element its card. */
export async function bear(element: Running, birth: Partial<CardBirth> = {}): Promise<CardFacts> {
  const { result, error } = await element.ask({
    type: 'birth',
    birth: { ...LAB_BIRTH, ...birth },
  });
  if (error) throw new Error(error.code);
  return checkShape(cardFactsShape, result, 'facts');
}

/** The factory keys of a card of the lab. */
export function factoryKeys(facts: Pick<CardFacts, 'keyDiversificationData'>): StaticKeys {
  const { encryption, mac, dataEncryption } = LAB_BIRTH.masters;
  const masters = staticKeys({
    ...{ encryption: fromHex(encryption), mac: fromHex(mac) },
    dataEncryption: fromHex(dataEncryption),
  });
  const keyDiversificationData = fromHex(facts.keyDiversificationData);
  const request = { way: 'kdf3', keyDiversificationData } as const;
  return diversifyKeys(elementCiphers, masters, request);
}

/** One command as it is. */
export async function transmit(element: Running, command: CommandApdu): Promise<ResponseApdu> {
  const request = { type: 'manage', command: toHex(encodeCommand(command)) };
  const { result, error } = await element.ask(request);
  if (error) throw new Error(error.code);
  return decodeResponse(fromHex(checkShape(manageAnswerShape, result, 'answer').response));
}

/** Steps of the manager, run on the card. */
export async function drive<Result>(
  element: Running,
  steps: Generator<CommandApdu, Result, ResponseApdu>,
): Promise<Result> {
  let state = steps.next();
  while (!state.done) state = steps.next(await transmit(element, state.value));
  return state.value;
}

/** An open session of a manager. */
export type ManagedSession = {
  readonly session: HostSession;
  readonly run: <Result>(steps: Generator<CommandApdu, Result, ResponseApdu>) => Promise<Result>;
  readonly send: (command: CommandApdu) => Promise<ResponseApdu>;
};

/** Opens one with the issuer's domain. */
export async function openSession(
  element: Running,
  keys: StaticKeys,
  options: { readonly securityLevel?: number; readonly keyVersionNumber?: number } = {},
): Promise<ManagedSession> {
  const { securityLevel = 0x33, keyVersionNumber = 0 } = options;
  await transmit(element, selectCommand(''));
  const { session } = await drive(
    element,
    openSecureChannel({
      ...{ ciphers: elementCiphers, random: (lengthBytes) => systemRandom.bytes(lengthBytes) },
      ...{ candidates: () => [{ name: 'own', keys }], securityLevel, keyVersionNumber },
    }),
  );
  return {
    session,
    run: (steps) => drive(element, inSession(session, steps)),
    send: async (command) => session.unwrap(await transmit(element, session.wrap(command))),
  };
}
