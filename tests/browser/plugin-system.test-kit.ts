/**
 * A whole system whose payers have the plug-in: the extension of its own gateway, the host as the
 * installer registers it, and what gateway, ledger, card and process table say afterwards.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  askLocalReader,
  hostConfigPath,
  type InstallTarget,
  installHost,
  type PlaceFacts,
  wrapperPath,
} from '@tapnpay/agent';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import { manifestOf, type PluginVersions } from '@tapnpay/protocol/wire';
import pg from 'pg';
import { lockCard, lockDirectory } from '../../agent/src/directory-lock.ts';
import {
  hostConfigOf,
  hostEntry,
  thesePlaces,
  versionsOf,
} from '../../cli/src/system/host-config.ts';
import { readSystemConfig, versionOf } from '../../cli/src/system/layout.ts';
import { TestSystem, temporaryDataDir } from '../system.test-kit.ts';

const BUILT = join(import.meta.dirname, '../../web/dist/extension');
/** Longest wait for something that must come; the machine may be busy with others. */
export const PATIENCE_MS = 60_000;
const LOOK_MS = 10;
/** From the loss of a page to the end of its host and its element. */
export const PROCESS_END_MS = 2_500;
/** Nobody answers for an order that was never tried. */
const SETTLED = ['none', 'captured', 'declined', 'reversed'] as const;

/** Looks again and again until there is something. */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

/** How the money stands: the acquirers' clearing account, and the card's own counter. */
export type Standing = { readonly ledgerMinor: bigint; readonly counter: number };
/** An order and its last payment, as the gateway has them. */
export type OrderEnd = { readonly order: string; readonly payment: string };

/** One system and the plug-in of its payers. */
export class PluginSystem {
  readonly system: TestSystem;
  /** The browsers' things: profiles, the extension. */
  readonly folder: string;
  #books: pg.Client | null = null;
  #heldSupervisor: number | null = null;

  constructor() {
    this.system = new TestSystem(temporaryDataDir());
    this.folder = mkdtempSync(join(tmpdir(), 'tapnpay-plugin-'));
  }

  get dataDir(): string {
    return this.system.dataDir;
  }

  get gateway(): string {
    return this.system.ready.gateway;
  }

  /** `more` are options of `up`. */
  async up(...more: readonly string[]): Promise<void> {
    await this.system.up(...more);
    this.#books = new pg.Client({ connectionString: this.system.databaseUrl });
    await this.#books.connect();
  }

  /**
   * The machine without the agent's service, which would hold element and cards: it is killed, and
   * its supervisor held so that it does not come back.
   */
  async withoutService(): Promise<void> {
    if (this.#heldSupervisor !== null) return;
    const [supervisor = 0] = this.system.processes();
    const agent = this.system.processOf('agent');
    process.kill(supervisor, 'SIGSTOP');
    this.#heldSupervisor = supervisor;
    process.kill(agent, 'SIGKILL');
    await until(() => this.elements().length === 0, 'the end of the element of the service');
  }

  /** The service comes back. */
  async withService(): Promise<void> {
    this.#letSupervisor();
    await until(
      () =>
        askLocalReader(this.dataDir, null).then(
          () => true,
          () => false,
        ),
      'the service',
    );
  }

  #letSupervisor(): void {
    if (this.#heldSupervisor !== null) process.kill(this.#heldSupervisor, 'SIGCONT');
    this.#heldSupervisor = null;
  }

  /** The versions document. */
  versions(): Promise<PluginVersions> {
    return versionsOf(readSystemConfig(this.dataDir));
  }

  /** The operator's word on versions. */
  publish(overrides: object): void {
    writeFileSync(join(this.dataDir, 'publisher/versions.json'), JSON.stringify(overrides));
  }

  /** The built extension as a browser loads it from disk; answers its folder. */
  async unpackExtension(
    browser: 'chromium' | 'firefox',
    version: string = versionOf('plugin'),
  ): Promise<string> {
    if (!existsSync(BUILT)) throw new Error('the extension is not built: node web/build.ts');
    const { extension } = await this.versions();
    const pem = readFileSync(join(this.dataDir, 'publisher/extension-key.pem'), 'utf8');
    const spki = createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'der' });
    const manifest = manifestOf({
      browser,
      version,
      gatewayOrigins: [this.gateway],
      publicKeyBase64: spki.toString('base64'),
      updateUrl: null,
      geckoId: extension.geckoId,
      geckoUpdateUrl: null,
    });
    const folder = join(this.folder, `extension-${browser}-${version}`);
    cpSync(BUILT, folder, { recursive: true });
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    return folder;
  }

  /** What `tapnpay agent install` does, in this process. */
  async installHost(target: InstallTarget, places: PlaceFacts = thesePlaces()): Promise<void> {
    const config = hostConfigOf(readSystemConfig(this.dataDir), await this.versions());
    const nodePath = process.execPath;
    const parts = await installHost({ config, target, places, nodePath, entry: hostEntry() });
    const failed = parts.find(({ error }) => error !== null);
    if (failed?.error) throw new Error(`${failed.path}: ${failed.error.message}`);
    this.keepHostLog();
  }

  /** The installed wrapper, but for its diagnostics, which a browser would swallow. */
  keepHostLog(): void {
    const program = wrapperPath(this.dataDir, process.platform);
    const text = readFileSync(program, 'utf8');
    writeFileSync(program, text.replace(/"\$@"$/m, `"$@" 2>>'${this.#hostLog}'`));
  }

  get #hostLog(): string {
    return join(this.folder, 'host.log');
  }

  /** What hosts wrote to their standard error. */
  hostLog(): string {
    return existsSync(this.#hostLog) ? readFileSync(this.#hostLog, 'utf8') : '';
  }

  /** Processes of hosts of this system. */
  hosts(): readonly number[] {
    return processesNaming(hostConfigPath(this.dataDir));
  }

  /** Processes of its element. */
  elements(): readonly number[] {
    return processesNaming(join(this.dataDir, 'element'));
  }

  /** Hosts, and the element where no service holds it. */
  leftovers(): readonly number[] {
    return this.#heldSupervisor === null ? this.hosts() : [...this.hosts(), ...this.elements()];
  }

  /** Milliseconds until nothing is left of the pages that are gone. */
  async untilNothingLeft(): Promise<number> {
    const startedMs = performance.now();
    await until(() => this.leftovers().length === 0, `the end of ${this.leftovers()}`);
    return performance.now() - startedMs;
  }

  /** A hand at the reader of the service. */
  async pullCard(): Promise<void> {
    await askLocalReader(this.dataDir, { type: 'takeAway' });
  }

  /**
   * Takes element and card as the next payment would, and gives them back. A card that was inserted
   * at the service's reader stays there until a person takes it out. @throws in use.
   */
  async takeElementAndCard(card: string): Promise<void> {
    if (this.#heldSupervisor === null) return await this.pullCard();
    const element = await lockDirectory(join(this.dataDir, 'element'));
    await element.release();
    const held = await lockCard(this.#cardPath(card), card);
    await held.release();
  }

  #cardPath(card: string): string {
    return join(this.dataDir, 'cards', `${card}.json`);
  }

  /** The card's application transaction counter. */
  counterOf(card: string): number {
    const image = parseIccImage(readFileSync(this.#cardPath(card), 'utf8'));
    return iccSummary(image).applicationTransactionCounter;
  }

  /** The card's number. */
  panOf(card: string): string {
    return iccSummary(parseIccImage(readFileSync(this.#cardPath(card), 'utf8'))).pan;
  }

  /** What the issuer has booked to acquirers, in all or of payments of this amount. */
  async ledgerMinor(amountMinor: bigint | null = null): Promise<bigint> {
    const [row] = await this.#ask<{ readonly sum: string }>(
      `SELECT coalesce(sum(amount_minor), 0)::text AS sum FROM issuer.ledger_entries
         WHERE account_id LIKE 'clearing-%' AND abs(amount_minor) = coalesce($1, abs(amount_minor))`,
      [amountMinor === null ? null : String(amountMinor)],
    );
    return BigInt(row?.sum ?? '0');
  }

  /** All that the issuer has booked to acquirers, and the card's counter. */
  async standing(card: string): Promise<Standing> {
    return { ledgerMinor: await this.ledgerMinor(), counter: this.counterOf(card) };
  }

  /**
   * The gateway's word on an order, once it is final and the issuer's ledger agrees: since `before`,
   * or where each payment has an amount of its own, by that amount.
   */
  async settled(
    orderId: string,
    facts: { readonly amountMinor: bigint; readonly before?: Standing; readonly card?: string },
  ): Promise<OrderEnd> {
    const { amountMinor, before } = facts;
    let last = '';
    const look = async (): Promise<OrderEnd | false> => {
      const [now] = await this.#ask<OrderEnd>(
        `SELECT o.status AS order, coalesce(p.state, 'none') AS payment
           FROM gateway.orders o LEFT JOIN gateway.payments p ON p.payment_id = o.payment_id
          WHERE o.order_id = $1`,
        [orderId],
      );
      if (now === undefined) return false;
      const bookedMinor = before
        ? (await this.ledgerMinor()) - before.ledgerMinor
        : await this.ledgerMinor(amountMinor);
      last = `${now.order}, its payment ${now.payment}, booked ${bookedMinor}`;
      const owedMinor = now.payment === 'captured' ? amountMinor : 0n;
      const isFinal = SETTLED.some((state) => state === now.payment) && now.order !== 'processing';
      return isFinal && bookedMinor === owedMinor && now;
    };
    try {
      return await until(look, 'the end of an order');
    } catch {
      throw new Error(`order ${orderId} is ${last}\n${this.hostLog()}`);
    }
  }

  /** Waits until the gateway has a payment of this order. */
  async untilPayment(orderId: string): Promise<void> {
    const query = 'SELECT 1 FROM gateway.payments WHERE order_id = $1';
    await until(async () => (await this.#ask(query, [orderId])).length > 0, 'the payment');
  }

  async #ask<Row>(query: string, values: readonly (string | null)[] = []): Promise<readonly Row[]> {
    if (this.#books === null) throw new Error('the system is not up');
    const { rows } = await this.#books.query(query, [...values]);
    return rows as Row[];
  }

  async close(): Promise<void> {
    this.#letSupervisor();
    await this.#books?.end();
    await this.system.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Living processes of this machine with this word in their command line. */
function processesNaming(word: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(word);
      } catch {
        // It ended while we looked.
        return false;
      }
    })
    .map(Number);
}
