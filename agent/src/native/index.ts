/** The native messaging host, as installer, doctor and tests see it; its program is `main.ts`. */
export * from './config.ts';
export * from './version.ts';
