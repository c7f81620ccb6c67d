/** API keys: a text that is shown once, kept as its hash. */
import { createHash } from 'node:crypto';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { type Actor, audited } from './actor.ts';
import { TsmError } from './errors.ts';
import type { ApiKey, TsmRole } from './model.ts';
import type { TsmPorts } from './ports.ts';
import { addRow, changeRow, needRow } from './rows.ts';

const KEY_BYTES = 24;
const PREFIX = 'tsmkey_';

/** A new key's text. */
export function newKeyText(random: RandomSource): string {
  return PREFIX + Buffer.from(random.bytes(KEY_BYTES)).toString('base64url');
}

/** Id of the row of a key. */
export function keyIdOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A new key; its text is the caller's to show. @throws TsmError `ERR_NOT_FOUND`, `ERR_REQUEST`. */
export async function addApiKey(
  ports: TsmPorts,
  actor: Actor,
  key: {
    readonly text: string;
    readonly role: TsmRole;
    readonly name: string;
    readonly providerId: string;
  },
): Promise<ApiKey> {
  const { text, role, name, providerId } = key;
  if ((role === 'provider') !== (providerId !== '')) {
    throw new TsmError('ERR_REQUEST', 'a key of a provider names it, and no other does');
  }
  if (providerId !== '') await needRow(ports.store, 'providers', providerId);
  const id = keyIdOf(text);
  await audited(ports, actor, {
    action: 'key.add',
    subject: id.slice(0, 12),
    facts: { role, name },
  });
  return addRow(ports.store, 'apiKeys', { id, parent: providerId, state: 'active', role, name });
}

/** Ends a key. @throws TsmError `ERR_NOT_FOUND`. */
export async function revokeApiKey(ports: TsmPorts, actor: Actor, id: string): Promise<ApiKey> {
  await audited(ports, actor, { action: 'key.revoke', subject: id.slice(0, 12) });
  return changeRow(ports.store, 'apiKeys', id, () => ({ state: 'revoked' }));
}

/** Who presents a key. @throws TsmError `ERR_UNAUTHORIZED`. */
export async function actorOf(ports: TsmPorts, authorization: string | undefined): Promise<Actor> {
  const [, text] = /^Bearer ([\x21-\x7e]{16,256})$/.exec(authorization ?? '') ?? [];
  const row = text ? await ports.store.find('apiKeys', keyIdOf(text)) : null;
  if (row?.state === 'active')
    return { id: row.id.slice(0, 12), role: row.role, providerId: row.parent };
  throw new TsmError('ERR_UNAUTHORIZED', 'a key is needed');
}
