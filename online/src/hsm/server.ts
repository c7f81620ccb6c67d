/** An HSM as a process: its folder, and a listener on loopback. */
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { encodeHsmFrame, HSM_HELLO_TIMEOUT_MS, HsmFrameDecoder } from '../runtime/hsm-wire.ts';
// Not by the folder's index: the process that holds the keys loads no database and no HTTP.
import type { Log } from '../runtime/logging.ts';
import type { HsmParty } from '../runtime/party-keys.ts';
import { nodeCiphers, systemClock, systemRandom } from '../runtime/system.ts';
import { createHsmContext } from './context.ts';
import { EmbeddedDriver } from './embedded.ts';
import type { HsmDevice } from './execute.ts';
import { sealedRsaVault } from './rsa-vault.ts';
import { HsmSession, type HsmTokens, refusal, type SessionOutput } from './session.ts';
import { sealedSigningVault } from './signing-vault.ts';
import { hsmFolder, openInitialKeyLedger, openMasterKey, openTokens } from './store.ts';

/** Most callers at one time; further ones are cut off. */
export const HSM_CONNECTIONS_MAX = 64;

/** Frames of one connection that are worked on at one time; it is not read beyond them. */
export const HSM_FRAMES_IN_FLIGHT_MAX = 64;

/** What an HSM is started with. */
export type HsmServerConfig = {
  readonly dataDir: string;
  readonly party: HsmParty;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log?: Log;
  readonly ciphers?: CipherProvider;
  readonly random?: RandomSource;
  readonly clock?: Clock;
};

/** A started HSM. */
export type RunningHsm = {
  readonly port: number;
  readonly masterKeyKcv: string;
  readonly close: () => Promise<void>;
};

/**
 * Opens or makes the HSM of `party` and listens on 127.0.0.1.
 * @throws HsmError `ERR_HSM_STORE`; Node's error when the port is taken.
 */
export async function startHsm(config: HsmServerConfig): Promise<RunningHsm> {
  const { dataDir, party } = config;
  const random = config.random ?? systemRandom;
  const ciphers = config.ciphers ?? nodeCiphers;
  const { lmk, label } = openMasterKey({ dataDir, party, random, ciphers });
  const tokens = openTokens({ dataDir, party, random });
  const folder = hsmFolder(dataDir, party);
  const path = join(folder, 'rsa.bin');
  const context = createHsmContext({
    ...{ lmk, label, ciphers, random, party },
    rsa: sealedRsaVault({ path, lmk, random }),
    signing: sealedSigningVault({ path: join(folder, 'signing.bin'), lmk, random }),
    initialKeys: openInitialKeyLedger(dataDir, party),
  });
  lmk.fill(0);
  const device = { party, driver: new EmbeddedDriver(context) };
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    if (sockets.size >= HSM_CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, { device, tokens, random, clock: config.clock ?? systemClock, log: config.log });
  });
  const port = await listen(server, config.port);
  return {
    port,
    masterKeyKcv: context.masterKeyKcv,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
      device.driver.close();
    },
  };
}

type Service = {
  readonly device: HsmDevice;
  readonly tokens: HsmTokens;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly log: Log | undefined;
};

/** Drives one session; a caller that says junk gets one coded error and is cut off. */
function serve(socket: Socket, service: Service): void {
  const session = new HsmSession(service);
  const decoder = new HsmFrameDecoder();
  let isOver = false;
  const cancelTimer = service.clock.startTimer(HSM_HELLO_TIMEOUT_MS, () => {
    if (!session.caller) socket.destroy();
  });
  const send = (output: SessionOutput): void => {
    if (isOver) return;
    isOver = output.isOver;
    const frame = encodeHsmFrame(JSON.stringify(output.frame));
    if (output.isOver) {
      if ('error' in output.frame) {
        service.log?.({ event: 'hsmConnectionRefused', code: output.frame.error.code });
      }
      socket.removeAllListeners('data');
      socket.end(frame, () => socket.destroy());
    } else if (!socket.write(frame)) {
      // A caller that does not read its answers is not read either.
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  };
  let framesInFlight = 0;
  const answer = async (value: unknown): Promise<void> => {
    framesInFlight++;
    if (framesInFlight >= HSM_FRAMES_IN_FLIGHT_MAX) socket.pause();
    send(await session.receive(value));
    framesInFlight--;
    if (framesInFlight < HSM_FRAMES_IN_FLIGHT_MAX && !socket.writableNeedDrain) socket.resume();
  };
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const value of decoder.push(chunk)) void answer(value);
    } catch (thrown) {
      send(refusal(thrown));
    }
  });
  socket.once('close', cancelTimer);
  socket.on('error', (error) => {
    service.log?.({ event: 'hsmConnectionLost', message: error.message });
  });
  socket.write(encodeHsmFrame(JSON.stringify(session.greeting())));
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen({ host: '127.0.0.1', port }, () => {
      server.removeListener('error', fail);
      done();
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
