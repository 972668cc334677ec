import { byId, say } from "./dom.ts";

const KEPT_AS = "m2m-gateway-theme";
const THEMES = ["system", "light", "dark"] as const;

type Theme = (typeof THEMES)[number];

/** The system's choice, or the reader's own, which is kept for the next visit. */
export function startTheme(): void {
  const button = byId("theme-button", HTMLButtonElement);
  let theme = keptTheme();
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    say(button, `Theme: ${theme}`);
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
    localStorage.setItem(KEPT_AS, theme);
    apply();
  });
  apply();
}

function keptTheme(): Theme {
  const kept = localStorage.getItem(KEPT_AS);
  return THEMES.find((theme) => theme === kept) ?? "system";
}
