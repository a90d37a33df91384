/** What the middle of the page can show. */
import type { Page } from "../page.ts";
import type { Place } from "../desks/desk.ts";

const places: readonly { readonly place: Place; readonly words: string; readonly isAdmin?: true }[] = [
  { place: "chat", words: "Chat" },
  { place: "rights", words: "Rights" },
  { place: "routes", words: "Routes" },
  { place: "channels", words: "Channels" },
  { place: "config", words: "Config", isAdmin: true },
  { place: "log", words: "Log" },
];

export function Places({ page }: { readonly page: Page }) {
  return (
    <nav class="places" aria-label="Views">
      {places
        .filter(({ isAdmin }) => isAdmin !== true || page.view.isAdmin.value)
        .map(({ place, words }) => (
          <button
            key={place}
            type="button"
            class="button quiet"
            data-testid={`place-${place}`}
            aria-current={page.place.value === place ? "page" : undefined}
            onClick={() => page.goTo(place)}
          >
            {words}
          </button>
        ))}
    </nav>
  );
}
