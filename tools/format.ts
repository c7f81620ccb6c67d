/** `npm run format`: lets Biome rewrite what it can. */
import { spawnSync } from 'node:child_process';

const result = spawnSync('node_modules/.bin/biome', ['check', '--write', '.'], {
  stdio: 'inherit',
});
process.exitCode = result.status ?? 1;
