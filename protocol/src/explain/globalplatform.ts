/**
 * Kind `globalPlatform`: secure channel sessions with their keys, and what a card says about
 * itself. @see GPCS 2.3.1, GP-D
 */
import { byteAt, TapError, toHex } from '../bytes/index.ts';
import {
  CPLC_BYTES,
  decodeInitializeUpdate,
  GlobalPlatformError,
} from '../globalplatform/data/index.ts';
import { givenBytes, isGiven, requireBytes } from './build.ts';
import { ExplainError, formatError } from './errors.ts';
import { explainSession, sessionInputOf } from './globalplatform-session.ts';
import {
  explainCplc,
  explainKeyInformation,
  explainRecognition,
} from './globalplatform-templates.ts';
import type { ExplainContext, Explained, ExplainInput, ExplainModule } from './types.ts';

export const GLOBAL_PLATFORM_KIND: ExplainModule = { kind: 'globalPlatform', detect, explain };

function detect(input: ExplainInput): number {
  if (isGiven(input, 'hostChallenge') || isGiven(input, 'initUpdate', 'initializeUpdate')) {
    return 0.97;
  }
  const { bytes } = input;
  if (bytes === null) return 0;
  // Surer than any log of commands: the answer to the first is one of a secure channel.
  if (isSessionLog(input)) return 0.98;
  if (input.lines.length !== 1 || bytes.length < 3) return 0;
  const first = byteAt(bytes, 0);
  const isTemplate = bytes.length > 4 && byteAt(bytes, 1) === bytes.length - 2;
  if (isTemplate && first === 0xe0 && byteAt(bytes, 2) === 0xc0) return 0.95;
  if (isTemplate && first === 0x66 && byteAt(bytes, 2) === 0x73) return 0.95;
  if (isTemplate && first === 0x73 && byteAt(bytes, 2) === 0x06) return 0.9;
  if (first === 0x9f && byteAt(bytes, 1) === 0x7f) return 0.85;
  return isInitializeUpdateAnswer(bytes) ? 0.7 : 0;
}

/** INITIALIZE UPDATE and its answer at the start of the pasted lines. */
function isSessionLog({ lines }: ExplainInput): boolean {
  const [command, answer] = lines;
  if (command === undefined || answer === undefined) return false;
  const isCommand = toHex(command.bytes.subarray(0, 2)) === '8050';
  return isCommand && isInitializeUpdateAnswer(answer.bytes);
}

function isInitializeUpdateAnswer(bytes: Uint8Array): boolean {
  const answer = withoutStatus(bytes);
  if (answer.length < 28) return false;
  try {
    const { keyVersionNumber, secureChannelProtocol } = decodeInitializeUpdate(answer);
    // Key versions by convention: up to 3F, 70 to 73, FF of the factory.
    return secureChannelProtocol !== 1 && (keyVersionNumber <= 0x3f || keyVersionNumber >= 0x70);
  } catch (thrown) {
    if (thrown instanceof GlobalPlatformError) return false;
    throw thrown;
  }
}

function explain(context: ExplainContext): Explained {
  try {
    return explainAny(context);
  } catch (thrown) {
    // What the templates refuse is a refusal of this kind, with its place.
    if (!(thrown instanceof TapError) || thrown instanceof ExplainError) throw thrown;
    const offset = thrown.data['offsetBytes'] ?? thrown.data['lengthBytes'];
    throw formatError('globalPlatform', typeof offset === 'number' ? offset : 0, thrown.message);
  }
}

function explainAny(context: ExplainContext): Explained {
  const { input } = context;
  const session = sessionInputOf(input);
  if (session !== null) return explainSession(context, session);
  const bytes = givenBytes(input, 'response', 'template') ?? requireBytes('globalPlatform', input);
  if (bytes.length < 4) throw formatError('globalPlatform', bytes.length, 'the data are cut off');
  const first = byteAt(bytes, 0);
  if (first === 0xe0 || first === 0xc0) return explainKeyInformation(bytes);
  if (first === 0x9f && byteAt(bytes, 1) === 0x7f) return explainCplc(bytes.subarray(3), 3);
  if (first === 0x66 || first === 0x73) return explainRecognition(bytes);
  if (bytes.length === CPLC_BYTES) return explainCplc(bytes, 0);
  const answer = withoutStatus(bytes);
  return explainSession(context, {
    answer,
    hostChallenge: null,
    externalAuthenticate: null,
    initializeUpdate: null,
  });
}

/** Without the 9000 behind it. */
export function withoutStatus(bytes: Uint8Array): Uint8Array {
  const isOk = bytes.length > 2 && toHex(bytes.subarray(-2)) === '9000';
  return isOk && [30, 31, 34, 47, 50].includes(bytes.length) ? bytes.subarray(0, -2) : bytes;
}
