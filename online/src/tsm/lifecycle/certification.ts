/** Certification of a version: upload, static checks, review by another, signature, release. */
import { type Actor, audited } from '../actor.ts';
import { callHsm } from '../element-line.ts';
import { TsmError } from '../errors.ts';
import { sha256 } from '../jobs/commands.ts';
import {
  type Application,
  type ApplicationVersion,
  type IntakeCheck,
  type Provider,
  type VersionState,
  versionId,
} from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { addRow, changeRow, needRow } from '../rows.ts';
import { checkPackage, INTAKE_PACKAGE_BYTES_MAX } from './intake.ts';

/**
 * Takes a package and checks it; a refused one is kept with its reasons, without its bytes.
 * @throws TsmError `ERR_TSM_EXISTS`, `ERR_NOT_FOUND`, `ERR_ROLE`, `ERR_BODY_TOO_LARGE`.
 */
export async function uploadVersion(
  ports: TsmPorts,
  actor: Actor,
  upload: {
    readonly applicationId: string;
    readonly number: string;
    readonly declaredHash: string;
    readonly bytes: Uint8Array;
  },
): Promise<ApplicationVersion> {
  const { applicationId, number, declaredHash, bytes } = upload;
  if (bytes.length > INTAKE_PACKAGE_BYTES_MAX) {
    throw new TsmError('ERR_BODY_TOO_LARGE', `at most ${INTAKE_PACKAGE_BYTES_MAX} bytes`);
  }
  const { application, provider } = await ownApplication(ports, actor, applicationId);
  const id = versionId(applicationId, number);
  const checks = checkPackage({ bytes, declaredHash, number, application, provider });
  const isPassed = checks.every((one) => one.isPassed);
  const hash = sha256(bytes);
  const facts = { hash, isPassed };
  await audited(ports, actor, { action: 'version.upload', subject: id, facts });
  if (isPassed) await ports.store.putPackage(hash, bytes);
  return addRow(ports.store, 'versions', {
    ...{ id, parent: applicationId, number, hash, checks, sizeBytes: bytes.length },
    state: isPassed ? 'checked' : 'rejected',
    ...{ uploadedBy: actor.id, reviewedBy: null, signature: null },
    ...{ releasedAtMs: null, createdAtMs: ports.clock.nowMs() },
  });
}

/**
 * A person has read the code.
 * @throws TsmError `ERR_TSM_VERSION_STATE`, `ERR_TSM_OWN_REVIEW`.
 */
export async function reviewVersion(
  ports: TsmPorts,
  actor: Actor,
  review: { readonly versionId: string; readonly isAccepted: boolean; readonly note: string },
): Promise<ApplicationVersion> {
  const { isAccepted, note } = review;
  const before = await needRow(ports.store, 'versions', review.versionId);
  if (before.uploadedBy === actor.id) {
    throw new TsmError('ERR_TSM_OWN_REVIEW', 'another person reviews it');
  }
  assertState(before, 'checked');
  const facts = { isAccepted, note };
  await audited(ports, actor, { action: 'version.review', subject: before.id, facts });
  const finding: IntakeCheck = { name: 'review', isPassed: isAccepted, detail: note };
  return changeRow(ports.store, 'versions', before.id, (row) => {
    assertState(row, 'checked');
    const state = isAccepted ? 'reviewed' : 'rejected';
    return { state, reviewedBy: actor.id, checks: [...row.checks, finding] };
  });
}

/**
 * The certifier signs exactly the bytes that were checked: from now on elements take them.
 * @throws TsmError `ERR_TSM_VERSION_STATE`, `ERR_TSM_PACKAGE`, `ERR_TSM_HSM`.
 */
export async function releaseVersion(
  ports: TsmPorts,
  actor: Actor,
  id: string,
): Promise<ApplicationVersion> {
  const before = await needRow(ports.store, 'versions', id);
  assertState(before, 'reviewed');
  const bytes = await ports.store.package(before.hash);
  if (!bytes || sha256(bytes) !== before.hash) {
    throw new TsmError('ERR_TSM_PACKAGE', 'the stored package has another hash', { versionId: id });
  }
  await audited(ports, actor, {
    action: 'version.release',
    subject: id,
    facts: { hash: before.hash },
  });
  const kind = ports.profile.signatureKind;
  const { signature } = await callHsm(ports, { command: 'signLoadFile', kind, hash: before.hash });
  const releasedAtMs = ports.clock.nowMs();
  return changeRow(ports.store, 'versions', id, (row) => {
    assertState(row, 'reviewed');
    return { state: 'released', signature: { kind, value: signature }, releasedAtMs };
  });
}

/**
 * Nobody gets it any more, and elements that have it lock it at their next contact.
 * @throws TsmError `ERR_TSM_VERSION_STATE`.
 */
export async function revokeVersion(
  ports: TsmPorts,
  actor: Actor,
  revocation: { readonly versionId: string; readonly reason: string },
): Promise<ApplicationVersion> {
  const { versionId: id, reason } = revocation;
  const before = await needRow(ports.store, 'versions', id);
  assertState(before, 'released');
  await audited(ports, actor, { action: 'version.revoke', subject: id, facts: { reason } });
  return changeRow(ports.store, 'versions', id, (row) => {
    assertState(row, 'released');
    return { state: 'revoked' };
  });
}

/** @throws TsmError `ERR_ROLE` for a provider's key and another one's application. */
async function ownApplication(
  ports: TsmPorts,
  actor: Actor,
  applicationId: string,
): Promise<{ readonly application: Application; readonly provider: Provider }> {
  const application = await needRow(ports.store, 'applications', applicationId);
  if (actor.role === 'provider' && actor.providerId !== application.parent) {
    throw new TsmError('ERR_ROLE', 'the application is of another provider');
  }
  return { application, provider: await needRow(ports.store, 'providers', application.parent) };
}

function assertState({ state, id }: ApplicationVersion, wanted: VersionState): void {
  if (state === wanted) return;
  throw new TsmError('ERR_TSM_VERSION_STATE', `the version is ${state}, not ${wanted}`, {
    ...{ versionId: id, state },
  });
}
