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
  elementMaster: 'E5', // master of secure elements' key sets (card personalisation)
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

/** PIN block formats of ISO 9564-1 that carry a PAN; 1 and 2, which do not, are never made. */
export type PinFormat = 0 | 3 | 4;

/** Who talks to an HSM; each caller has a whitelist of commands. */
export type HsmCaller = 'gateway' | 'switch' | 'issuer' | 'bureau' | 'ceremony' | 'tsm';

/** Which card a card key is derived for. */
export type CardId = { readonly pan: string; readonly panSequenceNumber: string };

/**
 * What a new card does in a reader's field. `contactOnly`: nothing; `asksForInsertion`: it answers
 * 6984, as a card whose risk management wants the contact interface.
 */
export type CardInterfaces = 'dual' | 'contactOnly' | 'asksForInsertion';

/** How a key set comes from a master; `none` is the master itself. @see EMV CPS 1.1, GP-D §4.1.5 */
export type KeySetWay = 'none' | 'emv' | 'visa2' | 'kdf3';
/** The key set of one element or domain: a master, and the data that make it that one's. */
export type KeySetSource = {
  readonly key: KeyBlock;
  readonly way: KeySetWay;
  /** 10 bytes. */
  readonly data: string;
};
/**
 * One data grouping: a value in hex, or a key of a set, which leaves the HSM under the session's
 * key for data alone.
 */
export type ElementGrouping =
  | { readonly identifier: number; readonly value: string }
  | {
      readonly identifier: number;
      readonly source: KeySetSource;
      readonly usage: 'encryption' | 'mac' | 'dataEncryption';
    };
/**
 * A session with an element: sealed under the HSM's master key, so that it outlives neither that
 * nor its last command, and says nothing to whoever carries it. Each answer holds the next one.
 */
export type ElementSessionToken = string;
/** Check values of the three keys of a set, in the order encryption, MAC, data encryption. */
export type KeySetCheckValues = readonly [string, string, string];
/** An algorithm of signatures over load files. @see GPCS 2.3.1 §C.3 */
export type LoadFileSignatureKind = 'ecdsaP256' | 'rsaPss';

/** Hex in upper case everywhere; clear keys and PINs never appear in an answer. */
export type HsmRequest =
  | { readonly command: 'status' }
  /** Wipes cached keys, those of `keys` or all; a block opens again when it is used. */
  | { readonly command: 'forgetKeys'; readonly keys?: readonly KeyBlock[] }
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
  /**
   * From a PIN key of a zone, or with a KSN from an element's AES DUKPT key, to a PIN key of a zone
   * in `toFormat`, 0 when left out. One PAN for both sides. Formats 0 and 3 are under 3DES, 4 under
   * AES. @see ISO 9564-1 §9
   */
  | {
      readonly command: 'translatePin';
      readonly from: { readonly key: KeyBlock; readonly format: PinFormat; readonly ksn?: string };
      readonly toKey: KeyBlock;
      readonly toFormat?: PinFormat;
      readonly pan: string;
      readonly pinBlock: string;
    }
  | {
      readonly command: 'verifyPin';
      readonly pinKey: KeyBlock;
      /** 0 when left out. */
      readonly pinFormat?: PinFormat;
      readonly pvk: KeyBlock;
      readonly pinBlock: string;
      readonly pan: string;
      readonly pvki: string;
      readonly pvv: string;
    }
  /** What the issuer keeps of a PIN that a customer chose; the block is under a PIN key. */
  | {
      readonly command: 'generatePvv';
      readonly pinKey: KeyBlock;
      readonly pinFormat?: PinFormat;
      readonly pvk: KeyBlock;
      readonly pinBlock: string;
      readonly pan: string;
      readonly pvki: string;
    }
  /**
   * A random PIN (six digits when nothing is said): what the issuer keeps of it, and the PIN in a
   * block under `pinKey`, or, to the bureau of a laboratory alone, in a letter that only the holder
   * of the printer's RSA key (SPKI hex) can read.
   */
  | {
      readonly command: 'generatePin';
      readonly pvk: KeyBlock;
      readonly pan: string;
      readonly pvki: string;
      readonly pinDigits?: number;
      readonly pinKey?: KeyBlock;
      readonly pinFormat?: PinFormat;
      readonly printerKeySpki?: string;
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
  /**
   * A dynamic token: which of these counters its cryptogram was made with. The HSM fills in the
   * shape of a token itself, so that nothing learnt here serves a payment; the mask names at least
   * 16 bits. With `signed` the cryptogram's MAC over these data is compared instead.
   */
  | {
      readonly command: 'verifyToken';
      readonly algorithm?: CardKeyAlgorithm;
      readonly imkAc: KeyBlock;
      readonly card: CardId;
      readonly atcs: readonly string[];
      readonly aip: string;
      readonly issuerApplicationData: string;
      /** 9F37. */
      readonly unpredictableNumber: string;
      readonly signed?: string;
      readonly mask: string;
      readonly cryptogram: string;
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
  /**
   * Data of PIN CHANGE/UNBLOCK (84 24 00 02) before its MAC: the PIN of a block, enciphered for the
   * card. There is no command that enciphers data of the caller's own under this key: it would find
   * the PIN by trying all of them.
   */
  | {
      readonly command: 'generatePinChange';
      readonly algorithm?: CardKeyAlgorithm;
      readonly imkEnc: KeyBlock;
      readonly card: CardId;
      readonly atc: string;
      readonly pinKey: KeyBlock;
      readonly pinFormat?: PinFormat;
      readonly pinBlock: string;
    }
  /** The e-cash balance (its five low bytes) that a card vouches for in 9F10, and its MAC. */
  | {
      readonly command: 'verifyEcBalance';
      readonly algorithm?: CardKeyAlgorithm;
      readonly imkMac: KeyBlock;
      readonly card: CardId;
      readonly atc: string;
      readonly balance: string;
      readonly mac: string;
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
    }
  | HsmElementRequest;
/** Commands for the manager of secure elements. */
export type HsmElementRequest =
  /** A new master for key sets; 16 bytes for `T`, 16, 24 or 32 for `A`. */
  | {
      readonly command: 'generateElementMaster';
      readonly algorithm: 'T' | 'A';
      readonly lengthBytes: number;
    }
  | {
      readonly command: 'elementKeyCheckValues';
      readonly source: KeySetSource;
      readonly protocol: 2 | 3;
    }
  /**
   * A session with the element that gave this answer to INITIALIZE UPDATE. Its cryptogram is
   * checked first: keys that do not explain it give `ERR_HSM_CARD_CRYPTOGRAM` and no proof of the
   * host, so that nothing can be sent that the element would count.
   */
  | {
      readonly command: 'openElementSession';
      readonly source: KeySetSource;
      readonly hostChallenge: string;
      readonly answer: string;
      readonly securityLevel: number;
      readonly commandBytesMax: number;
    }
  /** The same before the element is there, for predictable challenges. @see GP-D §6.2.2.1 */
  | {
      readonly command: 'openElementScript';
      readonly source: KeySetSource;
      readonly hostChallenge: string;
      readonly target: {
        readonly protocol: 2 | 3;
        readonly parameterI: number;
        readonly keyVersionNumber: number;
        readonly sequenceCounter: number;
        readonly invokerAid: string;
      };
      readonly securityLevel: number;
      readonly commandBytesMax: number;
    }
  /** Whether an answer to INITIALIZE UPDATE is the one that a session or script was opened for. */
  | {
      readonly command: 'verifyElementAnswer';
      readonly session: ElementSessionToken;
      readonly answer: string;
    }
  /** Clear commands in, protected ones out, in order. */
  | {
      readonly command: 'wrapElementCommands';
      readonly session: ElementSessionToken;
      readonly commands: readonly string[];
    }
  /** Protected answers in, clear ones out; a wrong MAC is `ERR_HSM_RESPONSE_MAC`. */
  | {
      readonly command: 'unwrapElementAnswers';
      readonly session: ElementSessionToken;
      readonly answers: readonly string[];
    }
  /** Clear PUT KEY commands with a key set under the session's key for data. */
  | {
      readonly command: 'putElementKeys';
      readonly session: ElementSessionToken;
      readonly source: KeySetSource;
      readonly type: 'aes' | 'des';
      readonly replaces: number;
      readonly newKeyVersionNumber: number;
    }
  /** Clear STORE DATA commands whose groupings are under the session's key for data. */
  | {
      readonly command: 'storeElementData';
      readonly session: ElementSessionToken;
      readonly groupings: readonly ElementGrouping[];
      readonly isEncrypted: boolean;
    }
  /** Signs the SHA-256 of a load file for the domain that verifies (DAP). */
  | {
      readonly command: 'signLoadFile';
      readonly kind: LoadFileSignatureKind;
      readonly hash: string;
    }
  | { readonly command: 'loadFileVerificationKey'; readonly kind: LoadFileSignatureKind }
  /**
   * The factory keys of a new element, once, RSA-OAEP(SHA-256) under the element's own transport
   * key: encryption, MAC and data encryption key one after another.
   */
  | {
      readonly command: 'exportFactoryKeys';
      readonly source: KeySetSource;
      readonly publicKeySpki: string;
    };
export type HsmCommand = HsmRequest['command'];

/** The answer of each command. */
export type HsmAnswers = {
  status: {
    readonly party: string;
    readonly masterKeyKcv: string;
    readonly label: string;
    readonly driver: string;
    /** What the driver can compute. */
    readonly mechanisms: readonly string[];
    /** What this HSM is not. */
    readonly notice: string;
  };
  forgetKeys: { readonly forgotten: number };
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
  generatePvv: { readonly pvv: string };
  generatePin: {
    readonly pvv: string;
    readonly pinBlock: string | null;
    /** RSA-OAEP(SHA-256) of the letter's text. */
    readonly letter: string | null;
  };
  verifyArqc: { readonly valid: boolean };
  /** The counter, or null: the token is not this card's. */
  verifyToken: { readonly atc: string | null };
  generateArpc: { readonly arpc: string };
  generateScriptMac: { readonly mac: string };
  generatePinChange: { readonly data: string };
  verifyEcBalance: { readonly valid: boolean };
  exportInitialKey: { readonly enciphered: string; readonly kcv: string };
  /** `image` is the JSON text of an `IccImage` (emv/data), `pvv` goes to the issuer's card file. */
  personaliseCard: {
    readonly image: string;
    readonly pvv: string;
    readonly caPublicKey: CaPublicKeyJson;
  };
} & HsmElementAnswers;
/** The answer of each command for secure elements. Commands and answers are APDUs in hex. */
export type HsmElementAnswers = {
  generateElementMaster: { readonly keyBlock: KeyBlock; readonly kcv: string };
  elementKeyCheckValues: { readonly kcvs: KeySetCheckValues };
  openElementSession: OpenedElementSession;
  /** `commands` begin with INITIALIZE UPDATE. */
  openElementScript: OpenedElementSession & { readonly initializeUpdate: string };
  verifyElementAnswer: { readonly valid: boolean };
  wrapElementCommands: {
    readonly session: ElementSessionToken;
    readonly commands: readonly string[];
  };
  unwrapElementAnswers: {
    readonly session: ElementSessionToken;
    readonly answers: readonly string[];
  };
  putElementKeys: {
    readonly commands: readonly string[];
    readonly expectedAnswer: string;
    readonly kcvs: KeySetCheckValues;
  };
  storeElementData: { readonly commands: readonly string[] };
  signLoadFile: { readonly signature: string };
  loadFileVerificationKey:
    | { readonly kind: 'ecdsaP256'; readonly point: string }
    | { readonly kind: 'rsaPss'; readonly modulus: string; readonly exponent: string };
  exportFactoryKeys: { readonly enciphered: string; readonly kcvs: KeySetCheckValues };
};
/** A session that waits for EXTERNAL AUTHENTICATE, which is given as it goes over the wire. */
export type OpenedElementSession = {
  readonly session: ElementSessionToken;
  readonly externalAuthenticate: string;
  /** Most clear data bytes of a command, so that MAC and padding fit behind them. */
  readonly dataBytesMax: number;
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
