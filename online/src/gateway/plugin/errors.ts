/** Coded faults of the plug-in's update channel. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Refusals that a browser gets, as rows of the gateway's one table. */
export const PLUGIN_ERRORS = {
  ERR_PLUGIN_MISSING: {
    status: 503,
    text: { en: 'The extension is not built.', zh: '浏览器插件尚未构建。' },
    remedy: {
      en: 'Build the pages; the next request finds the extension.',
      zh: '请构建页面，之后的请求即可获取插件。',
    },
  },
} as const;

/**
 * Faults of the publisher's own files, for the operator. `ERR_PUBLISHER_KEY`: no RSA private key
 * of enough bits. `ERR_PLUGIN_OVERRIDES`: `versions.json` is not what it should be.
 * `ERR_PLUGIN_BUNDLE`: the built extension holds what no extension may hold.
 */
export type PublisherErrorCode = 'ERR_PUBLISHER_KEY' | 'ERR_PLUGIN_OVERRIDES' | 'ERR_PLUGIN_BUNDLE';
export class PublisherError extends TapError<PublisherErrorCode> {}
