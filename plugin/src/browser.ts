/** What the library takes of the browser: timers, messages, and storage that may be closed. */

/** A message event of a window. */
export type WindowMessageEvent = Pick<MessageEvent<unknown>, 'data' | 'origin'> & {
  readonly source: unknown;
};

/** A longer timer would fire at once. */
const TIMER_MS_MAX = 0x7fffffff;

/** Calls once after `ms`; returns what stops it. */
export function afterMs(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, Math.min(ms, TIMER_MS_MAX));
  return () => clearTimeout(timer);
}

/** Tells every `message` event of this page; returns what stops it. */
export function onWindowMessage(listener: (event: WindowMessageEvent) => void): () => void {
  addEventListener('message', listener);
  return () => removeEventListener('message', listener);
}

/** Texts under a prefix of a storage; where it is closed they last as long as the page. */
export function keptTexts(
  kind: 'localStorage' | 'sessionStorage',
  prefix: string,
): { read(name: string): string | null; keep(name: string, text: string | null): void } {
  const memory = new Map<string, string | null>();
  return {
    read: (name) => {
      try {
        return globalThis[kind].getItem(prefix + name);
      } catch {
        return memory.get(name) ?? null;
      }
    },
    keep: (name, text) => {
      memory.set(name, text);
      try {
        if (text === null) globalThis[kind].removeItem(prefix + name);
        else globalThis[kind].setItem(prefix + name, text);
      } catch {
        // The memory above has to do.
      }
    },
  };
}
