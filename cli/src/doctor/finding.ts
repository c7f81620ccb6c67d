/** What the doctor says about one link of the chain. */
import type { TwoLanguages } from '@tapnpay/protocol/wire';

/** The links in the order in which a payment needs them. */
export const LINKS = [
  'node',
  'dataFolder',
  'browser',
  'pages',
  'database',
  'hsms',
  'switch',
  'gateway',
  'shop',
  'observer',
  'agent',
  'element',
  'readerService',
  'readers',
] as const;
export type Link = (typeof LINKS)[number];

/** `warn`: a payment can be made, but something is missing that a person may want. */
export type Verdict = 'ok' | 'warn' | 'broken';

/** One link: what was seen and, unless it is fine, what to do. */
export type Finding = {
  readonly link: Link;
  readonly verdict: Verdict;
  readonly seen: TwoLanguages;
  readonly fix: TwoLanguages | null;
};

/** A finding without the name of its link. */
export type Seen = Omit<Finding, 'link'>;

export const LINK_NAMES: Readonly<Record<Link, TwoLanguages>> = {
  node: { en: 'Node.js', zh: 'Node.js' },
  dataFolder: { en: 'data folder', zh: '数据目录' },
  browser: { en: 'browser', zh: '浏览器' },
  pages: { en: 'built pages', zh: '已构建页面' },
  database: { en: 'database', zh: '数据库' },
  hsms: { en: 'HSMs', zh: '加密机' },
  switch: { en: 'switch line', zh: '转接线路' },
  gateway: { en: 'gateway', zh: '网关' },
  shop: { en: 'shop', zh: '商城' },
  observer: { en: 'look inside', zh: '交易过程查看' },
  agent: { en: 'helper', zh: '支付助手' },
  element: { en: 'secure element', zh: '安全单元' },
  readerService: { en: 'reader service', zh: '读卡器服务' },
  readers: { en: 'card readers', zh: '读卡器' },
};

/** A text in both languages. */
export function two(en: string, zh: string): TwoLanguages {
  return { zh, en };
}

export function ok(seen: TwoLanguages): Seen {
  return { verdict: 'ok', seen, fix: null };
}

export function warn(seen: TwoLanguages, fix: TwoLanguages): Seen {
  return { verdict: 'warn', seen, fix };
}

export function broken(seen: TwoLanguages, fix: TwoLanguages | null): Seen {
  return { verdict: 'broken', seen, fix };
}
