/**
 * Between a secure element's agent and its manager (TSM): elements call out, the manager computes
 * every command, the agent relays it and brings the answers. One POST for each message to
 * `/v1/elements/{serial}/contact`.
 *
 * hello -> challenge; begin (the element's signature over the challenge) -> batch; answers -> batch
 * or end. The same answers again get the same reply, so that a lost reply costs nothing.
 */

/** Commands in one batch. */
export const TSM_BATCH_COMMANDS_MAX = 64;
/** Bytes of all commands of a batch. */
export const TSM_BATCH_BYTES_MAX: number = 256 * 1024;
/** Bytes of one command or answer: an extended one. */
export const TSM_COMMAND_BYTES_MAX = 33_000;
/** Batches of one contact. */
export const TSM_BATCHES_MAX = 512;
/** Life of a challenge, and of a contact that brings no answers. */
export const TSM_CONTACT_IDLE_MS = 60_000;
/** Bytes of a challenge. */
export const TSM_NONCE_BYTES = 32;
/** Characters of a serial. */
export const TSM_SERIAL_CHARACTERS_MAX = 64;

/** Wishes of one contact. */
export const TSM_WISHES_MAX = 8;

/** A cardholder's wish: an application of the store, to have or not. */
export type TsmWish = { readonly wish: 'install' | 'remove'; readonly applicationId: string };

/** One command, and the status words (four hex digits) after which the next one is sent. */
export type TsmStep = { readonly command: string; readonly allowed: readonly string[] };

/** What the agent says. */
export type TsmContactRequest =
  | { readonly type: 'hello' }
  | {
      readonly type: 'begin';
      readonly contactId: string;
      /** ECDSA P-256 with SHA-256 over `tsmContactInput`, r and s in hex. */
      readonly signature: string;
      /** What the cardholder wants of the store; at most `TSM_WISHES_MAX`. */
      readonly wishes?: readonly TsmWish[];
    }
  | {
      readonly type: 'answers';
      readonly contactId: string;
      /** The batch that was sent. */
      readonly batch: number;
      /** As many as commands were sent: fewer than the batch has when a stop rule stopped it. */
      readonly answers: readonly string[];
    };

/** How far a job is. */
export type TsmProgress = {
  readonly jobId: string;
  readonly kind: string;
  readonly step: string;
  readonly done: number;
  readonly total: number;
};
/** What became of a job in this contact. */
export type TsmJobOutcome = {
  readonly jobId: string;
  readonly kind: string;
  readonly state: 'done' | 'failed' | 'waiting';
  readonly code: string | null;
};

/** What the manager says. */
export type TsmContactAnswer =
  | { readonly type: 'challenge'; readonly contactId: string; readonly nonce: string }
  | {
      readonly type: 'batch';
      readonly contactId: string;
      readonly batch: number;
      readonly steps: readonly TsmStep[];
      readonly progress: TsmProgress | null;
    }
  | {
      readonly type: 'end';
      readonly contactId: string;
      readonly jobs: readonly TsmJobOutcome[];
    };

/** What the element signs at the beginning of a contact. */
export function tsmContactInput(contact: {
  readonly serial: string;
  readonly contactId: string;
  readonly nonce: string;
}): string {
  return `tapnpay tsm contact 1\n${contact.serial}\n${contact.contactId}\n${contact.nonce}`;
}

/** An application as the store shows it to cardholders. */
export type TsmStoreApplication = {
  readonly applicationId: string;
  readonly provider: { readonly en: string; readonly zh: string };
  readonly name: { readonly en: string; readonly zh: string };
  readonly summary: { readonly en: string; readonly zh: string };
  readonly version: string;
  readonly loadFileHash: string;
  readonly sizeBytes: number;
};
