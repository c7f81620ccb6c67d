/**
 * The publisher of this system's extension: assembles it from the built bundle for each browser,
 * signs it, and says which versions there are. Made at the first request, kept until the version
 * changes.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  manifestOf,
  NATIVE_PROTOCOL,
  PLUGIN_CRX_PATH,
  PLUGIN_GECKO_ID,
  PLUGIN_UPDATE_XML_PATH,
  PLUGIN_UPDATES_JSON_PATH,
  PLUGIN_XPI_PATH,
  type PluginVersions,
  utf8ToBytes,
} from '@tapnpay/protocol/wire';
import type { LogRecord } from '../../runtime/index.ts';
import { archiveOf, type ExtensionFiles, readBundle } from './bundle.ts';
import { crx3Of } from './crx3.ts';
import { type BuiltVersions, OVERRIDES_FILE, VersionOverrides } from './overrides.ts';
import { openPublisherKey, PUBLISHER_FOLDER, type PublisherKey } from './publisher-key.ts';
import { updatesJsonOf, updateXmlOf } from './update-manifests.ts';

/** Something to be served, with the validator of its content. */
export type Artefact = { readonly body: Uint8Array; readonly etag: string };
/** What browsers may ask for. */
export type ArtefactName = 'crx' | 'updateXml' | 'xpi' | 'updatesJson';
type Artefacts = Readonly<Record<ArtefactName, Artefact>>;

/** What a publisher is told. */
export type PublisherConfig = {
  /** Folder of the system. */
  readonly dataDir: string;
  /** Origin of the gateway as browsers reach it. */
  readonly publicUrl: string;
  /** Folder of the built extension, without a manifest. */
  readonly bundleDir: string;
  readonly built: BuiltVersions;
  readonly warn: (record: LogRecord) => void;
};

/** Opens the publisher of a system. @throws PublisherError `ERR_PUBLISHER_KEY`. */
export async function openPublisher(config: PublisherConfig): Promise<PluginPublisher> {
  return new PluginPublisher(config, await openPublisherKey(config.dataDir));
}

/** Everything that the update channel serves. */
export class PluginPublisher {
  readonly #config: PublisherConfig;
  readonly #key: PublisherKey;
  readonly #overrides: VersionOverrides;
  /** Read once: a build under a running gateway must not change a version that is out. */
  #bundle: ExtensionFiles | null = null;
  #made: { readonly version: string; readonly artefacts: Artefacts } | null = null;

  constructor(config: PublisherConfig, key: PublisherKey) {
    const { dataDir, built, warn } = config;
    this.#config = config;
    this.#key = key;
    const path = join(dataDir, PUBLISHER_FOLDER, OVERRIDES_FILE);
    this.#overrides = new VersionOverrides({ path, built, warn });
  }

  /** Chromium's id of the extension. */
  get extensionId(): string {
    return this.#key.extensionId;
  }

  /** The versions document. */
  versions(): PluginVersions {
    const { extension, host } = this.#overrides.current();
    const { latest, required } = extension;
    return {
      extension: { id: this.extensionId, geckoId: PLUGIN_GECKO_ID, latest, required },
      host,
      protocol: NATIVE_PROTOCOL,
      install: {
        crx: this.#url(PLUGIN_CRX_PATH),
        updateManifest: this.#url(PLUGIN_UPDATE_XML_PATH),
        xpi: this.#url(PLUGIN_XPI_PATH),
        xpiUpdates: this.#url(PLUGIN_UPDATES_JSON_PATH),
      },
    };
  }

  /**
   * A package or update manifest of the published version.
   * @throws GatewayError `ERR_PLUGIN_MISSING`; PublisherError `ERR_PLUGIN_BUNDLE`.
   */
  artefact(name: ArtefactName): Artefact {
    const { version } = this.#overrides.current().extension;
    if (this.#made?.version !== version) {
      this.#made = { version, artefacts: this.#make(version) };
    }
    return this.#made.artefacts[name];
  }

  #make(version: string): Artefacts {
    const { extensionId } = this.#key;
    const crx = crx3Of(archiveOf(this.#filesFor('chromium', version)), this.#key);
    const xpi = archiveOf(this.#filesFor('firefox', version));
    const crxOffer = { version, url: this.#url(PLUGIN_CRX_PATH) };
    const xpiOffer = { version, url: this.#url(PLUGIN_XPI_PATH), bytes: xpi };
    return {
      crx: artefactOf(crx),
      xpi: artefactOf(xpi),
      updateXml: artefactOf(utf8ToBytes(updateXmlOf(extensionId, crxOffer))),
      updatesJson: artefactOf(utf8ToBytes(updatesJsonOf(PLUGIN_GECKO_ID, xpiOffer))),
    };
  }

  /** The bundle with the manifest of one browser. */
  #filesFor(browser: 'chromium' | 'firefox', version: string): ExtensionFiles {
    this.#bundle ??= readBundle(this.#config.bundleDir);
    const manifest = manifestOf({
      browser,
      version,
      gatewayOrigins: [this.#config.publicUrl],
      // The signature has the key.
      publicKeyBase64: null,
      updateUrl: this.#url(PLUGIN_UPDATE_XML_PATH),
      geckoId: PLUGIN_GECKO_ID,
      geckoUpdateUrl: this.#url(PLUGIN_UPDATES_JSON_PATH),
    });
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    return new Map(this.#bundle).set('manifest.json', utf8ToBytes(text));
  }

  #url(path: string): string {
    return `${this.#config.publicUrl}${path}`;
  }
}

function artefactOf(body: Uint8Array): Artefact {
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}
