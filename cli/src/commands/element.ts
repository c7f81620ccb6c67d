/** `tapnpay element`: management of a GlobalPlatform secure element, our own or one in a reader. */
import { readFileSync } from 'node:fs';
import {
  type ApduTransport,
  CardManager,
  type ChannelRequest,
  deleteCommands,
  dryRun,
  installCommands,
  lockCommands,
  lookAtCard,
  matchingKeys,
  type NamedCommand,
  readCardObjects,
  readWholeRegistry,
  rotateKeys,
  rotationRequest,
  runSteps,
} from '@tapnpay/agent';
import { bytesToUint, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  AID_BYTES_MAX,
  AID_BYTES_MIN,
  APPLICATION_PACKAGE_BYTES_MAX,
  decodeKeyInformation,
  GlobalPlatformError,
  keyTypeName,
} from '@tapnpay/protocol/globalplatform/data';
import type { HostSession } from '@tapnpay/protocol/globalplatform/offcard';
import {
  type Command,
  languageOption,
  type OptionValues,
  textOption,
  UsageError,
} from '../command.ts';
import { candidatesOf, keysOfCard, keysOption } from './element-keys.ts';
import { type ElementSource, openElement } from './element-source.ts';
import { cardState, doneText, registryText, scriptText, statusText } from './element-texts.ts';

const USAGE = `usage: tapnpay element status
       tapnpay element list
       tapnpay element lock|unlock AID|card
       tapnpay element install FILE [--aid AID] [--dap DOMAIN:SIGNATURE]
       tapnpay element delete AID [--related]
       tapnpay element rotate-keys --new-keys FILE
       tapnpay element show-script ACTION ...        (the same as ACTION ... --dry-run)
       tapnpay element offer [HOST:PORT] [--reverse] (or --vpcd: to every PC/SC program)
       tapnpay element verify FILE | --payment ID [--out FILE] [--ca FILE]
       all: [--reader NAME] [--keys FILE] [--dry-run] [--lang zh|en] [--data DIR] [--json]
Without --reader it is the element of this system, which is born if there is none yet; programs that
hold it are asked to let it go.
FILE of --keys is JSON: encryption, mac, dataEncryption (hex), and if wanted algorithm (aes, des),
diversification (none, emv, visa2, kdf3; else all are tried), keyVersionNumber and checkValues.
Without it the keys are those of the laboratory's factory. A key that is not the card's is told by
the card's cryptogram, before EXTERNAL AUTHENTICATE: the card counts no failed attempt.
--dry-run prints every command and sends none but SELECT and INITIALIZE UPDATE (and, where the
registry must be known, the commands that read it).`;

type Report = { readonly json: unknown; readonly text: string };
type Language = 'zh' | 'en';
const OTHER_KEYS: ReadonlySet<string> = new Set(['ERR_GP_CARD_CRYPTOGRAM', 'ERR_GP_STATUS']);
type Action = (
  source: ElementSource,
  values: OptionValues,
  rest: readonly string[],
) => Promise<Report>;

const ACTIONS: Readonly<Record<string, Action>> = {
  status,
  list,
  lock: (source, values, rest) => changed('lock', source, values, rest),
  unlock: (source, values, rest) => changed('unlock', source, values, rest),
  install,
  delete: remove,
  'rotate-keys': rotate,
};

export const element: Command = {
  summary: {
    en: 'the secure element, ours or in a reader: status, list, lock, install, keys, verify',
    zh: '安全单元（本机或读卡器中）：状态、列表、锁定、安装、换密钥、验证支付',
  },
  usage: USAGE,
  options: {
    ...{ data: { type: 'string' }, reader: { type: 'string' }, keys: { type: 'string' } },
    ...{ 'new-keys': { type: 'string' }, 'dry-run': { type: 'boolean' }, aid: { type: 'string' } },
    ...{ dap: { type: 'string' }, related: { type: 'boolean' }, lang: { type: 'string' } },
    ...{ vpcd: { type: 'boolean' }, reverse: { type: 'boolean' } },
    // Of a past payment: element-verify.ts.
    ...{ payment: { type: 'string' }, out: { type: 'string' }, ca: { type: 'string' } },
  },
  run: async (given, positionals) => {
    const isScript = positionals[0] === 'show-script';
    const [name = '', ...rest] = isScript ? positionals.slice(1) : positionals;
    const values = isScript ? { ...given, 'dry-run': true } : given;
    if (name === 'offer' || values['vpcd'] === true) {
      const { offerElement } = await import('./element-vpcd.ts');
      return await offerElement(values, name === 'offer' ? rest[0] : positionals[0]);
    }
    if (name === 'verify') {
      const { elementVerify } = await import('./element-verify.ts');
      return await elementVerify.run(values, rest);
    }
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`element takes ${Object.keys(ACTIONS).join(', ')}`);
    languageOption(values);
    assertArguments(name, values, rest);
    const source = await openElement(values);
    try {
      const { json, text } = await action(source, values, rest);
      process.stdout.write(values['json'] ? `${JSON.stringify(json)}\n` : `${text}\n`);
      return 0;
    } finally {
      await source.close();
    }
  },
};

/** Before any card is touched. @throws UsageError, KeyFileError. */
function assertArguments(name: string, values: OptionValues, rest: readonly string[]): void {
  const wanted = ['lock', 'unlock', 'install', 'delete'].includes(name) ? 1 : 0;
  if (rest.length !== wanted) throw new UsageError(`element ${name} takes ${wanted} argument(s)`);
  if (name === 'delete' || ((name === 'lock' || name === 'unlock') && rest[0] !== 'card')) {
    aidOf(rest[0] ?? '');
  }
  if (name === 'install') fileOf(rest[0] ?? '');
  keysOption(values, 'keys');
  if (name !== 'rotate-keys') return;
  if (textOption(values, 'new-keys') === undefined) throw new UsageError('give --new-keys FILE');
  const { keyVersionNumber } = keysOption(values, 'new-keys');
  if (keyVersionNumber === 0) throw new UsageError('the file of --new-keys names their version');
}

async function status(source: ElementSource, values: OptionValues): Promise<Report> {
  const { transport, reader, facts } = source;
  const look = await runSteps(transport, lookAtCard({}));
  const objects = await runSteps(transport, readCardObjects());
  const { answer } = look;
  const { parameterI, sequenceCounter, secureChannelProtocol } = answer;
  const i = parameterI === null ? '' : ` i=${hexByte(parameterI)}`;
  const hex = (bytes: Uint8Array | null): string | null => bytes && toHex(bytes);
  const manager = await openIfKnown(transport, channelOf(values));
  const registry = manager && (await manager.run(readWholeRegistry()));
  const json = {
    ...{ reader, serialNumber: facts?.serialNumber ?? null, cplc: hex(objects.cplc) },
    keyDiversificationData: toHex(answer.keyDiversificationData),
    protocol: `SCP0${secureChannelProtocol}${i}`,
    keyVersionNumber: hexByte(answer.keyVersionNumber),
    sequenceCounter: sequenceCounter && bytesToUint(sequenceCounter),
    keys: keyRows(objects.keyInformation),
    keyName: manager?.keyName ?? null,
    lifeCycle: cardState(registry?.issuer[0]?.lifeCycle ?? facts?.lifeCycle),
    paymentApplication: facts?.paymentApplication ?? null,
    attestationPublicKeySpki: facts?.attestationPublicKeySpki ?? null,
    commits: facts?.commits ?? null,
  };
  return { json, text: statusText(json, languageOption(values)) };
}

/** Null when the card has other keys, or none of that version. */
async function openIfKnown(
  transport: ApduTransport,
  request: ChannelRequest,
): Promise<CardManager | null> {
  try {
    return await CardManager.open(transport, request);
  } catch (fault) {
    const isKnown = fault instanceof GlobalPlatformError && OTHER_KEYS.has(fault.code);
    if (isKnown) return null;
    throw fault;
  }
}

async function list({ transport }: ElementSource, values: OptionValues): Promise<Report> {
  const manager = await CardManager.open(transport, channelOf(values));
  const registry = await manager.run(readWholeRegistry());
  return { json: registry, text: registryText(registry, languageOption(values)) };
}

async function changed(
  wanted: 'lock' | 'unlock',
  source: ElementSource,
  values: OptionValues,
  [what = '']: readonly string[],
): Promise<Report> {
  const commands = lockCommands(wanted, what === 'card' ? null : aidOf(what));
  return await perform({ source, values, done: wanted, what }, () => commands);
}

async function remove(
  source: ElementSource,
  values: OptionValues,
  [aid = '']: readonly string[],
): Promise<Report> {
  const commands = deleteCommands(aidOf(aid), values['related'] === true);
  return await perform({ source, values, done: 'delete', what: aid }, () => commands);
}

async function install(
  source: ElementSource,
  values: OptionValues,
  [path = '']: readonly string[],
): Promise<Report> {
  const aid = textOption(values, 'aid');
  const request = {
    code: fileOf(path),
    dapBlocks: dapOption(values),
    ...(aid === undefined ? {} : { applicationAid: aidOf(aid) }),
  };
  // What the card has already is not sent again: so a torn installation is finished.
  const manager = await CardManager.open(source.transport, channelOf(values));
  const registry = await manager.run(readWholeRegistry());
  return await perform({ source, values, done: 'install', what: path }, (session) =>
    installCommands(session, request, registry),
  );
}

async function rotate(source: ElementSource, values: OptionValues): Promise<Report> {
  const { transport } = source;
  const current = channelOf(values);
  const fresh = keysOption(values, 'new-keys');
  const { answer } = await runSteps(transport, lookAtCard(current));
  const request = {
    ...{ keys: keysOfCard(fresh, answer), algorithm: fresh.algorithm },
    ...{ keyVersionNumber: fresh.keyVersionNumber, replaces: answer.keyVersionNumber },
  };
  if (values['dry-run'] === true) {
    return await perform({ source, values, done: 'changed', what: '' }, (session) =>
      rotationRequest(session, request).commands.map((command) => ({ name: 'PUT KEY', command })),
    );
  }
  const done = await rotateKeys(transport, { ...request, current });
  const json = { keys: done, keyVersionNumber: fresh.keyVersionNumber };
  return { json, text: doneText(done, '', languageOption(values)) };
}

type Performance = {
  readonly source: ElementSource;
  readonly values: OptionValues;
  readonly done: string;
  readonly what: string;
};

/** Sends the commands in a session, or shows them. */
async function perform(
  { source: { transport }, values, done, what }: Performance,
  commandsOf: (session: HostSession) => readonly NamedCommand[],
): Promise<Report> {
  const language: Language = languageOption(values);
  const request = channelOf(values);
  if (values['dry-run'] === true) {
    const look = await runSteps(transport, lookAtCard(request));
    const script = dryRun(look, matchingKeys(look, request.candidates), commandsOf);
    return { json: { script }, text: scriptText(script, language) };
  }
  const manager = await CardManager.open(transport, request);
  const commands = commandsOf(manager.session);
  for (const { name, command } of commands) await manager.sendAll(name, [command]);
  const json = { [done]: what, commands: commands.map(({ name }) => name) };
  return { json, text: doneText(done, what, language) };
}

function channelOf(values: OptionValues): ChannelRequest {
  const keys = keysOption(values, 'keys');
  return { candidates: candidatesOf(keys), keyVersionNumber: keys.keyVersionNumber };
}

/** One row a key: version, identifier and kind. */
function keyRows(information: Uint8Array | null): readonly string[] | null {
  if (information === null) return null;
  return decodeKeyInformation(information).map(
    ({ keyIdentifier, keyVersionNumber, components }) =>
      `${hexByte(keyVersionNumber)}/${keyIdentifier} ` +
      components
        .map(({ type, lengthBytes }) => `${keyTypeName(type) ?? hexByte(type)}-${lengthBytes * 8}`)
        .join('+'),
  );
}

function hexByte(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** @throws UsageError. */
function aidOf(text: string): string {
  const aid = text.replaceAll(/\s/g, '').toUpperCase();
  const isAid = /^(?:[0-9A-F]{2})+$/.test(aid);
  if (isAid && aid.length >= 2 * AID_BYTES_MIN && aid.length <= 2 * AID_BYTES_MAX) return aid;
  throw new UsageError(`${text} is no AID of ${AID_BYTES_MIN} to ${AID_BYTES_MAX} bytes in hex`);
}

/** @throws UsageError. */
function fileOf(path: string): Uint8Array {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`);
  }
  if (bytes.length <= APPLICATION_PACKAGE_BYTES_MAX) return new Uint8Array(bytes);
  throw new UsageError(`${path} is longer than ${APPLICATION_PACKAGE_BYTES_MAX} bytes`);
}

/** `DOMAIN:SIGNATURE`, both in hex. @throws UsageError. */
function dapOption(values: OptionValues): { domainAid: string; signature: Uint8Array }[] {
  const text = textOption(values, 'dap');
  if (text === undefined) return [];
  const [domain = '', signature = ''] = text.split(':');
  if (!/^(?:[0-9A-Fa-f]{2})+$/.test(signature)) {
    throw new UsageError('--dap takes DOMAIN:SIGNATURE, both in hex');
  }
  return [{ domainAid: aidOf(domain), signature: fromHex(signature.toUpperCase()) }];
}
