/**
 * The real host as a browser starts it, in a system of its own: a temporary data folder, a gateway
 * that enrols elements and speaks TLS, one virtual card; and a page that relays records to it.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, type Socket, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { createServer, type Server } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { toHex } from '@tapnpay/protocol/bytes';
import { kcvAes } from '@tapnpay/protocol/crypto';
import type { IccImage } from '@tapnpay/protocol/emv/data';
import {
  AGENT_VERSION,
  applicationMessageShape,
  checkShape,
  cutNativeFrame,
  type EnrolmentRequest,
  encodeJsonFrame,
  enrolmentRequestShape,
  JsonFrameDecoder,
  NATIVE_PROTOCOL,
  type NativeChunk,
  type NativeHostFrame,
  NativeJoiner,
  type NativeWorkerFrame,
  nativeHostFrameShape,
  type TerminalParametersJson,
} from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../../protocol/node/certificates.test-pki.ts';
import {
  TEST_PARAMETER_KEY_SPKI,
  TestGateway,
  testParameters,
} from '../../../protocol/node/gateway.test-peer.ts';
import { builtLoadFile } from '../../../protocol/node/load-file.test-build.ts';
import { imageUdk } from '../../../protocol/src/emv/data/icc-image.test-kit.ts';
import { sampleCard } from '../../../protocol/src/emv/icc/sample.test-card.ts';
import { nodeCiphers } from '../system.ts';
import { type HostConfig, hostConfigPath } from './config.ts';
import { encodeNativeFrame, NativeFrameDecoder } from './frames.ts';

export const SERVER_NAME = 'gateway.tapnpay.test';
export const EXTENSION_ID = 'abcdefghijklmnopabcdefghijklmnop';
export const CARD = 'test';
export const PIN = '246810';
export const SESSION = '11111111-2222-4333-8444-555555555555';
export const SESSION_2 = '11111111-2222-4333-8444-666666666666';
/** Longest real wait for something that must come; other tests share the machine. */
const PATIENCE_MS = 20_000;
const INITIAL_KEY = new Uint8Array(16).fill(0x42);
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

export type HostFrame = Exclude<NativeHostFrame, NativeChunk>;

function rsaKey(modulusLength: number) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
const spkiKey = (hex: string) =>
  createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'spki' });
function listen(server: { listen(port: number, host: string, done: () => void): unknown }) {
  return new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

/** Waits until it is so; looks again every few milliseconds. @throws after `PATIENCE_MS`. */
export async function until(isSo: () => boolean, what = 'it'): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadlineMs) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether it still runs; an ended process that nobody has asked for does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^\d+ \(.*\) [ZX]/s.test(stat);
  } catch {
    return false;
  }
}

/** Processes of this machine whose command line names the text; ended ones have none. */
export function processesWith(text: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** One system without any of its servers but a gateway. */
export class TestSystem {
  readonly dataDir: string;
  readonly hosts: HostClient[] = [];
  gateway: TestGateway;
  /** The one card that its gateway knows. */
  readonly image: IccImage;
  /** Takes payments and answers nothing. */
  isSilent = false;
  /** Elements that asked to be enrolled. */
  enrolments = 0;
  readonly #authority: TestAuthority = new TestAuthority();
  readonly #certified: Map<string, string> = new Map();
  readonly #parameters: TerminalParametersJson;
  readonly #http: HttpServer;
  readonly #tls: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(folder: string) {
    this.dataDir = join(mkdtempSync(join(tmpdir(), 'tapnpay-host-')), folder);
    const keys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
    const { image, caKey } = sampleCard(nodeCiphers, keys);
    this.image = image;
    this.#parameters = parametersWith(caKey);
    this.gateway = new TestGateway(imageUdk(image, 'udkAc'));
    for (const name of ['cards', 'gateway', 'agent']) {
      mkdirSync(join(this.dataDir, name), { recursive: true });
    }
    writeFileSync(join(this.dataDir, 'cards', `${CARD}.json`), JSON.stringify(image));
    const operator = JSON.stringify({ operatorKey: 'operator-key', apiKey: 'merchant-key' });
    writeFileSync(join(this.dataDir, 'gateway', 'merchant-key.json'), operator);
    this.#http = this.#createHttp();
    this.#tls = this.#createTls();
  }

  static async start(
    options: { readonly folder?: string; readonly readers?: boolean } = {},
  ): Promise<TestSystem> {
    const { folder = 'data', readers = false } = options;
    builtLoadFile();
    const system = new TestSystem(folder);
    await listen(system.#http);
    await listen(system.#tls);
    const config = system.config({ readers });
    writeFileSync(hostConfigPath(system.dataDir), JSON.stringify(config));
    return system;
  }

  get gatewayUrl(): string {
    return `http://127.0.0.1:${portOf(this.#http)}`;
  }

  get tlsPort(): number {
    return portOf(this.#tls);
  }

  /** The only origin whose pages may pay. */
  get origin(): string {
    return this.gatewayUrl;
  }

  config(change: Partial<HostConfig> = {}): HostConfig {
    return {
      dataDir: this.dataDir,
      gatewayOrigins: [this.gatewayUrl, 'https://second.example'],
      gatewayUrl: this.gatewayUrl,
      serverName: SERVER_NAME,
      pairing: 'operator',
      managerUrl: null,
      readers: false,
      extensionId: EXTENSION_ID,
      geckoId: 'plugin@tapnpay.org',
      ...change,
    };
  }

  /** The next payment's gateway. */
  freshGateway(): TestGateway {
    this.gateway = this.gateway.withScript({});
    return this.gateway;
  }

  /** A host as Chromium starts it. */
  host(options: Partial<HostOptions> = {}): HostClient {
    const host = new HostClient({ configFile: hostConfigPath(this.dataDir), ...options });
    this.hosts.push(host);
    return host;
  }

  /** Element processes of this system. */
  elements(): readonly number[] {
    return processesWith(join(this.dataDir, 'element'));
  }

  async close(): Promise<void> {
    for (const host of this.hosts) host.child.kill('SIGKILL');
    await Promise.all(this.hosts.map((host) => host.exited));
    this.#http.close();
    this.#http.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    this.#tls.close();
    rmSync(join(this.dataDir, '..'), { recursive: true, force: true });
  }

  #createHttp(): HttpServer {
    return createHttpServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const isOperator = request.headers.authorization === 'Bearer operator-key';
      const answer = this.#answer(`${request.method} ${request.url}`, body, isOperator);
      response.writeHead(answer === null ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? { code: 'ERR_NOT_FOUND', message: '', data: {} }));
    });
  }

  #answer(route: string, body: string, isOperator: boolean): unknown {
    if (route === 'GET /v1/health') return {};
    if (route === 'POST /v1/pairing-codes' && isOperator) return { code: '0123456789' };
    if (route !== 'POST /v1/enrolments') return null;
    this.enrolments += 1;
    return this.#grant(checkShape(enrolmentRequestShape, JSON.parse(body), 'request'));
  }

  #grant(request: EnrolmentRequest) {
    this.#certified.set(`CN=${request.elementId}`, request.publicKeySpki);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const key = { key: spkiKey(request.transportKeySpki), padding, oaepHash: 'sha256' };
    const publicKey = spkiKey(request.publicKeySpki);
    return {
      certificatePem: this.#authority.certify({ name: request.elementId, publicKey }),
      caPem: this.#authority.certPem,
      orderPublicKeySpki: this.gateway.orderPublicKeySpki,
      initialKeyId: '5441500100000001',
      encipheredInitialKey: toHex(publicEncrypt(key, INITIAL_KEY)),
      initialKeyKcv: kcvAes(nodeCiphers, INITIAL_KEY),
      parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
      parameters: testParameters(this.#parameters),
    };
  }

  #createTls(): Server {
    const { certPem, keyPem } = this.#authority.issue({ name: 'gateway', dnsName: SERVER_NAME });
    const server = createServer({
      ca: this.#authority.certPem,
      cert: certPem,
      key: keyPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    });
    // A resumed session shows no certificate: the one of its first handshake is remembered.
    let lastSubject = '';
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('secureConnection', (socket) => {
      lastSubject = socket.getPeerX509Certificate()?.subject ?? lastSubject;
      const publicKeySpki = this.#certified.get(lastSubject) ?? '';
      const exported = socket.exportKeyingMaterial(32, 'EXPORTER-tapandpay', Buffer.alloc(0));
      const decoder = new JsonFrameDecoder(32_768);
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        for (const frame of decoder.push(chunk)) {
          const message = checkShape(applicationMessageShape, frame, 'message');
          const peer = { publicKeySpki, exporter: toHex(exported) };
          const reply = this.gateway.answer(message, peer);
          if (message.type === 'payment' && this.isSilent) continue;
          if (reply === 'close') socket.destroy();
          else for (const part of reply) socket.write(encodeJsonFrame(part, 32_768));
        }
      });
    });
    server.on('tlsClientError', () => {});
    return server;
  }
}

function parametersWith(
  caKey: TerminalParametersJson['caPublicKeys'][number],
): TerminalParametersJson {
  return {
    terminalTransactionQualifiers: '34000080',
    countryCode: '0156',
    terminalType: '22',
    terminalCapabilities: 'E068C0',
    additionalTerminalCapabilities: 'F000F0A001',
    aids: [
      {
        aid: 'A000000333010101',
        applicationVersion: '0030',
        tacDefault: 'D84000A800',
        tacDenial: '0010000000',
        tacOnline: 'D84004F800',
        floorLimitMinor: '0',
        defaultDdol: '9F3704',
        contactless: {
          ...{ floorLimitMinor: '0', transactionLimitMinor: '500000', cvmLimitMinor: '30000' },
        },
      },
    ],
    caPublicKeys: [caKey],
  };
}

export type HostOptions = {
  readonly configFile: string;
  /** Arguments instead of `--config FILE` and Chromium's own. */
  readonly args: readonly string[];
  readonly nodeArgs: readonly string[];
  /** The host's program: its source, or a built file. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
};

/** What the host's process did: its frames in their order, and everything that was none. */
export class HostClient {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly frames: HostFrame[] = [];
  /** Exit status, and when, by `performance.now()`. */
  readonly exited: Promise<{ readonly status: number | null; readonly atMs: number }>;
  readonly startedAtMs: number = performance.now();
  stderr = '';
  /** Bytes of standard output that are no whole frames. */
  isClean = true;
  isExited = false;
  onFrame: (frame: HostFrame) => void = () => {};
  readonly #decoder: NativeFrameDecoder = new NativeFrameDecoder();
  readonly #joiner: NativeJoiner = new NativeJoiner();
  #read = 0;
  #cut = 0;

  constructor(options: Partial<HostOptions>) {
    const { configFile, args, nodeArgs = [], entry = MAIN, env = {} } = options;
    const own = args ?? ['--config', configFile ?? '', `chrome-extension://${EXTENSION_ID}/`];
    this.child = spawn(process.execPath, [...nodeArgs, entry, ...own], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.child.stdin.on('error', () => {});
    this.child.stdout.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk;
    });
    this.exited = new Promise((resolve) => {
      this.child.once('close', (status) => {
        this.isExited = true;
        if (!this.#decoder.isEmpty) this.isClean = false;
        resolve({ status, atMs: performance.now() });
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  #onData(chunk: Buffer): void {
    try {
      for (const body of this.#decoder.push(chunk)) {
        const joined = this.#joiner.take(JSON.parse(body.toString('utf8')));
        if (joined === null) continue;
        const frame = checkShape(nativeHostFrameShape, joined, 'frame');
        this.frames.push(frame);
        this.onFrame(frame);
      }
    } catch (fault) {
      this.isClean = false;
      this.stderr += `\nthe test could not read: ${fault}`;
    }
  }

  /** The next frame that fits; those before it are passed over. */
  async next<T extends HostFrame>(fits: (frame: HostFrame) => frame is T, what = ''): Promise<T> {
    let found: T | undefined;
    await until(() => {
      while (found === undefined && this.#read < this.frames.length) {
        const frame = this.frames[this.#read++];
        if (frame !== undefined && fits(frame)) found = frame;
      }
      return found !== undefined || this.isExited;
    }, what);
    if (found === undefined) throw new Error(`the host ended before ${what}: ${this.stderr}`);
    return found;
  }

  send(frame: Exclude<NativeWorkerFrame, NativeChunk>): void {
    for (const one of cutNativeFrame(frame, this.#cut++)) this.sendText(JSON.stringify(one));
  }

  sendText(text: string): void {
    this.sendBytes(encodeNativeFrame(text));
  }

  sendBytes(bytes: Uint8Array): void {
    this.child.stdin.write(bytes);
  }

  hello(origin: string): void {
    this.send({
      type: 'hello',
      version: '0.1.0',
      protocol: NATIVE_PROTOCOL,
      page: { origin, tabId: 1, frameId: 0 },
    });
  }

  /** A page that was welcomed. */
  async open(origin: string): Promise<void> {
    await this.next(ofType('hello'), 'hello');
    this.hello(origin);
    this.send({ type: 'page', message: { type: 'hello', version: AGENT_VERSION, token: null } });
    await this.next(isMessage('welcome'), 'welcome');
  }

  /** The browser's side ends. Resolves with status and the milliseconds until the end. */
  async end(): Promise<{ readonly status: number | null; readonly ms: number }> {
    const fromMs = performance.now();
    this.child.stdin.end();
    const { status, atMs } = await this.exited;
    return { status, ms: atMs - fromMs };
  }
}

export function ofType<T extends HostFrame['type']>(type: T) {
  return (frame: HostFrame): frame is Extract<HostFrame, { type: T }> => frame.type === type;
}

type PageFrame = Extract<HostFrame, { type: 'page' }>;
type Message = PageFrame['message'];
export type MessageFrame<T extends Message['type']> = PageFrame & {
  readonly message: Extract<Message, { type: T }>;
};
/** A message to the page. */
export function isMessage<T extends Message['type']>(type: T) {
  return (frame: HostFrame): frame is MessageFrame<T> =>
    frame.type === 'page' && frame.message.type === type;
}

/** The page is told this state. */
export function isState(name: string) {
  return (frame: HostFrame): frame is MessageFrame<'state'> =>
    isMessage('state')(frame) && frame.message.state.name === name;
}

type WindowFrame = Extract<HostFrame, { type: 'window' }>;
type View = WindowFrame & {
  readonly message: Extract<WindowFrame['message'], { type: 'view' }>;
};
/** The window is shown this state of its payment. */
export function isShown(name: string) {
  return (frame: HostFrame): frame is View =>
    frame.type === 'window' &&
    frame.message.type === 'view' &&
    frame.message.payment?.state.name === name;
}

/** A page of the gateway behind a host: it carries records to the gateway's listener, unread. */
export class RelayingPage {
  readonly host: HostClient;
  /** What passed it, as the page sees it. */
  readonly records: Buffer[] = [];
  readonly #port: number;
  #socket: Socket | null = null;

  constructor(host: HostClient, tlsPort: number) {
    this.host = host;
    this.#port = tlsPort;
    host.onFrame = (frame) => this.#onFrame(frame);
  }

  pay(session: string = SESSION, orderId = 'order-1'): void {
    this.host.send({ type: 'page', message: { type: 'pay', session, orderId } });
  }

  /** The way to the gateway is lost. */
  cut(): void {
    this.#socket?.destroy();
  }

  #onFrame(frame: HostFrame): void {
    if (frame.type !== 'page') return;
    const { message } = frame;
    if (message.type === 'openChannel') this.#open(message.session);
    if (message.type === 'channelEnd') this.#socket?.end();
    if (message.type === 'channelData') {
      const records = Buffer.from(message.base64, 'base64');
      this.records.push(records);
      this.#socket?.write(records);
    }
  }

  #open(session: string): void {
    const socket = tcpConnect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    const tell = (message: PageToHost): void => this.host.send({ type: 'page', message });
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('connect', () => tell({ type: 'channelOpened', session }));
    socket.on('data', (records: Buffer) => {
      this.records.push(records);
      tell({ type: 'channelData', session, base64: records.toString('base64') });
    });
    socket.on('close', () => {
      if (this.#socket === socket) tell({ type: 'channelClosed', session });
    });
  }
}
type PageToHost = Extract<NativeWorkerFrame, { type: 'page' }>['message'];
