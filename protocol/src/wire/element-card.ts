/**
 * Agent <-> element process about the GlobalPlatform card that the element holds: its birth, what
 * it says of itself, and commands of a manager, which the agent carries and cannot read.
 */

/** What a factory gives a card; keys are hex. */
export type CardBirth = {
  /** The factory's masters: the card keeps only what comes of them and its number. */
  readonly masters: {
    readonly encryption: string;
    readonly mac: string;
    readonly dataEncryption: string;
  };
  /** AES keys come by KDF3 and open SCP03; DES keys come by EMV CPS and open SCP02. */
  readonly algorithm: 'aes' | 'des';
  readonly scp03ParameterI: number;
  /** Null: the card speaks no SCP02. */
  readonly scp02ParameterI: number | null;
  /** 8 bytes in hex; null: the card draws one. */
  readonly serialNumber: string | null;
};

/** What the registry says of the payment application; absent before its installation. */
export type PaymentApplicationState = 'absent' | 'installed' | 'operable' | 'locked';

/** What a card says of itself to its agent; nothing of it is secret. */
export type CardFacts = {
  readonly serialNumber: string;
  /** Card production life cycle data, 42 bytes in hex. */
  readonly cplc: string;
  /** 10 bytes in hex, from which the factory derives the card's first keys. */
  readonly keyDiversificationData: string;
  /** P-256 key that was made in the element at birth, SPKI in hex; for the allow-list. */
  readonly attestationPublicKeySpki: string;
  /** @see GPCS 2.3.1 table 11-6 */
  readonly lifeCycle: number;
  readonly paymentApplication: PaymentApplicationState;
  /** States made durable since birth; it never goes back. */
  readonly commits: number;
};

/** The agent's commands about the card. */
export type CardCommand =
  /** Once in the life of an element; answers `CardFacts`. */
  | { readonly type: 'birth'; readonly id: number; readonly birth: CardBirth }
  /** Answers `{ card: CardFacts | null }`. */
  | { readonly type: 'card'; readonly id: number }
  /** One command of a manager in hex; answers `ManageAnswer`. */
  | { readonly type: 'manage'; readonly id: number; readonly command: string }
  /** The manager has left: its sessions and selections are gone. */
  | { readonly type: 'manageReset'; readonly id: number }
  /** Signs `tsmContactInput` by the attestation key; answers `ContactSignature`. */
  | {
      readonly type: 'signContact';
      readonly id: number;
      readonly contactId: string;
      readonly nonce: string;
    };

/** ECDSA P-256 with SHA-256, r and s, in hex. */
export type ContactSignature = { readonly signature: string };

/** The card's answer in hex. */
export type ManageAnswer = { readonly response: string };

/**
 * Birth in a laboratory: the masters are the key that test cards of the whole trade have, so that
 * anybody may manage such an element until its first change of keys.
 */
export const LAB_BIRTH: CardBirth = {
  masters: {
    encryption: '404142434445464748494A4B4C4D4E4F',
    mac: '404142434445464748494A4B4C4D4E4F',
    dataEncryption: '404142434445464748494A4B4C4D4E4F',
  },
  ...{ algorithm: 'aes', scp03ParameterI: 0x70, scp02ParameterI: null, serialNumber: null },
};
