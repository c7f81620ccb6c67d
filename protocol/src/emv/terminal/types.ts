/** What the kernels take, ask, are answered, and give back. */
import type { Secret } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/provider.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import type { CryptogramType } from '../data/index.ts';
import type { DataValues } from './data-objects.ts';
import type { TerminalProfile } from './profile.ts';

/**
 * The phases of both kernels, those of the contact kernel in the order of the standard.
 * @see EMV 4.3 B3 §10 figure 7; EMV C-7 §3
 */
export type Phase =
  /** Contactless: reader limits and terminal transaction qualifiers, before any card. */
  | 'preProcessing'
  | 'applicationSelection'
  | 'initiateApplication'
  | 'readApplicationData'
  | 'offlineDataAuthentication'
  | 'processingRestrictions'
  /** Whether the card's electronic cash pays; only where card and terminal both offer it. */
  | 'electronicCash'
  | 'cardholderVerification'
  | 'terminalRiskManagement'
  | 'terminalActionAnalysis'
  /** Contactless: what the card's cryptogram, its qualifiers and the TVR lead to. */
  | 'transactionDecision'
  | 'firstGenerateAc'
  | 'onlineProcessing'
  | 'issuerAuthentication'
  | 'scriptsBeforeFinalAc'
  | 'secondGenerateAc'
  | 'scriptsAfterFinalAc'
  | 'completion';

/** Facts of a phase worth tracing; never cardholder data. */
export type PhaseFacts = Readonly<Record<string, string | number | boolean | null>>;

/** One application the cardholder may choose. @see EMV 4.3 B1 §12.4 */
export type Candidate = {
  /** ADF name as the card gave it. */
  readonly aid: Uint8Array;
  readonly label: string;
  /** 1 is highest, 15 lowest, 0 none given. */
  readonly priority: number;
  /** The card forbids selection without the cardholder's word. */
  readonly confirmationRequired: boolean;
};

/** How the cardholder's PIN entry ended; `cancelled` ends the transaction. */
export type PinEntry = 'entered' | 'bypassed' | 'cancelled' | 'unavailable';

/** How an offline PIN reaches the card. @see EMV 4.3 B3 §6.5.12; B2 §7 */
export type PinVerification =
  | { readonly form: 'plaintext' }
  | {
      readonly form: 'enciphered';
      /** The card's PIN encipherment key, or its own key. */
      readonly modulus: Uint8Array;
      readonly exponent: Uint8Array;
      /** Eight bytes of GET CHALLENGE. */
      readonly challenge: Uint8Array;
    };

/** An application cryptogram and its kind. */
export type Cryptogram = { readonly type: CryptogramType; readonly value: Uint8Array };

/** Why a card refuses, in its own words; `reserved` is a code without a meaning. */
export type AdviceReason =
  | 'none'
  | 'serviceNotAllowed'
  | 'pinTryLimitExceeded'
  | 'issuerAuthenticationFailed'
  | 'reserved';

/** What a card says with a cryptogram. @see EMV 4.3 B3 §6.5.5.4 table 14 */
export type CardAdvice = {
  /** The issuer is to be told of the transaction even if it is not captured. */
  readonly isRequired: boolean;
  readonly reason: AdviceReason;
};

/** What goes to the issuer. */
export type OnlineRequest = {
  /** Every data object of the transaction by tag; prints masked. */
  readonly values: DataValues;
  /** The cardholder's online PIN was entered and must go along. */
  readonly pinRequired: boolean;
  /** Field 55 as TLV in UnionPay's order. */
  readonly field55: Uint8Array;
  readonly arqc: Cryptogram;
  readonly pan: Secret<string>;
  /** Two digits; `00` when the card gives none. */
  readonly panSequenceNumber: Secret<string>;
  readonly expiryYymm: Secret<string>;
  /** Digits with D separator, without filler; null when the card gives none. */
  readonly track2: Secret<string> | null;
};

/** What came of the request. `unknown`: it may have been charged. */
export type OnlineAnswer =
  | {
      readonly result: 'answered';
      /** Two characters of field 39. */
      readonly responseCode: string;
      /** Value of tag 91. */
      readonly issuerAuthenticationData?: Uint8Array;
      /** Raw data objects 71 and 72. */
      readonly scripts: readonly Uint8Array[];
    }
  | { readonly result: 'unable' }
  | { readonly result: 'unknown' };

/** What the attendant heard from the issuer. */
export type ReferralAnswer = 'approved' | 'declined';

/** An approval of the card alone, to be uploaded: the issuer checks its TC and books it once. */
export type OfflineApproval = {
  readonly kind: 'debitCredit' | 'electronicCash';
  /** Field 55 as TLV in UnionPay's order, the TC in it. */
  readonly field55: Uint8Array;
  readonly pan: Secret<string>;
  readonly panSequenceNumber: Secret<string>;
  readonly expiryYymm: Secret<string>;
  readonly track2: Secret<string> | null;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** Key of an upload together with PAN and PAN sequence number. */
  readonly applicationTransactionCounter: number;
};

/** What an e-cash card said, and whether this transaction was one. @see PBOC3 P13 */
export type ElectronicCash = {
  /** Terminal and card agreed on an e-cash transaction (9F7A sent as 1). */
  readonly isUsed: boolean;
  /** 9F79 (or DF79) in minor units before the transaction; null when the card did not tell. */
  readonly balanceMinor: bigint | null;
  /** After an offline approval; null else. */
  readonly balanceAfterMinor: bigint | null;
  /** ISO 4217 numeric of the balance. */
  readonly currency: string;
};

/** What the kernel asks its driver. */
export type KernelRequest =
  /** Answer: `ResponseApdu`; thrown into the generator: `ERR_CARD_REMOVED`. */
  | { readonly kind: 'transmit'; readonly command: CommandApdu }
  /** Answer: that many unpredictable bytes. */
  | { readonly kind: 'random'; readonly lengthBytes: number }
  /** Answer: index into `candidates`, or null to cancel. */
  | { readonly kind: 'selectApplication'; readonly candidates: readonly Candidate[] }
  /**
   * Answer: `PinEntry`. The PIN itself stays with the driver: an online one is sealed for the
   * issuer, an offline one is kept for the `verifyPin` that follows.
   */
  | {
      readonly kind: 'enterPin';
      readonly pan: Secret<string>;
      readonly purpose: 'online' | 'offline';
      /** Tries the card has left; null when it does not tell, and for an online PIN. */
      readonly triesLeft: number | null;
      /** The PIN entered before was wrong. */
      readonly isRetry: boolean;
    }
  /** Answer: `ResponseApdu` of the VERIFY that the driver built with the PIN entered last. */
  | { readonly kind: 'verifyPin'; readonly verification: PinVerification }
  /** The issuer asks for a voice referral. Answer: `ReferralAnswer`. @see EMV 4.3 B4 §6.5.1 */
  | { readonly kind: 'referral'; readonly pan: Secret<string>; readonly responseCode: string }
  /**
   * An offline approval must be stored durably before it is shown; the answer is ignored. What is
   * thrown makes the outcome `unknown`: the card has paid, the proof is lost.
   */
  | { readonly kind: 'storeOfflineApproval'; readonly approval: OfflineApproval }
  /** Answer: `OnlineAnswer`. */
  | { readonly kind: 'authorise'; readonly request: OnlineRequest }
  /**
   * Nothing more is asked of the card: it may be taken away. Once, before each outcome is returned;
   * not before a fault is thrown. The answer is ignored.
   */
  | { readonly kind: 'releaseCard' }
  /** A finished phase; the answer is ignored. */
  | {
      readonly kind: 'phase';
      readonly phase: Phase;
      readonly tvr: Uint8Array;
      readonly tsi: Uint8Array;
      readonly facts: PhaseFacts;
    };

/** Any answer of the driver; each request says which one it wants. */
export type KernelAnswer =
  | ResponseApdu
  | Uint8Array
  | number
  | null
  | PinEntry
  | ReferralAnswer
  | OnlineAnswer
  | undefined;

/** A part of the kernel's conversation that ends with `Value`. */
export type Kernel<Value> = Generator<KernelRequest, Value, KernelAnswer>;

/** One transaction, whichever way the card is read. */
export type TerminalTransaction = {
  readonly ciphers: CipherProvider;
  readonly terminal: TerminalProfile;
  /** 9F02, minor units, cashback included. */
  readonly amountMinor: bigint;
  /** 9F03, minor units; 0 without cashback. */
  readonly otherAmountMinor: bigint;
  /** 9C: 0x00 goods and services, 0x01 cash, 0x09 cashback. */
  readonly transactionType: number;
  readonly dateYymmdd: string;
  readonly timeHhmmss: string;
  /** 9F41, at most 8 digits. */
  readonly sequenceCounter: number;
  /** The merchant wants this one online. */
  readonly forceOnline?: boolean;
  /** False: no e-cash for this one even where card and terminal could. */
  readonly electronicCash?: boolean;
  readonly merchant: MerchantData;
};

/** One contact transaction. */
export type ContactTransaction = TerminalTransaction;
/** One contactless transaction; an AID without `contactless` limits takes no part in it. */
export type ContactlessTransaction = TerminalTransaction;

/** The accepting merchant; an absent value is not sent to the card. */
export type MerchantData = {
  /** 9F16, 15 characters at most. */
  readonly merchantId?: string;
  /** 9F1C, 8 characters at most. */
  readonly terminalId?: string;
  /** 9F4E, 20 characters at most. */
  readonly nameAndLocation?: string;
  /** 9F15, 4 digits. */
  readonly categoryCode?: string;
  /** 9F01, 11 digits at most. */
  readonly acquirerId?: string;
};

/** Result of offline data authentication. */
export type DataAuthentication = 'none' | 'SDA' | 'DDA' | 'CDA' | 'fDDA' | 'failed';

/** What both kernels say of a transaction's end. */
export type TransactionOutcome = {
  /**
   * Who decided and why: `issuer:51`, `referral:01`, `card:AAC`, `terminal:TAC-denial`,
   * `terminal:CDA`, `ERR_CARD_REMOVED`.
   */
  readonly reason: string;
  readonly online: 'notSent' | OnlineAnswer['result'];
  /** The issuer's code; null when it did not answer. */
  readonly responseCode: string | null;
  readonly first: Cryptogram | null;
  /** The first cryptogram when it is an ARQC. */
  readonly arqc: Cryptogram | null;
  /** Of the last cryptogram; null before any. */
  readonly cardAdvice: CardAdvice | null;
  readonly tvr: Uint8Array;
  readonly tsi: Uint8Array;
  readonly cvmResults: Uint8Array;
  readonly issuerAuthentication: 'notPerformed' | 'passed' | 'failed';
  /** One result of 5 bytes a script. @see EMV 4.3 B4 §A5 */
  readonly scriptResults: readonly Uint8Array[];
  /** Stored for upload; null unless approved offline. */
  readonly offlineApproval: OfflineApproval | null;
  /** Null when card or terminal has no e-cash. */
  readonly electronicCash: ElectronicCash | null;
  readonly aid: Uint8Array | null;
  readonly label: string | null;
  readonly panMasked: string | null;
  /** Every data object at the end; prints masked. */
  readonly values: DataValues;
};

/** How a contact transaction ended. */
export type ContactOutcome = TransactionOutcome & {
  /**
   * `unknown`: sent to the issuer without a final answer, or approved there and the card lost.
   * `notAccepted`: no application, the card refused before any cryptogram, or does not allow the
   * service at all (`card:serviceNotAllowed`).
   */
  readonly outcome: 'approved' | 'declined' | 'unknown' | 'cancelled' | 'notAccepted';
  readonly second: Cryptogram | null;
  readonly dataAuthentication: Exclude<DataAuthentication, 'fDDA'>;
};

/**
 * How a contactless transaction ended. The approval is final at the issuer's answer: there is no
 * second cryptogram, no issuer authentication and no script.
 */
export type ContactlessOutcome = TransactionOutcome & {
  /**
   * As of `ContactOutcome`. `approved` with `card:TC`: offline, see `offlineApproval`. `unknown`
   * with `card:torn:...`: the card left at the last record of an offline payment and may have
   * deducted.
   * `notAccepted` with `terminal:presentOneCard` or `card:seeDevice`: may be tapped again.
   * `tryAnotherInterface`: nothing was charged, the card is to be inserted: `card:useContact`,
   * `terminal:zeroAmount`, `terminal:contactlessLimit`, `terminal:contactlessFloorLimit`,
   * `terminal:contactlessNotTaken`, `terminal:noCommonCvm`.
   */
  readonly outcome: ContactOutcome['outcome'] | 'tryAnotherInterface';
  readonly second: null;
  readonly dataAuthentication: 'none' | 'fDDA' | 'failed';
};

/** The end of either kernel. */
export type KernelOutcome = ContactOutcome | ContactlessOutcome;
