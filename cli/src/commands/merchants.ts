/** `tapnpay merchants`: merchants of a running gateway and their API keys, by its own key. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import { padded } from '@tapnpay/protocol/wire';
import {
  type Api,
  ApiError,
  type ApiKey,
  type ApiKeyRequest,
  createClient,
  type Merchant,
  type NewApiKey,
  NoAnswerError,
} from '@tapnpay/sdk';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig, urlOf } from '../system/layout.ts';

const ROLES: readonly string[] = ['merchant', 'readonly', 'refund', 'operator'];
const USAGE = `usage: tapnpay merchants [list]
       tapnpay merchants add MERCHANT --name TEXT --name-zh TEXT --terminal ID --category CODE
                             --location TEXT
       tapnpay merchants suspend MERCHANT | activate MERCHANT
       tapnpay merchants keys [MERCHANT]
       tapnpay merchants key new [MERCHANT] --role ROLE [--mode test|live] [--rate N]
       tapnpay merchants key revoke KEYID
       all: [--data DIR] [--json]
MERCHANT has 15 characters (field 42), ID 8 (field 41), CODE 4 digits (field 18).
ROLE is one of ${ROLES.join(', ')}; an operator's key has no merchant. --rate is requests a second.
A key is shown once: only its hash is kept. Everything done here is in the audit log.`;

type Action = (
  api: Api,
  args: readonly string[],
  values: OptionValues,
) => Promise<{ readonly data: unknown; readonly lines: readonly string[] }>;

const ACTIONS: Readonly<Record<string, Action>> = {
  list: async (api) => {
    const { data } = await api.listMerchants();
    return { data, lines: data.map(merchantLine) };
  },
  add: async (api, args, values) => {
    const body = {
      merchantId: needed(args[0], 'MERCHANT'),
      name: option(values, 'name'),
      nameZh: option(values, 'name-zh'),
      terminalId: option(values, 'terminal'),
      categoryCode: option(values, 'category'),
      location: option(values, 'location'),
    };
    const added = await api.createMerchant({ body });
    return { data: added, lines: [merchantLine(added)] };
  },
  suspend: (api, args) => setState(api.suspendMerchant, args),
  activate: (api, args) => setState(api.activateMerchant, args),
  keys: async (api, args) => {
    const query = args[0] === undefined ? {} : { merchantId: args[0] };
    const { data } = await api.listApiKeys({ query });
    return { data, lines: data.map(keyLine) };
  },
  key: (api, [verb = '', ...args], values) => {
    if (verb === 'new') return newKey(api, args, values);
    if (verb === 'revoke') return revokeKey(api, args);
    throw new UsageError('key takes new or revoke');
  },
};

export const merchants: Command = {
  summary: {
    en: 'merchants of the gateway and their API keys: list, add, suspend, key new, key revoke',
    zh: '网关的商户及其 API 密钥：列表、新增、停用、创建密钥、吊销密钥',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    name: { type: 'string' },
    'name-zh': { type: 'string' },
    terminal: { type: 'string' },
    category: { type: 'string' },
    location: { type: 'string' },
    role: { type: 'string' },
    mode: { type: 'string' },
    rate: { type: 'string' },
  },
  run: async (values, positionals) => {
    const [name = 'list', ...args] = positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`merchants takes ${Object.keys(ACTIONS).join(', ')}`);
    const api = operatorApi(resolve(textOption(values, 'data') ?? defaultDataDir));
    const told = await action(api, args, values).catch(asTapError);
    const text = values['json'] === true ? JSON.stringify(told.data) : told.lines.join('\n');
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

/** The running gateway with the key of its installation. @throws TapError `ERR_NO_SYSTEM`. */
function operatorApi(dataDir: string): Api {
  const url = urlOf(readSystemConfig(dataDir), 'gatewayHttp');
  const path = join(dataDir, 'gateway', 'merchant-key.json');
  const { operatorKey } = JSON.parse(readFileSync(path, 'utf8')) as { operatorKey: string };
  return createClient({ url, apiKey: operatorKey, repeats: 1 });
}

async function setState(call: Api['suspendMerchant'], args: readonly string[]): ReturnType<Action> {
  const changed = await call({ path: { merchantId: needed(args[0], 'MERCHANT') } });
  return { data: changed, lines: [merchantLine(changed)] };
}

async function newKey(api: Api, args: readonly string[], values: OptionValues): ReturnType<Action> {
  const role = option(values, 'role');
  const mode = textOption(values, 'mode') ?? 'test';
  const rate = textOption(values, 'rate');
  if (!isRole(role)) throw new UsageError(`--role takes ${ROLES.join(', ')}`);
  if (mode !== 'test' && mode !== 'live') throw new UsageError('--mode takes test or live');
  if (rate !== undefined && !/^[1-9][0-9]{0,5}$/.test(rate)) {
    throw new UsageError('--rate takes a number of requests a second');
  }
  const merchantId = role === 'operator' ? null : needed(args[0], 'MERCHANT');
  const limit = rate === undefined ? {} : { requestsPerSecond: Number(rate) };
  const made = await api.createApiKey({ body: { merchantId, role, mode, ...limit } });
  return { data: made, lines: [keyLine(made), shownOnce(made)] };
}

async function revokeKey(api: Api, args: readonly string[]): ReturnType<Action> {
  const keyId = needed(args[0], 'KEYID');
  // A whole key is taken as well: people paste what they have.
  const id = /^tap_(?:test|live)_([0-9a-f]{12})_/.exec(keyId)?.[1] ?? keyId;
  const revoked = await api.revokeApiKey({ path: { keyId: id } });
  return { data: revoked, lines: [keyLine(revoked)] };
}

function isRole(text: string): text is ApiKeyRequest['role'] {
  return ROLES.includes(text);
}

function shownOnce({ apiKey }: NewApiKey): string {
  return `${apiKey}\nshown this once 仅显示一次`;
}

function merchantLine({ merchantId, terminalId, name, nameZh, state }: Merchant): string {
  return `${merchantId}  ${terminalId}  ${padded(state, 10)} ${name} ${nameZh}`;
}

function keyLine(key: ApiKey): string {
  const { keyId, merchantId, role, mode, requestsPerSecond, revokedAtMs, lastUsedDay } = key;
  const state = revokedAtMs === null ? `used ${lastUsedDay ?? 'never'}` : 'revoked';
  const rate = `${requestsPerSecond}/s`;
  return `${keyId}  ${merchantId ?? '-'}  ${padded(role, 9)} ${mode}  ${padded(rate, 9)} ${state}`;
}

function needed(text: string | undefined, name: string): string {
  if (text !== undefined) return text;
  throw new UsageError(`${name} is missing`);
}

function option(values: OptionValues, name: string): string {
  return needed(textOption(values, name), `--${name}`);
}

/** The gateway's own code, or that it does not run. */
function asTapError(thrown: unknown): never {
  if (thrown instanceof ApiError) {
    const { code, message, problem } = thrown;
    throw new TapError(code, message, problem?.data ?? {}, thrown);
  }
  if (thrown instanceof NoAnswerError) {
    const text = 'the gateway does not answer; start it with: tapnpay up';
    throw new TapError('ERR_GATEWAY_DOWN', text, {}, thrown);
  }
  throw thrown;
}
