/**
 * The manifest of the browser extension, for one system and one browser: all that differs between
 * Chromium and Firefox, and between one gateway and another. It is the only file of the extension
 * that is written when the extension is assembled; its scripts read the gateways' origins back from
 * it, so that there is no second list that could say something else. Keys are those of Manifest V3
 * in MDN's WebExtensions reference.
 */
import { TapError } from '../bytes/index.ts';
import { assertExtensionVersion } from './plugin-versions.ts';

/** Files of the built extension that the manifest and its scripts name. */
export const PLUGIN_FILES = {
  worker: 'worker.js',
  content: 'content.js',
  window: 'window.html',
  options: 'options.html',
} as const;
/** Sizes of the icons in pixels: `icons/<size>.png`. */
export const PLUGIN_ICON_SIZES: readonly number[] = [16, 32, 48, 128];
/** Since this version a native port keeps a worker alive, and an extension's ports are reliable. */
export const CHROME_VERSION_MIN = '116';
/** Since this version Firefox grants the hosts of an extension when it is installed. */
export const FIREFOX_VERSION_MIN = '128.0';
/** Gateways of one system at most. */
export const PLUGIN_GATEWAYS_MAX = 16;

/** What a manifest is made from. */
export type PluginManifestFacts = {
  readonly browser: 'chromium' | 'firefox';
  /** Three numbers, as both browsers take them. */
  readonly version: string;
  /** Origins of the pages that may pay: `https://pay.example`, `http://127.0.0.1:4600`. */
  readonly gatewayOrigins: readonly string[];
  /** SPKI of the publisher's key; fixes Chromium's id. Null in a packed file that is signed. */
  readonly publicKeyBase64: string | null;
  /** Chromium's update manifest; null for an extension that is not updated. */
  readonly updateUrl: string | null;
  readonly geckoId: string;
  /** Firefox's update manifest; Firefox takes none by plain HTTP. */
  readonly geckoUpdateUrl: string | null;
};

export type PluginManifestErrorCode = 'ERR_GATEWAY_ORIGIN';
/** A gateway's origin that cannot stand in a manifest. */
export class PluginManifestError extends TapError<PluginManifestErrorCode> {}

/**
 * `manifest.json` as a value.
 * @throws PluginManifestError `ERR_GATEWAY_ORIGIN`; PluginVersionError `ERR_VERSION_INVALID`.
 */
export function manifestOf(facts: PluginManifestFacts): Readonly<Record<string, unknown>> {
  assertExtensionVersion(facts.version);
  const origins = facts.gatewayOrigins.map(parsedOrigin);
  if (origins.length === 0 || origins.length > PLUGIN_GATEWAYS_MAX) {
    throw new PluginManifestError('ERR_GATEWAY_ORIGIN', 'a manifest names one gateway or more', {
      count: origins.length,
    });
  }
  const matches = [...new Set(origins.map((origin) => matchPattern(facts.browser, origin)))];
  const icons = Object.fromEntries(
    PLUGIN_ICON_SIZES.map((size) => [String(size), `icons/${size}.png`]),
  );
  return {
    manifest_version: 3,
    name: '__MSG_name__',
    description: '__MSG_description__',
    default_locale: 'en',
    version: facts.version,
    icons,
    action: { default_title: '__MSG_name__', default_icon: icons },
    options_ui: { page: PLUGIN_FILES.options, open_in_tab: true },
    permissions: ['nativeMessaging', 'scripting'],
    host_permissions: matches,
    content_scripts: [
      {
        matches,
        // Patterns of Firefox know no port; a glob is held against the whole address in both.
        include_globs: facts.gatewayOrigins.map((origin) => `${origin}/*`),
        js: [PLUGIN_FILES.content],
        run_at: 'document_start',
        all_frames: true,
      },
    ],
    content_security_policy: { extension_pages: pagePolicy(facts.gatewayOrigins) },
    ...(facts.browser === 'chromium' ? chromiumOnly(facts) : firefoxOnly(facts)),
  };
}

/** The gateways' origins of a manifest, as its scripts read them; empty when it names none. */
export function gatewayOriginsOf(manifest: unknown): readonly string[] {
  const scripts = (manifest as { content_scripts?: readonly { include_globs?: unknown }[] } | null)
    ?.content_scripts;
  const globs = Array.isArray(scripts) ? scripts[0]?.include_globs : undefined;
  if (!Array.isArray(globs)) return [];
  return globs.flatMap((glob: unknown) =>
    typeof glob === 'string' && glob.endsWith('/*') ? [glob.slice(0, -2)] : [],
  );
}

/** Patterns by which a script finds open tabs that may hold a gateway's page. */
export function gatewayPatternsOf(manifest: unknown): readonly string[] {
  const patterns = (manifest as { host_permissions?: unknown } | null)?.host_permissions;
  if (!Array.isArray(patterns)) return [];
  return patterns.filter((pattern): pattern is string => typeof pattern === 'string');
}

function chromiumOnly(facts: PluginManifestFacts): Readonly<Record<string, unknown>> {
  return {
    minimum_chrome_version: CHROME_VERSION_MIN,
    background: { service_worker: PLUGIN_FILES.worker },
    ...(facts.publicKeyBase64 === null ? {} : { key: facts.publicKeyBase64 }),
    ...(facts.updateUrl === null ? {} : { update_url: facts.updateUrl }),
  };
}

function firefoxOnly(facts: PluginManifestFacts): Readonly<Record<string, unknown>> {
  const isUpdated = facts.geckoUpdateUrl?.startsWith('https://') ?? false;
  return {
    background: { scripts: [PLUGIN_FILES.worker] },
    browser_specific_settings: {
      gecko: {
        id: facts.geckoId,
        strict_min_version: FIREFOX_VERSION_MIN,
        ...(isUpdated ? { update_url: facts.geckoUpdateUrl } : {}),
      },
    },
  };
}

/** Our own files only; the options page asks each gateway for its versions. */
function pagePolicy(gatewayOrigins: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${gatewayOrigins.join(' ')}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

type Origin = { readonly scheme: string; readonly host: string; readonly port: string };

const ORIGIN =
  /^(https?):\/\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9]\d{0,4}))?$/;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

function parsedOrigin(text: string): Origin {
  const [, scheme = '', host = '', port = DEFAULT_PORTS[scheme] ?? ''] = ORIGIN.exec(text) ?? [];
  // A browser leaves the default port out of an origin, so an origin with it never matches.
  const isCanonical = text === `${scheme}://${host}` || port !== DEFAULT_PORTS[scheme];
  if (scheme !== '' && isCanonical) return { scheme, host, port };
  throw new PluginManifestError('ERR_GATEWAY_ORIGIN', 'the text is no origin of a page', {
    origin: text.slice(0, 256),
  });
}

/** A pattern of Chromium without a port stands for every port, so it always names one. */
function matchPattern(browser: PluginManifestFacts['browser'], origin: Origin): string {
  const port = browser === 'chromium' ? `:${origin.port}` : '';
  return `${origin.scheme}://${origin.host}${port}/*`;
}
