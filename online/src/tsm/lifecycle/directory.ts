/** Providers, applications and users: who is who, and what may be installed. */
import { type Actor, audited } from '../actor.ts';
import { TsmError } from '../errors.ts';
import type { Application, Provider, User } from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { addRow, allRows, needRow } from '../rows.ts';

/** A new provider. @throws TsmError `ERR_TSM_EXISTS` for its id, domain or names of another. */
export async function addProvider(
  ports: TsmPorts,
  actor: Actor,
  made: Omit<Provider, 'version' | 'parent' | 'state'>,
): Promise<Provider> {
  for (const other of await allRows(ports.store, 'providers')) {
    const isTaken =
      other.domainAid === made.domainAid ||
      other.aidPrefixes.some((prefix) =>
        made.aidPrefixes.some((own) => own.startsWith(prefix) || prefix.startsWith(own)),
      );
    if (isTaken && other.id !== made.id) {
      throw new TsmError('ERR_TSM_EXISTS', `its names are those of ${other.id}`);
    }
  }
  await audited(ports, actor, { action: 'provider.add', subject: made.id });
  return addRow(ports.store, 'providers', { ...made, parent: '', state: 'active' });
}

/**
 * A new application of a provider.
 * @throws TsmError `ERR_ROLE` for another provider's key, `ERR_REQUEST` for names that are not the
 *   provider's, `ERR_TSM_EXISTS`.
 */
export async function addApplication(
  ports: TsmPorts,
  actor: Actor,
  made: Omit<Application, 'version' | 'state'>,
): Promise<Application> {
  if (actor.role === 'provider' && actor.providerId !== made.parent) {
    throw new TsmError('ERR_ROLE', 'a provider adds its own applications');
  }
  const provider = await needRow(ports.store, 'providers', made.parent);
  const names = [made.loadFileAid, made.moduleAid, made.instanceAid];
  const isOwn = names.every((aid) => provider.aidPrefixes.some((own) => aid.startsWith(own)));
  if (!isOwn) throw new TsmError('ERR_REQUEST', 'its names are not those of its provider');
  for (const other of await allRows(ports.store, 'applications')) {
    const isTaken =
      other.loadFileAid === made.loadFileAid || other.instanceAid === made.instanceAid;
    if (isTaken && other.id !== made.id) {
      throw new TsmError('ERR_TSM_EXISTS', `its names are those of ${other.id}`);
    }
  }
  await audited(ports, actor, { action: 'application.add', subject: made.id });
  return addRow(ports.store, 'applications', { ...made, state: 'active' });
}

/** A new cardholder. @throws TsmError `ERR_TSM_EXISTS`. */
export async function addUser(
  ports: TsmPorts,
  actor: Actor,
  made: Pick<User, 'id' | 'name'>,
): Promise<User> {
  await audited(ports, actor, { action: 'user.add', subject: made.id });
  return addRow(ports.store, 'users', { ...made, parent: '', state: 'active' });
}
