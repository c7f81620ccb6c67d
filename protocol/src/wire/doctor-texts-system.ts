/** What a doctor says of the parties of a system on this machine. */
import type { CheckTexts, CodeText, SystemCheckId } from './doctor.ts';
import { FREE_PORT, SEE_LOG, START } from './doctor-texts-shared.ts';
import type { TwoLanguages } from './trace.ts';

const URL_OK: TwoLanguages = { en: '{url}', zh: '{url}' };
const URL_SILENT: CodeText = {
  seen: { en: '{url} does not answer', zh: '{url} 无应答' },
  fix: SEE_LOG,
};

const URL_NOT_READY: CodeText = {
  seen: { en: '{url} is not ready ({status})', zh: '{url} 未就绪（{status}）' },
  fix: SEE_LOG,
};

const DATA_FOLDER_TEXTS: CheckTexts<'dataFolder'> = {
  name: { en: 'data folder', zh: '数据目录' },
  ok: { en: '{path}', zh: '{path}' },
  codes: {
    ERR_DATA_FOLDER_MISSING: {
      seen: { en: '{path} does not exist', zh: '{path} 不存在' },
      fix: START,
    },
    ERR_DATA_FOLDER_READ_ONLY: {
      seen: { en: '{path} cannot be written', zh: '{path} 不可写' },
      fix: {
        en: 'take ownership of {path} (chown): root or another user may have made it',
        zh: '请取得 {path} 的写权限：它可能由 root 或其他用户创建',
      },
    },
    ERR_NO_SYSTEM: { seen: { en: 'no system in {path}', zh: '{path} 中还没有系统' }, fix: START },
    ERR_DISK_FULL: {
      seen: { en: '{path}, only {free} free', zh: '{path}，仅剩 {free}' },
      fix: { en: 'free some disk space', zh: '请清理磁盘空间' },
    },
  },
};

/** The parties and what they stand on. */
export const PARTY_TEXTS: {
  readonly [Id in Exclude<SystemCheckId, 'manifest' | 'policy'>]: CheckTexts<Id>;
} = {
  node: {
    name: { en: 'Node.js', zh: 'Node.js' },
    ok: { en: 'v{version}', zh: 'v{version}' },
    codes: {
      ERR_NODE_OLD: {
        seen: { en: 'v{version}', zh: 'v{version}' },
        fix: {
          en: 'Node.js {required} or later is needed; npm ci brings one along: use npm start',
          zh: '需要 Node.js {required} 或更高版本；npm ci 会自带一份，请用 npm start',
        },
      },
    },
  },
  dataFolder: DATA_FOLDER_TEXTS,
  browser: {
    name: { en: 'browser', zh: '浏览器' },
    ok: { en: '{found}', zh: '{found}' },
    codes: {
      ERR_BROWSER_MISSING: {
        seen: { en: 'none was found', zh: '未找到' },
        fix: {
          en: 'install Chromium, Chrome, Edge or Firefox; npx tapnpay tap pays without one',
          zh: '请安装 Chromium、Chrome、Edge 或 Firefox；不用浏览器可运行 npx tapnpay tap',
        },
      },
    },
  },
  pages: {
    name: { en: 'built pages', zh: '已构建页面' },
    ok: { en: 'all are built', zh: '页面均已构建' },
    codes: {
      ERR_PAGES: {
        seen: { en: 'not built: {missing}', zh: '未构建：{missing}' },
        fix: { en: 'build them: node web/build.ts', zh: '请构建页面：node web/build.ts' },
      },
    },
  },
  database: {
    name: { en: 'database', zh: '数据库' },
    ok: { en: 'PostgreSQL answers at {place}', zh: 'PostgreSQL 在 {place} 应答' },
    codes: {
      ERR_DATABASE_DOWN: {
        seen: { en: 'nothing answers at {place}', zh: '{place} 无应答' },
        fix: START,
      },
      ERR_OWN_DATABASE_DOWN: {
        seen: { en: 'nothing answers at {place}', zh: '{place} 无应答' },
        fix: { en: 'start your PostgreSQL', zh: '请启动您的 PostgreSQL' },
      },
    },
  },
  hsms: {
    name: { en: 'HSMs', zh: '加密机' },
    ok: { en: 'three answer', zh: '三台均应答' },
    codes: {
      ERR_HSM_DOWN: { seen: { en: 'down: {down}', zh: '未运行：{down}' }, fix: SEE_LOG },
    },
  },
  switch: {
    name: { en: 'switch line', zh: '转接线路' },
    ok: { en: 'established', zh: '已建立' },
    codes: {
      ERR_SWITCH_DOWN: {
        seen: { en: 'nothing answers on port {port}', zh: '端口 {port} 无应答' },
        fix: SEE_LOG,
      },
      ERR_SWITCH_LINE: {
        seen: { en: 'the gateway has not signed on', zh: '网关尚未签到' },
        fix: SEE_LOG,
      },
    },
  },
  shop: {
    name: { en: 'shop', zh: '商城' },
    ok: URL_OK,
    codes: { ERR_SHOP_DOWN: URL_SILENT, ERR_SHOP_NOT_READY: URL_NOT_READY },
  },
  observer: {
    name: { en: 'look inside', zh: '交易过程查看' },
    ok: URL_OK,
    codes: { ERR_OBSERVER_DOWN: URL_SILENT, ERR_OBSERVER_NOT_READY: URL_NOT_READY },
  },
  agent: {
    name: { en: 'helper', zh: '支付助手' },
    ok: URL_OK,
    codes: {
      ERR_AGENT_DOWN: URL_SILENT,
      ERR_AGENT_OTHER: {
        seen: { en: 'something else answers at {url}', zh: '{url} 上应答的是其他程序' },
        fix: FREE_PORT,
      },
      ERR_VERSION: {
        seen: { en: 'version {version}, {required} wanted', zh: '版本 {version}，需要 {required}' },
        fix: {
          en: 'stop the older helper, then run npm start',
          zh: '请退出旧版支付助手，再运行 npm start',
        },
      },
    },
  },
};
