/** Jobs as they are asked for: what they want is written down, and done at the next contact. */
import { uuidv7 } from '../../runtime/index.ts';
import { type Actor, audited } from '../actor.ts';
import { callHsm } from '../element-line.ts';
import { TsmError } from '../errors.ts';
import {
  type ApplicationVersion,
  type Element,
  type Job,
  type JobKind,
  type Placement,
  placementId,
} from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { addRow, allRows, changeRow, needRow } from '../rows.ts';
import { openJobs } from './run.ts';

/** Open jobs of one element. */
export const OPEN_JOBS_MAX = 32;

/** What is asked for. */
export type JobRequest = {
  readonly serial: string;
  readonly kind: JobKind;
  readonly applicationIds?: readonly string[] | undefined;
};

/** Kinds that are about applications. */
const OF_APPLICATIONS: readonly JobKind[] = [
  ...(['update', 'lock', 'unlock', 'delete', 'personalise'] as const),
];

/**
 * Makes a job, or gives back the open one that asks for the same.
 * @throws TsmError `ERR_TSM_ELEMENT_STATE`, `ERR_TSM_NO_RELEASE`, `ERR_TSM_REVOKED`,
 *   `ERR_NOT_FOUND`, `ERR_LIMIT`.
 */
export async function createJob(ports: TsmPorts, actor: Actor, request: JobRequest): Promise<Job> {
  const { serial, kind, applicationIds = [] } = request;
  const element = await needRow(ports.store, 'elements', serial, 'ERR_TSM_ELEMENT_UNKNOWN');
  assertFit(element, request);
  const open = await openJobs(ports, serial);
  const wanted = applicationIds.toSorted().join(' ');
  const same = open.find(
    (job) => job.kind === kind && job.applicationIds.toSorted().join(' ') === wanted,
  );
  if (same) return same;
  if (open.length >= OPEN_JOBS_MAX) throw new TsmError('ERR_LIMIT', 'too many jobs are open');
  const facts = { kind, applicationIds };
  await audited(ports, actor, { action: 'job.create', subject: serial, facts });
  const wantedBefore: Job['wantedBefore'][number][] = [];
  for (const applicationId of applicationIds) {
    const before = await ports.store.find('placements', placementId(serial, applicationId));
    const { state = 'absent', wantedVersionId = null } = before ?? {};
    wantedBefore.push({ applicationId, wanted: before && { state, wantedVersionId } });
    await wantApplication(ports, { serial, kind, applicationId });
  }
  if (kind === 'rotateKeys') await wantOtherKeys(ports, element);
  return addRow(ports.store, 'jobs', {
    ...{ id: uuidv7(ports.clock, ports.random), parent: serial, state: 'waiting', kind },
    ...{ applicationIds: [...applicationIds], actor: actor.id, wantedBefore },
    ...{ steps: [], attempts: 0 },
    ...{ fault: null, createdAtMs: ports.clock.nowMs(), endedAtMs: null },
  });
}

/** Calls off a job that no contact has begun. @throws TsmError `ERR_TSM_JOB_STATE`. */
export async function cancelJob(ports: TsmPorts, actor: Actor, jobId: string): Promise<Job> {
  const { parent } = await needRow(ports.store, 'jobs', jobId);
  await audited(ports, actor, { action: 'job.cancel', subject: parent, facts: { jobId } });
  const job = await changeRow(ports.store, 'jobs', jobId, ({ state }) => {
    if (state !== 'waiting') throw new TsmError('ERR_TSM_JOB_STATE', `the job is ${state}`);
    return { state: 'cancelled', endedAtMs: ports.clock.nowMs() };
  });
  // What it wanted is not wanted any more; one that is new to the element is wanted away.
  for (const { applicationId, wanted } of job.wantedBefore) {
    const before = wanted ?? { state: 'absent' as const };
    await changeRow(ports.store, 'placements', placementId(parent, applicationId), () => before);
  }
  return job;
}

function assertFit({ state }: Element, { kind, applicationIds = [] }: JobRequest): void {
  const allowed =
    kind === 'suspend'
      ? ['suspended']
      : ['issued', 'active', ...(kind === 'lock' ? ['suspended'] : [])];
  if (!allowed.includes(state)) {
    throw new TsmError('ERR_TSM_ELEMENT_STATE', `no ${kind} of an element that is ${state}`, {
      ...{ kind, state },
    });
  }
  if (OF_APPLICATIONS.includes(kind) && applicationIds.length === 0) {
    throw new TsmError('ERR_REQUEST', `a job ${kind} names applications`);
  }
  const takesThem = OF_APPLICATIONS.includes(kind) || kind === 'enrol';
  if (!takesThem && applicationIds.length > 0) {
    throw new TsmError('ERR_REQUEST', `a job ${kind} names no applications`);
  }
}

/** Writes down what is wanted of an application. @throws TsmError as `createJob`. */
export async function wantApplication(
  ports: TsmPorts,
  wish: { readonly serial: string; readonly kind: JobKind; readonly applicationId: string },
): Promise<void> {
  const { serial, kind, applicationId } = wish;
  const { store } = ports;
  await needRow(store, 'applications', applicationId);
  const id = placementId(serial, applicationId);
  const before = await store.find('placements', id);
  if (kind === 'enrol' || kind === 'update') {
    const { id: wantedVersionId } = await newestRelease(ports, applicationId);
    const wanted = { state: 'operable', wantedVersionId } as const;
    if (before) await changeRow(store, 'placements', id, () => wanted);
    else {
      const known = { knownVersionId: null, personalisedAs: null };
      await addRow(store, 'placements', { id, parent: serial, applicationId, ...wanted, ...known });
    }
    return;
  }
  const placement = await needRow(store, 'placements', id);
  await changeRow(store, 'placements', id, await changeOf(ports, kind, placement));
}

async function changeOf(
  ports: TsmPorts,
  kind: JobKind,
  placement: Placement,
): Promise<() => Partial<Placement>> {
  if (kind === 'lock') return () => ({ state: 'locked' });
  if (kind === 'delete') return () => ({ state: 'absent' });
  await assertNotRevoked(ports, placement);
  if (kind === 'unlock') return () => ({ state: 'operable' });
  return () => ({ personalisedAs: null });
}

/** What was revoked stays locked until it is updated. @throws TsmError `ERR_TSM_REVOKED`. */
async function assertNotRevoked(ports: TsmPorts, { wantedVersionId }: Placement): Promise<void> {
  if (wantedVersionId === null) return;
  const { state, id } = await needRow(ports.store, 'versions', wantedVersionId);
  if (state === 'revoked') {
    throw new TsmError('ERR_TSM_REVOKED', 'its version is revoked; update it', { versionId: id });
  }
}

/** The released version that was released last. @throws TsmError `ERR_TSM_NO_RELEASE`. */
export async function newestRelease(
  ports: TsmPorts,
  applicationId: string,
): Promise<ApplicationVersion> {
  const query = { parent: applicationId, state: 'released' };
  const released = await allRows(ports.store, 'versions', query);
  const newest = released.toSorted(
    (one, other) => (other.releasedAtMs ?? 0) - (one.releasedAtMs ?? 0),
  )[0];
  if (newest) return newest;
  throw new TsmError('ERR_TSM_NO_RELEASE', 'no version is released', { applicationId });
}

/** Another master than that of the element's keys; a new one when it has the newest. */
async function wantOtherKeys(ports: TsmPorts, element: Element): Promise<void> {
  const { issuerDomainAid } = ports.profile;
  const set = element.keySets.find(({ domainAid }) => domainAid === issuerDomainAid);
  if (set && set.master !== element.master) return;
  const before = await needRow(ports.store, 'masters', element.master);
  const inUse = await allRows(ports.store, 'masters', { state: 'inUse' });
  const newest = inUse
    .filter(
      ({ keyType, lengthBytes, createdAtMs }) =>
        keyType === before.keyType &&
        lengthBytes === before.lengthBytes &&
        createdAtMs > before.createdAtMs,
    )
    .toSorted((one, other) => other.createdAtMs - one.createdAtMs)[0];
  const master = newest?.id ?? (await newMaster(ports, before)).id;
  await changeRow(ports.store, 'elements', element.id, () => ({ master }));
}

async function newMaster(
  ports: TsmPorts,
  like: { readonly keyType: 'aes' | 'des'; readonly lengthBytes: number },
): ReturnType<typeof addRow<'masters'>> {
  const { keyType, lengthBytes } = like;
  const algorithm = keyType === 'aes' ? 'A' : 'T';
  const made = await callHsm(ports, {
    ...({ command: 'generateElementMaster', algorithm, lengthBytes } as const),
  });
  return addRow(ports.store, 'masters', {
    ...{ id: `${keyType}-${uuidv7(ports.clock, ports.random)}`, parent: '', state: 'inUse' },
    ...{ keyType, lengthBytes, keyBlock: made.keyBlock, kcv: made.kcv },
    createdAtMs: ports.clock.nowMs(),
  });
}
