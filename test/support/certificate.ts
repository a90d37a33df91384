/** A certificate that a test makes for itself, signed by its own key: who trusts it trusts it alone. Node makes none, so openssl does. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const program = "openssl";

export interface TestCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** The certificate as PEM. */
  readonly pem: string;
  remove(): void;
}

/** For a host name or `IP:<address>`. Fails where openssl is not installed: what needs it shows nothing without it. */
export function makeCertificate(subject: `DNS:${string}` | `IP:${string}`): TestCertificate {
  const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-certificate-"));
  const [certFile, keyFile] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")];
  const made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const named = ["-subj", "/CN=test", "-addext", `subjectAltName=${subject}`];
  try {
    execFileSync(program, ["req", ...made, ...named, "-keyout", keyFile, "-out", certFile], { stdio: "pipe" });
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "ENOENT") throw error;
    throw new Error("these tests make a certificate: apt-get install openssl", { cause: error });
  }
  return {
    certFile,
    keyFile,
    pem: readFileSync(certFile, "utf8"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
