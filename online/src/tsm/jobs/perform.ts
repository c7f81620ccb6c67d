/**
 * The steps of jobs. What must be known after a cut is written before a command leaves; what an
 * element has acknowledged is written when its answer is here.
 */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { KEY_VERSION_73_DAP } from '@tapnpay/protocol/globalplatform/data';
import { putEccPublicKey, putRsaPublicKey } from '@tapnpay/protocol/globalplatform/offcard';
import {
  type CommandApdu,
  decodeCommand,
  type ResponseApdu,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_9000_OK,
} from '@tapnpay/protocol/iso7816';
import type { ElementGrouping } from '@tapnpay/protocol/wire';
import { assertStatus, type ElementLine, type Talk } from '../element-line.ts';
import { TsmError } from '../errors.ts';
import type { Element, ElementKeySet, Placement } from '../model.ts';
import type { PersonalisationGrouping, TsmPorts } from '../ports.ts';
import { changeRow } from '../rows.ts';
import { commandOfStep, loadFileCommands, personalizeCommand } from './commands.ts';
import type { PlannedApplication, Step } from './plan.ts';
import { type KeyVersions, readKeyVersionsInSession } from './reading.ts';

/** What a step works with. `element` and `keyVersions` are kept up to date. */
export type Bench = {
  readonly ports: TsmPorts;
  readonly line: ElementLine;
  element: Element;
  readonly keyVersions: KeyVersions;
};

/** Takes one step. @throws TsmError when the element refuses it. */
export async function* perform(bench: Bench, step: Step): Talk<void> {
  switch (step.name) {
    case 'putKeys':
      return yield* putKeys(bench, step);
    case 'putCertifierKey':
      return yield* putCertifierKey(bench, step.domainAid);
    case 'load':
      return yield* load(bench, step.planned);
    case 'personalise':
      return yield* personalise(bench, step.planned);
    case 'deleteLoadFile':
      // Whatever the instance has taken goes with it, whether or not the answer comes back.
      await notePlacement(bench, step.planned, { personalisedAs: null });
      yield* issuerCommands(bench, 'DELETE', [commandOfStep(step)], GONE);
      await notePlacement(bench, step.planned, { knownVersionId: null });
      return;
    case 'install':
      await notePlacement(bench, step.planned, { personalisedAs: null });
      yield* issuerCommands(bench, 'INSTALL', [commandOfStep(step)]);
      return;
    default:
      yield* issuerCommands(bench, step.name, [commandOfStep(step)]);
  }
}

/** Opens the domain unless its session is open already. */
export async function* ensureOpen(bench: Bench, domainAid: string): Talk<void> {
  const { line } = bench;
  if (line.open?.domainAid === domainAid) return;
  const { keySet } = yield* line.openDomain(bench.element, domainAid);
  bench.element = await settleKeySet(bench, keySet);
}

/**
 * The set that a session was opened with is the domain's: what was sent and has arrived becomes
 * known, what it has replaced is gone, and so is what was sent in its place and lost.
 */
async function settleKeySet(bench: Bench, keySet: ElementKeySet): Promise<Element> {
  const { element, ports } = bench;
  const isOfFactory = !isOurs(element, keySet);
  if (isOfFactory) return element;
  const known = element.keySets.find((set) => set.domainAid === keySet.domainAid);
  const isSettled =
    known?.counter === keySet.counter &&
    known.keyVersionNumber === keySet.keyVersionNumber &&
    known.master === keySet.master;
  if (isSettled) return element;
  return changeRow(ports.store, 'elements', element.id, (row) => ({
    keySets: [...others(row.keySets, keySet.domainAid), keySet],
    sentKeySets: others(row.sentKeySets, keySet.domainAid),
    parameterI: row.parameterI ?? keySet.parameterI,
  }));
}

function isOurs(element: Element, keySet: ElementKeySet): boolean {
  return [...element.keySets, ...element.sentKeySets].some(
    (set) =>
      set.domainAid === keySet.domainAid &&
      set.keyVersionNumber === keySet.keyVersionNumber &&
      set.master === keySet.master,
  );
}

function others(sets: readonly ElementKeySet[], domainAid: string): readonly ElementKeySet[] {
  return sets.filter((set) => set.domainAid !== domainAid);
}

async function* putKeys(bench: Bench, step: Extract<Step, { name: 'putKeys' }>): Talk<void> {
  const { ports, line } = bench;
  const { domainAid, replaces, keyVersionNumber, master } = step;
  yield* ensureOpen(bench, domainAid);
  const { keyType } = bench.element;
  const way = keyType === 'aes' ? 'kdf3' : 'emv';
  const set: ElementKeySet = {
    ...{ domainAid, keyVersionNumber, master, way },
    ...{ counter: null, parameterI: null },
  };
  const put = await line.hsm({
    ...({ command: 'putElementKeys', session: line.token, type: keyType } as const),
    ...{
      source: line.sourceOf(bench.element, set),
      replaces,
      newKeyVersionNumber: keyVersionNumber,
    },
  });
  // Before it leaves: after a lost answer both sets are tried.
  bench.element = await changeRow(ports.store, 'elements', bench.element.id, (row) => ({
    sentKeySets: [...others(row.sentKeySets, domainAid), set],
  }));
  const answers = yield* send(bench, 'PUT KEY', put.commands.map(commandOf));
  assertAnswer(answers.at(-1), put.expectedAnswer);
  bench.element = await changeRow(ports.store, 'elements', bench.element.id, (row) => ({
    keySets: [...others(row.keySets, domainAid), set],
    sentKeySets: others(row.sentKeySets, domainAid),
  }));
  const before = bench.keyVersions[domainAid] ?? [];
  bench.keyVersions[domainAid] = [
    ...before.filter((version) => version !== replaces),
    keyVersionNumber,
  ];
  // What comes next opens its session with the new keys, which proves them.
  line.end();
}

/** The card repeats version and check values: another answer is another key. */
function assertAnswer(response: ResponseApdu | undefined, expected: string): void {
  if (response && toHex(response.data) === expected) return;
  throw new TsmError('ERR_TSM_ANSWER', 'the element answers other key check values', {
    step: 'PUT KEY',
  });
}

async function* putCertifierKey(bench: Bench, domainAid: string): Talk<void> {
  const { line, ports } = bench;
  yield* ensureOpen(bench, domainAid);
  const dataBytesMax = line.open?.dataBytesMax ?? 0;
  const kind = ports.profile.signatureKind;
  const key = await line.hsm({ command: 'loadFileVerificationKey', kind });
  const versions = { replaces: 0, newKeyVersionNumber: KEY_VERSION_73_DAP };
  const put =
    key.kind === 'rsaPss'
      ? putRsaPublicKey(
          { dataBytesMax },
          { ...versions, modulus: fromHex(key.modulus), exponent: fromHex(key.exponent) },
        )
      : putEccPublicKey({ dataBytesMax }, { ...versions, point: fromHex(key.point) });
  const answers = yield* send(bench, 'PUT KEY', put.commands);
  assertAnswer(answers.at(-1), toHex(put.expectedAnswer));
  bench.keyVersions[domainAid] = yield* readKeyVersionsInSession(line);
}

async function* load(bench: Bench, planned: PlannedApplication): Talk<void> {
  const { ports, line } = bench;
  yield* ensureOpen(bench, ports.profile.issuerDomainAid);
  const dataBytesMax = line.open?.dataBytesMax ?? 0;
  const commands = await loadFileCommands(ports, planned, { dataBytesMax });
  // The registry has no file of this name now: one that is there later is of this version.
  const knownVersionId = planned.version?.id ?? null;
  await notePlacement(bench, planned, { knownVersionId, personalisedAs: null });
  yield* issuerCommands(bench, 'LOAD', commands);
}

/**
 * Through the application's domain, or, where the element does not know that, in the channel of the
 * application itself (reports 23, 24). Data travel enciphered under the session's key for data.
 */
async function* personalise(bench: Bench, planned: PlannedApplication): Talk<void> {
  const { application, provider, data, dataMark } = planned;
  const { line } = bench;
  yield* ensureOpen(bench, provider.domainAid);
  const [answer] = yield* line.inSession(
    [personalizeCommand(planned)],
    [SW_9000_OK, SW_6A86_WRONG_P1_P2, SW_6D00_INSTRUCTION_NOT_SUPPORTED],
  );
  if (answer?.statusWord !== SW_9000_OK) {
    const notKnown = [SW_6A86_WRONG_P1_P2, SW_6D00_INSTRUCTION_NOT_SUPPORTED];
    assertStatus('INSTALL [for personalization]', answer, notKnown);
    const selectAid = application.instanceAid;
    yield* line.openDomain(bench.element, provider.domainAid, { selectAid });
  }
  const { commands } = await line.hsm({
    ...({ command: 'storeElementData', session: line.token, isEncrypted: true } as const),
    groupings: (data ?? []).map((one) => groupingOf(bench, application.instanceAid, one)),
  });
  yield* send(bench, 'STORE DATA', commands.map(commandOf));
  await notePlacement(bench, planned, { personalisedAs: dataMark });
  line.end();
}

/** A key of an application is bound to element and instance. */
function groupingOf(
  { line, element }: Bench,
  instanceAid: string,
  grouping: PersonalisationGrouping,
): ElementGrouping {
  if (!('master' in grouping)) return grouping;
  const { identifier, master, usage } = grouping;
  const source = line.sourceOf(element, { master, way: 'kdf3', domainAid: instanceAid });
  return { identifier, usage, source };
}

/** DELETE of what is not there has nothing to do. */
const GONE: readonly number[] = [SW_9000_OK, SW_6A88_REFERENCED_DATA_NOT_FOUND];

/** Commands to the issuer's domain, each of which must be answered by one of some words. */
async function* issuerCommands(
  bench: Bench,
  step: string,
  commands: readonly CommandApdu[],
  allowed?: readonly number[],
): Talk<readonly ResponseApdu[]> {
  yield* ensureOpen(bench, bench.ports.profile.issuerDomainAid);
  return yield* send(bench, step, commands, allowed);
}

async function* send(
  { line }: Bench,
  step: string,
  commands: readonly CommandApdu[],
  allowed: readonly number[] = [SW_9000_OK],
): Talk<readonly ResponseApdu[]> {
  const answers = yield* line.inSession(commands, allowed);
  for (const answer of answers) assertStatus(step, answer, allowed);
  if (answers.length < commands.length) assertStatus(step, undefined);
  return answers;
}

async function notePlacement(
  { ports }: Bench,
  { placement }: PlannedApplication,
  change: Partial<Placement>,
): Promise<void> {
  await changeRow(ports.store, 'placements', placement.id, () => change);
}

function commandOf(hex: string): CommandApdu {
  return decodeCommand(fromHex(hex));
}
