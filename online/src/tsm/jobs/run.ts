/**
 * Jobs of one element in one contact. A job reads the element, takes the first missing step, reads
 * again, until nothing is missing: a cut anywhere leaves nothing to remember but what is read.
 */
import { createHash } from 'node:crypto';
import { errorBody, TapError, toHex } from '@tapnpay/protocol/bytes';
import type { TsmJobOutcome, TsmProgress } from '@tapnpay/protocol/wire';
import { canonicalJson } from '../../runtime/index.ts';
import { ElementLine, type Talk } from '../element-line.ts';
import { TsmError, type TsmErrorCode } from '../errors.ts';
import {
  type ApplicationVersion,
  type Element,
  type ElementReading,
  type Job,
  type JobKind,
  type JobStep,
  type Placement,
  placementId,
} from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { allRows, changeRow, needRow } from '../rows.ts';
import { type Bench, ensureOpen, perform } from './perform.ts';
import {
  domainsOfInterest,
  missingSteps,
  type PlannedApplication,
  type Step,
  subjectOf,
} from './plan.ts';
import { type KeyVersions, readElement, readKeyVersions, readProductionData } from './reading.ts';

/** Steps of one job. */
export const JOB_STEPS_MAX = 64;
/** Contacts that may cut a job. */
export const JOB_ATTEMPTS_MAX = 50;
/** Steps that a job remembers. */
const NOTED_STEPS_MAX = 256;

/** Faults that say nothing of the job: it waits for the next contact. */
const NOT_THE_JOB: readonly TsmErrorCode[] = [
  ...(['ERR_TSM_HSM', 'ERR_TSM_CONFLICT', 'ERR_TSM_CONTACT', 'ERR_TSM_OTHER_ELEMENT'] as const),
  'ERR_TSM_PERSONALISATION',
];

/** Jobs of an element that is suspended. */
const OF_SUSPENDED: readonly JobKind[] = ['suspend', 'lock'];

/** Told of each step before it is taken. */
export type OnProgress = (progress: TsmProgress) => void;

/** Runs every open job of an element, oldest first; what became of each. */
export async function* runJobs(
  ports: TsmPorts,
  serial: string,
  onProgress: OnProgress,
): Talk<readonly TsmJobOutcome[]> {
  const outcomes: TsmJobOutcome[] = [];
  const masters = await allRows(ports.store, 'masters');
  const line = new ElementLine(ports, masters);
  const memory: Memory = { keyVersions: {}, cplc: undefined };
  const { state } = await needRow(ports.store, 'elements', serial);
  for (const job of await openJobs(ports, serial)) {
    // What is suspended is locked, and gets nothing else until it is resumed.
    if (state === 'suspended' && !OF_SUSPENDED.includes(job.kind)) continue;
    const ended = yield* runJob({ ports, line, memory, onProgress }, job);
    outcomes.push({
      ...{ jobId: ended.id, kind: ended.kind, code: ended.fault?.code ?? null },
      state: ended.state === 'done' || ended.state === 'failed' ? ended.state : 'waiting',
    });
  }
  const nowMs = ports.clock.nowMs();
  await changeRow(ports.store, 'elements', serial, () => ({ lastContactMs: nowMs }));
  return outcomes;
}

/** Jobs that are not over, oldest first. */
export async function openJobs(ports: TsmPorts, serial: string): Promise<readonly Job[]> {
  const waiting = await allRows(ports.store, 'jobs', { parent: serial, state: 'waiting' });
  const running = await allRows(ports.store, 'jobs', { parent: serial, state: 'running' });
  return [...waiting, ...running].toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

/** What is known within one contact. */
type Memory = { readonly keyVersions: KeyVersions; cplc: string | null | undefined };
type Shop = {
  readonly ports: TsmPorts;
  readonly line: ElementLine;
  readonly memory: Memory;
  readonly onProgress: OnProgress;
};

async function* runJob(shop: Shop, before: Job): Talk<Job> {
  const { ports } = shop;
  const job = await changeRow(ports.store, 'jobs', before.id, ({ attempts }) => ({
    ...({ state: 'running' } as const),
    attempts: attempts + 1,
  }));
  try {
    if (job.attempts > JOB_ATTEMPTS_MAX) {
      throw new TsmError('ERR_TSM_ATTEMPTS', `the job was cut ${JOB_ATTEMPTS_MAX} times`);
    }
    yield* reconcile(shop, job);
    return await endJob(ports, job, 'done', null);
  } catch (thrown) {
    shop.line.end();
    if (thrown instanceof TsmError && NOT_THE_JOB.includes(thrown.code)) {
      await changeRow(ports.store, 'jobs', job.id, () => ({ state: 'waiting' }));
      throw thrown;
    }
    const { code, message } = errorBody(thrown);
    // The text of a foreign fault may quote anything.
    const text = thrown instanceof TapError ? message : 'internal fault';
    ports.log({ event: 'tsmJobFailed', jobId: job.id, code, message: text });
    return await endJob(ports, job, 'failed', { code, message: text });
  }
}

async function endJob(
  ports: TsmPorts,
  { id, kind, parent }: Job,
  state: 'done' | 'failed',
  fault: Job['fault'],
): Promise<Job> {
  const endedAtMs = ports.clock.nowMs();
  const ended = await changeRow(ports.store, 'jobs', id, () => ({ state, fault, endedAtMs }));
  if (kind === 'enrol' && state === 'done') {
    await changeRow(ports.store, 'elements', parent, (element) =>
      element.state === 'issued' ? { state: 'active' } : {},
    );
  }
  await ports.audit.append({
    ...{ atMs: endedAtMs, actor: 'tsm', action: `job.${state}`, subject: parent },
    facts: { jobId: id, kind, code: fault?.code ?? null, steps: ended.steps.length },
  });
  return ended;
}

/** Step by step to the wanted state; the last look shows that nothing is missing. */
async function* reconcile(shop: Shop, job: Job): Talk<void> {
  const { ports, line, memory, onProgress } = shop;
  let element = await needRow(ports.store, 'elements', job.parent);
  yield* readDomains(shop, job, element);
  for (let done = 0; done <= JOB_STEPS_MAX; done++) {
    element = await needRow(ports.store, 'elements', job.parent);
    const bench: Bench = { ports, line, element, keyVersions: memory.keyVersions };
    const reading = yield* look(shop, bench);
    element = await keepReading(ports, await adoptSentKeys(bench), reading);
    const applications = await plannedApplications(ports, element, job);
    const world = { kind: job.kind, element, reading, profile: ports.profile, applications };
    const steps = missingSteps(world);
    const [step] = steps;
    if (!step) return;
    const progress = { jobId: job.id, kind: job.kind, step: step.name };
    onProgress({ ...progress, done, total: done + steps.length });
    await noteStep(ports, job, step);
    bench.element = element;
    yield* perform(bench, step);
  }
  throw new TsmError('ERR_TSM_NOT_CONVERGED', `${JOB_STEPS_MAX} steps were not enough`);
}

/** Keys of domains are read without a session, before one is opened. */
async function* readDomains(shop: Shop, job: Job, element: Element): Talk<void> {
  const { ports, line, memory } = shop;
  const applications = await plannedApplications(ports, element, job);
  const { kind } = job;
  for (const aid of domainsOfInterest({ kind, element, profile: ports.profile, applications })) {
    if (memory.keyVersions[aid]) continue;
    const versions = yield* readKeyVersions(line, aid);
    if (versions) memory.keyVersions[aid] = versions;
  }
}

async function* look({ ports, line, memory }: Shop, bench: Bench): Talk<ElementReading> {
  const { issuerDomainAid } = ports.profile;
  yield* ensureOpen(bench, issuerDomainAid);
  const open = line.open?.keySet.keyVersionNumber;
  if (open !== undefined) memory.keyVersions[issuerDomainAid] = [open];
  if (memory.cplc === undefined) memory.cplc = yield* readProductionData(line);
  const kept = { nowMs: ports.clock.nowMs(), keyVersions: memory.keyVersions, cplc: memory.cplc };
  return yield* readElement(line, kept);
}

/** A set that was sent, and whose version the domain now lists, has arrived. */
async function adoptSentKeys({ ports, element, keyVersions }: Bench): Promise<Element> {
  const arrived = element.sentKeySets.filter(
    ({ domainAid, keyVersionNumber }) =>
      domainAid !== ports.profile.issuerDomainAid &&
      keyVersions[domainAid]?.includes(keyVersionNumber),
  );
  if (arrived.length === 0) return element;
  const isOther = ({ domainAid }: { readonly domainAid: string }): boolean =>
    !arrived.some((set) => set.domainAid === domainAid);
  return changeRow(ports.store, 'elements', element.id, (row) => ({
    keySets: [...row.keySets.filter(isOther), ...arrived],
    sentKeySets: row.sentKeySets.filter(isOther),
  }));
}

function keepReading(ports: TsmPorts, element: Element, reading: ElementReading): Promise<Element> {
  return changeRow(ports.store, 'elements', element.id, () => ({ reading }));
}

async function noteStep(ports: TsmPorts, job: Job, step: Step): Promise<void> {
  const noted: JobStep = {
    ...{ name: step.name, subject: subjectOf(step), atMs: ports.clock.nowMs() },
  };
  await changeRow(ports.store, 'jobs', job.id, ({ steps }) => ({
    steps: [...steps, noted].slice(-NOTED_STEPS_MAX),
  }));
}

/** The applications of a job with everything that their steps need; all of them for a repair. */
export async function plannedApplications(
  ports: TsmPorts,
  element: Element,
  job: Pick<Job, 'kind' | 'applicationIds'>,
): Promise<readonly PlannedApplication[]> {
  const { store } = ports;
  const placements =
    job.kind === 'repair'
      ? await allRows(store, 'placements', { parent: element.id })
      : await Promise.all(
          job.applicationIds.map((id) => needRow(store, 'placements', placementId(element.id, id))),
        );
  return Promise.all(placements.map((placement) => plannedOf(ports, element, placement)));
}

/** A placement with everything that its steps need. */
export async function plannedOf(
  ports: TsmPorts,
  element: Element,
  placement: Placement,
): Promise<PlannedApplication> {
  const { store } = ports;
  const application = await needRow(store, 'applications', placement.applicationId);
  const provider = await needRow(store, 'providers', application.parent);
  const version =
    placement.wantedVersionId === null
      ? null
      : await needRow(store, 'versions', placement.wantedVersionId);
  const whole = { placement, application, provider, version };
  const { personalisedAs } = placement;
  // What an instance has taken is not asked for again; a job that wants it anew forgets the mark.
  const isLacking = placement.state === 'operable' && personalisedAs === null;
  if (!isLacking) return { ...whole, data: null, dataMark: personalisedAs };
  const data = await dataOf(ports, { element, application, version });
  return { ...whole, data, dataMark: data && version ? markOf(version, data) : null };
}

/** @throws TsmError `ERR_TSM_PERSONALISATION` for whatever the source throws. */
async function dataOf(
  { personalisation }: TsmPorts,
  asked: {
    readonly element: Element;
    readonly application: PlannedApplication['application'];
    readonly version: ApplicationVersion | null;
  },
): Promise<PlannedApplication['data']> {
  const { version, application } = asked;
  if (!application.needsPersonalisation || !version) return null;
  try {
    return await personalisation.groupings({ ...asked, version });
  } catch (cause) {
    const text = `no data of ${application.id} can be had now`;
    throw new TsmError('ERR_TSM_PERSONALISATION', text, { cause: errorBody(cause).code }, cause);
  }
}

function markOf(
  version: ApplicationVersion,
  data: NonNullable<PlannedApplication['data']>,
): string {
  const digest = createHash('sha256').update(canonicalJson(data)).digest();
  return `${version.id} ${toHex(new Uint8Array(digest.subarray(0, 8)))}`;
}
