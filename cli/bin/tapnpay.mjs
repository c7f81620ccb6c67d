#!/usr/bin/env node
// `npx tapnpay`: the same set-up as `npm start`, then the command on the project's own Node.
import process from 'node:process';

process.argv.splice(2, 0, 'tapnpay');
await import('../../tools/setup.mjs');
