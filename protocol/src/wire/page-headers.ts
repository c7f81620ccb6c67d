/** Response headers of every page that we serve: nothing but its own files, no foreign frame. */

/** Headers for a page that may connect to `connect` beside its own origin. */
export function pageHeaders(page: {
  readonly connect?: readonly string[];
  /** The page opens a window of another origin and listens to it. */
  readonly opensWindows?: boolean;
}): Readonly<Record<string, string>> {
  const connect = ["'self'", ...(page.connect ?? [])].join(' ');
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'cross-origin-opener-policy': page.opensWindows ? 'same-origin-allow-popups' : 'unsafe-none',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=()',
    'cache-control': 'no-store',
  };
}
