/** The few pictures of the page. They repeat what a text beside them says, so they are hidden from screen readers. */
const paths = {
  arches: "M4 20V12a4 4 0 0 1 8 0v8M12 20V12a4 4 0 0 1 8 0v8M2.5 20h19",
  agents: "M4 6h16M4 12h16M4 18h10",
  flows: "M5 8h13m0 0-4-4m4 4-4 4M19 17H6m0 0 4-4m-4 4 4 4",
  close: "M6 6l12 12M18 6 6 18",
  send: "M12 20V5m0 0-6 6m6-6 6 6",
  stop: "M7 7h10v10H7z",
  retry: "M4.5 12a7.5 7.5 0 1 0 2.5-5.6M7 3v4h4",
  down: "M12 5v14m0 0-6-6m6 6 6-6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M4.5 12h-2M21.5 12h-2M6.7 6.7 5.3 5.3M18.7 18.7l-1.4-1.4M6.7 17.3l-1.4 1.4M18.7 5.3l-1.4 1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
} as const;

export function Icon({ name }: { readonly name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
