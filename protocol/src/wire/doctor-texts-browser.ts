/** What a doctor says of the links between a page and the host. */
import type { CheckTexts } from './doctor.ts';
import { HOST_OUTDATED, HOST_UPDATE, INSTALL_HOST, SAY_VERSIONS } from './doctor-texts-shared.ts';
import type { TwoLanguages } from './trace.ts';

const UPDATE_EXTENSION: TwoLanguages = {
  en: 'let the browser update its extensions, or take the new version from the pay page',
  zh: '请让浏览器更新扩展，或从支付页面获取新版本',
};

export const EXTENSION_TEXTS: CheckTexts<'extension'> = {
  name: { en: 'browser extension', zh: '浏览器扩展' },
  ok: { en: 'version {version}', zh: '版本 {version}' },
  codes: {
    ERR_EXTENSION_MISSING: {
      seen: { en: 'the extension is not installed', zh: '未安装扩展' },
      fix: {
        en:
          'take it from the pay page; for all users: sudo ' +
          'npx tapnpay agent install --system --extension',
        zh: '请从支付页面安装；为所有用户安装：sudo npx tapnpay agent install --system --extension',
      },
    },
    ERR_EXTENSION_OUTDATED: {
      seen: {
        en: 'version {version}; the gateway takes {required} or later',
        zh: '版本 {version}；网关要求 {required} 或更高版本',
      },
      fix: UPDATE_EXTENSION,
    },
    ERR_EXTENSION_UPDATE: {
      seen: {
        en: 'version {version}; {latest} is offered',
        zh: '版本 {version}；可更新到 {latest}',
      },
      fix: UPDATE_EXTENSION,
    },
    ERR_EXTENSION_RELOADED: {
      seen: {
        en: 'it was updated or loaded again under this page',
        zh: '扩展在本页面打开期间被更新或重新加载',
      },
      fix: { en: 'reload the page; the order is kept', zh: '请刷新页面；订单会保留' },
    },
    ERR_WORKER_STOPPED: {
      seen: { en: 'the browser stopped its background part', zh: '浏览器停止了扩展的后台部分' },
      fix: {
        en: 'try again; if it happens again, restart the browser',
        zh: '请重试；若再次出现，请重启浏览器',
      },
    },
    ERR_FRAME_NOT_ALLOWED: {
      seen: { en: 'it does not serve this frame', zh: '扩展不为此框架服务' },
      fix: {
        en: 'open the pay page in a tab of its own',
        zh: '请在单独的标签页中打开支付页面',
      },
    },
    ERR_ORIGIN: {
      seen: {
        en: 'this address is no gateway that the plug-in trusts',
        zh: '此地址不是插件信任的网关',
      },
      fix: {
        en:
          'check the address; a plug-in of another system ' +
          'is replaced by: npx tapnpay agent install',
        zh: '请核对地址；若插件属于另一系统，请运行：npx tapnpay agent install',
      },
    },
    ERR_MESSAGE_TOO_LARGE: {
      seen: { en: 'a message was longer than allowed', zh: '消息超过允许的长度' },
      fix: UPDATE_EXTENSION,
    },
  },
};

export const HOST_TEXTS: CheckTexts<'host'> = {
  name: { en: 'native host', zh: '本机程序' },
  ok: {
    en: 'version {version} answers in {ms} ms, from start to report and end',
    zh: '版本 {version}，从启动到报告和退出共 {ms} 毫秒',
  },
  codes: {
    ERR_HOST_MISSING: {
      seen: {
        en: 'the browser finds no host of Tap & Pay',
        zh: '浏览器找不到 Tap & Pay 的本机程序',
      },
      fix: {
        en: 'install it: npx tapnpay agent install; if it is installed: npx tapnpay doctor',
        zh: '请安装：npx tapnpay agent install；若已安装，请运行：npx tapnpay doctor',
      },
    },
    ERR_HOST_FORBIDDEN: {
      seen: {
        en: 'the host is there, but not for this extension',
        zh: '本机程序已安装，但不允许此扩展使用',
      },
      fix: INSTALL_HOST,
    },
    ERR_HOST_START: {
      seen: { en: '{program} cannot be started ({reason})', zh: '{program} 无法启动（{reason}）' },
      fix: INSTALL_HOST,
    },
    ERR_HOST_EXITED: {
      seen: {
        en: 'it ended by itself ({reason})',
        zh: '程序自行退出（{reason}）',
      },
      fix: {
        en: 'see its last words; if Node.js was moved or updated: npx tapnpay agent install',
        zh: '请查看其最后输出；若移动或更新过 Node.js，请运行：npx tapnpay agent install',
      },
    },
    ERR_HOST_TIMEOUT: {
      seen: { en: 'it said nothing for {ms} ms', zh: '程序在 {ms} 毫秒内没有应答' },
      fix: {
        en:
          'end hanging tapnpay-host processes, then try ' +
          'again; if it stays: npx tapnpay agent install',
        zh: '请结束挂起的 tapnpay-host 进程后重试；若仍如此，请运行：npx tapnpay agent install',
      },
    },
    ERR_HOST_PROTOCOL: {
      seen: {
        en: 'what it writes is no message of ours ({reason})',
        zh: '程序输出的不是有效消息（{reason}）',
      },
      fix: {
        en:
          'something else writes to its output (NODE_OPTIONS, ' +
          'a wrapper): npx tapnpay agent install',
        zh: '有其他内容写入其输出（NODE_OPTIONS 或包装脚本）：npx tapnpay agent install',
      },
    },
    ERR_HOST_REFUSED: {
      seen: { en: 'it refuses: {reason}', zh: '程序拒绝服务：{reason}' },
      fix: INSTALL_HOST,
    },
    ERR_HOST_LINGERS: {
      seen: {
        en: 'it answers, but does not end in {ms} ms when the browser lets go',
        zh: '程序有应答，但浏览器断开后 {ms} 毫秒内没有退出',
      },
      fix: {
        en:
          'end hanging tapnpay-host processes: they hold ' +
          'element and readers; then update Tap & Pay',
        zh: '请结束挂起的 tapnpay-host 进程（它们占用安全单元和读卡器），然后更新 Tap & Pay',
      },
    },
    ERR_HOST_OUTDATED: HOST_OUTDATED,
    ERR_HOST_UPDATE: HOST_UPDATE,
    ERR_VERSION: SAY_VERSIONS,
  },
};

export const VERSIONS_TEXTS: CheckTexts<'versions'> = {
  name: { en: 'plug-in versions', zh: '插件版本' },
  ok: {
    en:
      'host {version} is taken; the gateway offers ' +
      'host {hostLatest}, extension {extensionLatest}',
    zh: '本机程序 {version} 可用；网关提供本机程序 {hostLatest}、扩展 {extensionLatest}',
  },
  codes: {
    ERR_VERSIONS_MISSING: {
      seen: {
        en: '{url} gives no document of versions ({reason})',
        zh: '{url} 没有提供版本信息（{reason}）',
      },
      fix: {
        en:
          'the gateway is older than the plug-in, or ' +
          'something stands between: ask its operator',
        zh: '网关版本比插件旧，或中间有其他程序：请联系运营方',
      },
    },
    ERR_HOST_OUTDATED: HOST_OUTDATED,
    ERR_HOST_UPDATE: HOST_UPDATE,
    ERR_VERSION: SAY_VERSIONS,
  },
};
