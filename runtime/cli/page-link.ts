/**
 * The link to the operator's page. The key travels in the fragment, which a browser keeps to itself: it is sent to no server
 * and stands in no access log.
 */
export function makePageLink(pageUrl: string, key: string | undefined): string {
  const url = new URL(pageUrl);
  url.hash = key === undefined ? "" : `key=${encodeURIComponent(key)}`;
  return url.href;
}
