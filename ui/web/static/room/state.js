// What the parts of the page share: which conversation is open, what its next question is asked of, and who listens.
export const state = {
  conversation: null,  // {id, title, ...} as the server has it; null before the first question
  documents: [],  // as listed by the server
  folders: [],  // of the server, whose files may be added by their path
  filters: [],  // those that the library can serve
  scope: { documents: [], filters: {}, way: "auto", strategy: "notes", mute: [], boost: [] },  // concepts: {id, label}
};
const listeners = new Map();
export const on = (what, act) => listeners.set(what, [...(listeners.get(what) ?? []), act]);
export const emit = (what, ...values) => (listeners.get(what) ?? []).forEach((act) => act(...values));
export const titleOf = (id) => state.documents.find((document) => document.id === id)?.title ?? "…";
export const kept = (name, fallback) => {
  try { return JSON.parse(localStorage.getItem(`glossator-${name}`)) ?? fallback; } catch { return fallback; }
};
export const keep = (name, value) => { try { localStorage.setItem(`glossator-${name}`, JSON.stringify(value)); } catch { /* a full or closed storage */ } };
