/** The manager of secure elements over its HTTP interface, with the keys of the installation. */
import { readTsmKeys } from '@tapnpay/online/tsm';
import { errorFromBody, TapError } from '@tapnpay/protocol/bytes';
import { checkShape, errorBodyShape } from '@tapnpay/protocol/wire';
import { readSystemConfig, urlOf } from '../system/layout.ts';

const HTTP_TIMEOUT_MS = 30_000;

/** Rows of one kind; which members there are the document of the interface says. */
export type Row = Readonly<Record<string, unknown>>;

/** Talks to one manager. */
export class ManagerClient {
  readonly #url: string;
  readonly #keys: { readonly issuer: string; readonly reviewer: string };

  /** The manager of the system in a folder. @throws TapError `ERR_NO_SYSTEM`, `ERR_NO_MANAGER`. */
  constructor(dataDir: string) {
    this.#url = urlOf(readSystemConfig(dataDir), 'tsm');
    try {
      this.#keys = readTsmKeys(dataDir);
    } catch (cause) {
      throw noManager('it was never started in this data folder', cause);
    }
  }

  /** @throws TapError the manager's own code, or `ERR_NO_MANAGER`. */
  get(path: string): Promise<Row> {
    return this.#ask('GET', path, undefined, this.#keys.issuer);
  }

  /** @throws TapError the manager's own code, or `ERR_NO_MANAGER`. */
  post(path: string, body?: object): Promise<Row> {
    return this.#ask('POST', path, body, this.#keys.issuer);
  }

  /** As the second person of the installation, who reviews. */
  postAsReviewer(path: string, body?: object): Promise<Row> {
    return this.#ask('POST', path, body, this.#keys.reviewer);
  }

  /** Every row of a list, page by page. */
  async list(path: string): Promise<readonly Row[]> {
    const rows: Row[] = [];
    const join = path.includes('?') ? '&' : '?';
    for (let after: string | null = ''; after !== null; ) {
      const from: string = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
      const page = await this.get(`${path}${join}limit=100${from}`);
      rows.push(...((page['data'] ?? []) as readonly Row[]));
      after = (page['next'] as string | null | undefined) ?? null;
    }
    return rows;
  }

  async #ask(method: string, path: string, body: object | undefined, key: string): Promise<Row> {
    let response: Response;
    let told: unknown;
    try {
      response = await fetch(`${this.#url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        redirect: 'error',
        signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
      });
      told = await response.json();
    } catch (cause) {
      throw noManager('no answer that can be read; is the system running?', cause);
    }
    if (response.ok) return told as Row;
    throw errorFromBody(checkShape(errorBodyShape, told, 'error'));
  }
}

function noManager(why: string, cause: unknown): TapError {
  return new TapError('ERR_NO_MANAGER', `the manager of secure elements: ${why}`, {}, cause);
}
