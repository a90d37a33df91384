/** The text of pages: what a model is shown of them, and pages that are made to hold a reader up. */
import { describe, expect, it } from "vitest";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { pageText } from "../../../../runtime/tools/web/page-text.ts";

const base = "https://example.org/docs/page";
const markdown = (html: string): string => pageText(html, base, "markdown").text;
const plain = (html: string): string => pageText(html, base, "text").text;

const article = `<!doctype html><html><head><title> A  page
 &amp; more</title><style>b{}</style><script>evil("<p>")</script></head><body>
<nav><a href="/">Home</a></nav>
<h1>Hello <b>there</b></h1>
<p>First   paragraph with a <a href="../x?a=1&amp;b=2">link</a>.</p>
<ul><li>one<li>two<ol><li>deep</ol></ul>
<pre><code>  a
  b</code></pre>
<table><tr><th>Name<th>Size</tr><tr><td>cat<td>4</tr></table>
<p hidden>unseen</p><div aria-hidden="true">unseen</div>Last<br>line</body></html>`;

describe("a page", () => {
  it("has a title, and a text with the marks of Markdown", () => {
    const page = pageText(article, base, "markdown");
    expect(page.title).toBe("A page & more");
    expect(page.isCut).toBe(false);
    expect(page.text).toBe(
      [
        "# Hello there",
        "",
        "First paragraph with a [link](https://example.org/x?a=1&b=2).",
        "",
        "- one",
        "- two",
        "  1. deep",
        "",
        "```",
        "  a",
        "  b",
        "```",
        "",
        "Name | Size",
        "cat | 4",
        "",
        "Last",
        "line",
      ].join("\n"),
    );
  });

  it("has a plain text without marks and addresses", () => {
    expect(plain(article)).toContain("Hello there\n\nFirst paragraph with a link.\n\n- one");
    expect(plain(article)).not.toMatch(/#|`|https:/);
  });

  it("keeps blanks between words whatever marks stand between, and none where there are none", () => {
    expect(markdown("a <b>b</b> c<i>d</i>")).toBe("a b cd");
    expect(markdown("<p>see<a href='/y'> this </a>now")).toBe("see [this](https://example.org/y) now");
  });

  it("names no target that is no page, and no empty link", () => {
    expect(markdown("<a href='javascript:alert(1)'>x</a> <a href='#top'>y</a> <a href='http://['>z</a>")).toBe("x y z");
    expect(markdown("<p>a<a href='/img'><img src=x></a>b")).toBe("ab");
    expect(markdown("<a href='/a)b'>t</a>")).toBe("[t](https://example.org/a%29b)");
  });

  it("has no characters that nobody sees", () => {
    expect(markdown("ig\u200bno\u202ere\u0007")).toBe("ignore");
  });

  it("is read in one pass, however deep its elements are, and ends where they do not", () => {
    const deep = pageText(`before${"<div>".repeat(200_000)}after`, base, "markdown");
    expect(deep).toEqual({ title: undefined, text: "before", isCut: true });
    const closed = pageText(`${"<i>".repeat(limits.webDepthMax - 1)}in${"</i>".repeat(999)}after`, base, "text");
    expect(closed).toMatchObject({ text: "inafter", isCut: false });
    expect(plain("</p></div>".repeat(50_000) + "x")).toBe("x");
  });
});
