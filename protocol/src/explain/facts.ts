/**
 * Names of the facts of the card kinds. Tests, command and page read them; they do not change.
 * Hex is upper case without separators, amounts are minor units as decimal text, days `YYYY-MM-DD`.
 */
import type { Fact } from './types.ts';

/** One data object, of any level, in the order of the input. */
export type ObjectFact = {
  readonly tag: string;
  readonly nameEn: string;
  readonly nameZh: string;
  readonly offsetBytes: number;
  /** Of the value. */
  readonly lengthBytes: number;
  /** 0 on the outside. */
  readonly depth: number;
  readonly constructed: boolean;
  readonly value: string;
  /** What it says, in English; null for plain bytes. */
  readonly text: string | null;
};

/** An entry of a data object list. */
export type DolEntryFact = {
  readonly tag: string;
  readonly nameEn: string;
  readonly nameZh: string;
  readonly lengthBytes: number;
};

/** A data object list; `tag` is null when the list stands alone. */
export type DolFact = {
  readonly tag: string | null;
  readonly entries: readonly DolEntryFact[];
  readonly totalLengthBytes: number;
  /** Tags asked for more than once. */
  readonly duplicates: readonly string[];
};

/** An application that a directory names (template 61). */
export type CandidateFact = {
  readonly aid: string | null;
  readonly label: string | null;
  readonly preferredName: string | null;
  /** 1 to 15; null without 87 or with priority 0. */
  readonly priority: number | null;
  readonly needsConfirmation: boolean;
  /** The SELECT that comes next for it. */
  readonly select: string | null;
};

/** A log file: where and how many records. */
export type LogEntryFact = { readonly sfi: number; readonly records: number };

/** What the answer to a SELECT says. */
export type FciFact = {
  readonly dfName: string | null;
  /** Set when the name is text, as `1PAY.SYS.DDF01`. */
  readonly dfNameText: string | null;
  readonly label: string | null;
  readonly preferredName: string | null;
  readonly priority: number | null;
  readonly directorySfi: number | null;
  /** As `zh` and `en`. */
  readonly languages: readonly string[];
  readonly issuerCodeTable: number | null;
  readonly logEntry: LogEntryFact | null;
  readonly loadLogEntry: LogEntryFact | null;
  readonly pdol: DolFact | null;
};

/** One entry of an AFL. */
export type AflEntryFact = {
  readonly sfi: number;
  readonly firstRecord: number;
  readonly lastRecord: number;
  readonly signedRecords: number;
};

/** An AFL and the commands it stands for. */
export type AflFact = {
  readonly value: string;
  readonly entries: readonly AflEntryFact[];
  /** READ RECORD commands in order, as `00B2010C00`. */
  readonly commands: readonly string[];
  /** Those of them whose records take part in offline data authentication. */
  readonly signedCommands: readonly string[];
};

/** A flag that is set. */
export type BitFact = {
  /** From 1. */
  readonly byte: number;
  /** 8 is the most significant. */
  readonly bit: number;
  readonly nameEn: string;
  readonly nameZh: string;
};

/** AIP and AFL of GET PROCESSING OPTIONS. */
export type ProcessingFact = {
  /** `80` or `77`. */
  readonly format: string;
  readonly aip: string;
  readonly aipBits: readonly BitFact[];
  readonly afl: AflFact | null;
};

/** A CA public key as terminals download it. */
export type CaPublicKeyFact = {
  readonly rid: string | null;
  readonly index: string | null;
  readonly expiry: string | null;
};

/** What TLV data say beyond their objects; of kinds `tlv`, `apdu`, `field55`. */
export type ContentFacts = {
  readonly objects: readonly ObjectFact[];
  /** Objects that hold no others. */
  readonly primitiveCount: number;
  readonly dols: readonly DolFact[];
  readonly candidates: readonly CandidateFact[];
  readonly fci: FciFact | null;
  readonly processing: ProcessingFact | null;
  readonly caPublicKeys: readonly CaPublicKeyFact[];
};

/** Facts of `tlv`. */
export type TlvFacts = ContentFacts & {
  readonly lengthBytes: number;
  /** Whether every byte was read as a data object or filler. */
  readonly complete: boolean;
  /** Where reading had to stop. */
  readonly brokenAtBytes: number | null;
};

/** Facts of `dol`. */
export type DolFacts = DolFact & {
  /** `PDOL`, `CDOL1`, `CDOL2`, `DDOL`, `TDOL`, `log format`, or null. */
  readonly list: string | null;
  /** The list's values one after another, when values were given. */
  readonly data: string | null;
  /** Tags of the list for which no value was given. */
  readonly missing: readonly string[];
  /** GET PROCESSING OPTIONS or INTERNAL AUTHENTICATE; its head with `…` when values are missing. */
  readonly command: string | null;
  /** GENERATE AC by request: `AAC`, `TC`, `ARQC`, `AAC+CDA`, `TC+CDA`, `ARQC+CDA`. */
  readonly generateAc: { readonly [request: string]: string } | null;
  /** The values taken apart again, in the order of the list. */
  readonly values: readonly { readonly tag: string; readonly value: string }[];
  /** The objects that the list was found among, and the status word after them. */
  readonly objects: readonly ObjectFact[];
  readonly holderStatusWord: string | null;
  /** A given command, data or Lc against the list. */
  readonly given: {
    readonly command: CommandFact | null;
    readonly lc: number | null;
    readonly statusWord: string | null;
    readonly lengthBytes: number;
    readonly expectedLengthBytes: number;
    readonly matches: boolean;
  } | null;
};

/** A command APDU. */
export type CommandFact = {
  readonly hex: string;
  readonly name: string;
  readonly cla: string;
  readonly ins: string;
  readonly p1: string;
  readonly p2: string;
  readonly lc: number | null;
  readonly data: string | null;
  /** 256 for `00`. */
  readonly le: number | null;
  readonly meaningEn: string;
  readonly meaningZh: string;
  /** False when lengths do not fit; `corrected` then holds what should have been sent, if known. */
  readonly wellFormed: boolean;
  readonly corrected: string | null;
};

/** A response APDU. */
export type ResponseFact = {
  readonly hex: string;
  readonly data: string;
  readonly statusWord: string;
  readonly statusEn: string;
  readonly statusZh: string;
};

/** Facts of `apdu`. */
export type ApduFacts = ContentFacts & {
  readonly direction: 'command' | 'response';
  readonly command: CommandFact | null;
  readonly response: ResponseFact | null;
};

/** One command of a log and its answer. */
export type ExchangeFact = {
  /** From 1. */
  readonly number: number;
  readonly command: CommandFact | null;
  readonly response: ResponseFact | null;
  /** What the terminal must send after this answer, when the answer says so (61xx, 6Cxx). */
  readonly nextCommand: string | null;
};

/** One application cryptogram of a log. */
export type LogCryptogramFact = {
  /** 1 or 2; 0 when it came with the answer to GPO (qPBOC). */
  readonly generateAc: number;
  readonly requested: string | null;
  readonly type: string;
  readonly cid: string | null;
  readonly cryptogram: string | null;
  readonly atc: string | null;
  readonly iad: string | null;
  /** TVR in the command's data, by the CDOL. */
  readonly tvr: string | null;
  /** The command's data by tag. */
  readonly values: { readonly [tag: string]: string };
};

/** Facts of `apduLog`. */
export type ApduLogFacts = {
  readonly exchanges: readonly ExchangeFact[];
  readonly candidates: readonly CandidateFact[];
  /** Of the last application or directory that was selected. */
  readonly fci: FciFact | null;
  readonly selectedAid: string | null;
  readonly processing: ProcessingFact | null;
  readonly records: readonly {
    readonly sfi: number;
    readonly record: number;
    readonly signed: boolean;
    readonly value: string;
  }[];
  /** GET DATA answers by tag. */
  readonly getData: { readonly [tag: string]: string };
  readonly dataAuthentication: {
    /** `SDA`, `DDA`, `CDA`, `fDDA` or null when there was none. */
    readonly method: string | null;
    readonly issuerCertificate: 'passed' | 'failed' | 'notPossible';
    readonly iccCertificate: 'passed' | 'failed' | 'notPossible';
    readonly signature: 'passed' | 'failed' | 'notPossible';
    readonly caKey: string | null;
  };
  readonly cryptograms: readonly LogCryptogramFact[];
  readonly issuerAuthentication: {
    readonly data: string;
    readonly lengthBytes: number;
    /** 8-byte ARPC and 2-byte ARC: 10. */
    readonly expectedLengthBytes: number;
    readonly statusWord: string | null;
    readonly accepted: boolean;
  } | null;
  readonly outcome: 'approved' | 'declined' | 'onlineRequested' | 'unfinished';
  /** What should be sent next, after the last exchange; with `reasonEn` in the findings. */
  readonly nextCommand: string | null;
};

/** Facts of `atr`. */
export type AtrFacts = {
  readonly lengthBytes: number;
  readonly ts: string;
  readonly convention: 'direct' | 'inverse' | 'unknown';
  readonly t0: string;
  /** `TA1` … by name. */
  readonly interfaceBytes: { readonly [name: string]: string };
  readonly protocols: readonly number[];
  readonly historicalBytes: string;
  readonly historicalLengthBytes: number;
  readonly historicalText: string | null;
  readonly tckPresent: boolean;
  readonly tck: string | null;
  readonly tckExpected: string | null;
  readonly tckOk: boolean | null;
  readonly extraGuardTime: number | null;
  readonly clockRateConversion: number | null;
  readonly baudRateAdjustment: number | null;
  /** The form PC/SC makes for a contactless card. */
  readonly contactless: boolean;
};

/** Facts of `statusWord`. */
export type StatusWordFacts = {
  readonly statusWord: string;
  readonly category: 'ok' | 'warning' | 'error' | 'proprietary';
  readonly meaningEn: string;
  readonly meaningZh: string;
};

/** One value of a data element. `detail` by tag: see `ValueDetail` names below. */
export type ValueFact = {
  readonly tag: string;
  readonly nameEn: string;
  readonly nameZh: string;
  readonly value: string;
  readonly lengthBytes: number;
  readonly text: string | null;
  readonly textZh: string | null;
  /** Flags set, for TVR, TSI, AIP, AUC, TTQ, CTQ, terminal capabilities, ADA, CVR of 9F10. */
  readonly bits: readonly BitFact[];
  /**
   * 94: AflFact. 8E: `amountX`, `amountY`, `rules` (RuleFact). 9F34: RuleFact and `result`.
   * 9F10: IadFact. 9F27: `type`. DOLs: DolFact. Amounts: `amountMinor`. Dates: `date`.
   */
  readonly detail: Fact;
};

/** One rule of a CVM list. */
export type RuleFact = {
  readonly code: string;
  readonly condition: string;
  readonly methodEn: string;
  readonly conditionEn: string;
  /** What happens when the rule fails. */
  readonly onFailure: 'next' | 'fail';
};

/** Tag 9F10. */
export type IadFact = {
  /** `PBOC`, `Visa`, `M/Chip`, `CCD`, or `unknown`. */
  readonly format: string;
  readonly lengthByte: string | null;
  readonly derivationKeyIndex: string | null;
  readonly cryptogramVersion: string | null;
  readonly cvr: string | null;
  readonly algorithmByte: string | null;
  /** `3DES`, `SM4` or null. */
  readonly algorithm: string | null;
  readonly firstAc: string | null;
  /** Null when the second GENERATE AC was not requested. */
  readonly secondAc: string | null;
  readonly discretionary: {
    readonly lengthBytes: number;
    readonly identifier: string;
    /** E-cash balance in minor units; null for other identifiers. */
    readonly balanceMinor: string | null;
    /** Its MAC. */
    readonly mac: string | null;
    readonly value: string;
  } | null;
};

/** Facts of `tag`. */
export type TagFacts = {
  /** The first value's tag. */
  readonly tag: string;
  readonly values: { readonly [tag: string]: ValueFact };
  /** Other tags that a value without a name may belong to. */
  readonly otherTags: readonly string[];
};

/** Facts of `field55`. */
export type Field55Facts = ContentFacts & {
  /** Whole field, as it stands or as it was built. */
  readonly field55: string;
  readonly lengthBytes: number;
  readonly tags: readonly string[];
  /** Whether all subfields that a purchase must have are there. @see Q/CUP 006 */
  readonly mandatoryComplete: boolean;
  readonly mandatoryMissing: readonly string[];
  /** Optional subfields that are not there. */
  readonly optionalAbsent: readonly string[];
  /** Objects of the card's answer that the field was built of. */
  readonly card: readonly ObjectFact[];
  readonly cardStatusWord: string | null;
  /** Values that were not given but follow from others, as 9F27 from the CVR. */
  readonly derived: { readonly [tag: string]: string };
};

/** A recovered or plain certificate. */
export type CertificateFact = {
  readonly type: 'issuer' | 'icc' | 'iccPin';
  readonly algorithm: 'RSA' | 'SM2';
  readonly header: string | null;
  readonly format: string | null;
  /** Issuer identifier with its F filler, or the PAN with its. */
  readonly subject: string | null;
  /** As it stands. */
  readonly expiryMmyy: string | null;
  readonly validThrough: string | null;
  readonly expired: boolean | null;
  readonly serial: string | null;
  readonly hashAlgorithm: string | null;
  readonly keyAlgorithm: string | null;
  readonly keyLengthBytes: number | null;
  readonly exponentLengthBytes: number | null;
  /** The part of the key inside the certificate. */
  readonly keyInCertificate: string | null;
  /** Bytes that tag 92, 9F48 or 9F2F must bring. */
  readonly remainderNeededBytes: number | null;
  readonly keyComplete: boolean | null;
  /** The whole key: RSA modulus, or SM2 point x‖y. */
  readonly publicKey: string | null;
  readonly exponent: string | null;
  readonly hash: string | null;
  /** Null when the hash cannot be checked. */
  readonly hashMatches: boolean | null;
  readonly trailer: string | null;
  /** SM2: algorithm bytes as they stand, then the signature r‖s. */
  readonly signatureAlgorithm: string | null;
  readonly encryptionAlgorithm: string | null;
  readonly curveParameter: string | null;
  readonly signature: string | null;
  /** Every check passed; null when one was not possible. */
  readonly valid: boolean | null;
};

/** Signed static (93) or dynamic (9F4B) data. */
export type SignedDataFact = {
  readonly type: 'static' | 'dynamic';
  readonly algorithm: 'RSA' | 'SM2';
  readonly header: string | null;
  readonly format: string | null;
  readonly hashAlgorithm: string | null;
  readonly dataAuthenticationCode: string | null;
  /** ICC dynamic data without its length byte. */
  readonly dynamicDataLengthBytes: number | null;
  readonly dynamicData: string | null;
  readonly dynamicNumber: string | null;
  /** CDA only. */
  readonly cid: string | null;
  readonly cryptogramType: string | null;
  readonly cryptogram: string | null;
  readonly transactionDataHash: string | null;
  readonly hash: string | null;
  readonly hashMatches: boolean | null;
  readonly signature: string | null;
  readonly valid: boolean | null;
};

/** Facts of `certificate`. */
export type CertificateFacts = {
  readonly caKey: { readonly rid: string; readonly index: string; readonly source: string } | null;
  /** PAN that certificates are compared with. */
  readonly pan: string | null;
  readonly issuer: CertificateFact | null;
  readonly icc: CertificateFact | null;
  readonly iccPin: CertificateFact | null;
  readonly staticData: SignedDataFact | null;
  readonly dynamicData: SignedDataFact | null;
  /** All of them; null when something could not be checked. */
  readonly valid: boolean | null;
  /** PDOL and GPO around an SM2 card: DOL values by tag, and the AFL. */
  readonly processing: ProcessingFact | null;
  readonly pdolValues: { readonly [tag: string]: string };
  readonly pdolLengthBytes: number | null;
  readonly gpoCommand: CommandFact | null;
};

/** Facts of `cryptogram`. */
export type CryptogramFacts = {
  readonly cryptogramVersion: string;
  readonly algorithm: '3DES' | 'SM4';
  /** As given or read of 5A and 5F34; what is derived uses their last 16 digits only. */
  readonly pan: string | null;
  readonly panSequenceNumber: string | null;
  /** Issuer master key, card key or session key, as it was given. */
  readonly keyGiven: string | null;
  readonly iccMasterKey: string | null;
  /** The same with odd parity in every byte; DES ignores those bits. */
  readonly iccMasterKeyOddParity: string | null;
  /** 4 bytes. */
  readonly iccMasterKeyKcv: string | null;
  /** `none` (CVN 10), `PBOC`, `EMV common`, `given`. */
  readonly sessionKeyMethod: string;
  readonly sessionKey: string | null;
  /** What the MAC runs over, without padding. */
  readonly macInput: string;
  readonly macInputLengthBytes: number;
  /** All data elements given, by tag. */
  readonly values: { readonly [tag: string]: string };
  /** Computed; null without a key. */
  readonly cryptogram: string | null;
  readonly cryptogramGiven: string | null;
  /** `ARQC`, `TC`, `AAC` by 9F27 or the CVR. */
  readonly cryptogramType: string | null;
  readonly verified: boolean | null;
  /** Hex of the two characters. */
  readonly arc: string | null;
  readonly arpcMethod: 1 | 2 | null;
  readonly arpc: string | null;
  readonly arpcGiven: string | null;
  readonly arpcVerified: boolean | null;
  readonly iad: IadFact | null;
};

/** One command of an issuer script. */
export type ScriptCommandFact = {
  readonly command: CommandFact;
  /** Data element that PUT DATA writes. */
  readonly tag: string | null;
  readonly nameEn: string | null;
  readonly value: string | null;
  readonly amountMinor: string | null;
  readonly mac: string | null;
  /** CLA INS P1 P2 Lc, ATC, cryptogram, data; `ATC` and `AC` stand for what was not given. */
  readonly macInput: string | null;
  readonly macInputLengthBytes: number | null;
  readonly macInputPaddedLengthBytes: number | null;
  readonly macComputed: string | null;
  readonly macVerified: boolean | null;
};

/** Facts of `script`. */
export type ScriptFacts = {
  /** `71` before, `72` after the second GENERATE AC; null for a bare command. */
  readonly template: string | null;
  readonly identifier: string | null;
  readonly commands: readonly ScriptCommandFact[];
  readonly atc: string | null;
  readonly applicationCryptogram: string | null;
  readonly sessionKey: string | null;
  /** A GET DATA answer given beside, and what it now says. */
  readonly getData: {
    readonly command: string;
    readonly commandAfter6c: string;
    readonly response: string;
    readonly value: string;
    readonly matches: boolean;
  } | null;
};
