/** Accounts whose platforms call the gateway, and how such a platform proves that it is the one. Plain data: it crosses to the edge's thread. */
export interface PlatformDoor {
  readonly channel: string;
  readonly accountId: string;
  readonly proof: SecretProof | SignatureProof;
}

/** The platform shows the secret itself with each call. */
export interface SecretProof {
  readonly type: "secret";
  /** Lower case. */
  readonly header: string;
  readonly secret: string;
}

/** The platform signs `<version>:<time>:<body>` with the secret: HMAC-SHA256, shown as `<version>=<hex>`. */
export interface SignatureProof {
  readonly type: "signature";
  /** Lower case. */
  readonly header: string;
  /** Of the time of the call, in seconds since 1970; lower case. */
  readonly timeHeader: string;
  readonly version: string;
  readonly secret: string;
}
