/** What several checks of a doctor say. */
import type { CodeText } from './doctor.ts';
import type { TwoLanguages } from './trace.ts';

export const INSTALL_HOST: TwoLanguages = {
  en: 'install it again: npx tapnpay agent install',
  zh: '请重新安装：npx tapnpay agent install',
};

export const UPDATE_HOST: TwoLanguages = {
  en: 'update Tap & Pay on this machine, then run: npx tapnpay agent install',
  zh: '请更新本机的 Tap & Pay，然后运行：npx tapnpay agent install',
};

export const SEE_LOG: TwoLanguages = {
  en: 'run npm start if the system is not running; if it is, see {logs} in the data folder',
  zh: '若系统未运行，请运行 npm start；否则请查看数据目录下的 {logs}',
};

export const START: TwoLanguages = {
  en: 'start the system: npm start',
  zh: '请启动系统：npm start',
};

export const FREE_PORT: TwoLanguages = {
  en: 'free that port, or use others: npm start -- --port N',
  zh: '请释放该端口，或换用其他端口：npm start -- --port N',
};

export const SAY_VERSIONS: CodeText = {
  seen: {
    en: 'host and gateway speak no common version (host {ours}, gateway {theirs})',
    zh: '本机程序与网关没有共同的协议版本（本机 {ours}，网关 {theirs}）',
  },
  fix: UPDATE_HOST,
};

export const HOST_OUTDATED: CodeText = {
  seen: {
    en: 'version {version}; the gateway takes {required} or later',
    zh: '版本 {version}；网关要求 {required} 或更高版本',
  },
  fix: UPDATE_HOST,
};

export const HOST_UPDATE: CodeText = {
  seen: {
    en: 'version {version}; {latest} is offered',
    zh: '版本 {version}；可更新到 {latest}',
  },
  fix: UPDATE_HOST,
};
