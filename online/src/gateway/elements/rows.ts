/** Rows of the tables about elements and the facts they stand for. */
import type { ElementLock, ElementRecord, LoadFile, PublishedParameters } from './model.ts';

/** A row of `elements`; int8 columns arrive as bigint. */
export type ElementRow = {
  readonly element_id: string;
  readonly public_key_spki: string;
  readonly certificate_sha256: string;
  readonly certificate_pem: string | null;
  readonly initial_key_id: string;
  readonly state: 'operable' | 'locked';
  readonly last_pin_counter: bigint;
  readonly last_payment_counter: bigint;
  readonly enrolled_at_ms: bigint;
  readonly lock: ElementLock | null;
};

export function elementOf(row: ElementRow): ElementRecord {
  return {
    elementId: row.element_id,
    publicKeySpki: row.public_key_spki,
    certificateSha256: row.certificate_sha256,
    certificatePem: row.certificate_pem,
    initialKeyId: row.initial_key_id,
    state: row.state,
    lastPinCounter: Number(row.last_pin_counter),
    lastPaymentCounter: Number(row.last_payment_counter),
    enrolledAtMs: Number(row.enrolled_at_ms),
    lock: row.lock,
  };
}

/** A row of `load_files`. */
export type LoadFileRow = {
  readonly hash: string;
  readonly name: string;
  readonly state: LoadFile['state'];
  readonly accepted_at_ms: bigint;
  readonly revoked_at_ms: bigint | null;
  readonly note: string | null;
};

export function loadFileOf(row: LoadFileRow): LoadFile {
  const { hash, name, state, note } = row;
  const revokedAtMs = row.revoked_at_ms === null ? null : Number(row.revoked_at_ms);
  return { hash, name, state, acceptedAtMs: Number(row.accepted_at_ms), revokedAtMs, note };
}

/** A row of `parameter_sets`. */
export type ParametersRow = {
  readonly version: bigint;
  readonly minimum_version: bigint;
  readonly body: string;
  readonly signature: string;
  readonly published_at_ms: bigint;
  readonly published_by: string;
};

export function parametersOf(row: ParametersRow): PublishedParameters {
  return {
    version: Number(row.version),
    minimumVersion: Number(row.minimum_version),
    body: row.body,
    signature: row.signature,
    publishedAtMs: Number(row.published_at_ms),
    publishedBy: row.published_by,
  };
}
