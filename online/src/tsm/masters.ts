/** Masters of key sets: those of the key ceremony first, then those that rotations make. */
import type { PartyKey } from '../runtime/index.ts';
import type { Master } from './model.ts';
import type { TsmPorts } from './ports.ts';
import { addRow } from './rows.ts';

type Ceremony = Pick<Master, 'keyType' | 'lengthBytes'> & { readonly state: Master['state'] };

/** What the ceremony's masters are. */
const OF_CEREMONY: Readonly<Record<string, Ceremony>> = {
  elementAes: { state: 'inUse', keyType: 'aes', lengthBytes: 32 },
  elementDes: { state: 'inUse', keyType: 'des', lengthBytes: 16 },
  factoryAes: { state: 'factory', keyType: 'aes', lengthBytes: 16 },
  factoryDes: { state: 'factory', keyType: 'des', lengthBytes: 16 },
  factoryOpen: { state: 'factory', keyType: 'aes', lengthBytes: 16 },
};

/** Enters the masters of the key file that are not entered yet. */
export async function openMasters(
  ports: Pick<TsmPorts, 'store' | 'clock'>,
  keys: Readonly<Record<string, PartyKey>>,
): Promise<void> {
  for (const [name, facts] of Object.entries(OF_CEREMONY)) {
    const key = keys[name];
    if (!key || (await ports.store.find('masters', name))) continue;
    const { keyBlock, kcv } = key;
    const createdAtMs = ports.clock.nowMs();
    await addRow(ports.store, 'masters', {
      ...{ id: name, parent: '', ...facts, keyBlock, kcv, createdAtMs },
    });
  }
}
