/**
 * What several programs of one system know of its element beside the lock: how it was last seen,
 * and which payment it is making. Files of this user alone; neither is believed by who holds it.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentHealth } from '@tapnpay/protocol/wire';
import {
  checkShape,
  countShape,
  elementStatusShape,
  nullableShape,
  objectShape,
  type Shape,
  textShape,
} from '@tapnpay/protocol/wire';

/** Longest wait for another program that lets the element go. */
export const ELEMENT_WAIT_MS = 4_000;
const STATUS_FILE = 'element-seen.json';
const HOLDER_FILE = 'element-holder.json';

/** Whose session keeps the element from others. */
export type ElementHolder = {
  readonly processId: number;
  readonly gatewayOrigin: string;
  /** Null: no order is paid, a balance is read. */
  readonly orderId: string | null;
  /** Unix time in milliseconds. */
  readonly sinceMs: number;
};
const holderShape: Shape<ElementHolder> = objectShape<ElementHolder>({
  processId: countShape(),
  gatewayOrigin: textShape(256),
  orderId: nullableShape(textShape(64)),
  sinceMs: countShape(),
});

/** The two files of one system; `directory` is `<dataDir>/agent`. */
export class ElementMemory {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** How the element was last seen; not enrolled, when nobody has seen it. */
  status(): AgentHealth['element'] {
    return this.#read(STATUS_FILE, elementStatusShape) ?? { id: null, state: 'notEnrolled' };
  }

  keepStatus(status: AgentHealth['element']): void {
    this.#write(STATUS_FILE, status);
  }

  /** Who pays with the element; null when nobody says so, or who said so has ended. */
  holder(): ElementHolder | null {
    const holder = this.#read(HOLDER_FILE, holderShape);
    return holder !== null && isAlive(holder.processId) ? holder : null;
  }

  keepHolder(holder: ElementHolder): void {
    this.#write(HOLDER_FILE, holder);
  }

  forgetHolder(): void {
    rmSync(join(this.#directory, HOLDER_FILE), { force: true });
  }

  /** A file that cannot be read says nothing. */
  #read<T>(file: string, shape: Shape<T>): T | null {
    const path = join(this.#directory, file);
    if (!existsSync(path)) return null;
    try {
      return checkShape(shape, JSON.parse(readFileSync(path, 'utf8')), file);
    } catch {
      return null;
    }
  }

  /** Replaced whole, but not made durable: after a power cut it says nothing of use. */
  #write(file: string, value: unknown): void {
    const path = join(this.#directory, file);
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, `${JSON.stringify(value)}\n`, { mode: 0o600 });
    renameSync(fresh, path);
  }
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (fault) {
    // Somebody else's process is alive too.
    return fault instanceof Error && 'code' in fault && fault.code === 'EPERM';
  }
}
