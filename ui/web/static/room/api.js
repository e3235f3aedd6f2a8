// The server's /v1: JSON in and out. A refusal is a Problem, in words for whoever asked.
import { t } from "./words.js";

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// The library that is open: "" for the one that the server was started with. All paths but those of `everywhere` are
// of what is in it.
export const library = new URLSearchParams(location.search).get("l") ?? "";
export const address = (path) => `/v1${library ? `/libraries/${encodeURIComponent(library)}` : ""}${path}`;
export const pageAddress = (conversation) => {
  const parts = new URLSearchParams([...(library ? [["l", library]] : []), ...(conversation ? [["c", conversation]] : [])]);
  return parts.size ? `/?${parts}` : "/";
};

const call = async (method, url, body, options = {}) => {
  let reply;
  const headers = body === undefined || body instanceof Blob ? {} : { "content-type": "application/json" };
  try {
    reply = await fetch(url, {
      method, headers: { ...headers, ...options.headers }, signal: options.signal, keepalive: options.keepalive,
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(t("lost"), 0);
  }
  if (reply.status === 401) location.assign("/login");
  if (reply.status === 304 || reply.status === 204) return { reply, json: null };
  const is_json = (reply.headers.get("content-type") ?? "").includes("json");
  const json = is_json ? await reply.json() : { detail: await reply.text() };
  if (!reply.ok) throw new Problem(json.detail || t("lost"), reply.status);
  return { reply, json };
};

const query = (values) => {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values ?? {}))
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined && each !== "") found.append(name, each);
  return found.size ? `?${found}` : "";
};
export const get = async (path, values, options) => (await call("GET", address(path) + query(values), undefined, options)).json;
export const send = async (method, path, body, options) => (await call(method, address(path), body, options)).json;
export const everywhere = async (method, path, body) => (await call(method, `/v1${path}`, body)).json;
export const getIfChanged = async (path, tag) => {
  const { reply, json } = await call("GET", address(path), undefined, { headers: tag ? { "if-none-match": tag } : {} });
  return { json, tag: reply.headers.get("etag") };
};

// Events of a question or an explanation, from number `after` on, until it has ended. A page that is not seen does not
// ask; a server that is away is asked again.
export const follow = async (path, on, signal, lost = () => {}) => {
  let next = 0, pause = 500;
  for (;;) {
    if (signal.aborted) return;
    if (document.hidden) { await new Promise((go) => setTimeout(go, 1000)); continue; }
    try {
      const news = await get(path, { after: next, wait: 15 }, { signal });
      next = news.next;
      pause = 500;
      for (const event of news.events) on(event, news.seconds);
      if (!news.open) return;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status && error.status < 500) throw error;
      lost(error);
      await new Promise((go) => setTimeout(go, pause));
      pause = Math.min(2 * pause, 5000);
    }
  }
};

// A file on its way up; `report` gets the share that has arrived.
export const upload = (file, report) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  request.open("PUT", `/v1/uploads/${encodeURIComponent(file.name.replaceAll("/", "_") || "document")}`);
  request.upload.onprogress = (event) => report(event.total ? event.loaded / event.total : 0);
  request.onerror = () => reject(new Problem(t("lost"), 0));
  request.onload = () => {
    let reply = {};
    try { reply = JSON.parse(request.responseText); } catch { reply = { detail: request.responseText }; }
    if (request.status === 201) resolve(reply.id);
    else reject(new Problem(reply.detail || t("lost"), request.status));
  };
  request.send(file);
});
