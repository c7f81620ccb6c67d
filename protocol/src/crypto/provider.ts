/** The ciphers that `protocol` does not bring itself; `protocol/node` drives them with OpenSSL. */

/** Synchronous primitives. All sizes in bytes; implementations throw on wrong sizes. */
export interface CipherProvider {
  sha1(data: Uint8Array): Uint8Array;
  sha256(data: Uint8Array): Uint8Array;
  /** 32 bytes. @see GM/T 0004 */
  sm3(data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** AES-ECB without padding over whole 16-byte blocks; key of 16, 24 or 32 bytes. */
  aesEcbEncrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array;
  aesEcbDecrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array;
  /** SM4-ECB without padding over whole 16-byte blocks. */
  sm4EcbEncrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array;
  sm4EcbDecrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array;
  /**
   * Whether an SM2 signature with the usual user identity stands, where the outside is faster than
   * this room's own arithmetic: inside an interpreter. @see GM/T 0003.2 §7
   */
  isSm2Signature?(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}
