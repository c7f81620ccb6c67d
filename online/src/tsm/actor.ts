/** Who asks for something: by an API key, or the manager itself. */
import type { TsmRole } from './model.ts';
import type { TsmPorts } from './ports.ts';

/** A caller. `providerId` is empty for everybody but a provider. */
export type Actor = { readonly id: string; readonly role: TsmRole; readonly providerId: string };

/** What the manager does by itself. */
export const MANAGER: Actor = { id: 'tsm', role: 'issuer', providerId: '' };

/** Writes down what is about to be done: what cannot be written is not done. */
export async function audited(
  ports: TsmPorts,
  actor: Actor,
  entry: {
    readonly action: string;
    readonly subject: string;
    readonly facts?: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  const { action, subject, facts = {} } = entry;
  await ports.audit.append({ atMs: ports.clock.nowMs(), actor: actor.id, action, subject, facts });
}
