/** A thread that simulates the seeds it is sent; everything it shares it makes for itself. */
import { parentPort } from 'node:worker_threads';
import { simulate } from './simulate.ts';
import { prepareSystem } from './system.ts';

const port = parentPort;
if (!port) throw new Error('this file runs in a worker thread');
const system = await prepareSystem();
port.on('message', ({ seed, bug }: { readonly seed: number; readonly bug: string }) => {
  void simulate(system, seed, bug).then((result) => port.postMessage(result));
});
port.postMessage('ready');
