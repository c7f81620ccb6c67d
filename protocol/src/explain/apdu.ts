/** Kind `apdu`: one command or one answer. */
import { bytesToUint, toHex } from '../bytes/index.ts';
import { commandScore, readCommand } from './apdu-command.ts';
import { both, finding, nodeOf, requireBytes } from './build.ts';
import { contentFacts, NO_CONTENT } from './content.ts';
import { formatError } from './errors.ts';
import type { ApduFacts, ContentFacts, ResponseFact } from './facts.ts';
import {
  isKnownStatusWord,
  isStatusWord,
  statusWordCategory,
  statusWordMeaning,
} from './status-words.ts';
import { tlvScore } from './tlv.ts';
import { readTlv, tlvFindings, tlvNodes } from './tlv-reader.ts';
import type {
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Finding,
} from './types.ts';

/** An answer taken apart. */
export type ResponseReading = {
  readonly fact: ResponseFact;
  readonly data: Uint8Array;
  readonly content: ContentFacts;
  readonly node: ExplainNode;
  readonly findings: readonly Finding[];
};

/**
 * Reads an answer whose first byte stands at `offsetBytes`; null when it ends with no status word.
 * `isGpo` says that a template 80 holds AIP and AFL.
 */
export function readResponse(
  bytes: Uint8Array,
  offsetBytes: number,
  isGpo: boolean,
): ResponseReading | null {
  const statusWord = toHex(bytes.subarray(Math.max(0, bytes.length - 2)));
  if (bytes.length < 2 || !isStatusWord(statusWord)) return null;
  const data = bytes.subarray(0, -2);
  const status = statusWordMeaning(statusWord);
  const tlv = data.length > 0 ? readTlv(data, offsetBytes) : null;
  const isTlv =
    tlv !== null && tlv.objects.length > 0 && (tlv.brokenAtBytes === null || tlvScore(data) > 0.3);
  const content = isTlv ? contentFacts(tlv.objects, isGpo) : NO_CONTENT;
  const statusPlace = { offsetBytes: offsetBytes + data.length, bytes: bytes.subarray(-2) };
  const statusNode = nodeOf(both('Status word', '状态字'), statusPlace, {
    text: status,
    findings: statusFindings(statusWord, statusPlace.offsetBytes),
  });
  const children = [...(isTlv ? tlvNodes(tlv.objects) : dataNode(data, offsetBytes)), statusNode];
  const node = nodeOf(both('Answer', '响应'), { offsetBytes, bytes }, { text: status, children });
  const findings = [...(isTlv ? tlvFindings(tlv) : []), ...statusNode.findings];
  const fact: ResponseFact = {
    hex: toHex(bytes),
    data: toHex(data),
    statusWord,
    statusEn: status.en,
    statusZh: status.zh,
  };
  return { fact, data, content, node, findings };
}

function dataNode(data: Uint8Array, offsetBytes: number): readonly ExplainNode[] {
  if (data.length === 0) return [];
  return [nodeOf(both('Data', '数据'), { offsetBytes, bytes: data })];
}

function statusFindings(statusWord: string, offsetBytes: number): readonly Finding[] {
  const category = statusWordCategory(statusWord);
  if (category === 'ok') return [];
  const severity = category === 'warning' ? 'warning' : 'note';
  return [finding(severity, `SW_${statusWord}`, offsetBytes, statusWordMeaning(statusWord))];
}

function responseScore(bytes: Uint8Array): number {
  const statusWord = toHex(bytes.subarray(Math.max(0, bytes.length - 2)));
  if (bytes.length < 4 || !isStatusWord(statusWord)) return 0;
  const inner = tlvScore(bytes.subarray(0, -2));
  if (inner === 0) return 0;
  return isKnownStatusWord(statusWord) ? Math.min(0.95, inner + 0.15) : inner * 0.5;
}

function detect(input: ExplainInput): number {
  if (input.bytes === null || input.bytes.length < 4 || input.lines.length > 1) return 0;
  const direction = input.lines[0]?.direction ?? null;
  const command = direction === 'response' ? 0 : commandScore(input.bytes);
  const response = direction === 'command' ? 0 : responseScore(input.bytes);
  const score = Math.max(command, response);
  return direction !== null && score > 0 ? 0.95 : score;
}

function explainApdu({ input }: ExplainContext): Explained {
  const bytes = requireBytes('apdu', input);
  const direction = input.lines.length === 1 ? (input.lines[0]?.direction ?? null) : null;
  const isResponse =
    direction === 'response' ||
    (direction === null && responseScore(bytes) > commandScore(bytes)) ||
    (direction === null && commandScore(bytes) === 0);
  const explained = isResponse ? explainResponse(bytes) : null;
  const result = explained ?? explainCommand(bytes);
  if (!result) throw formatError('apdu', 0, 'neither a command of 4 bytes nor a status word');
  return result;
}

function explainResponse(bytes: Uint8Array): Explained | null {
  const response = readResponse(bytes, 0, false);
  if (!response) return null;
  const { fact, content } = response;
  const facts: ApduFacts = { ...content, direction: 'response', command: null, response: fact };
  const count = content.primitiveCount;
  return {
    summaryEn: `Answer ${fact.statusWord}: ${fact.statusEn}; ${count} values`,
    summaryZh: `响应 ${fact.statusWord}：${fact.statusZh}；${count} 个值`,
    facts,
    tree: [response.node],
    checks: [],
    findings: response.findings,
  };
}

function explainCommand(bytes: Uint8Array): Explained | null {
  const command = readCommand(bytes, 0);
  if (!command) return null;
  const { fact } = command;
  const inner = bytesToUint(bytes.subarray(1, 2)) === 0xa8 ? readTlv(command.data, 5) : null;
  const content = inner ? contentFacts(inner.objects, false) : NO_CONTENT;
  const fault = fact.wellFormed ? both('') : both('; its lengths do not fit', '；长度不符');
  const facts: ApduFacts = { ...content, direction: 'command', command: fact, response: null };
  return {
    summaryEn: `${fact.name}: ${fact.meaningEn}${fault.en}`,
    summaryZh: `${fact.name}：${fact.meaningZh}${fault.zh}`,
    facts,
    tree: [command.node],
    checks: [],
    findings: command.findings,
  };
}

/** One command or answer. */
export const APDU_MODULE: ExplainModule = { kind: 'apdu', detect, explain: explainApdu };
