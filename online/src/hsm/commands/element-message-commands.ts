/** Messages of a session with an element, and the key sets and data that travel inside it. */
import { toHex } from '@tapnpay/protocol/bytes';
import { decodeInitializeUpdate, isKeyGrouping } from '@tapnpay/protocol/globalplatform/data';
import { putKeySet, storeDataGroupings } from '@tapnpay/protocol/globalplatform/offcard';
import {
  type CommandApdu,
  decodeCommand,
  decodeResponse,
  encodeCommand,
  encodeResponse,
} from '@tapnpay/protocol/iso7816';
import {
  booleanShape,
  countShape,
  type ElementGrouping,
  hexShape,
  listShape,
  oneOfShape,
  type Shape,
  TSM_COMMAND_BYTES_MAX,
} from '@tapnpay/protocol/wire';
import { openSession, sealSession } from '../element-session.ts';
import { HsmError } from '../errors.ts';
import { checkValuesOf, elementKeys, keySetShape, masterNeed } from './element-keys.ts';
import { bytesOf, type Command, command, noKeys, strictShape } from './rule.ts';

/** Commands or answers of one request. */
const MESSAGES_MAX = 64;
const TOKEN_BYTES_MAX = 96 * 1024;
const GROUPINGS_MAX = 64;
const GROUPING_BYTES_MAX = 8192;

const session = hexShape({ min: 32, max: TOKEN_BYTES_MAX });
const messages = listShape(hexShape({ min: 2, max: TSM_COMMAND_BYTES_MAX }), MESSAGES_MAX);

/** Whether the element that answers is the one that a session is for. */
export const verifyElementAnswerCommand: Command<'verifyElementAnswer'> = command(
  'verifyElementAnswer',
  {
    callers: ['tsm'],
    fields: { session, answer: hexShape({ min: 28, max: 64 }) },
    mechanisms: () => ['globalPlatform'],
    keys: noKeys,
    run: ({ context, caller, request }) => {
      const { parts, messages: own } = openSession(context, caller, request.session);
      const answer = decodeInitializeUpdate(bytesOf(request.answer));
      const counterOf = (counter: Uint8Array | null): string => (counter ? toHex(counter) : '');
      const isCounter =
        counterOf(answer.sequenceCounter) === counterOf(parts.answer.sequenceCounter);
      return { valid: isCounter && own.isCardCryptogram(answer.cardCryptogram) };
    },
  },
);

/** Clear commands in, protected ones out. */
export const wrapElementCommandsCommand: Command<'wrapElementCommands'> = command(
  'wrapElementCommands',
  {
    callers: ['tsm'],
    fields: { session, commands: messages },
    mechanisms: () => ['globalPlatform'],
    keys: noKeys,
    run: ({ context, caller, request }) => {
      const opened = openSession(context, caller, request.session);
      const commands = request.commands.map((hex) =>
        toHex(encodeCommand(opened.host.wrap(decodeCommand(bytesOf(hex))))),
      );
      return { commands, session: sealSession(context, caller, opened, commands.length) };
    },
  },
);

/** Protected answers in, clear ones out. */
export const unwrapElementAnswersCommand: Command<'unwrapElementAnswers'> = command(
  'unwrapElementAnswers',
  {
    callers: ['tsm'],
    fields: { session, answers: messages },
    mechanisms: () => ['globalPlatform'],
    keys: noKeys,
    run: ({ context, caller, request }) => {
      const opened = openSession(context, caller, request.session);
      const answers = request.answers.map((hex) =>
        toHex(encodeResponse(opened.host.unwrap(decodeResponse(bytesOf(hex))))),
      );
      return { answers, session: sealSession(context, caller, opened) };
    },
  },
);

/** A key set for the element or a domain of it, enciphered for this session. */
export const putElementKeysCommand: Command<'putElementKeys'> = command<'putElementKeys', 'master'>(
  'putElementKeys',
  {
    callers: ['tsm'],
    fields: {
      ...{ session, source: keySetShape, type: oneOfShape('aes', 'des') },
      ...{ replaces: countShape(0xff), newKeyVersionNumber: countShape(0x7f) },
    },
    mechanisms: () => ['globalPlatform'],
    keys: ({ source }) => ({ master: masterNeed(source) }),
    run: ({ context, caller, request, keys: { master } }) => {
      const { source, type, replaces, newKeyVersionNumber } = request;
      // A master that is put as it is would be every element's key, and known to each of them.
      if (source.way === 'none') {
        throw new HsmError('ERR_HSM_PARAMETER', 'a master itself is no key of an element');
      }
      const { host } = openSession(context, caller, request.session);
      const keys = elementKeys(context.ciphers, master, source);
      const put = putKeySet(context.ciphers, host, {
        ...{ replaces, newKeyVersionNumber, type, keys },
      });
      return {
        commands: hexCommands(put.commands),
        expectedAnswer: toHex(put.expectedAnswer),
        kcvs: checkValuesOf(context.ciphers, keys, type === 'aes' ? 3 : 2),
      };
    },
  },
);

const valueGrouping = strictShape<Extract<ElementGrouping, { readonly value: string }>>({
  identifier: countShape(0xffff),
  value: hexShape({ max: GROUPING_BYTES_MAX }),
});
const keyGrouping = strictShape<Extract<ElementGrouping, { readonly source: object }>>({
  identifier: countShape(0xffff),
  source: keySetShape,
  usage: oneOfShape('encryption', 'mac', 'dataEncryption'),
});
const grouping: Shape<ElementGrouping> = (value, path) =>
  typeof value === 'object' && value !== null && 'source' in value
    ? keyGrouping(value, path)
    : valueGrouping(value, path);

/**
 * Data groupings, their values enciphered for this session. A key among them is a grouping of keys
 * and never in clear: an application's own key, which its domain hands on.
 */
export const storeElementDataCommand: Command<'storeElementData'> = command<
  'storeElementData',
  string
>('storeElementData', {
  callers: ['tsm'],
  fields: { session, isEncrypted: booleanShape, groupings: listShape(grouping, GROUPINGS_MAX) },
  mechanisms: () => ['globalPlatform'],
  keys: ({ groupings }) =>
    Object.fromEntries(
      groupings.flatMap((one, index) =>
        'source' in one ? [[String(index), masterNeed(one.source)]] : [],
      ),
    ),
  run: ({ context, caller, request, keys }) => {
    const { host } = openSession(context, caller, request.session);
    const { isEncrypted } = request;
    const groupings = request.groupings.map((one, index) => {
      const { identifier } = one;
      if (!('source' in one)) return { identifier, value: bytesOf(one.value) };
      if (!isEncrypted || !isKeyGrouping(identifier) || one.source.way === 'none') {
        throw new HsmError('ERR_HSM_PARAMETER', 'a key leaves enciphered, in a grouping of keys');
      }
      const master = keys[String(index)] ?? new Uint8Array();
      const set = elementKeys(context.ciphers, master, one.source);
      return { identifier, value: set[one.usage].expose() };
    });
    return { commands: hexCommands(storeDataGroupings(host, groupings, { isEncrypted })) };
  },
});

function hexCommands(commands: readonly CommandApdu[]): readonly string[] {
  return commands.map((one) => toHex(encodeCommand(one)));
}
