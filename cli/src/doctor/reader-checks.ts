/** Real readers: the virtual cards need none, so that nothing here is more than a warning. */
import { ok, type Seen, two, warn } from './finding.ts';
import type { Machine } from './machine.ts';

const PCSCD_SOCKETS = ['/run/pcscd/pcscd.comm', '/var/run/pcscd/pcscd.comm'] as const;
/** Kernel drivers that take NFC readers away from the reader service. */
const NFC_MODULES = ['pn533_usb', 'pn533', 'port100', 'nfc'] as const;

const VIRTUAL = two('the virtual cards need none', '虚拟卡不需要读卡器');

/** The system's PC/SC service and the library to speak to it. */
export async function checkReaderService(machine: Machine): Promise<Seen> {
  const list = await machine.listReaders();
  switch (list.status) {
    case 'ok':
      return ok(two('it answers', '应答正常'));
    case 'noLibrary': {
      const fix = two(
        `sudo apt install pcscd libpcsclite1 (or your system's packages); ${VIRTUAL.en}`,
        `sudo apt install pcscd libpcsclite1（或您的系统对应的软件包）；${VIRTUAL.zh}`,
      );
      return warn(two('no PC/SC library on this machine', '本机没有 PC/SC 库'), fix);
    }
    case 'noService':
      return warn(serviceSeen(machine), serviceFix(machine));
    case 'failed': {
      const seen = two(`it failed: ${list.code}`, `服务出错：${list.code}`);
      const fix = two(
        'unplug the reader, restart the service, then plug it in again',
        '请拔下读卡器，重启服务后再插入',
      );
      return warn(seen, fix);
    }
  }
}

function serviceSeen(machine: Machine): Seen['seen'] {
  if (machine.platform !== 'linux') return two('it is not running', '服务未运行');
  const socket = PCSCD_SOCKETS.find((path) => machine.exists(path));
  return socket
    ? two(`${socket} is there but refuses access`, `${socket} 存在，但拒绝访问`)
    : two('pcscd is not running', 'pcscd 未运行');
}

function serviceFix(machine: Machine): Seen['seen'] {
  const isRefused = PCSCD_SOCKETS.some((path) => machine.exists(path));
  if (machine.platform !== 'linux') {
    return two(`start the Smart Card service; ${VIRTUAL.en}`, `请启动智能卡服务；${VIRTUAL.zh}`);
  }
  if (isRefused) {
    return two(
      `log in at the machine itself, or allow your user by a polkit rule; ${VIRTUAL.en}`,
      `请在本机登录，或用 polkit 规则授权当前用户；${VIRTUAL.zh}`,
    );
  }
  return two(
    `sudo systemctl enable --now pcscd.socket; ${VIRTUAL.en}`,
    `sudo systemctl enable --now pcscd.socket；${VIRTUAL.zh}`,
  );
}

/** The readers themselves, and what may keep them from the service. */
export async function checkReaders(machine: Machine): Promise<Seen> {
  const modules = nfcModules(machine);
  if (modules.length > 0) {
    const names = modules.join(', ');
    const seen = two(
      `the kernel's NFC driver (${names}) holds NFC readers such as the ACR122U`,
      `内核 NFC 驱动（${names}）占用了 ACR122U 等 NFC 读卡器`,
    );
    const fix = two(
      `sudo modprobe -r ${modules.join(' ')}; keep them off in /etc/modprobe.d, plug in again`,
      `sudo modprobe -r ${modules.join(' ')}；并在 /etc/modprobe.d 中禁用，然后重新插入读卡器`,
    );
    return warn(seen, fix);
  }
  const list = await machine.listReaders();
  const readers = list.status === 'ok' ? list.readers : [];
  if (readers.length > 0) return ok(two(readers.join('; '), readers.join('；')));
  const fix = two(
    `plug in a CCID reader if you want to read real cards; ${VIRTUAL.en}`,
    `要读取实体卡，请插入 CCID 读卡器；${VIRTUAL.zh}`,
  );
  return warn(two('none', '没有'), fix);
}

/** Loaded drivers, the dependent ones first, as `modprobe -r` wants them. */
function nfcModules(machine: Machine): readonly string[] {
  if (machine.platform !== 'linux') return [];
  const loaded = (machine.readText('/proc/modules') ?? '')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  const found = NFC_MODULES.filter((name) => loaded.includes(name));
  // `nfc` alone drives no reader.
  return found.some((name) => name !== 'nfc') ? found : [];
}
