/** The thread of `bench issuer` that is the HSM: it starts in the folder it is given, and listens. */
import { parentPort, workerData } from 'node:worker_threads';
import { startHsm } from '@tapnpay/online/hsm';

const { dataDir } = workerData as { readonly dataDir: string };
const hsm = await startHsm({ dataDir, party: 'issuer', port: 0 });
parentPort?.once('message', () => void hsm.close());
parentPort?.postMessage(hsm.port);
