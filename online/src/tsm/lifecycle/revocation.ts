/** What revocation does to elements: a revoked version is locked at the next contact. */
import { MANAGER } from '../actor.ts';
import { createJob } from '../jobs/create.ts';
import type { Element } from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { allRows, needRow } from '../rows.ts';

/** Makes the jobs that lock what is revoked and not locked on an element. */
export async function lockRevoked(ports: TsmPorts, element: Element): Promise<void> {
  const placements = await allRows(ports.store, 'placements', { parent: element.id });
  for (const { knownVersionId, wantedVersionId, applicationId, state } of placements) {
    if (state !== 'operable' || knownVersionId === null) continue;
    // One that an update will take away is not locked first.
    if (wantedVersionId !== knownVersionId) continue;
    const version = await needRow(ports.store, 'versions', knownVersionId);
    if (version.state !== 'revoked') continue;
    const applicationIds = [applicationId];
    await createJob(ports, MANAGER, { serial: element.id, kind: 'lock', applicationIds });
  }
}
