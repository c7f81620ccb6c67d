/** What a doctor says of the links that the host sees: element, readers and gateway. */
import type { CheckTexts } from './doctor.ts';
import { FREE_PORT, SEE_LOG } from './doctor-texts-shared.ts';

export const ELEMENT_TEXTS: CheckTexts<'element'> = {
  name: { en: 'secure element', zh: '安全单元' },
  ok: { en: 'ready, {id}', zh: '可用，{id}' },
  codes: {
    ERR_ELEMENT_NOT_ENROLLED: {
      seen: { en: 'not enrolled', zh: '尚未登记' },
      fix: {
        en: 'it enrols by itself once the gateway answers; see logs/agent.log in the data folder',
        zh: '网关应答后会自动登记；请查看数据目录下的 logs/agent.log',
      },
    },
    ERR_ELEMENT_LOCKED: {
      seen: { en: 'locked by its operator', zh: '已被运营方锁定' },
      fix: {
        en:
          'ask the operator; of your own system: stop it, remove ' +
          'the folder element in the data folder, run npm start',
        zh: '请联系运营方；若是自己的系统：停止系统，删除数据目录下的 element 文件夹，再运行 npm start',
      },
    },
    ERR_ELEMENT_GONE: {
      seen: { en: 'it does not answer', zh: '无应答' },
      fix: SEE_LOG,
    },
    ERR_ELEMENT_IN_USE: {
      seen: { en: 'another payment uses it now ({holder})', zh: '正被另一笔支付使用（{holder}）' },
      fix: {
        en: 'end or cancel that payment, then try again',
        zh: '请完成或取消那笔支付，然后重试',
      },
    },
    ERR_ELEMENT_UNSEEN: {
      seen: { en: 'nobody who could tell is running', zh: '没有可询问其状态的程序在运行' },
      fix: {
        en: 'install the host (npx tapnpay agent install) or run npm start',
        zh: '请安装本机程序（npx tapnpay agent install）或运行 npm start',
      },
    },
  },
};

export const READER_SERVICE_TEXTS: CheckTexts<'readerService'> = {
  name: { en: 'reader service', zh: '读卡器服务' },
  ok: { en: 'it answers', zh: '应答正常' },
  codes: {
    ERR_READER_LIBRARY: {
      seen: { en: 'no PC/SC library on this machine', zh: '本机没有 PC/SC 库' },
      fix: {
        en:
          'sudo apt install pcscd libpcsclite1 (or your ' +
          "system's packages); the virtual cards need none",
        zh: '请运行 sudo apt install pcscd libpcsclite1（或您的系统对应的软件包）；虚拟卡不需要读卡器',
      },
    },
    ERR_READER_SERVICE: {
      seen: { en: 'the PC/SC service (pcscd) is not running', zh: 'PC/SC 服务（pcscd）未运行' },
      fix: {
        en:
          'sudo systemctl enable --now pcscd.socket (Windows: ' +
          'start "Smart Card"); the virtual cards need none',
        zh: '请运行 sudo systemctl enable --now pcscd.socket（Windows：启动“Smart Card”服务）；虚拟卡不需要读卡器',
      },
    },
    ERR_PCSC_DENIED: {
      seen: {
        en:
          'the PC/SC service runs but refuses this user ' +
          '({reason}): this says nothing about readers',
        zh: 'PC/SC 服务在运行，但拒绝当前用户（{reason}）：这并不表示没有读卡器',
      },
      fix: {
        en:
          'log in at the machine itself, or allow org.debian.pcsc-lite.access_pcsc ' +
          'and access_card to your user in /etc/polkit-1/rules.d',
        zh:
          '请在本机登录，或在 /etc/polkit-1/rules.d 中授权当前用户 ' +
          'org.debian.pcsc-lite.access_pcsc 和 access_card',
      },
    },
    ERR_READER_FAULT: {
      seen: { en: 'it failed: {reason}', zh: '服务出错：{reason}' },
      fix: {
        en: 'unplug the reader, restart the service, then plug it in again',
        zh: '请拔下读卡器，重启服务后再插入',
      },
    },
  },
};

export const READERS_TEXTS: CheckTexts<'readers'> = {
  name: { en: 'card readers', zh: '读卡器' },
  ok: { en: '{names}', zh: '{names}' },
  codes: {
    ERR_READER_NONE: {
      seen: { en: 'there is none', zh: '没有读卡器' },
      fix: {
        en: 'plug in a CCID reader if you want to use real cards; the virtual cards need none',
        zh: '要使用实体卡，请插入 CCID 读卡器；虚拟卡不需要读卡器',
      },
    },
    ERR_READER_OFF: {
      seen: {
        en: '{names}; but this system takes no real cards',
        zh: '{names}；但本系统未启用真实读卡器',
      },
      fix: {
        en: 'to pay with real cards: npm start -- --readers, then npx tapnpay agent install',
        zh: '要用实体卡支付：运行 npm start -- --readers，再运行 npx tapnpay agent install',
      },
    },
    ERR_READER_KERNEL_DRIVER: {
      seen: {
        en: "the kernel's NFC driver ({names}) holds NFC readers such as the ACR122U",
        zh: '内核 NFC 驱动（{names}）占用了 ACR122U 等 NFC 读卡器',
      },
      fix: {
        en: 'sudo modprobe -r {modules}; keep them off in /etc/modprobe.d, plug in again',
        zh: '请运行 sudo modprobe -r {modules}，在 /etc/modprobe.d 中禁用，然后重新插入读卡器',
      },
    },
  },
};

export const GATEWAY_TEXTS: CheckTexts<'gateway'> = {
  name: { en: 'gateway', zh: '网关' },
  ok: { en: '{url}', zh: '{url}' },
  codes: {
    ERR_GATEWAY_DOWN: {
      seen: { en: '{url} does not answer', zh: '{url} 无应答' },
      fix: {
        en:
          'check the network; of a system on this machine: ' +
          'npm start, or see logs/gateway.log in the data folder',
        zh: '请检查网络；若系统在本机：运行 npm start，或查看数据目录下的 logs/gateway.log',
      },
    },
    ERR_GATEWAY_OTHER: {
      seen: { en: 'something else answers at {url}', zh: '{url} 上应答的是其他程序' },
      fix: FREE_PORT,
    },
    ERR_GATEWAY_NOT_READY: {
      seen: { en: '{url} is not ready ({status})', zh: '{url} 未就绪（{status}）' },
      fix: {
        en: 'wait a moment; of a system on this machine: see logs/gateway.log in the data folder',
        zh: '请稍候；若系统在本机，请查看数据目录下的 logs/gateway.log',
      },
    },
  },
};
