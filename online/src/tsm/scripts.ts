/**
 * Scripts for an element that cannot call: where its challenges follow from its counter (i bit 10),
 * every command is computed beforehand and carried there, and its answers come back some day. A
 * contact in between moves the counter on; the script is then of no use, and does nothing.
 * @see GP-D §6.2.2.1
 */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { SCP03_I_10_PSEUDO_RANDOM } from '@tapnpay/protocol/globalplatform/data';
import { selectCommand } from '@tapnpay/protocol/globalplatform/offcard';
import { decodeResponse, encodeCommand, statusWordHex } from '@tapnpay/protocol/iso7816';
import type { TsmStep } from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import { type Actor, audited } from './actor.ts';
import { callHsm, ElementLine } from './element-line.ts';
import { TsmError } from './errors.ts';
import { commandOfStep } from './jobs/commands.ts';
import { wantApplication } from './jobs/create.ts';
import { missingSteps } from './jobs/plan.ts';
import { plannedApplications } from './jobs/run.ts';
import type { Element, ElementKeySet, Script } from './model.ts';
import type { TsmPorts } from './ports.ts';
import { addRow, allRows, changeRow, needRow } from './rows.ts';

/** SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE. */
const OPENING_COMMANDS = 3;
const LEVELS = { withResponses: 0x33, plain: 0x03 } as const;
const I_60_R_ENCRYPTION = 0x60;

/** What is asked for. */
export type ScriptRequest = {
  readonly serial: string;
  readonly kind: 'lock' | 'unlock';
  readonly applicationId: string;
};

/**
 * Computes a script that locks or unlocks an application.
 * @throws TsmError `ERR_TSM_SCRIPT` when its challenges are not known beforehand or nothing is to
 *   be done, and what jobs throw.
 */
export async function createScript(
  ports: TsmPorts,
  actor: Actor,
  request: ScriptRequest,
): Promise<{ readonly script: Script; readonly steps: readonly TsmStep[] }> {
  const { serial, kind, applicationId } = request;
  const element = await needRow(ports.store, 'elements', serial, 'ERR_TSM_ELEMENT_UNKNOWN');
  const { keySet, target } = predictable(ports, element);
  await wantApplication(ports, request);
  const commands = await clearCommands(ports, element, request);
  const line = new ElementLine(ports, await allRows(ports.store, 'masters'));
  const isEnciphered = (target.parameterI & I_60_R_ENCRYPTION) === I_60_R_ENCRYPTION;
  const opened = await callHsm(ports, {
    ...({ command: 'openElementScript', target } as const),
    source: line.sourceOf(element, keySet),
    hostChallenge: toHex(ports.random.bytes((target.parameterI & 1) !== 0 ? 16 : 8)),
    securityLevel: isEnciphered ? LEVELS.withResponses : LEVELS.plain,
    commandBytesMax: element.commandBytesMax ?? 255,
  });
  const { session } = opened;
  const wrapped = await callHsm(ports, { command: 'wrapElementCommands', session, commands });
  const select = toHex(encodeCommand(selectCommand(ports.profile.issuerDomainAid)));
  const all = [select, opened.initializeUpdate, opened.externalAuthenticate, ...wrapped.commands];
  await audited(ports, actor, {
    action: 'script.create',
    subject: serial,
    facts: { kind, applicationId },
  });
  const script = await addRow(ports.store, 'scripts', {
    ...{ id: uuidv7(ports.clock, ports.random), parent: serial, state: 'open' },
    ...{ kind, applicationId, session: wrapped.session, commandCount: all.length },
    ...{ stoppedAt: null, reason: null, actor: actor.id, createdAtMs: ports.clock.nowMs() },
  });
  const steps = all.map((command) => ({ command, allowed: ['9000', '6283'] }));
  return { script, steps };
}

/**
 * The answers that came back: proved to be those of the element, by its cryptogram and the MACs.
 * @throws TsmError `ERR_TSM_JOB_STATE` for a script that was answered.
 */
export async function takeScriptAnswers(
  ports: TsmPorts,
  actor: Actor,
  taken: { readonly scriptId: string; readonly answers: readonly string[] },
): Promise<Script> {
  const script = await needRow(ports.store, 'scripts', taken.scriptId);
  if (script.state !== 'open') throw new TsmError('ERR_TSM_JOB_STATE', 'the script was answered');
  const found = await judged(ports, script, taken.answers);
  const { parent } = script;
  await audited(ports, actor, { action: 'script.answers', subject: parent, facts: { ...found } });
  const { issuerDomainAid } = ports.profile;
  if (found.isOpened) {
    await changeRow(ports.store, 'elements', parent, ({ keySets }) => ({
      keySets: keySets.map((set) =>
        set.domainAid === issuerDomainAid && set.counter !== null
          ? { ...set, counter: set.counter + 1 }
          : set,
      ),
    }));
  }
  const { stoppedAt, reason } = found;
  return changeRow(ports.store, 'scripts', script.id, () => ({
    ...{ state: reason === null ? 'done' : 'failed', stoppedAt, reason },
  }));
}

type Judgement = {
  readonly isOpened: boolean;
  readonly stoppedAt: number | null;
  readonly reason: string | null;
};

async function judged(
  ports: TsmPorts,
  { session, commandCount }: Script,
  answers: readonly string[],
): Promise<Judgement> {
  const responses = answers.slice(0, commandCount).map((hex) => decodeResponse(fromHex(hex)));
  const stop = (stoppedAt: number, reason: string, isOpened = false): Judgement => ({
    ...{ isOpened, stoppedAt, reason },
  });
  const refused = responses.findIndex(({ statusWord }) => ![0x9000, 0x6283].includes(statusWord));
  const initialised = responses[1];
  if (initialised?.statusWord === 0x9000) {
    const answer = toHex(initialised.data);
    const isLong = initialised.data.length >= 28;
    const { valid } = isLong
      ? await callHsm(ports, { command: 'verifyElementAnswer', session, answer })
      : { valid: false };
    if (!valid) return stop(1, 'ERR_TSM_CARD_CRYPTOGRAM');
  }
  if (refused >= 0 && refused < OPENING_COMMANDS) return stop(refused, wordOf(answers[refused]));
  if (responses.length <= OPENING_COMMANDS) return stop(responses.length, 'noAnswer');
  const own = answers.slice(OPENING_COMMANDS, commandCount);
  try {
    await callHsm(ports, { command: 'unwrapElementAnswers', session, answers: own });
  } catch (thrown) {
    if (thrown instanceof TsmError && thrown.code === 'ERR_TSM_ANSWER') {
      return stop(OPENING_COMMANDS, thrown.code, true);
    }
    throw thrown;
  }
  if (refused >= 0) return stop(refused, wordOf(answers[refused]), true);
  if (responses.length < commandCount) return stop(responses.length, 'noAnswer', true);
  return { isOpened: true, stoppedAt: null, reason: null };
}

function wordOf(answer: string | undefined): string {
  return answer ? statusWordHex(decodeResponse(fromHex(answer)).statusWord) : 'noAnswer';
}

type Target = {
  readonly protocol: 3;
  readonly parameterI: number;
  readonly keyVersionNumber: number;
  readonly sequenceCounter: number;
  readonly invokerAid: string;
};

function predictable(
  ports: TsmPorts,
  element: Element,
): { readonly keySet: ElementKeySet; readonly target: Target } {
  const { issuerDomainAid: invokerAid } = ports.profile;
  const keySet = element.keySets.find(({ domainAid }) => domainAid === invokerAid);
  const { counter = null, parameterI = null, keyVersionNumber = 0 } = keySet ?? {};
  const isKnown =
    keySet &&
    counter !== null &&
    parameterI !== null &&
    (parameterI & SCP03_I_10_PSEUDO_RANDOM) !== 0;
  if (!isKnown || element.sentKeySets.length > 0) {
    throw new TsmError('ERR_TSM_SCRIPT', 'its next challenge is not known here');
  }
  const target = { parameterI, keyVersionNumber, sequenceCounter: counter, invokerAid };
  return { keySet, target: { protocol: 3, ...target } };
}

async function clearCommands(
  ports: TsmPorts,
  element: Element,
  { kind, applicationId }: ScriptRequest,
): Promise<readonly string[]> {
  const { reading } = element;
  if (!reading) throw new TsmError('ERR_TSM_SCRIPT', 'the element was never read');
  const job = { kind, applicationIds: [applicationId] };
  const applications = await plannedApplications(ports, element, job);
  const world = { kind, element, reading, profile: ports.profile, applications };
  const commands = missingSteps(world).flatMap((step) =>
    step.name === 'setApplicationState' ? [toHex(encodeCommand(commandOfStep(step)))] : [],
  );
  if (commands.length > 0) return commands;
  throw new TsmError('ERR_TSM_SCRIPT', 'nothing is to be done as it was last read');
}
