/** Calls of applications: what they give is taken into the state, within their memory. */
import { errorBody } from '../../bytes/index.ts';
import {
  type CommandApdu,
  type ResponseApdu,
  SW_6F00_NO_PRECISE_DIAGNOSIS,
} from '../../iso7816/index.ts';
import {
  CLA_BIT_SECURE_MESSAGING,
  INS_50_INITIALIZE_UPDATE,
  isSelectable,
  LEVEL_01_C_MAC,
  SW_6A84_NOT_ENOUGH_MEMORY,
} from '../data/index.ts';
import { externalAuthenticate, initializeUpdate } from './authenticate.ts';
import type { AppletChannel, AppletInstance, AppletResult } from './ports.ts';
import { type Application, type CardState, freeBytes, loadFileOf, withEntry } from './state.ts';
import { CardRefusal, endSession, found, requireCondition, type Work } from './work.ts';

/** An application as its runner sees it. */
export function instanceOf(state: CardState, application: Application): AppletInstance {
  const loadFile = found(loadFileOf(state, application.loadFileAid ?? ''), 'load file');
  const { aid, persistent, lifeCycle } = application;
  return {
    ...{ aid, persistent, lifeCycle, code: loadFile.code, loadFileAid: loadFile.aid },
    moduleAid: application.moduleAid ?? '',
  };
}

/** Runs a call of the runner; whatever it throws is reported and becomes 6F00. */
export function guarded<Value>(work: Work, aid: string, call: () => Value): Value {
  try {
    return call();
  } catch (thrown) {
    work.ports.report(errorBody(thrown));
    forget(work, aid);
    throw new CardRefusal(SW_6F00_NO_PRECISE_DIAGNOSIS, `application ${aid} failed`);
  }
}

/** A call that may fail and hinders nothing: what an application does when it is left or goes. */
export function unhindered(work: Pick<Work, 'ports'>, call: () => void): void {
  try {
    call();
  } catch (thrown) {
    work.ports.report(errorBody(thrown));
  }
}

/** Has the runner drop what lives of an application; a runner that fails at that is reported. */
export function forget(work: Pick<Work, 'ports'>, aid: string): void {
  unhindered(work, () => work.ports.runner.forget(aid));
}

/** Takes a result into the state. @throws CardRefusal 6A84, 6985; then nothing of it lasts. */
export function takeResult(
  work: Pick<Work, 'ports' | 'state'>,
  application: Application,
  result: Omit<AppletResult, 'response'>,
): void {
  const { persistent = application.persistent, lifeCycle = application.lifeCycle } = result;
  if (persistent === application.persistent && lifeCycle === application.lifeCycle) return;
  const next = { ...application, persistent: persistent.slice(), lifeCycle };
  try {
    requireCondition(
      lifeCycle === application.lifeCycle || isSelectable(lifeCycle),
      'a state that applications do not give themselves',
    );
    assertMemory(work.state, application, persistent.length);
  } catch (refusal) {
    forget(work, application.aid);
    throw refusal;
  }
  work.state = withEntry(work.state, next);
}

/** @throws CardRefusal 6A84 when an application would outgrow itself or its domain. */
export function assertMemory(state: CardState, application: Application, bytes: number): void {
  const growth = bytes - application.persistent.length;
  const isFit = bytes <= application.memoryBytesMax;
  if (isFit && (growth <= 0 || growth <= freeBytes(state, application.domainAid))) return;
  throw new CardRefusal(SW_6A84_NOT_ENOUGH_MEMORY, `${bytes} bytes do not fit the domain`);
}

/** A command for the selected application. A locked one answers nothing any more. */
export function processInApplet(
  work: Work,
  application: Application,
  command: CommandApdu,
): ResponseApdu {
  requireCondition(isSelectable(application.lifeCycle), 'the application is locked');
  const instance = instanceOf(work.state, application);
  const channel = appletChannel(work);
  const result = guarded(work, application.aid, () =>
    work.ports.runner.process(instance, command, channel),
  );
  takeResult(work, application, result);
  return result.response;
}

/** The secure channel of the application's domain, for the application to use. */
function appletChannel(work: Work): AppletChannel {
  const { channel } = work;
  return {
    securityLevel: () => channel.session?.level ?? null,
    authenticate: (command) => answered(() => authenticate(work, command)),
    unwrap(command): CommandApdu | null {
      const { session } = channel;
      if (!session) return null;
      const isWrapped = (command.cla & CLA_BIT_SECURE_MESSAGING) !== 0;
      const isProtected = (session.level & LEVEL_01_C_MAC) !== 0;
      if (!isProtected && !isWrapped) return command;
      const clear = isProtected ? session.messages.unwrap(command, session.level) : null;
      if (clear === null) endSession(channel);
      return clear;
    },
    wrap: (response) =>
      channel.session ? channel.session.messages.wrap(response, channel.session.level) : response,
    decipher(blocks): Uint8Array | null {
      const messages = channel.session?.messages;
      const isWhole = messages && blocks.length > 0 && blocks.length % messages.blockBytes === 0;
      return isWhole ? messages.decipher(blocks) : null;
    },
  };
}

function authenticate(work: Work, command: CommandApdu): ResponseApdu {
  return command.ins === INS_50_INITIALIZE_UPDATE
    ? initializeUpdate(work, command)
    : externalAuthenticate(work, command);
}

function answered(step: () => ResponseApdu): ResponseApdu {
  try {
    return step();
  } catch (thrown) {
    if (!(thrown instanceof CardRefusal)) throw thrown;
    return { data: new Uint8Array(), statusWord: thrown.statusWord };
  }
}
