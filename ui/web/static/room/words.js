// The page's words, in the language that was chosen, or the browser's. Numbers in braces: "{n} pages".
import en from "./words/en.js";
import de from "./words/de.js";

const LANGUAGES = { en, de };
const kept = localStorage.getItem("glossator-language");
export const language = LANGUAGES[kept] ? kept : navigator.language?.startsWith("de") ? "de" : "en";
document.documentElement.lang = language;

export const t = (key, values = {}) => {
  const counted = values.n === undefined ? key : `${key}.${values.n === 1 ? "one" : "many"}`;
  const text = LANGUAGES[language][counted] ?? LANGUAGES[language][key] ?? en[counted] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (values[name] === undefined ? whole : number(values[name])));
};
const number = (value) => (typeof value === "number" ? value.toLocaleString(language, { maximumFractionDigits: 1 }) : value);
export const percent = (share) => Number(share).toLocaleString(language, { style: "percent", maximumFractionDigits: 0 });
export const duration = (seconds) => {
  if (seconds < 90) return t("seconds", { n: Math.max(1, Math.round(seconds)) });
  return seconds < 5400 ? t("minutes", { n: Math.round(seconds / 60) }) : t("hours", { n: Math.round(seconds / 360) / 10 });
};
export const chooseLanguage = (name) => { localStorage.setItem("glossator-language", name); location.reload(); };
