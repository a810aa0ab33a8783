// Which page is shown, by what is after the # of the address.

import { player } from "./audio.js";
import { fill, h, icon } from "./dom.js";
import { changed, remembered, unreachable } from "./api.js";
import { replaceKey, tellKey } from "./key.js";
import * as keys from "./keys.js";
import { followArchive } from "./live.js";
import { arrive, depart, enter, recall } from "./place.js";
import { problemBox, emptyBox } from "./problems.js";
import { amount, language, LANGUAGES, plural, t } from "./words.js";
import { explainFields } from "./wrong.js";

const PAGES = [
  { path: /^\/$/, page: "overview", link: "#/", title: t("Overview"), load: () => import("./overview.js") },
  { path: /^\/search$/, page: "search", link: "#/search", title: t("Search"), load: () => import("./search.js") },
  { path: /^\/recordings$/, page: "recordings", link: "#/recordings", title: t("Recordings"), load: () => import("./recordings.js") },
  { path: /^\/analyse$/, page: "analyse", link: "#/analyse", title: t("Analyse"), load: () => import("./analyse.js") },
  { path: /^\/recordings\/([1-9]\d{0,15})$/, page: "recording", title: t("Recording"), load: () => import("./recording.js") },
  { path: /^\/map$/, page: "map", link: "#/map", title: t("Map"), load: () => import("./map.js") },
  { path: /^\/label$/, page: "label", link: "#/label", title: t("Label"), load: () => import("./label.js") },
  { path: /^\/ingest$/, page: "ingest", link: "#/ingest", title: t("Add"), load: () => import("./ingest.js") },
];

const main = document.getElementById("main");
fill(document.querySelector("nav"), PAGES.filter((one) => one.link).map(({ page, link, title }) => h("a", { href: link, dataset: { page } }, title)));
let shown = null;
let leaving = new AbortController();

/** Show the page of the address; the page that is there already may take the change itself. */
async function show() {
  if (location.search) {  // a link such as /?clip=42
    location.replace(`./#/search${location.search}`);
    return;
  }
  const [path, search = ""] = (location.hash.slice(1) || "/").split("?");
  const found = PAGES.find((one) => one.path.test(path));
  const params = new URLSearchParams(search);
  if (path === "/" && ["clip", "not", "span", "notspan", "label"].some((name) => params.has(name))) {  // a link of before
    location.replace(`#/search?${params}`);
    return;
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === (found?.page === "recording" ? "recordings" : found?.page)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  tellArchive();
  const back = enter();
  const top = back ? recall("scroll") : 0;
  if (shown?.path === path && shown.update) {
    shown.update(params);
    if (back) arrive(top);
    return;
  }
  const first = shown === null;
  document.title = `${found?.title ?? t("Not found")} · emotion-search`;
  depart();
  leaving.abort();
  leaving = new AbortController();
  player.stop();
  keys.bind([]);
  shown = { path };
  if (!found) {
    arrive(0);
    fill(main, h("h1", {}, t("No such page")), emptyBox(t("Nothing is here"), t("There is no page {path}.", { path }), h("a.button", { href: "#/" }, t("To the start"))));
    return;
  }
  const turn = leaving.signal;
  try {
    const page = await found.load().catch(() => null);
    if (turn.aborted) return;
    if (!page) {  // a module that failed once a browser does not ask for again
      fill(main, problemBox(unreachable(), () => location.reload()));
      return;
    }
    fill(main);
    shown = { path, ...(page.render(main, { params, id: Number(path.match(found.path)[1]), signal: turn }) ?? {}) };
  } catch (error) {
    if (!turn.aborted) fill(main, problemBox(error, show));
  }
  if (turn.aborted) return;
  if (!first) main.focus({ preventScroll: true });
  arrive(top);
}

async function tellArchive() {
  const place = document.getElementById("archive");
  const stats = await remembered("/v1/stats").catch(() => null);
  fill(place, stats && stats.clips ? `${plural(stats.clips, "clip")} · ${amount(stats.duration)} · ${stats.model}` : stats ? t("empty archive") : "");
}

const THEMES = { auto: t("as the system"), light: t("light"), dark: t("dark") };

function themes() {
  const button = document.getElementById("theme");
  const now = () => document.documentElement.dataset.theme ?? "auto";
  const tell = () => {
    fill(button, icon({ auto: "auto", light: "sun", dark: "moon" }[now()]));
    button.setAttribute("aria-label", t("Theme: {name}", { name: THEMES[now()] }));
    button.title = t("Theme: {name}", { name: THEMES[now()] });
    for (const one of main.querySelectorAll("canvas, iframe")) one.dispatchEvent(new Event("themechange"));
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(now()) + 1) % names.length];
    if (next === "auto") { delete document.documentElement.dataset.theme; localStorage.removeItem("theme"); }
    else { document.documentElement.dataset.theme = next; localStorage.setItem("theme", next); }
    tell();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  tell();
}

/** The language, by a switch at the top; the page is loaded anew in it. */
function languages() {
  const button = document.getElementById("language");
  const other = Object.keys(LANGUAGES).find((one) => one !== language);
  fill(button, LANGUAGES[other]);
  button.lang = other === "zh" ? "zh-CN" : other;
  button.addEventListener("click", () => { localStorage.setItem("language", other); location.reload(); });
}

/** What stands around every page, in the reader's language. */
function frame() {
  document.querySelector(".skip").textContent = t("Skip to the content");
  document.querySelector("nav").setAttribute("aria-label", t("Pages"));
  document.getElementById("archive").setAttribute("aria-label", t("Archive"));
  for (const [id, name] of [["key", t("Key")], ["help", t("Keyboard shortcuts (?)")]]) {
    document.getElementById(id).setAttribute("aria-label", name);
    document.getElementById(id).title = name;
  }
}

frame();
themes();
languages();
keys.install();
explainFields();
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
document.getElementById("help").addEventListener("click", keys.help);
// A file dropped beside a drop zone must not replace the page.
for (const what of ["dragover", "drop"]) window.addEventListener(what, (event) => event.preventDefault());
fill(document.getElementById("key"), icon("key"));
document.getElementById("key").addEventListener("click", replaceKey);
document.addEventListener("keychange", () => { changed(); shown = { path: null }; show(); });
document.addEventListener("archivechange", tellArchive);
window.addEventListener("hashchange", show);
tellKey();
show().then(() => { for (const one of PAGES) one.load().catch(() => {}); });  // the server may be away when they are wanted
followArchive();
