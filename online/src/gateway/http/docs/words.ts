/** Words of the documentation page, in both languages. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BothTexts } from '../../errors.ts';

/** A section of prose: its anchor, its title and its paragraphs; backquotes are code. */
export type Prose = {
  readonly id: string;
  readonly title: BothTexts;
  readonly paragraphs: readonly BothTexts[];
};

/** Small words. */
export const WORDS = {
  title: { en: 'Merchant API v1', zh: '商户接口 v1' },
  lead: {
    en: 'Internet card-present payments: an order, a tap at the payer’s machine, an answer.',
    zh: '互联网有卡支付：商户下单，付款人在自己的电脑上刷卡，得到结果。',
  },
  lab: {
    en: 'A laboratory system with test money. It is certified by nobody.',
    zh: '实验系统，使用测试资金，未经任何机构认证。',
  },
  other: { en: '中文', zh: 'English' },
  contents: { en: 'Contents', zh: '目录' },
  document: { en: 'OpenAPI 3.1 document', zh: 'OpenAPI 3.1 文档' },
  roles: { en: 'Roles', zh: '角色' },
  anybody: { en: 'no key needed', zh: '无需密钥' },
  key: { en: 'Idempotency-Key required', zh: '需要 Idempotency-Key' },
  parameters: { en: 'Parameters', zh: '参数' },
  body: { en: 'Body', zh: '请求体' },
  answer: { en: 'Answer', zh: '返回' },
  errors: { en: 'Errors', zh: '错误' },
  errorTable: { en: 'Error codes', zh: '错误码' },
  schemas: { en: 'Types', zh: '数据类型' },
  code: { en: 'Code', zh: '代码' },
  meaning: { en: 'Meaning', zh: '含义' },
  remedy: { en: 'What to do', zh: '处理方法' },
  name: { en: 'Name', zh: '名称' },
  type: { en: 'Type', zh: '类型' },
  required: { en: 'required', zh: '必填' },
  nothing: { en: 'none', zh: '无' },
} as const;

/** What holds for every call. */
export const PROSE: readonly Prose[] = JSON.parse(
  readFileSync(join(import.meta.dirname, 'prose.json'), 'utf8'),
) as readonly Prose[];
