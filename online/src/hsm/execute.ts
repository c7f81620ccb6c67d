/**
 * The HSM's command table and its executor.
 *
 * What it is: one instance and one local master key per party; callers prove who they are; each
 * command names its callers, the key usages it needs, and what it does. No answer holds a clear key
 * or PIN, but for the image of a new card, which is the chip's own and goes to the bureau.
 *
 * What it is not: certified, tamper resistant, or constant in time. DES, AES caches and RSA run
 * from tables and big integers in an ordinary process of an ordinary user, whose memory and files
 * others of that user can read. It shows how an HSM is used; a bank puts its own in its place.
 */
import type { Hsm, HsmAnswers, HsmCaller, HsmCommand, HsmRequest } from '@tapnpay/protocol/wire';
import { personaliseCardCommand } from './commands/bureau-commands.ts';
import {
  generateArpcCommand,
  generateScriptMacCommand,
  verifyArqcCommand,
} from './commands/cryptogram-commands.ts';
import {
  exportInitialKeyCommand,
  formKeyCommand,
  generateKeyCommand,
  importKeyCommand,
  statusCommand,
} from './commands/key-commands.ts';
import { generateMacCommand, verifyMacCommand } from './commands/mac-commands.ts';
import { translatePinCommand, verifyPinCommand } from './commands/pin-commands.ts';
import type { Command } from './commands/rule.ts';
import type { HsmContext } from './context.ts';
import { HsmError } from './errors.ts';
import { CALLERS_OF_PARTY } from './profile.ts';

/** Every command. */
export const HSM_COMMANDS: { readonly [C in HsmCommand]: Command<C> } = {
  status: statusCommand,
  formKey: formKeyCommand,
  generateKey: generateKeyCommand,
  importKey: importKeyCommand,
  generateMac: generateMacCommand,
  verifyMac: verifyMacCommand,
  translatePin: translatePinCommand,
  verifyPin: verifyPinCommand,
  verifyArqc: verifyArqcCommand,
  generateArpc: generateArpcCommand,
  generateScriptMac: generateScriptMacCommand,
  exportInitialKey: exportInitialKeyCommand,
  personaliseCard: personaliseCardCommand,
};

/**
 * Runs one command for a caller whose identity is proven already.
 * @throws HsmError with one of its command codes; never anything else.
 */
export function executeHsmCommand<R extends HsmRequest>(
  context: HsmContext,
  caller: HsmCaller,
  request: R,
): HsmAnswers[R['command']] {
  return executeForeign(context, caller, request) as HsmAnswers[R['command']];
}

/** The same for a request of unknown form, as it comes from the wire. */
export function executeForeign(
  context: HsmContext,
  caller: HsmCaller,
  value: unknown,
): HsmAnswers[HsmCommand] {
  try {
    const request = requireObject(value);
    return commandFor(context, caller, request).execute(context, caller, request);
  } catch (thrown) {
    if (thrown instanceof HsmError) throw thrown;
    // The cause is not handed on: nobody knows what it quotes.
    throw new HsmError('ERR_HSM_INTERNAL', 'the command failed inside the HSM');
  }
}

/** The executor itself behind the interface of a client, for one process. */
export function inProcessHsm(context: HsmContext, caller: HsmCaller): Hsm {
  return {
    async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
      return executeHsmCommand(context, caller, request);
    },
  };
}

function commandFor(context: HsmContext, caller: HsmCaller, request: object): Command<HsmCommand> {
  const name: unknown = 'command' in request ? request.command : undefined;
  if (typeof name !== 'string' || !Object.hasOwn(HSM_COMMANDS, name)) {
    throw new HsmError('ERR_HSM_COMMAND', 'this command is unknown');
  }
  const command = HSM_COMMANDS[name as HsmCommand] as Command<HsmCommand>;
  const isOurs = CALLERS_OF_PARTY[context.party].includes(caller);
  if (isOurs && command.callers.includes(caller)) return command;
  throw new HsmError('ERR_HSM_CALLER', `${caller} may not use ${name} here`, { command: name });
}

function requireObject(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new HsmError('ERR_HSM_COMMAND', 'a request is an object');
}
