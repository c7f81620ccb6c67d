/** `tapnpay tsm`: the manager of secure elements: elements, applications, jobs, certification. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { toHex } from '@tapnpay/protocol/bytes';
import { decodeApplicationPackage } from '@tapnpay/protocol/globalplatform/data';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir } from '../system/layout.ts';
import { ManagerClient, type Row } from '../tsm/manager-client.ts';

const USAGE = `usage: tapnpay tsm elements
       tapnpay tsm element SERIAL
       tapnpay tsm register SERIAL --kdd HEX --attestation-key HEX [--key-type aes|des]
       tapnpay tsm issue SERIAL | suspend SERIAL | resume SERIAL | retire SERIAL
       tapnpay tsm applications
       tapnpay tsm upload APPLICATION FILE
       tapnpay tsm review APPLICATION VERSION [--note TEXT] [--reject]
       tapnpay tsm release APPLICATION VERSION
       tapnpay tsm revoke APPLICATION VERSION --reason TEXT
       tapnpay tsm enrol SERIAL [APPLICATION...]
       tapnpay tsm install | lock | unlock | delete | personalise SERIAL APPLICATION...
       tapnpay tsm rotate-keys SERIAL
       tapnpay tsm repair SERIAL
       tapnpay tsm jobs [SERIAL]
       tapnpay tsm job ID
       tapnpay tsm cancel ID
       tapnpay tsm masters
       tapnpay tsm audit
       all: [--data DIR] [--json]
A job is done when its element calls the next time. With --dry-run the commands that ask for a job
make none: they print the steps that are missing and their clear command APDUs.`;

type Told = { readonly data: unknown; readonly lines: readonly string[] };
type Action = (
  manager: ManagerClient,
  args: readonly string[],
  values: OptionValues,
) => Promise<Told>;

/** Commands that ask for a job, and the kind of it. */
const JOB_KINDS: Readonly<Record<string, string>> = {
  enrol: 'enrol',
  install: 'update',
  lock: 'lock',
  unlock: 'unlock',
  delete: 'delete',
  personalise: 'personalise',
  'rotate-keys': 'rotateKeys',
  repair: 'repair',
};
/** Commands that move an element, and where to. */
const MOVES: Readonly<Record<string, string>> = {
  issue: 'issued',
  suspend: 'suspended',
  resume: 'active',
  retire: 'retired',
};

const ACTIONS: Readonly<Record<string, Action>> = {
  elements: async (manager) => {
    const rows = await manager.list('/v1/elements');
    return { data: rows, lines: rows.map(elementLine) };
  },
  element: async (manager, args) => {
    const row = await manager.get(`/v1/elements/${needed(args[0], 'SERIAL')}`);
    const applications = (row['applications'] ?? []) as readonly Row[];
    return { data: row, lines: [elementLine(row), ...applications.map(placementLine)] };
  },
  register: async (manager, args, values) => {
    const row = await manager.post('/v1/elements', {
      serial: needed(args[0], 'SERIAL'),
      keyDiversificationData: option(values, 'kdd'),
      attestationKeySpki: option(values, 'attestation-key'),
      keyType: textOption(values, 'key-type') ?? 'aes',
    });
    return { data: row, lines: [elementLine(row)] };
  },
  ...Object.fromEntries(
    Object.entries(MOVES).map(([name, state]): [string, Action] => [
      name,
      async (manager, args) => {
        const path = `/v1/elements/${needed(args[0], 'SERIAL')}/state`;
        const row = await manager.post(path, { state });
        return { data: row, lines: [elementLine(row)] };
      },
    ]),
  ),
  applications: async (manager) => {
    const rows = await manager.list('/v1/applications');
    const versions = await Promise.all(rows.map(({ id }) => manager.list(versionsOf(String(id)))));
    const data = rows.map((row, index) => ({ ...row, versions: versions[index] ?? [] }));
    const lines = data.flatMap((row) => [
      `${String(row['id' as keyof typeof row])}`,
      ...row.versions.map((one) => `  ${versionLine(one)}`),
    ]);
    return { data, lines };
  },
  upload: async (manager, args) => upload(manager, args),
  review: async (manager, args, values) => {
    const body = {
      isAccepted: values['reject'] !== true,
      note: textOption(values, 'note') ?? 'read',
    };
    const row = await manager.postAsReviewer(`${versionOf(args)}/review`, body);
    return { data: row, lines: [versionLine(row)] };
  },
  release: async (manager, args) => {
    const row = await manager.post(`${versionOf(args)}/release`);
    return { data: row, lines: [versionLine(row)] };
  },
  revoke: async (manager, args, values) => {
    const body = { reason: option(values, 'reason') };
    const row = await manager.post(`${versionOf(args)}/revoke`, body);
    return { data: row, lines: [versionLine(row)] };
  },
  ...Object.fromEntries(
    Object.entries(JOB_KINDS).map(([name, kind]): [string, Action] => [
      name,
      (manager, args, values) => askJob(manager, { kind, args, values }),
    ]),
  ),
  jobs: async (manager, args) => {
    const query = args[0] === undefined ? '' : `?serial=${encodeURIComponent(args[0])}`;
    const rows = await manager.list(`/v1/jobs${query}`);
    return { data: rows, lines: rows.map(jobLine) };
  },
  job: async (manager, args) => {
    const row = await manager.get(`/v1/jobs/${needed(args[0], 'ID')}`);
    const steps = (row['steps'] ?? []) as readonly Row[];
    const lines = steps.map(
      ({ name, subject }) => `  ${String(name).padEnd(20)}${String(subject)}`,
    );
    return { data: row, lines: [jobLine(row), ...lines] };
  },
  cancel: async (manager, args) => {
    const row = await manager.post(`/v1/jobs/${needed(args[0], 'ID')}/cancel`);
    return { data: row, lines: [jobLine(row)] };
  },
  masters: async (manager) => {
    const { data } = await manager.get('/v1/masters');
    const lines = (data as readonly Row[]).map(
      ({ name, keyType, lengthBytes, state, kcv }) =>
        `${String(name).padEnd(42)}${String(keyType)}-${Number(lengthBytes) * 8}  ` +
        `${String(state).padEnd(8)}check value ${String(kcv)}`,
    );
    return { data, lines };
  },
  audit: async (manager) => {
    const { data } = await manager.get('/v1/audit?limit=500');
    const lines = (data as readonly Row[]).map(
      ({ seq, actor, action, subject }) =>
        `${String(seq).padStart(6)}  ${String(actor).padEnd(14)}` +
        `${String(action).padEnd(20)}${String(subject)}`,
    );
    return { data, lines };
  },
};

export const tsm: Command = {
  summary: {
    en: 'the manager of secure elements: elements, applications, jobs, lock, unlock, rotate-keys',
    zh: '可信服务管理：安全单元、应用、任务、锁定、解锁、密钥轮换',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    kdd: { type: 'string' },
    'attestation-key': { type: 'string' },
    'key-type': { type: 'string' },
    note: { type: 'string' },
    reason: { type: 'string' },
    reject: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
  },
  run: async (values, positionals) => {
    const [name = 'elements', ...args] = positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`tsm takes ${Object.keys(ACTIONS).join(', ')}`);
    const manager = new ManagerClient(resolve(textOption(values, 'data') ?? defaultDataDir));
    const { data, lines } = await action(manager, args, values);
    const text = values['json'] === true ? JSON.stringify(data) : lines.join('\n');
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

async function askJob(
  manager: ManagerClient,
  asked: { readonly kind: string; readonly args: readonly string[]; readonly values: OptionValues },
): Promise<Told> {
  const { kind, args, values } = asked;
  const [serial, ...applicationIds] = args;
  const path = `/v1/elements/${needed(serial, 'SERIAL')}`;
  if (values['dry-run'] !== true) {
    const row = await manager.post(`${path}/jobs`, { kind, applicationIds });
    return { data: row, lines: [jobLine(row), '  done when the element calls 待单元联络时执行'] };
  }
  const { steps } = await manager.post(`${path}/preview`, { kind, applicationIds });
  const lines = (steps as readonly Row[]).flatMap(stepLines);
  return { data: steps, lines: lines.length > 0 ? lines : ['nothing is missing 无需执行'] };
}

async function upload(manager: ManagerClient, args: readonly string[]): Promise<Told> {
  const applicationId = needed(args[0], 'APPLICATION');
  const bytes = new Uint8Array(readFileSync(needed(args[1], 'FILE')));
  const row = await manager.post(versionsOf(applicationId), {
    number: decodeApplicationPackage(bytes).manifest.version,
    hash: toHex(new Uint8Array(createHash('sha256').update(bytes).digest())),
    packageBase64: Buffer.from(bytes).toString('base64'),
  });
  const failed = ((row['checks'] ?? []) as readonly Row[]).filter(({ isPassed }) => !isPassed);
  const lines = failed.map(({ name, detail }) => `  not passed: ${String(name)} ${String(detail)}`);
  return { data: row, lines: [versionLine(row), ...lines] };
}

function elementLine(row: Row): string {
  const { serial, state, cardState, ownerId } = row;
  const owner = ownerId ? `  owner ${String(ownerId)}` : '';
  const card = String(cardState ?? 'never read');
  return `${String(serial).padEnd(20)}${String(state).padEnd(14)}${card}${owner}`;
}

function placementLine(row: Row): string {
  const { applicationId, wanted, actual, actualVersionId, drift } = row;
  const differs = (drift as readonly string[]).join(', ');
  return (
    `  ${String(applicationId).padEnd(18)}wanted ${String(wanted).padEnd(10)}` +
    `actual ${String(actual).padEnd(10)}${String(actualVersionId ?? '')}` +
    `${differs === '' ? '' : `  differs: ${differs}`}`
  );
}

function versionLine({ number, state, hash }: Row): string {
  return `${String(number).padEnd(10)}${String(state).padEnd(10)}${String(hash)}`;
}

function jobLine(row: Row): string {
  const { id, serial, kind, state, fault } = row;
  const why = fault
    ? `  ${String((fault as Row)['code'])}: ${String((fault as Row)['message'])}`
    : '';
  const what = `${String(kind).padEnd(12)}${String(state)}${why}`;
  return `${String(id)}  ${String(serial).padEnd(18)}${what}`;
}

function stepLines({ name, subject, commands, hidden, note }: Row): readonly string[] {
  const shown = (commands as readonly string[]).map((command) => `  ${shortened(command)}`);
  return [
    `${String(name)} ${String(subject)}`,
    ...(note ? [`  ${String(note)}`] : []),
    ...shown,
    ...(Number(hidden) > 0 ? [`  ... ${String(hidden)} more`] : []),
  ];
}

const SHOWN_CHARACTERS = 96;
function shortened(command: string): string {
  if (command.length <= SHOWN_CHARACTERS) return command;
  return `${command.slice(0, SHOWN_CHARACTERS)}... (${command.length / 2} bytes)`;
}

function versionsOf(applicationId: string): string {
  return `/v1/applications/${applicationId}/versions`;
}

function versionOf(args: readonly string[]): string {
  return `${versionsOf(needed(args[0], 'APPLICATION'))}/${needed(args[1], 'VERSION')}`;
}

function needed(text: string | undefined, name: string): string {
  if (text !== undefined && text !== '') return name === 'FILE' ? text : encodeURIComponent(text);
  throw new UsageError(`${name} is missing`);
}

function option(values: OptionValues, name: string): string {
  const text = textOption(values, name);
  if (text !== undefined && text !== '') return text;
  throw new UsageError(`--${name} is missing`);
}
