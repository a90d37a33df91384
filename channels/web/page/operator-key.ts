/**
 * The operator's key, as it reaches the page: in the fragment of the printed link (`#key=<hex>`), which browsers do not
 * send to any server, or pasted into the form as the key or as the whole link. Pure. Never logged.
 */

/** The key in a URL's fragment (with or without `#`), or undefined. */
export function keyInFragment(fragment: string): string | undefined {
  const key = new URLSearchParams(fragment.replace(/^#/, "")).get("key")?.trim();
  return key === undefined || key === "" ? undefined : key;
}

/** The key in what somebody pasted; undefined for an empty field. */
export function keyInPaste(pasted: string): string | undefined {
  const trimmed = pasted.trim();
  const hash = trimmed.indexOf("#");
  const inLink = hash < 0 ? undefined : keyInFragment(trimmed.slice(hash));
  return inLink ?? (trimmed === "" ? undefined : trimmed);
}

/**
 * The gateway's socket: the directory that the page was served from. Only the page's own address decides; query and
 * fragment are cut, so no link can point the page, and with it the key, at another server.
 */
export function socketAddress(pageAddress: string): string {
  const { protocol, host, pathname } = new URL(pageAddress);
  const directory = pathname.slice(0, pathname.lastIndexOf("/") + 1);
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}${directory}`;
}
