/** The checks of the doctor, one a link; none changes anything or shows a secret. */
import { join } from 'node:path';
import { AGENT_HEALTH_PATH, AGENT_VERSION } from '@tapnpay/protocol/wire';
import { pagesDir, type SystemConfig, urlOf } from '../system/layout.ts';
import { findBrowser } from './browser.ts';
import {
  broken,
  type Finding,
  LINK_NAMES,
  LINKS,
  type Link,
  ok,
  type Seen,
  two,
  warn,
} from './finding.ts';
import type { Machine } from './machine.ts';
import { checkReaderService, checkReaders } from './reader-checks.ts';

/** Oldest Node.js that runs this system. */
export const NODE_MAJOR_MIN = 26;
/** Less free space than this and a database soon stops. */
const FREE_BYTES_MIN = 300_000_000;
const HOST = '127.0.0.1';

/** What the checks stand on. `system` is null when the data folder holds none. */
export type Patient = {
  readonly machine: Machine;
  readonly dataDir: string;
  readonly system: SystemConfig | null;
};
/** A patient whose system is known. */
type Housed = Patient & { readonly system: SystemConfig };

type Check = {
  /** Without these links there is nothing to look at. */
  readonly needs: readonly Link[];
  readonly look: (patient: Patient) => Seen | Promise<Seen>;
};

const START = two('start the system: npm start', '请启动系统：npm start');

const FREE_PORT = two(
  'free that port, or use others: npm start -- --port N',
  '请释放该端口，或换用其他端口：npm start -- --port N',
);

const CHECKS: Readonly<Record<Link, Check>> = {
  node: { needs: [], look: checkNode },
  dataFolder: { needs: [], look: checkDataFolder },
  browser: { needs: [], look: checkBrowser },
  pages: { needs: [], look: checkPages },
  database: { needs: ['dataFolder'], look: housed(checkDatabase) },
  hsms: { needs: ['dataFolder'], look: housed(checkHsms) },
  switch: { needs: ['dataFolder'], look: housed(checkSwitch) },
  gateway: { needs: ['dataFolder'], look: housed(checkGateway) },
  shop: { needs: ['dataFolder'], look: housed(checkShop) },
  observer: { needs: ['dataFolder'], look: housed(checkObserver) },
  agent: { needs: ['dataFolder'], look: housed(checkAgent) },
  element: { needs: ['agent'], look: housed(checkElement) },
  readerService: { needs: [], look: ({ machine }) => checkReaderService(machine) },
  readers: { needs: [], look: ({ machine }) => checkReaders(machine) },
};

/** Looks at every link in order. */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const link of LINKS) {
    const { needs, look } = CHECKS[link];
    const missing = findings.find(
      (finding) => needs.includes(finding.link) && finding.verdict === 'broken',
    );
    const seen = missing ? waitsFor(missing.link) : await look(patient);
    findings.push({ link, ...seen });
  }
  return findings;
}

function waitsFor(link: Link): Seen {
  const { en, zh } = LINK_NAMES[link];
  return broken(two(`not looked at: fix ${en} first`, `未检查：请先修复“${zh}”`), null);
}

function housed(look: (patient: Housed) => Seen | Promise<Seen>): Check['look'] {
  return (patient) => {
    const { system } = patient;
    return system ? look({ ...patient, system }) : waitsFor('dataFolder');
  };
}

function checkNode({ machine }: Patient): Seen {
  const { nodeVersion } = machine;
  const seen = two(`v${nodeVersion}`, `v${nodeVersion}`);
  if (Number(nodeVersion.split('.')[0]) >= NODE_MAJOR_MIN) return ok(seen);
  const fix = two(
    `Node.js ${NODE_MAJOR_MIN} or later is needed; npm ci brings one along: use npm start`,
    `需要 Node.js ${NODE_MAJOR_MIN} 或更高版本；npm ci 会自带一份，请用 npm start`,
  );
  return broken(seen, fix);
}

function checkDataFolder({ machine, dataDir, system }: Patient): Seen {
  if (!machine.exists(dataDir))
    return broken(two(`${dataDir} does not exist`, `${dataDir} 不存在`), START);
  if (!machine.isWritable(dataDir)) {
    const fix = two(
      `take ownership of ${dataDir} (chown): root or another user may have made it`,
      `请取得 ${dataDir} 的写权限：它可能由 root 或其他用户创建`,
    );
    return broken(two(`${dataDir} cannot be written`, `${dataDir} 不可写`), fix);
  }
  if (!system) return broken(two(`no system in ${dataDir}`, `${dataDir} 中还没有系统`), START);
  const free = machine.freeBytes(dataDir);
  if (free !== null && free < FREE_BYTES_MIN) {
    const left = `${Math.floor(free / 1_000_000)} MB`;
    const fix = two('free some disk space', '请清理磁盘空间');
    return warn(two(`${dataDir}, only ${left} free`, `${dataDir}，仅剩 ${left}`), fix);
  }
  return ok(two(dataDir, dataDir));
}

async function checkBrowser({ machine }: Patient): Promise<Seen> {
  const browser = await findBrowser(machine);
  if (browser) {
    const text = [browser.name, browser.version, browser.path].filter((part) => part !== null);
    return ok(two(text.join(' · '), text.join(' · ')));
  }
  const fix = two(
    'install Chromium, Chrome, Edge or Firefox; npx tapnpay tap pays without one',
    '请安装 Chromium、Chrome、Edge 或 Firefox；不用浏览器可运行 npx tapnpay tap',
  );
  return warn(two('none was found', '未找到'), fix);
}

function checkPages({ machine }: Patient): Seen {
  const audiences = ['pay', 'helper', 'shop', 'inside', 'explain'] as const;
  const missing = audiences.filter((name) => !machine.exists(join(pagesDir(name), 'index.html')));
  if (missing.length === 0) return ok(two('all are built', '页面均已构建'));
  const names = missing.join(', ');
  const fix = two('build them: node web/build.ts', '请构建页面：node web/build.ts');
  return broken(two(`not built: ${names}`, `未构建：${names}`), fix);
}

/** Only host and port of the database's URL are looked at: the rest is a password. */
async function checkDatabase({ machine, system }: Housed): Promise<Seen> {
  const url = URL.parse(system.databaseUrl);
  const host = url?.hostname || HOST;
  const port = Number(url?.port || 5432);
  const place = `${host}:${port}`;
  if (await machine.isPortOpen(host, port)) {
    return ok(two(`PostgreSQL answers at ${place}`, `PostgreSQL 在 ${place} 应答`));
  }
  const isOwn = host === HOST;
  const fix = isOwn ? START : two('start your PostgreSQL', '请启动您的 PostgreSQL');
  return broken(two(`nothing answers at ${place}`, `${place} 无应答`), fix);
}

async function checkHsms({ machine, system }: Housed): Promise<Seen> {
  const { ports } = system;
  const hsms = [
    ['hsm-gateway', ports.hsmGateway],
    ['hsm-switch', ports.hsmSwitch],
    ['hsm-issuer', ports.hsmIssuer],
  ] as const;
  const states = await Promise.all(
    hsms.map(async ([name, port]) => ({ name, isOpen: await machine.isPortOpen(HOST, port) })),
  );
  const down = states.filter(({ isOpen }) => !isOpen).map(({ name }) => name);
  if (down.length === 0) return ok(two('three answer', '三台均应答'));
  return broken(two(`down: ${down.join(', ')}`, `未运行：${down.join('、')}`), restart(...down));
}

/** The listener, and whether the gateway has signed on to it. */
async function checkSwitch({ machine, system }: Housed): Promise<Seen> {
  const port = system.ports.switch;
  if (!(await machine.isPortOpen(HOST, port))) {
    return broken(two(`nothing answers on port ${port}`, `端口 ${port} 无应答`), restart('switch'));
  }
  const health = await machine.get(new URL('/v1/health', urlOf(system, 'gatewayHttp')).href);
  const line = memberOf(health?.body, 'switchLine');
  if (line === 'established') return ok(two('established', '已建立'));
  if (line === undefined) {
    return ok(two('it listens; the gateway cannot be asked', '正在监听，但无法询问网关'));
  }
  const seen = two('the gateway has not signed on', '网关尚未签到');
  return broken(seen, restart('switch', 'gateway'));
}

function checkGateway(patient: Housed): Promise<Seen> {
  return checkHttp(patient, { party: 'gatewayHttp', log: 'gateway', path: '/v1/health' });
}

function checkShop(patient: Housed): Promise<Seen> {
  return checkHttp(patient, { party: 'shop', log: 'shop', path: '/v1/health' });
}

async function checkObserver(patient: Housed): Promise<Seen> {
  const seen = await checkHttp(patient, {
    party: 'observer',
    log: 'observer',
    path: '/v1/health',
  });
  // A payment can be made unseen.
  return seen.verdict === 'broken' ? { ...seen, verdict: 'warn' } : seen;
}

/** A party that answers HTTP at all is up; 503 is its own word that it is not ready. */
async function checkHttp(
  { machine, system }: Housed,
  party: {
    readonly party: 'gatewayHttp' | 'shop' | 'observer';
    readonly log: string;
    readonly path: string;
  },
): Promise<Seen> {
  const url = urlOf(system, party.party);
  const answer = await machine.get(new URL(party.path, url).href);
  if (!answer) return broken(two(`${url} does not answer`, `${url} 无应答`), restart(party.log));
  if (answer.body === undefined && party.party === 'gatewayHttp') {
    const seen = two(`something else answers at ${url}`, `${url} 上应答的是其他程序`);
    return broken(seen, FREE_PORT);
  }
  if (answer.status >= 500) {
    const seen = two(`${url} is not ready (${answer.status})`, `${url} 未就绪（${answer.status}）`);
    return broken(seen, restart(party.log));
  }
  return ok(two(url, url));
}

async function checkAgent({ machine, system }: Housed): Promise<Seen> {
  const url = urlOf(system, 'agent');
  const answer = await machine.get(new URL(AGENT_HEALTH_PATH, url).href);
  if (!answer) return broken(two(`${url} does not answer`, `${url} 无应答`), restart('agent'));
  const version = memberOf(answer.body, 'version');
  if (typeof version !== 'number') {
    const seen = two(`something else answers at ${url}`, `${url} 上应答的是其他程序`);
    return broken(seen, FREE_PORT);
  }
  if (version !== AGENT_VERSION) {
    const seen = two(
      `version ${version}, ${AGENT_VERSION} wanted`,
      `版本 ${version}，需要 ${AGENT_VERSION}`,
    );
    const fix = two(
      'stop the older helper, then run npm start',
      '请退出旧版支付助手，再运行 npm start',
    );
    return broken(seen, fix);
  }
  return ok(two(url, url));
}

const ELEMENT_FIXES: Readonly<Record<string, Seen>> = {
  notEnrolled: broken(
    two('not enrolled', '尚未登记'),
    two(
      'it enrols by itself once the gateway answers; see logs/agent.log',
      '网关应答后会自动登记；请查看 logs/agent.log',
    ),
  ),
  locked: broken(
    two('locked by its operator', '已被运营方锁定'),
    two(
      'stop the system, remove the folder element in the data folder, then run npm start',
      '请停止系统，删除数据目录下的 element 文件夹，再运行 npm start',
    ),
  ),
};

async function checkElement({ machine, system }: Housed): Promise<Seen> {
  const answer = await machine.get(new URL(AGENT_HEALTH_PATH, urlOf(system, 'agent')).href);
  const element = memberOf(answer?.body, 'element');
  const state = String(memberOf(element, 'state'));
  const id = memberOf(element, 'id');
  if (state === 'operable') return ok(two(`ready, ${id}`, `可用，${id}`));
  return ELEMENT_FIXES[state] ?? broken(two('it does not answer', '无应答'), restart('agent'));
}

/** Roles are started again by `up`; one that stays down says why in its log. */
function restart(...roles: readonly string[]): { readonly zh: string; readonly en: string } {
  const logs = roles.map((role) => `logs/${role}.log`).join(', ');
  return two(
    `run npm start if the system is not running; if it is, see ${logs} in the data folder`,
    `若系统未运行，请运行 npm start；否则请查看数据目录下的 ${logs}`,
  );
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
