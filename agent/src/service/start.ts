/** Starts the agent's local service and closes all of it again. */
import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Clock, type RandomSource, TapError } from '@tapnpay/protocol/bytes';
import type { FastifyInstance } from 'fastify';
import { httpManagerCaller } from '../contact/manager-caller.ts';
import { lockDirectory } from '../directory-lock.ts';
import type { ElementConfig } from '../element-process.ts';
import { PcscReaders } from '../pcsc/index.ts';
import { nodeCiphers, systemClock, systemRandom } from '../system.ts';
import { VirtualCards } from '../virtual-cards.ts';
import { PaymentDesk } from './desk.ts';
import { ElementKeeper, type PayingElement } from './element-keeper.ts';
import { ELEMENT_WAIT_MS, ElementMemory } from './element-memory.ts';
import type { AgentLog } from './events.ts';
import { buildHttp } from './http.ts';
import { newLocalKey, removeLocalAgent, writeLocalAgent } from './local-agent.ts';
import { Pairing } from './pairing.ts';
import { type ReaderSource, RealReaders } from './real-readers.ts';

const HOST = '127.0.0.1';

export type AgentServiceConfig = {
  /** The system's folder; ours is `agent` in it, the cards' is `cards`. */
  readonly dataDir: string;
  /** 0 for a free one. */
  readonly port: number;
  /** Origins of pages that may ask for payments. */
  readonly gatewayOrigins: readonly string[];
  readonly gatewayUrl: string;
  /** The gateway's name in its certificate. */
  readonly serverName: string;
  readonly element: ElementConfig;
  /** The built pages of `web/helper`. */
  readonly pagesDir: string;
  /** Gets a pairing code for a new element from the gateway's operator. */
  readonly requestPairingCode: () => Promise<string>;
  /** A laboratory's manager of secure elements, which the element calls. */
  readonly managerUrl?: string | null;
  /**
   * Whether the system's PC/SC readers take part: a card that is presented there after a person's
   * consent is asked for a payment cryptogram.
   */
  readonly readers: boolean;
  readonly log?: AgentLog;
};

/** What tests take the place of. */
export type AgentServicePorts = {
  readonly element?: PayingElement;
  readonly readers?: ReaderSource;
  readonly clock?: Clock;
  readonly random?: RandomSource;
};

export type AgentService = {
  readonly port: number;
  /** Process number of the element, for tests that kill it. */
  readonly elementPid: () => number | undefined;
  readonly close: () => Promise<void>;
};

/**
 * Resolves when the service listens and the element's process runs; the element is enrolled as
 * soon as the gateway answers.
 * @throws TapError `ERR_PORT_IN_USE`, `ERR_ELEMENT_...`.
 */
export async function startAgentService(
  config: AgentServiceConfig,
  ports: AgentServicePorts = {},
): Promise<AgentService> {
  const { clock = systemClock, random = systemRandom } = ports;
  const log: AgentLog = config.log ?? (() => {});
  const directory = join(config.dataDir, 'agent');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pairing = new Pairing({
    directory,
    gatewayOrigins: config.gatewayOrigins,
    clock,
    random,
    log,
  });
  const keeper = ports.element === undefined ? await startKeeper(config, { clock, log }) : null;
  const element = ports.element ?? (keeper as ElementKeeper);
  const cards = new VirtualCards({
    directory: join(config.dataDir, 'cards'),
    ciphers: nodeCiphers,
    random,
    onChange: () => desk.onReaderChanged(),
  });
  const { serverName, gatewayOrigins, pagesDir } = config;
  const source = config.readers ? (ports.readers ?? new PcscReaders()) : null;
  const realReaders = new RealReaders({ source, log });
  const ciphers = nodeCiphers;
  const desk = new PaymentDesk({ element, cards, realReaders, serverName, ciphers, clock, log });
  const localKey = newLocalKey(random);
  let port = config.port;
  const http = { desk, pairing, gatewayOrigins, pagesDir, localKey, clock, log, port: () => port };
  const app = await buildHttp(http);
  try {
    port = await listen(app, config.port);
  } catch (fault) {
    await app.close();
    await realReaders.close();
    await element.close();
    throw fault;
  }
  writeLocalAgent(directory, { port, key: localKey });
  log({ event: 'agentStarted', port });
  const close = async (): Promise<void> => {
    removeLocalAgent(directory);
    desk.stop();
    await element.close();
    await desk.idle();
    await app.close();
    await cards.close();
    await realReaders.close();
    log({ event: 'agentStopped' });
  };
  let closing: Promise<void> | null = null;
  return {
    port,
    elementPid: () => keeper?.pid,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function startKeeper(
  config: AgentServiceConfig,
  { clock, log }: { readonly clock: Clock; readonly log: AgentLog },
): Promise<ElementKeeper> {
  const { element, gatewayUrl, requestPairingCode, managerUrl } = config;
  const pause = (ms: number): Promise<void> =>
    new Promise((done) => void clock.startTimer(ms, () => done()));
  const manager = managerUrl && httpManagerCaller({ managerUrl, isAnnounced: true, pause });
  const memory = new ElementMemory(join(config.dataDir, 'agent'));
  return ElementKeeper.start({
    config: element,
    gatewayUrl,
    requestPairingCode,
    ...(manager ? { manager } : {}),
    clock,
    log,
    // A native host may hold it for a page that pays nothing yet: it lets go and relays to us.
    takeLock: () => lockDirectory(element.storeDir, { waitMs: ELEMENT_WAIT_MS }),
    onStatus: (status) => memory.keepStatus(status),
  });
}

async function listen(app: FastifyInstance, port: number): Promise<number> {
  try {
    await app.listen({ host: HOST, port });
  } catch (cause) {
    const text = `port ${port} (agent) is in use; choose others with --port N`;
    throw new TapError('ERR_PORT_IN_USE', text, { port }, cause);
  }
  return (app.server.address() as AddressInfo).port;
}
