/** Loaded before the tests of one mutant: its file is read with the change in it. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { type Mutant, mutatedSource } from './mutate.ts';

const mutant = JSON.parse(process.env['TAPNPAY_MUTANT'] ?? 'null') as Mutant | null;
if (mutant !== null) {
  const target = pathToFileURL(mutant.path).href;
  registerHooks({
    load: (url, context, nextLoad) => {
      if (url !== target) return nextLoad(url, context);
      const source = mutatedSource(readFileSync(mutant.path, 'utf8'), mutant);
      return { format: 'module', source, shortCircuit: true };
    },
  });
}
