/**
 * `tapnpay applications`: which payment applications the gateway takes payments from: elements and
 * their locks, load files, and the parameter sets that every application works by.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import { sha256Hex } from '@tapnpay/protocol/node';
import { readParameterSet } from '@tapnpay/protocol/wire';
import {
  type Api,
  ApiError,
  createClient,
  type Element,
  type LoadFile,
  NoAnswerError,
  type ParameterContent,
  type PublishedParameters,
} from '@tapnpay/sdk';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig, urlOf } from '../system/layout.ts';

const USAGE = `usage: tapnpay applications [elements]
       tapnpay applications lock|unlock ELEMENT --note TEXT
       tapnpay applications load-files
       tapnpay applications accept FILE [--name TEXT]
       tapnpay applications revoke HASH --note TEXT
       tapnpay applications parameters
       tapnpay applications publish FILE [--enforce] [--days N]
       all: [--data DIR] [--json]
Payments come from accepted load files only; a revoked one is never accepted again. An element whose
counter stood still or went back is locked as a clone: have its holder enrol again, then unlock it.
parameters prints the newest set; publish signs the content of FILE, as parameters --json has it in
content, as the next one, which every application takes at its next contact. --enforce refuses
payments under older sets from then on; --days is its term, 366 when nothing is said.`;

type Told = { readonly data: unknown; readonly lines: readonly string[] };
type Action = (api: Api, args: readonly string[], values: OptionValues) => Promise<Told>;

const ACTIONS: Readonly<Record<string, Action>> = {
  elements: async (api) => {
    const { data } = await api.listElements();
    return { data, lines: data.map(elementLine) };
  },
  lock: (api, args, values) => lockOrUnlock(api.lockElement, args, values),
  unlock: (api, args, values) => lockOrUnlock(api.unlockElement, args, values),
  'load-files': async (api) => {
    const { data } = await api.listLoadFiles();
    return { data, lines: data.map(fileLine) };
  },
  accept: async (api, [path], values) => {
    const file = needed(path, 'FILE');
    const name = textOption(values, 'name') ?? (file.split('/').at(-1) || file);
    const accepted = await api.acceptLoadFile({ body: { hash: sha256Hex(bytesOf(file)), name } });
    return { data: accepted, lines: [fileLine(accepted)] };
  },
  revoke: async (api, [hash], values) => {
    const path = { hash: needed(hash, 'HASH').toUpperCase() };
    const revoked = await api.revokeLoadFile({ path, body: { note: option(values, 'note') } });
    return { data: revoked, lines: [fileLine(revoked)] };
  },
  parameters: async (api) => parametersTold(await api.getParameters()),
  publish: async (api, [path], values) => {
    const content = contentOf(needed(path, 'FILE'));
    const days = textOption(values, 'days') ?? '366';
    if (!/^[1-9][0-9]{0,3}$/.test(days)) throw new UsageError('--days takes a number of days');
    const { version: afterVersion } = await api.getParameters();
    const minimum = values['enforce'] === true ? 'thisVersion' : 'unchanged';
    const body = { afterVersion, minimum, termDays: Number(days), content } as const;
    return parametersTold(await api.publishParameters({ body }));
  },
};

export const applications: Command = {
  summary: {
    en: 'payment applications at the gateway: element locks, accepted code, parameter sets',
    zh: '网关的支付应用：安全单元锁定、认可的程序、参数集',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    note: { type: 'string' },
    name: { type: 'string' },
    days: { type: 'string' },
    enforce: { type: 'boolean' },
  },
  run: async (values, positionals) => {
    const [name = 'elements', ...args] = positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`applications takes ${Object.keys(ACTIONS).join(', ')}`);
    const api = operatorApi(resolve(textOption(values, 'data') ?? defaultDataDir));
    const told = await action(api, args, values).catch(asTapError);
    const text = values['json'] === true ? JSON.stringify(told.data) : told.lines.join('\n');
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

function operatorApi(dataDir: string): Api {
  const url = urlOf(readSystemConfig(dataDir), 'gatewayHttp');
  const path = join(dataDir, 'gateway', 'merchant-key.json');
  const { operatorKey } = JSON.parse(readFileSync(path, 'utf8')) as { operatorKey: string };
  return createClient({ url, apiKey: operatorKey, repeats: 1 });
}

async function lockOrUnlock(
  call: Api['lockElement'],
  [elementId]: readonly string[],
  values: OptionValues,
): Promise<Told> {
  const path = { elementId: needed(elementId, 'ELEMENT') };
  const element = await call({ path, body: { note: option(values, 'note') } });
  return { data: element, lines: [elementLine(element)] };
}

/** The set as an operator edits it: its content, and what it is published with. */
function parametersTold(published: PublishedParameters): Told {
  const { version, minimumVersion, publishedAtMs, publishedBy } = published;
  const set = readParameterSet(published.body);
  const { format: _, version: _v, issuedAtMs: _i, validFromMs: _f, validUntilMs, ...content } = set;
  const facts = { version, minimumVersion, publishedAtMs, publishedBy, validUntilMs };
  const lines = [
    `version 版本 ${version}, lowest accepted 最低 ${minimumVersion}`,
    `published 发布 ${new Date(publishedAtMs).toISOString()} (${publishedBy})`,
    `valid until 有效期至 ${new Date(validUntilMs).toISOString()}`,
    `applications 应用 ${set.aids.map(({ aid }) => aid).join(' ')}`,
    `CA keys 认证中心公钥 ${set.caPublicKeys.map(({ rid, index }) => `${rid}:${index}`).join(' ')}`,
    `revoked certificates 吊销证书 ${set.revokedCertificates.length}`,
  ];
  return { data: { ...facts, content }, lines };
}

function elementLine({ elementId, state, lock, lastPaymentCounter }: Element): string {
  const why = lock === null ? '' : `  ${lock.reason}: ${lock.note}`;
  return `${elementId}  ${state}  #${lastPaymentCounter}${why}`;
}

function fileLine({ hash, name, state, note }: LoadFile): string {
  return `${hash}  ${state}  ${name}${note === null ? '' : `  ${note}`}`;
}

function contentOf(path: string): ParameterContent {
  try {
    return JSON.parse(new TextDecoder().decode(bytesOf(path))) as ParameterContent;
  } catch (fault) {
    if (fault instanceof UsageError) throw fault;
    throw new UsageError(`${path} is no JSON`);
  }
}

function bytesOf(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch {
    throw new UsageError(`${path} cannot be read`);
  }
}

function needed(value: string | undefined, name: string): string {
  if (value !== undefined) return value;
  throw new UsageError(`${name} is missing`);
}

function option(values: OptionValues, name: string): string {
  const value = textOption(values, name);
  if (value !== undefined) return value;
  throw new UsageError(`--${name} is missing`);
}

/** @throws TapError the gateway's code. */
function asTapError(fault: unknown): never {
  if (fault instanceof ApiError) {
    const { code, message, problem } = fault;
    throw new TapError(code, message, problem?.data ?? {}, fault);
  }
  if (fault instanceof NoAnswerError) {
    throw new TapError(
      'ERR_GATEWAY_DOWN',
      'the gateway does not answer; start it with: tapnpay up',
    );
  }
  throw fault;
}
