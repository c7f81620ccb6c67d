/** `ElementStore` in PostgreSQL; the gateway's store is built on it. */
import { PostgresNotices } from '../load/store-postgres.ts';
import type {
  ElementLock,
  ElementRecord,
  LoadFile,
  NewElement,
  PublishedParameters,
  StoredAttestation,
} from './model.ts';
import {
  type ElementRow,
  elementOf,
  type LoadFileRow,
  loadFileOf,
  type ParametersRow,
  parametersOf,
} from './rows.ts';
import type { ElementStore } from './store.ts';

/** SQLSTATE unique_violation. */
const SQLSTATE_UNIQUE = '23505';

/** Elements in the gateway's schema. */
export class PostgresElements extends PostgresNotices implements ElementStore {
  async enrolElement(
    codeId: string,
    element: NewElement,
    nowMs: number,
  ): Promise<'enrolled' | 'codeUsed' | 'exists'> {
    const { elementId, publicKeySpki, certificateSha256, certificatePem } = element;
    const { initialKeyId, enrolledAtMs } = element;
    try {
      const enrolled = await this.rows(
        `WITH used AS (
           DELETE FROM pairing_codes WHERE code_id = $1 AND expires_at_ms > $2 RETURNING 1
         )
         INSERT INTO elements (element_id, public_key_spki, certificate_sha256, certificate_pem,
           initial_key_id, enrolled_at_ms, state, last_pin_counter)
         SELECT $3, $4, $5, $6, $7, $8::bigint, 'operable', 0 FROM used RETURNING 1`,
        [
          ...[codeId, nowMs, elementId, publicKeySpki, certificateSha256, certificatePem],
          ...[initialKeyId, enrolledAtMs],
        ],
      );
      return enrolled.length === 1 ? 'enrolled' : 'codeUsed';
    } catch (thrown) {
      if (sqlStateOf(thrown) === SQLSTATE_UNIQUE) return 'exists';
      throw thrown;
    }
  }

  async findElement(elementId: string): Promise<ElementRecord | null> {
    return this.#element('SELECT * FROM elements WHERE element_id = $1', [elementId]);
  }

  async listElements(query: {
    readonly state?: ElementRecord['state'];
    readonly limit: number;
  }): Promise<readonly ElementRecord[]> {
    const found = await this.rows<ElementRow>(
      `SELECT * FROM elements WHERE $1::text IS NULL OR state = $1
       ORDER BY enrolled_at_ms DESC, element_id LIMIT $2`,
      [query.state ?? null, query.limit],
    );
    return found.map(elementOf);
  }

  async lockElement(elementId: string, lock: ElementLock): Promise<ElementRecord | null> {
    await this.rows(
      `UPDATE elements SET state = 'locked', lock = $2::jsonb
       WHERE element_id = $1 AND state = 'operable'`,
      [elementId, JSON.stringify(lock)],
    );
    return this.findElement(elementId);
  }

  async unlockElement(elementId: string): Promise<ElementRecord | null> {
    return this.#element(
      `UPDATE elements SET state = 'operable', lock = NULL WHERE element_id = $1 RETURNING *`,
      [elementId],
    );
  }

  async acceptLoadFile(file: Pick<LoadFile, 'hash' | 'name' | 'acceptedAtMs'>): Promise<LoadFile> {
    await this.rows(
      `INSERT INTO load_files (hash, name, state, accepted_at_ms)
       VALUES ($1, $2, 'accepted', $3) ON CONFLICT (hash) DO NOTHING`,
      [file.hash, file.name, file.acceptedAtMs],
    );
    const [row] = await this.rows<LoadFileRow>('SELECT * FROM load_files WHERE hash = $1', [
      file.hash,
    ]);
    if (!row) throw new TypeError('a load file that was written is not there');
    return loadFileOf(row);
  }

  async revokeLoadFile(
    hash: string,
    { atMs, note }: { readonly atMs: number; readonly note: string },
  ): Promise<LoadFile | null> {
    const [row] = await this.rows<LoadFileRow>(
      `UPDATE load_files SET state = 'revoked', revoked_at_ms = coalesce(revoked_at_ms, $2),
         note = CASE WHEN state = 'revoked' THEN note ELSE $3 END
       WHERE hash = $1 RETURNING *`,
      [hash, atMs, note],
    );
    return row ? loadFileOf(row) : null;
  }

  async listLoadFiles(): Promise<readonly LoadFile[]> {
    const found = await this.rows<LoadFileRow>(
      'SELECT * FROM load_files ORDER BY accepted_at_ms, hash',
    );
    return found.map(loadFileOf);
  }

  async publishParameters(set: PublishedParameters): Promise<'published' | 'exists'> {
    const { version, minimumVersion, body, signature, publishedAtMs, publishedBy } = set;
    const published = await this.rows(
      `INSERT INTO parameter_sets (version, minimum_version, body, signature, published_at_ms,
         published_by)
       SELECT $1::bigint, $2::bigint, $3, $4, $5::bigint, $6
       WHERE $1::bigint > (SELECT coalesce(max(version), 0) FROM parameter_sets)
       ON CONFLICT (version) DO NOTHING RETURNING 1`,
      [version, minimumVersion, body, signature, publishedAtMs, publishedBy],
    );
    return published.length === 1 ? 'published' : 'exists';
  }

  async newestParameters(): Promise<PublishedParameters | null> {
    const [row] = await this.rows<ParametersRow>(
      'SELECT * FROM parameter_sets ORDER BY version DESC LIMIT 1',
    );
    return row ? parametersOf(row) : null;
  }

  async findAttestation(paymentId: string): Promise<StoredAttestation | null> {
    const [row] = await this.rows<{
      readonly statement: string;
      readonly signature: string;
      readonly element_id: string;
      readonly certificate_pem: string | null;
    }>(
      `SELECT statement, signature, kept.element_id, certificate_pem
       FROM payments JOIN payment_attestations kept
         ON kept.element_id = payments.element_id AND counter = attestation_counter
       JOIN elements ON elements.element_id = payments.element_id
       WHERE payment_id = $1`,
      [paymentId],
    );
    if (!row) return null;
    const { statement, signature } = row;
    const { element_id: elementId, certificate_pem: certificatePem } = row;
    return { statement, signature, elementId, certificatePem };
  }

  async #element(text: string, values: readonly unknown[]): Promise<ElementRecord | null> {
    const [row] = await this.rows<ElementRow>(text, values);
    return row ? elementOf(row) : null;
  }
}

function sqlStateOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !('code' in thrown)) return null;
  return typeof thrown.code === 'string' ? thrown.code : null;
}
