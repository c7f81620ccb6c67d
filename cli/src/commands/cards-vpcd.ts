/** `tapnpay cards insert NAME --vpcd`: a virtual card for every program that speaks PC/SC. */
import { spawnSync } from 'node:child_process';
import {
  type ChipCard,
  hasQuickRoute,
  insertIntoVpcd,
  listenForVpcd,
  type PresentedChannel,
  QUICK_ROUTE_COMMAND,
  QUICK_VPCD_HOST,
  ReaderError,
  type VirtualCards,
  VPCD_PORT,
  type VpcdAddress,
} from '@tapnpay/agent';
import { type OptionValues, UsageError } from '../command.ts';
import { interfaceOption } from './cards-source.ts';

/** Between attempts to be taken again by a vpcd that went away. */
const RETRY_MS = 1_000;

/** What was asked for. */
export type VpcdRequest = { readonly card: string; readonly address: string | undefined };

/** Offers the card until it is interrupted; resolves with the exit code. */
export async function vpcdCommand(
  values: OptionValues,
  request: VpcdRequest,
  cards: VirtualCards,
): Promise<number> {
  const address = readAddress(request.address);
  const presented = cards.present(request.card, interfaceOption(values) ?? 'contact');
  try {
    await presented.ready;
    const interrupted = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => interrupted.abort());
    }
    const isReverse = values['reverse'] === true;
    const offer = isReverse ? offerInReverse : offerByCalling;
    await offer(presented, address, interrupted.signal, (actual) => {
      tell(values, { card: request.card, presented, address: actual, isReverse });
    });
    return 0;
  } finally {
    await cards.close();
  }
}

/** `HOST:PORT`, `:PORT` or `HOST`; by default where vpcd listens, by our own loopback range. */
export function readAddress(text: string | undefined): VpcdAddress {
  if (text === undefined) return { host: QUICK_VPCD_HOST, port: VPCD_PORT };
  const [, host = '', digits] = /^([A-Za-z0-9.-]*)(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? VPCD_PORT : Number(digits);
  if ((host === '' && digits === undefined) || port < 1 || port > 65_535) {
    throw new UsageError(`--vpcd takes HOST:PORT after it, not ${text}`);
  }
  return { host: host === '' ? QUICK_VPCD_HOST : host, port };
}

/** A card that may be taken away while it is offered. */
export type OfferableCard = ChipCard & { isThere(): boolean };
type Offer = (
  card: OfferableCard,
  address: VpcdAddress,
  interrupted: AbortSignal,
  onReady: (address: VpcdAddress) => void,
) => Promise<void>;

/** vpcd listens; when it goes away (the service was started anew) the card waits for it. */
export const offerByCalling: Offer = async (card, address, interrupted, onReady) => {
  let isFirst = true;
  while (!interrupted.aborted && card.isThere()) {
    try {
      await new Promise<void>((resolve, reject) => {
        insertIntoVpcd(card, address, { onClosed: resolve }).then((offered) => {
          if (isFirst) onReady(address);
          isFirst = false;
          interrupted.addEventListener('abort', () => void offered.close(), { once: true });
        }, reject);
      });
    } catch (fault) {
      if (isFirst || !(fault instanceof ReaderError)) throw fault;
    }
    if (!interrupted.aborted) await pause(RETRY_MS, interrupted);
  }
};

/** vpcd calls us. */
export const offerInReverse: Offer = async (card, address, interrupted, onReady) => {
  const server = await listenForVpcd(address);
  server.insert(card);
  onReady({ ...address, port: server.port });
  await new Promise((resolve) => interrupted.addEventListener('abort', resolve, { once: true }));
  await server.close();
};

function pause(durationMs: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, durationMs);
    interrupted.addEventListener('abort', () => [clearTimeout(timer), resolve()], { once: true });
  });
}

type Offered = {
  readonly card: string;
  readonly presented: PresentedChannel;
  readonly address: VpcdAddress;
  readonly isReverse: boolean;
};

function tell(values: OptionValues, { card, presented, address, isReverse }: Offered): void {
  const { interface: by } = presented;
  const mode = isReverse ? 'reverse' : 'listening';
  if (values['json']) {
    const document = { card, interface: by, vpcd: { ...address, mode } };
    process.stdout.write(`${JSON.stringify(document)}\n`);
    return;
  }
  const where = `${address.host}:${address.port}`;
  process.stdout.write(
    `${card} (${by}) is offered to vpcd at ${where}; Ctrl-C takes it out\n` +
      `${card}（${by}）已提供给 ${where} 的 vpcd；按 Ctrl-C 取出\n`,
  );
  warnOfSlowRoute(address);
}

/** Says how to take the delay away, where there is one. */
export function warnOfSlowRoute(address: VpcdAddress): void {
  if (!isSlow(address)) return;
  process.stderr.write(
    `each APDU may take 44 ms; once as root this takes it away: ${QUICK_ROUTE_COMMAND}\n` +
      `每条 APDU 可能要 44 毫秒；以 root 执行一次上面的命令即可消除\n`,
  );
}

/** True where Linux delays its acknowledgements on loopback. */
function isSlow({ host }: VpcdAddress): boolean {
  if (process.platform !== 'linux' || host !== QUICK_VPCD_HOST) return false;
  const routes = spawnSync('ip', ['route', 'show', 'table', 'local'], { encoding: 'utf8' });
  return routes.status === 0 && !hasQuickRoute(routes.stdout);
}
