/** Loaded before tests by `npm test`: property tests draw from one seed, or from FC_SEED=N. */
import fc from 'fast-check';

const SEED = 20_261_125;

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? SEED) });
