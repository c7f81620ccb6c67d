/** The thread of `bench issuer` that is the HSM: it starts in its folder, and listens. */
import { parentPort, workerData } from 'node:worker_threads';
import { startHsm } from '@tapnpay/online/hsm';

/** What the thread is started with. */
export type IssuerHsmFacts = { readonly dataDir: string };

const { dataDir } = workerData as IssuerHsmFacts;
const hsm = await startHsm({ dataDir, party: 'issuer', port: 0 });
parentPort?.once('message', () => void hsm.close());
parentPort?.postMessage(hsm.port);
