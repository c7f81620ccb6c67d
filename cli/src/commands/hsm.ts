/**
 * `tapnpay hsm`: what the HSMs of a system say of themselves, their long-lived keys by usage and
 * check value, and the key ceremony of people who each bring a component.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { componentCheckValue, newComponent, readHsmTokens } from '@tapnpay/online/hsm';
import {
  connectHsm,
  HSM_PARTIES,
  type HsmClient,
  type HsmParty,
  partyKeysPath,
  readPartyKeys,
} from '@tapnpay/online/runtime';
import { tr31HeaderOf } from '@tapnpay/protocol/crypto';
import { systemRandom } from '@tapnpay/protocol/node';
import { type HsmAnswers, KeyAlgorithm, KeyUsage } from '@tapnpay/protocol/wire';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig, type SystemConfig } from '../system/layout.ts';
import { HSM_PORT } from '../system/roles.ts';

/** Longest text of components on standard input. */
const INPUT_CHARACTERS_MAX = 1_024;

const USAGE = `usage: tapnpay hsm status
       tapnpay hsm keys
       tapnpay hsm component [--algorithm T|A|4]
       tapnpay hsm ceremony PARTY USAGE [--algorithm T|A|4]
       all: [--data DIR] [--json]
parties: ${HSM_PARTIES.join(', ')}, tsm;
usages: ${Object.values(KeyUsage).join(' ')} (X9.143 table 2)
algorithms: T 3DES (when left out), A AES, 4 SM4
component draws a component for one custodian and shows its check value: write both down, alone.
ceremony reads two or three components from standard input, a line each, shows the check value of
each for its custodian to compare, and prints the key block that the HSM of PARTY forms of them. Do
it at both ends of a zone: the check values of the key must be the same.`;

type Action = (values: OptionValues, rest: readonly string[]) => Promise<Report>;
type Report = { readonly json: unknown; readonly text: string };

const ACTIONS: Readonly<Record<string, Action>> = { status, keys, component, ceremony };

export const hsm: Command = {
  summary: {
    en: 'the HSMs of a system: status, keys and check values, key ceremony with components',
    zh: '加密机：状态、密钥与校验值、分量密钥仪式',
  },
  usage: USAGE,
  options: { data: { type: 'string' }, algorithm: { type: 'string' } },
  run: async (values, positionals) => {
    const [name = '', ...rest] = positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`hsm takes ${Object.keys(ACTIONS).join(', ')}`);
    const { json, text } = await action(values, rest);
    process.stdout.write(values['json'] ? `${JSON.stringify(json)}\n` : `${text}\n`);
    return 0;
  },
};

const ALL_PARTIES: readonly HsmParty[] = [...HSM_PARTIES, 'tsm'];

/** Those of payments, and the manager of secure elements where there is one. */
function partiesOf(dataDir: string): readonly HsmParty[] {
  return existsSync(partyKeysPath(dataDir, 'tsm')) ? ALL_PARTIES : HSM_PARTIES;
}

async function status(values: OptionValues): Promise<Report> {
  const system = systemOf(values);
  const answers: HsmAnswers['status'][] = [];
  for (const party of partiesOf(system.dataDir)) {
    answers.push(await asCeremony(system, party, (client) => client.call({ command: 'status' })));
  }
  const rows = answers.map(
    ({ party, label, masterKeyKcv, driver, mechanisms }) =>
      `${party.padEnd(10)}${label.padEnd(6)}master key ${masterKeyKcv}  driver ${driver}, ` +
      `${mechanisms.length} mechanisms`,
  );
  const notices = new Set(answers.map(({ notice }) => notice));
  return { json: answers, text: [...rows, ...notices].join('\n') };
}

async function keys(values: OptionValues): Promise<Report> {
  const { dataDir } = systemOf(values);
  const rows = partiesOf(dataDir).flatMap((party) =>
    Object.entries(readPartyKeys(dataDir, party).keys).map(([name, { keyBlock, kcv }]) => {
      const { usage, algorithm, exportability } = tr31HeaderOf(keyBlock);
      return { party, name, usage, algorithm, exportability, kcv };
    }),
  );
  const text = rows.map(
    ({ party, name, usage, algorithm, exportability, kcv }) =>
      `${party.padEnd(10)}${name.padEnd(12)}usage ${usage}  algorithm ${algorithm}  ` +
      `exportable ${exportability}  check value ${kcv}`,
  );
  return { json: rows, text: text.join('\n') };
}

async function component(values: OptionValues): Promise<Report> {
  const drawn = newComponent(systemRandom, algorithmOf(values));
  return { json: drawn, text: `component   ${drawn.component}\ncheck value ${drawn.kcv}` };
}

async function ceremony(values: OptionValues, rest: readonly string[]): Promise<Report> {
  const [party, usage, ...more] = rest;
  const known = ALL_PARTIES.find((name) => name === party);
  const wanted = Object.values(KeyUsage).find((name) => name === usage);
  if (!known || !wanted || more.length > 0) {
    throw new UsageError(`ceremony takes a party (${ALL_PARTIES.join(', ')}) and a key usage`);
  }
  const algorithm = algorithmOf(values);
  const system = systemOf(values);
  const components = await componentsOfInput();
  const kcvs = components.map((hex) => componentCheckValue(algorithm, hex));
  const request = { command: 'formKey', usage: wanted, algorithm, components } as const;
  const { keyBlock, kcv } = await asCeremony(system, known, (client) => client.call(request));
  const text = [
    ...kcvs.map((value, index) => `component ${index + 1}  check value ${value}`),
    `key          check value ${kcv}`,
    keyBlock,
  ];
  return { json: { components: kcvs, kcv, keyBlock }, text: text.join('\n') };
}

/** The lines of standard input; what they hold stays out of every error. */
async function componentsOfInput(): Promise<readonly string[]> {
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > INPUT_CHARACTERS_MAX) throw new UsageError('the components are too long');
  }
  const lines = text
    .split('\n')
    .map((line) => line.replaceAll(/\s/g, '').toUpperCase())
    .filter((line) => line !== '');
  if (lines.length < 2 || lines.length > 3 || !lines.every((line) => /^[0-9A-F]{32}$/.test(line))) {
    throw new UsageError('give two or three components of 32 hex digits, a line each');
  }
  return lines;
}

function algorithmOf(values: OptionValues): KeyAlgorithm {
  const text = textOption(values, 'algorithm') ?? KeyAlgorithm.tdes;
  const found = Object.values(KeyAlgorithm).find((known) => known === text);
  if (found) return found;
  throw new UsageError(`--algorithm takes ${Object.values(KeyAlgorithm).join(', ')}`);
}

function systemOf(values: OptionValues): SystemConfig {
  return readSystemConfig(resolve(textOption(values, 'data') ?? defaultDataDir));
}

async function asCeremony<T>(
  system: SystemConfig,
  party: HsmParty,
  ask: (client: HsmClient) => Promise<T>,
): Promise<T> {
  const client = await connectHsm({
    port: system.ports[HSM_PORT[party]],
    tokenHex: readHsmTokens(system.dataDir, party).ceremony ?? '',
    caller: 'ceremony',
  });
  try {
    return await ask(client);
  } finally {
    await client.close();
  }
}
