/** What the checks of the links behind the host can ask of this machine; tests have another one. */
import { existsSync, readFileSync } from 'node:fs';
import { listReaders, type ReaderList } from '../pcsc/index.ts';

const HTTP_TIMEOUT_MS = 3_000;
/** Longest text that is looked at. */
const TEXT_CHARACTERS_MAX = 65_536;

/** An HTTP answer; `body` is undefined when it is no JSON. */
export type HttpAnswer = { readonly status: number; readonly body: unknown };

/** A machine with readers and a way to the gateway. */
export interface HostSight {
  readonly platform: NodeJS.Platform;
  exists(path: string): boolean;
  /** Null when there is no such file. */
  readText(path: string): string | null;
  /** Null when nobody answers. */
  get(url: string): Promise<HttpAnswer | null>;
  listReaders(): Promise<ReaderList>;
}

/** The machine that this program runs on. */
export const thisSight: HostSight = {
  platform: process.platform,
  exists: existsSync,
  readText(path) {
    try {
      return readFileSync(path, 'utf8').slice(0, TEXT_CHARACTERS_MAX);
    } catch {
      return null;
    }
  },
  get: getJson,
  listReaders: () => listReaders(),
};

async function getJson(url: string): Promise<HttpAnswer | null> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(HTTP_TIMEOUT_MS),
    });
    text = (await response.text()).slice(0, TEXT_CHARACTERS_MAX);
  } catch {
    return null;
  }
  try {
    return { status: response.status, body: JSON.parse(text) as unknown };
  } catch {
    return { status: response.status, body: undefined };
  }
}
