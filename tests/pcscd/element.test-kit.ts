/** Elements in readers of a private pcscd, and a manager that reaches them through PC/SC alone. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CardSession,
  type ChipCard,
  ElementCardTransport,
  type ElementProcess,
  type PcscReaders,
  startElement,
} from '@tapnpay/agent';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { encodeApplicationPackage } from '@tapnpay/protocol/globalplatform/data';
import {
  diversifyKeys,
  type StaticKeys,
  staticKeys,
} from '@tapnpay/protocol/globalplatform/offcard';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { type CardBirth, LAB_BIRTH } from '@tapnpay/protocol/wire';
import { elementConfig } from '../../cli/src/system/element.ts';
import { TestSlot } from './inside.test-kit.ts';

export const LOAD_FILE_AID = 'F054415009';
export const MODULE_AID = 'F05441500901';

/** Keeps what it is installed and personalised with; INS 02 answers it. */
const SOURCE = `
  export function createApplet(moduleAid, host) {
    const ok = (data) => ({ data: data ?? new Uint8Array(0), statusWord: 0x9000 });
    return {
      install(parameters) { host.objects.write('parameters', parameters); },
      select() { return ok(host.objects.read('parameters')); },
      process(command) {
        return command.ins === 2 ? ok(host.objects.read('data')) : { ...ok(), statusWord: 0x6d00 };
      },
      personalise(data) {
        host.objects.write('data', data.groupings[0].value);
        host.lifeCycle.change(0x0f);
        return ok();
      },
    };
  }`;

/** A package of that applet, so large that it takes several LOAD commands. */
export function testPackage(fillBytes: number): Uint8Array {
  return encodeApplicationPackage({
    manifest: {
      ...{ format: 1, name: 'test', version: '1.0.0', loadFileAid: LOAD_FILE_AID },
      ...{ interfaceVersion: 1, modules: [{ aid: MODULE_AID, name: 'test' }] },
      memoryBytes: 16 * 1024 * 1024,
    },
    bundle: `${SOURCE}\n// ${'x'.repeat(fillBytes)}\n`,
  });
}

/** Masters of a length. */
export function mastersOf(keyBytes: number): CardBirth['masters'] {
  const key = (first: number): string =>
    Buffer.from(Uint8Array.from({ length: keyBytes }, (_, index) => first + index))
      .toString('hex')
      .toUpperCase();
  return { encryption: key(0x10), mac: key(0x40), dataEncryption: key(0x70) };
}

/** Keys of the card with these masters. */
export function keysOf(birth: CardBirth, keyDiversificationData: Uint8Array): StaticKeys {
  const { encryption, mac, dataEncryption } = birth.masters;
  const masters = staticKeys({
    ...{ encryption: fromHex(encryption), mac: fromHex(mac) },
    dataEncryption: fromHex(dataEncryption),
  });
  const way = birth.algorithm === 'aes' ? 'kdf3' : 'emv';
  return diversifyKeys(nodeCiphers, masters, { way, keyDiversificationData });
}

/** Elements of one test run. */
export class Elements {
  readonly #root: string = mkdtempSync(join(tmpdir(), 'tapnpay-pcscd-element-'));
  readonly #loadFile: string = join(this.#root, 'payment.tplf');
  readonly #running: Set<ElementProcess> = new Set();
  #count = 0;

  /** A copy of the application: a build beside this run cannot change it under the elements. */
  constructor() {
    const code = readFileSync(elementConfig(this.#root, '').loadFile);
    writeFileSync(this.#loadFile, code);
    writeFileSync(`${this.#loadFile}.sha256`, toHex(nodeCiphers.sha256(new Uint8Array(code))));
  }

  /** A folder of a new element, or a copy of another one. */
  folder(from?: string): string {
    this.#count += 1;
    const name = `element-${this.#count}`;
    if (from !== undefined) {
      cpSync(join(this.#root, from), join(this.#root, name), { recursive: true });
    }
    return name;
  }

  async start(folder: string, birth: Partial<CardBirth> = {}): Promise<ElementProcess> {
    const config = elementConfig(this.#root, folder);
    const element = await startElement({
      ...{ ...config, loadFile: this.#loadFile, birth: { ...LAB_BIRTH, ...birth } },
      allowRead: [...config.allowRead, this.#loadFile],
    });
    this.#running.add(element);
    return element;
  }

  async stop(element: ElementProcess): Promise<void> {
    this.#running.delete(element);
    await element.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((element) => element.close()));
    rmSync(this.#root, { recursive: true });
  }
}

/** A slot whose card is an element that can be another one after each reset. */
export class ElementSlot {
  readonly #slot: TestSlot;
  #card: ElementCardTransport | null = null;
  #session: CardSession | null = null;

  constructor(readers: PcscReaders, slot: 0 | 1) {
    this.#slot = new TestSlot(readers, slot);
  }

  /** Puts the element into the reader, powers it anew, and gives the way to it through PC/SC. */
  async present(element: ElementProcess): Promise<CardSession> {
    this.#card = new ElementCardTransport(element);
    if (this.#session === null) {
      await this.#slot.insert(this.#chip());
      this.#session = await this.#slot.reader.connect({ sharing: 'exclusive' });
    } else {
      await this.#session.reset();
    }
    return this.#session;
  }

  /** Lets other programs at the reader; the card stays in. */
  async release(): Promise<void> {
    await this.#session?.disconnect();
    this.#session = null;
  }

  #chip(): ChipCard {
    const card = (): ElementCardTransport => this.#card ?? assert.fail('no element is in');
    return {
      interface: 'contact',
      reset: () => card().reset(),
      transmit: (command) => card().transmit(command),
    };
  }
}
