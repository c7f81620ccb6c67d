/**
 * The part of the WebExtension API that the extension uses, the same in Chromium and Firefox, so
 * that tests can give their own. The names are those of MDN's WebExtensions reference.
 */

/** An event of the browser. */
export type BrowserEvent<Listener> = { addListener(listener: Listener): void };

/** Who opened a port, from the browser itself. */
export type Sender = {
  readonly id?: string | undefined;
  /** `null` (the text) for an opaque origin. */
  readonly origin?: string | undefined;
  readonly url?: string | undefined;
  readonly frameId?: number | undefined;
  readonly tab?: { readonly id?: number | undefined } | undefined;
};

export type Port = {
  readonly name: string;
  readonly sender?: Sender | undefined;
  /** Why it was disconnected, in Firefox. */
  readonly error?: { readonly message: string } | null | undefined;
  postMessage(message: unknown): void;
  disconnect(): void;
  readonly onMessage: BrowserEvent<(message: unknown) => void>;
  readonly onDisconnect: BrowserEvent<(port: Port) => void>;
};

export type WindowChange = { readonly focused?: boolean; readonly drawAttention?: boolean };

/** What scripts of the extension share: a content script has nothing else. */
export type ContentBrowser = {
  readonly runtime: {
    /** Undefined once this script's extension was replaced or taken away. */
    readonly id?: string | undefined;
    getManifest(): { readonly version: string };
    connect(info: { readonly name: string }): Port;
    sendMessage(message: unknown): Promise<unknown>;
  };
};

/** What the worker and the extension's own pages have. */
export type Browser = {
  readonly runtime: ContentBrowser['runtime'] & {
    /** Why a port was disconnected, in Chromium, while its listener runs. */
    readonly lastError?: { readonly message?: string | undefined } | undefined;
    getURL(path: string): string;
    connectNative(name: string): Port;
    reload(): void;
    openOptionsPage(): Promise<void>;
    /** Not in Firefox. */
    requestUpdateCheck?(): Promise<unknown>;
    readonly onConnect: BrowserEvent<(port: Port) => void>;
    readonly onMessage: BrowserEvent<(message: unknown, sender: Sender) => void>;
    readonly onInstalled: BrowserEvent<() => void>;
    readonly onStartup: BrowserEvent<() => void>;
    readonly onUpdateAvailable: BrowserEvent<() => void>;
  };
  readonly windows: {
    create(facts: {
      readonly type: 'popup';
      readonly url: string;
      readonly width: number;
      readonly height: number;
      readonly focused: boolean;
    }): Promise<{ readonly id?: number | undefined }>;
    update(windowId: number, change: WindowChange): Promise<unknown>;
    remove(windowId: number): Promise<void>;
    readonly onRemoved: BrowserEvent<(windowId: number) => void>;
  };
  readonly tabs: {
    query(filter: { readonly url: string[] }): Promise<readonly { readonly id?: number }[]>;
  };
  readonly scripting: {
    executeScript(facts: {
      readonly target: { readonly tabId: number; readonly allFrames: boolean };
      readonly files: string[];
    }): Promise<unknown>;
  };
  readonly action: { readonly onClicked: BrowserEvent<() => void> };
};

/** Calls once after `ms`; returns what stops it. */
export type After = (ms: number, call: () => void) => () => void;

/** The browser's own timer. */
export const after: After = (ms, call) => {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
};
