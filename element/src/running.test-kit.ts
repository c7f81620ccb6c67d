/** A running element process for tests, with its events as a queue, and an enrolment for it. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { toHex } from '@tapnpay/protocol/bytes';
import { kcvAes } from '@tapnpay/protocol/crypto';
import {
  checkShape,
  ELEMENT_FRAME_BYTES_MAX,
  type ElementEvent,
  elementEventShape,
  encodeJsonFrame,
  enrolmentRequestShape,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import { TEST_PARAMETER_KEY_SPKI, testParameters } from '../../protocol/node/gateway.test-peer.ts';
import { loadFileOf } from './load-file.test-kit.ts';
import { elementCiphers } from './system.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const READABLE = ['./', '../package.json', '../../protocol/', '../../node_modules/'].map(here);

/** An element's answer to a request. */
export type Answer = Extract<ElementEvent, { type: 'answer' }>;

/** A running element with its events as a queue; `application` is a file beside this one. */
export class Running {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly exitCode: Promise<number | null>;
  readonly #events: ElementEvent[] = [];
  #wake: () => void = () => {};
  #id = 0;
  stderr = '';

  constructor(
    directory: string,
    {
      application = 'probe.test-application.ts',
      flags = ['--permission'],
      env = {},
      words = [],
    }: {
      readonly application?: string;
      readonly flags?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      /** Behind the element's own arguments, for what a test loads into the process. */
      readonly words?: readonly string[];
    } = {},
  ) {
    const { path, hash } = loadFileOf(application);
    const reads = [...READABLE, directory, path].map((one) => `--allow-fs-read=${one}`);
    const allowed = flags.includes('--permission')
      ? [...reads, `--allow-fs-write=${directory}`, '--no-experimental-sqlite']
      : [];
    this.child = spawn(
      process.execPath,
      [...flags, ...allowed, here('./main.ts'), directory, path, hash, ...words],
      { env, stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const decoder = new JsonFrameDecoder(ELEMENT_FRAME_BYTES_MAX);
    this.child.stdin.on('error', () => {});
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk;
    });
    this.child.stdout.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        this.#events.push(checkShape(elementEventShape, frame, 'event'));
      }
      this.#wake();
    });
    this.exitCode = new Promise((resolve) => {
      this.child.once('close', (code) => {
        resolve(code);
        this.#wake();
      });
    });
  }

  write(message: unknown): void {
    this.child.stdin.write(encodeJsonFrame(message, ELEMENT_FRAME_BYTES_MAX));
  }

  async event(): Promise<ElementEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event) return event;
      const { exitCode, signalCode } = this.child;
      assert.equal(exitCode ?? signalCode, null, `the element ended: ${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async ask(request: object): Promise<Answer> {
    this.#id += 1;
    this.write({ ...request, id: this.#id });
    for (;;) {
      const event = await this.event();
      if (event.type === 'answer' && event.id === this.#id) return event;
    }
  }

  async end(): Promise<number | null> {
    this.child.stdin.end();
    return await this.exitCode;
  }
}

/** Enrols it under an authority; answers its new id. */
export async function enrol(
  element: Running,
  authority: TestAuthority = new TestAuthority(),
): Promise<string> {
  const begun = await element.ask({ type: 'beginEnrolment', pairingCode: '0123456789' });
  const request = checkShape(enrolmentRequestShape, begun.result, 'request');
  const spki = (hex: string) =>
    createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'spki' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const transport = { key: spki(request.transportKeySpki), padding, oaepHash: 'sha256' };
  const orderKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const grant = {
    certificatePem: authority.certify({
      name: request.elementId,
      publicKey: spki(request.publicKeySpki),
    }),
    caPem: authority.certPem,
    orderPublicKeySpki: toHex(orderKey.export({ type: 'spki', format: 'der' })),
    initialKeyId: '5441500100000001',
    encipheredInitialKey: toHex(publicEncrypt(transport, Buffer.alloc(16, 7))),
    initialKeyKcv: kcvAes(elementCiphers, new Uint8Array(16).fill(7)),
    parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
    parameters: testParameters({
      terminalTransactionQualifiers: '26000080',
      ...{ countryCode: '0156', terminalType: '22', terminalCapabilities: 'E068C0' },
      ...{ additionalTerminalCapabilities: 'F000F0A001', aids: [], caPublicKeys: [] },
    }),
  };
  const finished = await element.ask({ type: 'finishEnrolment', grant });
  assert.equal(finished.error, undefined);
  return request.elementId;
}
