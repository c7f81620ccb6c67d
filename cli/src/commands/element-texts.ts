/** What `tapnpay element` prints, in both languages. */
import type { CardRegistry, ScriptLine } from '@tapnpay/agent';
import {
  applicationStateName,
  cardStateName,
  privilegeNames,
} from '@tapnpay/protocol/globalplatform/data';
import type { RegistryEntry } from '@tapnpay/protocol/globalplatform/offcard';
import { padded, type TwoLanguages } from '@tapnpay/protocol/wire';

type Language = keyof TwoLanguages;

const LABEL_COLUMNS = 22;
const AID_COLUMNS = 34;
const STATE_COLUMNS = 22;

/** Labels of a status, by the names of its JSON document. */
const LABELS: Readonly<Record<string, TwoLanguages>> = {
  reader: { en: 'reader', zh: '读卡器' },
  serialNumber: { en: 'serial number', zh: '序列号' },
  cplc: { en: 'CPLC', zh: 'CPLC 生产数据' },
  keyDiversificationData: { en: 'diversification data', zh: '密钥分散数据' },
  protocol: { en: 'secure channel', zh: '安全通道' },
  keyVersionNumber: { en: 'key version', zh: '密钥版本' },
  sequenceCounter: { en: 'sequence counter', zh: '序列计数器' },
  keys: { en: 'keys on the card', zh: '卡上密钥' },
  keyName: { en: 'keys that fit', zh: '匹配的密钥' },
  lifeCycle: { en: 'card', zh: '卡片状态' },
  paymentApplication: { en: 'payment application', zh: '支付应用' },
  attestationPublicKeySpki: { en: 'attestation key', zh: '证明公钥' },
  commits: { en: 'states so far', zh: '已保存状态数' },
};

const STATES: Readonly<Record<string, TwoLanguages>> = {
  OP_READY: { en: 'OP_READY', zh: 'OP_READY（可初始化）' },
  INITIALIZED: { en: 'INITIALIZED', zh: 'INITIALIZED（已初始化）' },
  SECURED: { en: 'SECURED', zh: 'SECURED（已安全化）' },
  CARD_LOCKED: { en: 'CARD_LOCKED', zh: 'CARD_LOCKED（卡片已锁定）' },
  TERMINATED: { en: 'TERMINATED', zh: 'TERMINATED（已终止）' },
  INSTALLED: { en: 'INSTALLED', zh: 'INSTALLED（安装）' },
  SELECTABLE: { en: 'SELECTABLE', zh: 'SELECTABLE（可选择）' },
  PERSONALIZED: { en: 'PERSONALIZED', zh: 'PERSONALIZED（已个人化）' },
  LOCKED: { en: 'LOCKED', zh: 'LOCKED（锁定）' },
  absent: { en: 'not installed', zh: '未安装' },
  installed: { en: 'installed', zh: '安装' },
  operable: { en: 'operable', zh: '可操作' },
  locked: { en: 'locked', zh: '锁定' },
};

/** What was done, by the name of the command. */
const DONE: Readonly<Record<string, TwoLanguages>> = {
  lock: { en: 'locked', zh: '已锁定' },
  unlock: { en: 'unlocked', zh: '已解锁' },
  install: { en: 'installed', zh: '已安装' },
  delete: { en: 'deleted', zh: '已删除' },
  changed: {
    en: 'keys changed; the card proved the new ones',
    zh: '密钥已更换，卡片已用新密钥验证',
  },
  unchanged: {
    en: 'the card has the new keys already; nothing was sent',
    zh: '卡片已是新密钥，未发送任何更改',
  },
};

/** The card's state for people. */
export function cardState(state: number | null | undefined): string {
  if (state === null || state === undefined) return '?';
  return cardStateName(state) ?? state.toString(16).toUpperCase();
}

/** A status line by line. */
export function statusText(facts: Readonly<Record<string, unknown>>, language: Language): string {
  return Object.entries(facts)
    .filter(([name, value]) => Object.hasOwn(LABELS, name) && value !== null)
    .map(([name, value]) => {
      const label = LABELS[name]?.[language] ?? name;
      const text = typeof value === 'string' ? (STATES[value]?.[language] ?? value) : `${value}`;
      return `${padded(label, LABEL_COLUMNS)}${text}`;
    })
    .join('\n');
}

/** One line an entry. */
export function registryText(registry: CardRegistry, language: Language): string {
  const state = (name: string): string => padded(STATES[name]?.[language] ?? name, STATE_COLUMNS);
  const privileges = ({ privileges: bits }: RegistryEntry): string =>
    bits === null ? '' : privilegeNames(bits).join(' ');
  const entry = (kind: string, one: RegistryEntry, name: string): string => {
    const aid = padded(one.aid || '(empty)', AID_COLUMNS);
    return `${kind}  ${aid}${state(name)}${privileges(one)}`.trimEnd();
  };
  return [
    ...registry.issuer.map((one) => entry('ISD', one, cardState(one.lifeCycle))),
    ...registry.applications.map((one) =>
      entry('APP', one, applicationStateName(one.lifeCycle ?? 0)),
    ),
    ...registry.loadFiles.map((one) =>
      `PKG  ${padded(one.aid, AID_COLUMNS)}${one.moduleAids.join(' ')}`.trimEnd(),
    ),
  ].join('\n');
}

/** A script: each command by name, clear, and as it goes over the wire. */
export function scriptText(lines: readonly ScriptLine[], language: Language): string {
  const title = {
    en: 'nothing was sent but SELECT and INITIALIZE UPDATE; the script would be:',
    zh: '只发送了 SELECT 与 INITIALIZE UPDATE；脚本如下：',
  };
  const rows = lines.map(
    ({ name, clear, wire }, index) => `${index + 1}. ${name}\n   ${clear}\n=> ${wire}`,
  );
  return [title[language], ...rows].join('\n');
}

/** What was done to what. */
export function doneText(done: string, what: string, language: Language): string {
  return `${what} ${DONE[done]?.[language] ?? done}`.trim();
}
