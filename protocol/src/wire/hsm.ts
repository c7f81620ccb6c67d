/** The HSM command interface: keys are key blocks (TR-31 D under the party's local master key). */

/** A TR-31 version D key block in ASCII. */
export type KeyBlock = string;
/** TR-31 key usages this system needs. */
export const KeyUsage = {
  zoneMaster: 'K0', // key encryption, zone master key
  pinEncryption: 'P0',
  macX9: 'M1', // ISO 9797-1 algorithm 1, the CUPS MAC
  macX919: 'M3', // ISO 9797-1 algorithm 3
  macUnionPayPos: '10', // field 64 of the POS dialect; X9.143 leaves numbers to private use
  issuerMasterAc: 'E0', // EMV issuer master key, application cryptograms
  issuerMasterMac: 'E2', // secure messaging for integrity
  issuerMasterEnc: 'E1', // secure messaging for confidentiality
  pinVerification: 'V2', // Visa PVV
  baseDerivation: 'B0', // DUKPT base derivation key
} as const;
export type KeyUsage = (typeof KeyUsage)[keyof typeof KeyUsage];

/**
 * What a key is for, as the header of its block says. X9.143 table 3 has no letter for SM4 and
 * leaves the digits to private use: `4` is SM4, as the algorithm byte of a PBOC card says it.
 */
export const KeyAlgorithm = { tdes: 'T', aes: 'A', sm4: '4' } as const;
export type KeyAlgorithm = (typeof KeyAlgorithm)[keyof typeof KeyAlgorithm];
/** The cipher of a card's cryptograms and scripts; 3DES when left out. */
export type CardKeyAlgorithm = 'T' | '4';
/** Cipher by the algorithm byte of issuer application data (9F10). @see PBOC3 P5 (9F10) */
export const CARD_KEY_ALGORITHMS: ReadonlyMap<number, CardKeyAlgorithm> = new Map([
  [0x01, 'T'],
  [0x04, '4'],
]);

/** Who talks to an HSM; each caller has a whitelist of commands. */
export type HsmCaller = 'gateway' | 'switch' | 'issuer' | 'bureau' | 'ceremony';

/** Which card a card key is derived for. */
export type CardId = { readonly pan: string; readonly panSequenceNumber: string };

/**
 * What a new card does in a reader's field. `contactOnly`: nothing; `asksForInsertion`: it answers
 * 6984, as a card whose risk management wants the contact interface.
 */
export type CardInterfaces = 'dual' | 'contactOnly' | 'asksForInsertion';

/** Hex in upper case everywhere; clear keys and PINs never appear in an answer. */
export type HsmRequest =
  | { readonly command: 'status' }
  /** ceremony: XOR of 2-3 components makes a key; the answer's KCV is compared by people. */
  | {
      readonly command: 'formKey';
      readonly usage: KeyUsage;
      readonly algorithm: KeyAlgorithm;
      readonly components: readonly string[];
    }
  /** A new key of 16 bytes, enciphered if asked under a zone key of its algorithm. */
  | {
      readonly command: 'generateKey';
      readonly usage: KeyUsage;
      readonly algorithm: KeyAlgorithm;
      readonly exportUnder?: KeyBlock;
    }
  /** A working key received enciphered (ECB) under a zone key; wrong KCV -> `ERR_HSM_KCV`. */
  | {
      readonly command: 'importKey';
      readonly usage: KeyUsage;
      /** 3DES when left out. */
      readonly algorithm?: KeyAlgorithm;
      readonly under: KeyBlock;
      readonly enciphered: string;
      readonly kcv: string;
    }
  | { readonly command: 'generateMac'; readonly key: KeyBlock; readonly data: string }
  | {
      readonly command: 'verifyMac';
      readonly key: KeyBlock;
      readonly data: string;
      readonly mac: string;
    }
  /** PIN block format 4 under AES DUKPT (base key + KSN), or format 0 under 3DES, -> format 0. */
  | {
      readonly command: 'translatePin';
      readonly from: { readonly key: KeyBlock; readonly format: 0 | 4; readonly ksn?: string };
      readonly toKey: KeyBlock;
      readonly pan: string;
      readonly pinBlock: string;
    }
  | {
      readonly command: 'verifyPin';
      readonly pinKey: KeyBlock;
      readonly pvk: KeyBlock;
      readonly pinBlock: string;
      readonly pan: string;
      readonly pvki: string;
      readonly pvv: string;
    }
  /** CVN 01 or 17 over already assembled AC input; a TC or AAC is checked the same way. */
  | {
      readonly command: 'verifyArqc';
      readonly algorithm?: CardKeyAlgorithm;
      readonly imkAc: KeyBlock;
      readonly card: CardId;
      readonly atc: string;
      readonly data: string;
      readonly arqc: string;
    }
  | {
      readonly command: 'generateArpc';
      readonly algorithm?: CardKeyAlgorithm;
      readonly imkAc: KeyBlock;
      readonly card: CardId;
      readonly atc: string;
      readonly arqc: string;
      readonly arc: string;
    }
  /** MAC of one issuer script command. `header` is CLA INS P1 P2 Lc. */
  | {
      readonly command: 'generateScriptMac';
      readonly algorithm?: CardKeyAlgorithm;
      readonly imkMac: KeyBlock;
      readonly card: CardId;
      readonly atc: string;
      readonly arqc: string;
      readonly header: string;
      readonly data: string;
    }
  /** The DUKPT initial key, RSA-OAEP(SHA-256) under the element's public key (SPKI hex). */
  | {
      readonly command: 'exportInitialKey';
      readonly baseKey: KeyBlock;
      readonly initialKeyId: string;
      readonly publicKeySpki: string;
    }
  /** bureau: card keys, certificates, PVV of one card; the chip image goes to the bureau alone. */
  | {
      readonly command: 'personaliseCard';
      readonly imkAc: KeyBlock;
      readonly imkMac: KeyBlock;
      readonly imkEnc: KeyBlock;
      readonly pvk: KeyBlock;
      readonly pvki: string;
      readonly card: CardId;
      readonly expiryYymm: string;
      readonly pin: string;
      readonly label: string;
      /** Ten years before the expiry when left out. */
      readonly effectiveYymm?: string;
      readonly cardholderName?: string;
      /** Application identifier; PBOC debit when left out. */
      readonly aid?: string;
      /** `dual` when left out. */
      readonly interfaces?: CardInterfaces;
      /**
       * JSON text of the applications and troubles of a card model (emv/data), for a card that is
       * more than a plain one; `label`, `aid` and `interfaces` are then those of the model, and an
       * application without a PIN of its own checks none offline.
       */
      readonly model?: string;
    };
export type HsmCommand = HsmRequest['command'];

/** The answer of each command. */
export type HsmAnswers = {
  status: { readonly party: string; readonly masterKeyKcv: string; readonly label: string };
  formKey: { readonly keyBlock: KeyBlock; readonly kcv: string };
  generateKey: {
    readonly keyBlock: KeyBlock;
    readonly kcv: string;
    readonly enciphered: string | null;
  };
  importKey: { readonly keyBlock: KeyBlock; readonly kcv: string };
  generateMac: { readonly mac: string };
  verifyMac: { readonly valid: boolean };
  translatePin: { readonly pinBlock: string };
  verifyPin: { readonly valid: boolean };
  verifyArqc: { readonly valid: boolean };
  generateArpc: { readonly arpc: string };
  generateScriptMac: { readonly mac: string };
  exportInitialKey: { readonly enciphered: string; readonly kcv: string };
  /** `image` is the JSON text of an `IccImage` (emv/data), `pvv` goes to the issuer's card file. */
  personaliseCard: {
    readonly image: string;
    readonly pvv: string;
    readonly caPublicKey: CaPublicKeyJson;
  };
};
/** The sandbox CA's public key as the kernel's key table wants it. */
export type CaPublicKeyJson = {
  readonly rid: string;
  readonly index: string;
  readonly modulus: string;
  readonly exponent: string;
  readonly sha1: string;
  readonly expiryYymmdd: string;
};
/** What a party calls; a client over the wire or, in the simulator, the executor itself. */
export interface Hsm {
  call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]>;
}
/** One frame to the HSM (4-byte length + JSON): a batch, answered in order. */
export type HsmFrame = { readonly id: number; readonly batch: readonly HsmRequest[] };
