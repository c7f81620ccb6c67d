/** What the issuer sent for the card: EXTERNAL AUTHENTICATE and issuer scripts 71 and 72. */
import { concatBytes, TapError } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeCommand,
  decodeTlv,
  type StatusWord,
  SW_9000_OK,
  statusWordHex,
  type Tlv,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { aipSays, type KernelContext, markTsi, markTvr, transmit } from './context.ts';
import { decodeCardDol } from './dol.ts';
import type { Kernel, PhaseFacts } from './types.ts';

/** Bytes of tag 91. @see EMV 4.3 B3 Annex A */
const ISSUER_AUTHENTICATION_BYTES_MIN = 8;
const ISSUER_AUTHENTICATION_BYTES_MAX = 16;
/**
 * Most scripts of one answer and commands of one script. A terminal must take 128 bytes of scripts,
 * field 55 has room for 255: 36 of the shortest commands. @see EMV 4.3 B4 §6.3.9
 */
export const SCRIPTS_MAX = 8;
export const SCRIPT_COMMANDS_MAX = 40;

/**
 * EXTERNAL AUTHENTICATE when the issuer sent tag 91 and the card supports it; without support the
 * value goes into CDOL2 only.
 * @see EMV 4.3 B3 §10.9, §6.5.4
 */
export function* authenticateIssuer(
  context: KernelContext,
  issuerAuthenticationData: Uint8Array,
): Kernel<PhaseFacts> {
  context.data.set(data.TAG_91_ISSUER_AUTHENTICATION_DATA, issuerAuthenticationData);
  if (!aipSays(context, data.AIP_1_ISSUER_AUTHENTICATION_SUPPORTED)) {
    return { result: isInFinalAc(context) ? 'inSecondGenerateAc' : 'notSupportedByCard' };
  }
  const length = issuerAuthenticationData.length;
  if (length < ISSUER_AUTHENTICATION_BYTES_MIN || length > ISSUER_AUTHENTICATION_BYTES_MAX) {
    context.issuerAuthentication = 'failed';
    markTvr(context, data.TVR_5_ISSUER_AUTHENTICATION_FAILED);
    return { result: 'failed', why: 'length' };
  }
  const command = { cla: 0x00, ins: 0x82, p1: 0x00, p2: 0x00, data: issuerAuthenticationData };
  const { statusWord } = yield* transmit(context, command);
  markTsi(context, data.TSI_1_ISSUER_AUTHENTICATION_PERFORMED);
  const isPassed = statusWord === SW_9000_OK;
  context.issuerAuthentication = isPassed ? 'passed' : 'failed';
  if (!isPassed) markTvr(context, data.TVR_5_ISSUER_AUTHENTICATION_FAILED);
  return { result: context.issuerAuthentication, statusWord: statusWordHex(statusWord) };
}

/** Whether CDOL2 takes tag 91 to the card. @see EMV 4.3 B3 §10.9 */
function isInFinalAc(context: KernelContext): boolean {
  const cdol = context.data.get(data.TAG_8D_CDOL2) ?? new Uint8Array(0);
  const tag = data.TAG_91_ISSUER_AUTHENTICATION_DATA;
  return decodeCardDol(data.TAG_8D_CDOL2, cdol).some((entry) => entry.tag === tag);
}

/** When a script runs. */
export type ScriptTime = 'beforeFinalAc' | 'afterFinalAc';
const TEMPLATE_OF: Readonly<Record<ScriptTime, string>> = {
  beforeFinalAc: data.TAG_71_ISSUER_SCRIPT_TEMPLATE_1,
  afterFinalAc: data.TAG_72_ISSUER_SCRIPT_TEMPLATE_2,
};

/** First nibble of a script result. @see EMV 4.3 B4 §A5 table 34 */
const SCRIPT_NOT_PERFORMED = 0x00;
const SCRIPT_FAILED = 0x10;
const SCRIPT_SUCCESSFUL = 0x20;
/** Second nibble: the number of the failing command, F from the fifteenth on. */
const SCRIPT_COMMAND_NUMBER_MAX = 0x0f;

/**
 * Runs the scripts of this time; their number is in the answer. A script stops at its first
 * failing command, the next one still runs.
 * @see EMV 4.3 B3 §10.10
 */
export function* processScripts(
  context: KernelContext,
  step: { readonly scripts: readonly Uint8Array[]; readonly time: ScriptTime },
): Kernel<number> {
  let count = 0;
  for (const template of scriptTemplates(step.scripts)) {
    const isOurs =
      template === null ? step.time === 'beforeFinalAc' : template.tag === TEMPLATE_OF[step.time];
    if (!isOurs) continue;
    count += 1;
    const result = yield* processScript(context, template);
    context.scriptResults.push(result);
    if ((result[0] ?? 0) < SCRIPT_SUCCESSFUL) {
      const isBefore = step.time === 'beforeFinalAc';
      markTvr(
        context,
        isBefore
          ? data.TVR_5_SCRIPT_FAILED_BEFORE_FINAL_AC
          : data.TVR_5_SCRIPT_FAILED_AFTER_FINAL_AC,
      );
    }
  }
  if (count > 0) {
    markTsi(context, data.TSI_1_SCRIPT_PROCESSING_PERFORMED);
    const results = concatBytes(...context.scriptResults);
    context.data.set(data.TAG_DF31_PBOC_ISSUER_SCRIPT_RESULT, results);
  }
  return count;
}

/**
 * The issuer's templates in order; null stands for one that is no 71 or 72 at all, or for all those
 * beyond the limit.
 */
function scriptTemplates(scripts: readonly Uint8Array[]): readonly (Tlv | null)[] {
  const templates: (Tlv | null)[] = [];
  for (const script of scripts) {
    try {
      const objects = decodeTlv(script);
      const isScript = ({ tag }: Tlv): boolean => Object.values(TEMPLATE_OF).includes(tag);
      if (objects.length === 0 || !objects.every(isScript)) templates.push(null);
      else templates.push(...objects);
    } catch (fault) {
      if (!(fault instanceof TapError)) throw fault;
      templates.push(null);
    }
  }
  return templates.length > SCRIPTS_MAX ? [...templates.slice(0, SCRIPTS_MAX), null] : templates;
}

/** One script; its result is 5 bytes: outcome and command number, script identifier. */
function* processScript(context: KernelContext, template: Tlv | null): Kernel<Uint8Array> {
  const identifier = scriptIdentifier(template);
  const commands = template === null ? null : scriptCommands(template);
  if (commands === null) return scriptResult(SCRIPT_NOT_PERFORMED, identifier);
  for (const [index, command] of commands.entries()) {
    const { statusWord } = yield* transmit(context, command);
    if (!isScriptFailure(statusWord)) continue;
    const number = Math.min(index + 1, SCRIPT_COMMAND_NUMBER_MAX);
    return scriptResult(SCRIPT_FAILED | number, identifier);
  }
  return scriptResult(SCRIPT_SUCCESSFUL, identifier);
}

function scriptIdentifier(template: Tlv | null): Uint8Array {
  const tag = data.TAG_9F18_ISSUER_SCRIPT_IDENTIFIER;
  const value = template?.children?.find((child) => child.tag === tag)?.value;
  return value?.length === 4 ? value : new Uint8Array(4);
}

/**
 * Commands of a script, or null when one of them is none or there are too many: nothing is sent of
 * a script that cannot be read whole. Other objects between the commands are passed over.
 */
function scriptCommands(template: Tlv): readonly CommandApdu[] | null {
  const children = template.children ?? [];
  const objects = children.filter((child) => child.tag === data.TAG_86_ISSUER_SCRIPT_COMMAND);
  if (objects.length === 0 || objects.length > SCRIPT_COMMANDS_MAX) return null;
  try {
    return objects.map((object) => decodeCommand(object.value));
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** 90xx, 62xx and 63xx let a script go on. @see EMV 4.3 B3 §10.10 */
function isScriptFailure(statusWord: StatusWord): boolean {
  const high = statusWord >> 8;
  return high !== 0x90 && high !== 0x62 && high !== 0x63;
}

function scriptResult(outcome: number, identifier: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(outcome), identifier);
}
