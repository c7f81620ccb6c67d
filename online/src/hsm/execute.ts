/**
 * The HSM's command interface: every request is checked here, whatever driver holds the keys.
 *
 * What it is: one instance and one local master key per party; callers prove who they are; each
 * command names its callers, the key usages it needs, and what it does. No answer holds a clear key
 * or PIN, but for the image of a new card, which is the chip's own and goes to the bureau, and the
 * letter of a new PIN, which is sealed to a printer and exists in a laboratory alone.
 *
 * What it is not: certified, tamper resistant, or constant in time. DES, AES caches and RSA run
 * from tables and big integers in an ordinary process of an ordinary user, whose memory and files
 * others of that user can read. It shows how an HSM is used; a bank puts its own in its place.
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import type { Hsm, HsmAnswers, HsmCaller, HsmCommand, HsmRequest } from '@tapnpay/protocol/wire';
import type { HsmReply } from '../runtime/hsm-wire.ts';
import type { HsmParty } from '../runtime/party-keys.ts';
import type { Command } from './commands/rule.ts';
import { HSM_COMMANDS } from './commands/table.ts';
import type { HsmContext } from './context.ts';
import {
  assertMechanism,
  CIPHER_OF,
  type DriverCall,
  type HsmDriver,
  MECHANISM_OF_USAGE,
} from './driver.ts';
import { EmbeddedDriver } from './embedded.ts';
import { HsmError } from './errors.ts';
import { assertNeed } from './keys.ts';
import { CALLERS_OF_PARTY } from './profile.ts';

/** Where a request is checked and executed. */
export type HsmDevice = { readonly party: HsmParty; readonly driver: HsmDriver };

/** One answer for each request, in order; a bad request never fails its neighbours. */
export async function executeBatch(
  device: HsmDevice,
  caller: HsmCaller,
  batch: readonly unknown[],
): Promise<readonly HsmReply[]> {
  const checked = batch.map((value) => {
    try {
      return checkedCall(device, caller, value);
    } catch (thrown) {
      return { error: errorBody(thrown) };
    }
  });
  const calls = checked.filter((call): call is DriverCall => !('error' in call));
  const replies = (calls.length === 0 ? [] : await device.driver.execute(calls)).values();
  return checked.map((call) => ('error' in call ? call : (replies.next().value ?? LOST)));
}

/** A driver that answers fewer calls than it got. */
const LOST: HsmReply = {
  error: new HsmError('ERR_HSM_INTERNAL', 'the driver gave no answer').toJSON(),
};

/**
 * Runs one command for a caller whose identity is proven already, on the embedded driver.
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
  const driver = new EmbeddedDriver(context);
  const call = checkedCall({ party: context.party, driver }, caller, value);
  return driver.executeOne(call) as HsmAnswers[HsmCommand];
}

/** The executor itself behind the interface of a client, for one process. */
export function inProcessHsm(context: HsmContext, caller: HsmCaller): Hsm {
  return {
    async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
      return executeHsmCommand(context, caller, request);
    },
  };
}

/** Caller, form, mechanisms and the keys' own headers. @throws HsmError, never anything else. */
function checkedCall(device: HsmDevice, caller: HsmCaller, value: unknown): DriverCall {
  try {
    const { driver } = device;
    const request = requireObject(value);
    const command = commandFor(device.party, caller, request);
    const call = command.parse(caller, request);
    for (const mechanism of command.mechanisms(call.request)) assertMechanism(driver, mechanism);
    for (const need of Object.values(call.needs)) {
      const kind = driver.keys.kindOf(need.block);
      assertNeed(kind, need);
      assertMechanism(driver, CIPHER_OF[kind.algorithm]);
      const ofUsage = MECHANISM_OF_USAGE[kind.usage];
      if (ofUsage !== undefined) assertMechanism(driver, ofUsage);
    }
    return call;
  } catch (thrown) {
    if (thrown instanceof HsmError) throw thrown;
    throw new HsmError('ERR_HSM_INTERNAL', 'the command failed inside the HSM');
  }
}

function commandFor(party: HsmParty, caller: HsmCaller, request: object): Command<HsmCommand> {
  const name: unknown = 'command' in request ? request.command : undefined;
  if (typeof name !== 'string' || !Object.hasOwn(HSM_COMMANDS, name)) {
    throw new HsmError('ERR_HSM_COMMAND', 'this command is unknown');
  }
  const command = HSM_COMMANDS[name as HsmCommand] as Command<HsmCommand>;
  const isOurs = CALLERS_OF_PARTY[party].includes(caller);
  if (isOurs && command.callers.includes(caller)) return command;
  throw new HsmError('ERR_HSM_CALLER', `${caller} may not use ${name} here`, { command: name });
}

function requireObject(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new HsmError('ERR_HSM_COMMAND', 'a request is an object');
}
