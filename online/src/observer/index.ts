/** The look inside a laboratory's payments: logs joined, decoded and shown. */
export { collectTrace } from './collect.ts';
export { type ObserverConfig, type RunningObserver, startObserver } from './server.ts';
