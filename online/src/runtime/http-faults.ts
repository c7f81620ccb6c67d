/** What a party's HTTP interface makes of faults that are not its own: a kind, never their text. */

/** A fault that the framework blames on the client, or none. */
export function clientFault(thrown: unknown): 'bodyTooLarge' | 'request' | null {
  if (!(thrown instanceof Error)) return null;
  if ('code' in thrown && thrown.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return 'bodyTooLarge';
  const status = 'statusCode' in thrown ? thrown.statusCode : null;
  return typeof status === 'number' && status < 500 ? 'request' : null;
}

/** A foreign fault's own code (SQLSTATE, Node's, ours), which quotes no data. */
export function causeCode(thrown: unknown): string | null {
  if (!(thrown instanceof Error)) return null;
  const code = 'code' in thrown ? thrown.code : thrown.name;
  return typeof code === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : null;
}
