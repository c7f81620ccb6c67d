/** What a doctor says of what an installation writes: registrations and policies. */
import type { CheckTexts } from './doctor.ts';
import { INSTALL_HOST } from './doctor-texts-shared.ts';
import type { TwoLanguages } from './trace.ts';

const REPAIR_POLICY: TwoLanguages = {
  en: 'write it again: sudo npx tapnpay agent install --system --extension',
  zh: '请重新写入：sudo npx tapnpay agent install --system --extension',
};

export const MANIFEST_TEXTS: CheckTexts<'manifest'> = {
  name: { en: 'host registration', zh: '本机程序登记' },
  ok: { en: '{path}', zh: '{path}' },
  codes: {
    ERR_BROWSER_SANDBOXED: {
      seen: {
        en: '{browser} is a {kind} package: it cannot start programs of this machine',
        zh: '{browser} 是 {kind} 软件包，无法启动本机程序',
      },
      fix: {
        en:
          "use a {browser} from the system's packages " +
          '(apt, dnf) or from its maker, or another browser',
        zh: '请改用系统软件源（apt、dnf）或官方提供的 {browser}，或换用其他浏览器',
      },
    },
    ERR_MANIFEST_MISSING: {
      seen: {
        en: 'not registered in any folder that {browser} reads',
        zh: '{browser} 读取的目录中都没有登记',
      },
      fix: {
        en: 'install it: npx tapnpay agent install',
        zh: '请安装：npx tapnpay agent install',
      },
    },
    ERR_MANIFEST_ELSEWHERE: {
      seen: {
        en: 'registered at {path}, which {browser} does not read',
        zh: '登记在 {path}，但 {browser} 不读取该目录',
      },
      fix: INSTALL_HOST,
    },
    ERR_MANIFEST_UNREADABLE: {
      seen: { en: '{path} cannot be read ({reason})', zh: '{path} 无法读取（{reason}）' },
      fix: {
        en: 'let your user read it: chmod a+r, and a+x on its folders',
        zh: '请让当前用户可读：chmod a+r，并对其上级目录 chmod a+x',
      },
    },
    ERR_MANIFEST_JSON: {
      seen: { en: '{path} is no JSON', zh: '{path} 不是有效的 JSON' },
      fix: INSTALL_HOST,
    },
    ERR_MANIFEST_NAME: {
      seen: {
        en: '{path} registers another program, "{name}", under the name of Tap & Pay',
        zh: '{path} 以 Tap & Pay 的文件名登记了另一程序“{name}”',
      },
      fix: INSTALL_HOST,
    },
    ERR_MANIFEST_TYPE: {
      seen: {
        en: '{path}: its type is "{type}", not "stdio"',
        zh: '{path} 的类型是“{type}”，应为“stdio”',
      },
      fix: INSTALL_HOST,
    },
    ERR_HOST_FORBIDDEN: {
      seen: {
        en: '{path} does not let the extension {wanted} in',
        zh: '{path} 不允许扩展 {wanted} 使用',
      },
      fix: INSTALL_HOST,
    },
    ERR_HOST_PATH_RELATIVE: {
      seen: {
        en: '{path} names the program by a relative path, {program}',
        zh: '{path} 中的程序路径是相对路径：{program}',
      },
      fix: INSTALL_HOST,
    },
    ERR_HOST_PATH_MISSING: {
      seen: {
        en: '{path} names {program}, which is not there',
        zh: '{path} 指向的 {program} 不存在',
      },
      fix: INSTALL_HOST,
    },
    ERR_HOST_NOT_EXECUTABLE: {
      seen: { en: '{program} may not be executed', zh: '{program} 没有执行权限' },
      fix: {
        en: 'chmod 755 {program} (and no noexec on its disk), or: npx tapnpay agent install',
        zh: '请 chmod 755 {program}（其磁盘不得带 noexec），或运行：npx tapnpay agent install',
      },
    },
    ERR_HOST_OTHER_SYSTEM: {
      seen: {
        en: '{path} starts {program}, which belongs to another system or data folder',
        zh: '{path} 启动的 {program} 属于另一系统或数据目录',
      },
      fix: {
        en: 'if this system is meant: npx tapnpay agent install',
        zh: '若要使用本系统，请运行：npx tapnpay agent install',
      },
    },
  },
};

export const POLICY_TEXTS: CheckTexts<'policy'> = {
  name: { en: 'managed policy', zh: '托管策略' },
  ok: { en: '{path}', zh: '{path}' },
  codes: {
    ERR_POLICY_MISSING: {
      seen: { en: '{path} does not install our extension', zh: '{path} 没有安装本扩展' },
      fix: REPAIR_POLICY,
    },
    ERR_POLICY_JSON: {
      seen: {
        en: '{path} is no JSON: the browser ignores all of it',
        zh: '{path} 不是有效的 JSON：浏览器会忽略整个文件',
      },
      fix: {
        en: 'mend it or move it away, then: sudo npx tapnpay agent install --system --extension',
        zh: '请修正或移走该文件，然后运行：sudo npx tapnpay agent install --system --extension',
      },
    },
    ERR_POLICY_OTHER_SYSTEM: {
      seen: {
        en: '{path} installs the extension of another gateway ({url})',
        zh: '{path} 安装的是另一网关的扩展（{url}）',
      },
      fix: REPAIR_POLICY,
    },
    ERR_POLICY_UNREADABLE: {
      seen: { en: '{path} cannot be read ({reason})', zh: '{path} 无法读取（{reason}）' },
      fix: {
        en: 'let the browser read it: sudo chmod 644 {path}',
        zh: '请让浏览器可读：sudo chmod 644 {path}',
      },
    },
  },
};
