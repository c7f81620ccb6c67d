/** Birth and life of an element in the manager's books, before and beside its keys. */
import { createPublicKey } from 'node:crypto';
import type { KeySetWay } from '@tapnpay/protocol/wire';
import { type Actor, audited } from '../actor.ts';
import { TsmError } from '../errors.ts';
import { createJob } from '../jobs/create.ts';
import type { Element, ElementState } from '../model.ts';
import type { TsmPorts } from '../ports.ts';
import { addRow, allRows, changeRow, needRow } from '../rows.ts';

/** What is told of a new element. */
export type NewElement = {
  readonly serial: string;
  readonly keyDiversificationData: string;
  readonly attestationKeySpki: string;
  readonly keyType: 'aes' | 'des';
  /** Masters of the factory that its keys come of; those of this installation when left out. */
  readonly factory?: readonly { readonly master: string; readonly way: KeySetWay }[] | undefined;
  readonly commandBytesMax?: number | null | undefined;
  /** Parameter i of SCP03, where the factory says it. */
  readonly parameterI?: number | null | undefined;
};

/** Steps of an element's life. `retired` is an end. */
const STEPS: Readonly<Record<ElementState, readonly ElementState[]>> = {
  manufactured: ['issued', 'retired'],
  issued: ['active', 'suspended', 'retired'],
  active: ['suspended', 'retired'],
  suspended: ['active', 'retired'],
  retired: [],
};

/**
 * Puts an element on the list.
 * @throws TsmError `ERR_TSM_EXISTS`, `ERR_REQUEST` for a key or master that is none.
 */
export async function registerElement(
  ports: TsmPorts,
  actor: Actor,
  made: NewElement,
): Promise<Element> {
  assertP256(made.attestationKeySpki);
  const factory = made.factory ?? factoryOf(made.keyType);
  const master = made.keyType === 'aes' ? 'elementAes' : 'elementDes';
  for (const name of [master, ...factory.map((one) => one.master)]) {
    const found = await ports.store.find('masters', name);
    if (!found) throw new TsmError('ERR_REQUEST', `there is no master ${name}`);
  }
  await audited(ports, actor, { action: 'element.register', subject: made.serial });
  return addRow(ports.store, 'elements', {
    ...{ id: made.serial, parent: '', state: 'manufactured' },
    keyDiversificationData: made.keyDiversificationData,
    attestationKeySpki: made.attestationKeySpki,
    ...{ keyType: made.keyType, factory, master },
    ...{ commandBytesMax: made.commandBytesMax ?? null, parameterI: made.parameterI ?? null },
    ...{ keySets: [], sentKeySets: [], reading: null, lastContactMs: null },
    createdAtMs: ports.clock.nowMs(),
  });
}

/**
 * Issues, suspends, resumes or retires. Suspending and resuming are jobs as well: the card itself
 * is locked at its next contact. @throws TsmError `ERR_TSM_ELEMENT_STATE`.
 */
export async function moveElement(
  ports: TsmPorts,
  actor: Actor,
  move: { readonly serial: string; readonly to: Exclude<ElementState, 'manufactured'> },
): Promise<Element> {
  const { serial, to } = move;
  const before = await needRow(ports.store, 'elements', serial, 'ERR_TSM_ELEMENT_UNKNOWN');
  if (!STEPS[before.state].includes(to)) throw noStep(before.state, to);
  await audited(ports, actor, { action: `element.${to}`, subject: serial });
  const element = await changeRow(ports.store, 'elements', serial, ({ state }) => {
    if (!STEPS[state].includes(to)) throw noStep(state, to);
    return { state: to };
  });
  if (to === 'suspended') await createJob(ports, actor, { serial, kind: 'suspend' });
  if (to === 'active' && before.state === 'suspended') {
    await createJob(ports, actor, { serial, kind: 'resume' });
  }
  return element;
}

/**
 * Gives an element to a cardholder. What the one before had on it goes with its data: every
 * application that was personalised is deleted.
 * @throws TsmError `ERR_NOT_FOUND`, `ERR_TSM_ELEMENT_STATE`.
 */
export async function transferElement(
  ports: TsmPorts,
  actor: Actor,
  transfer: { readonly serial: string; readonly userId: string },
): Promise<Element> {
  const { serial, userId } = transfer;
  await needRow(ports.store, 'users', userId);
  const before = await needRow(ports.store, 'elements', serial, 'ERR_TSM_ELEMENT_UNKNOWN');
  if (before.state === 'retired') throw noStep(before.state, before.state);
  await audited(ports, actor, { action: 'element.transfer', subject: serial, facts: { userId } });
  const element = await changeRow(ports.store, 'elements', serial, () => ({ parent: userId }));
  if (before.parent === '' || before.parent === userId) return element;
  for (const placement of await allRows(ports.store, 'placements', { parent: serial })) {
    const isPersonal = placement.state !== 'absent' && placement.personalisedAs !== null;
    const applicationIds = [placement.applicationId];
    if (isPersonal) await createJob(ports, actor, { serial, kind: 'delete', applicationIds });
  }
  return element;
}

function factoryOf(keyType: 'aes' | 'des'): Element['factory'] {
  return keyType === 'des'
    ? [{ master: 'factoryDes', way: 'emv' }]
    : [
        { master: 'factoryAes', way: 'kdf3' },
        { master: 'factoryOpen', way: 'kdf3' },
        { master: 'factoryOpen', way: 'none' },
      ];
}

function noStep(from: ElementState, to: ElementState): TsmError {
  const text = `an element that is ${from} does not become ${to}`;
  return new TsmError('ERR_TSM_ELEMENT_STATE', text, { from, to });
}

/** @throws TsmError `ERR_REQUEST`. */
function assertP256(spkiHex: string): void {
  try {
    const key = Buffer.from(spkiHex, 'hex');
    const { asymmetricKeyDetails } = createPublicKey({ key, format: 'der', type: 'spki' });
    if (asymmetricKeyDetails?.namedCurve === 'prime256v1') return;
  } catch {
    // Told below, as for a key of another kind.
  }
  throw new TsmError('ERR_REQUEST', 'the attestation key is no P-256 key');
}
