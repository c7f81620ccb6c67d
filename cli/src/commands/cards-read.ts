/** `tapnpay cards read`: what a card says of itself, explained, and recorded where wanted. */
import { writeFileSync } from 'node:fs';
import {
  maskCommand,
  maskResponse,
  type RecordedExchange,
  readCard,
  SessionRecorder,
  type VirtualCards,
} from '@tapnpay/agent';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  ExplainError,
  type Explanation,
  explain,
  explanationText,
} from '@tapnpay/protocol/explain';
import { nodeCiphers, systemClock, systemRandom } from '@tapnpay/protocol/node';
import { type OptionValues, textOption } from '../command.ts';
import { type CardSource, withCard } from './cards-source.ts';

type Language = 'zh' | 'en';
type Words = Readonly<Record<Language, string>>;

const MASKED: Words = {
  zh: '卡号、磁道和姓名已换成测试数据（629999…），卡片自身的证书已清除；--unmask 显示原文并校验证书',
  en:
    'PAN, tracks and name are replaced by sandbox data (629999…), its own certificates are ' +
    'blanked; --unmask shows them and checks the certificates',
};
const CONSENT: Words = {
  zh: '非接触卡的 GPO 应答本身就是密文，因此只发了 SELECT；持卡人同意后请加 --consent',
  en:
    'the GPO answer of a contactless card is a cryptogram, so only SELECT was sent; ' +
    'with the holder’s consent add --consent',
};
const RECORDED: Words = { zh: '会话已记录到', en: 'the session is recorded in' };

/** Reads the card of `--reader` or `--card`; resolves with the exit code. */
export function readCommand(values: OptionValues, openCards: () => VirtualCards): Promise<number> {
  return withCard(values, openCards, (source, language) => readSource(values, source, language));
}

async function readSource(
  values: OptionValues,
  source: CardSource,
  language: Language,
): Promise<number> {
  const recorder = new SessionRecorder();
  const session = recorder.record(source.session);
  const consent = values['consent'] === true ? 'given' : 'none';
  const facts = { interface: session.interface, consent, random: systemRandom } as const;
  const dateYymmdd = new Date(systemClock.nowMs()).toISOString().slice(2, 10).replaceAll('-', '');
  const read = await session.exclusively((card) => readCard(card, { ...facts, dateYymmdd }));
  const mode = values['unmask'] === true ? 'unmasked' : 'masked';
  const file = textOption(values, 'record');
  if (file !== undefined) writeFileSync(file, recorder.text({ mode }), { mode: 0o600 });
  const exchanges = recorder.exchanges({ mode });
  const explanation = explained(exchanges);
  if (values['json']) {
    const { interface: by, protocol } = session;
    const card = { reader: source.reader.name, interface: by, protocol, atr: toHex(session.atr) };
    const document = { ...card, masked: mode === 'masked', ...read, exchanges, explanation };
    process.stdout.write(`${JSON.stringify(document)}\n`);
    return 0;
  }
  const lines = [
    ...cardLines(source, language),
    ...(mode === 'masked' ? [MASKED[language]] : []),
    ...(read.isConsentWanted ? [CONSENT[language]] : []),
    ...(file === undefined ? [] : [`${RECORDED[language]} ${file}`]),
    '',
    explanation === null ? plainText(exchanges) : explanationText(explanation, language),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

function cardLines({ reader, session }: CardSource, language: Language): readonly string[] {
  const atr = toHex(session.atr);
  const how = `${session.interface} ${session.protocol}`;
  let about = '';
  try {
    const { summaryEn, summaryZh } = explain(nodeCiphers, atr, { as: 'atr' });
    about = `  ${language === 'zh' ? summaryZh : summaryEn}`;
  } catch (fault) {
    // An ATR of another kind is shown as it is.
    if (!(fault instanceof ExplainError)) throw fault;
  }
  return [`${reader.name}  ${how}`, `ATR ${atr}${about}`];
}

/** The session explained; null when it is too long or too odd for that. */
function explained(exchanges: readonly RecordedExchange[]): Explanation | null {
  const log = exchanges.map(({ command, response }) => `=> ${command}\n<= ${response ?? ''}`);
  try {
    return explain(nodeCiphers, log.join('\n'), { as: 'apduLog' });
  } catch (fault) {
    if (fault instanceof ExplainError) return null;
    throw fault;
  }
}

function plainText(exchanges: readonly RecordedExchange[]): string {
  return exchanges
    .map(({ command, response, fault }) => {
      const wire = fromHex(command);
      const answer = response === undefined ? fault : maskResponse(wire, fromHex(response));
      return `=> ${maskCommand(wire)}\n<= ${answer}`;
    })
    .join('\n');
}
