// Webhooks on the start page: where events are sent, a form for another, a test, what was sent.

import { read, send } from "./api.js";
import { fill, h, refill, toast } from "./dom.js";
import { busyBox, missing, sayFailure } from "./problems.js";
import { sure } from "./sure.js";
import { moment, t, translated } from "./words.js";

const EVENTS = { "job.ended": t("a job has ended"), "alert.fired": t("an alert is raised"), "webhook.test": t("a test") };
const LISTED = 10;
const LOOK_MS = 1500;  // between looks at what is being sent
const LOOKS = 15;

/** What can be opened to see the webhooks; nothing is asked for before, as only some may. */
export function webhookDesk(signal) {
  const [list, added, wrong] = [h("div"), h("div"), h("div")];
  const url = h("input", { type: "url", required: true, maxlength: 900, placeholder: "https://example.com/hook", autocomplete: "off", spellcheck: "false" });
  const boxes = ["job.ended", "alert.fired"].map((value) => h("input", { type: "checkbox", value, checked: true }));
  const form = h("form.filters.panel", { onsubmit: add },
    h("label.field", {}, h("span", {}, t("URL")), url),
    h("fieldset", {}, h("legend", {}, t("Sent when")), h("div.choices", {}, boxes.map((box) => h("label", {}, box, h("span", {}, EVENTS[box.value]))))),
    h("div.row", {}, h("button.primary", { type: "submit" }, t("Add webhook"))), wrong);
  const element = h("details.inline", { ontoggle: () => element.open && load() }, h("summary", {}, t("Webhooks")),
    h("div.stack", {}, list, added, h("details.inline", {}, h("summary", {}, t("New webhook")), form)));

  async function add(event) {
    event.preventDefault();
    const events = boxes.filter((one) => one.checked).map((one) => one.value);
    try {
      if (!events.length) throw new Error(t("choose what is sent there"));
      const made = await read("/v1/webhooks", { method: "POST", json: { url: url.value.trim(), events }, signal });
      fill(wrong);
      url.value = "";
      fill(added, secretOf(made, () => { fill(added); url.focus(); }));
      added.querySelector("input").select();
      load();
    } catch (error) {
      if (!signal.aborted) fill(wrong, missing(t("Not added"), error));
    }
  }
  async function load() {
    if (!list.children.length) fill(list, busyBox(t("Reading…")));
    try {
      const { data } = await read("/v1/webhooks", { signal });
      refill(list, [data.length ? h("ul.plain-list", {}, data.map((one) => line(one, drop, signal)))
        : h("p.hint", {}, t("Nothing is sent anywhere. A webhook gets a signed message when a job has ended or an alert is raised."))]);
    } catch (error) {
      if (!signal.aborted) fill(list, missing(t("Not read"), error));
    }
  }
  async function drop({ webhook, url: address }) {
    if (!(await sure(t("Delete this webhook?"), [address, t("Nothing more is sent there, and its deliveries are forgotten.")], t("Delete")))) return;
    try {
      await send(`/v1/webhooks/${webhook}`, { method: "DELETE" });
      toast(t("The webhook is deleted"));
      load();
    } catch (error) {
      sayFailure(error);
    }
  }
  return element;
}

/** The secret of a new webhook, until it is closed. */
function secretOf({ secret }, close) {
  const field = h("input", { type: "text", readonly: true, value: secret, spellcheck: "false" });
  return h("div.panel.stack", { role: "group", "aria-label": t("Secret") },
    h("label.field", {}, h("span", {}, t("Secret")), field),
    h("p.hint", {}, t("Its receiver checks signatures by it. Copy it now: it is not shown again.")),
    h("div.row", {}, h("button", { type: "button", onclick: close }, t("I have it"))));
}

/** A webhook with its deliveries, which are read once they are opened. */
function line(one, drop, signal) {
  const sent = h("div");
  let looking = 0;
  const deliveries = `/v1/webhooks/${one.webhook}/deliveries`;
  const details = h("details.inline", { ontoggle: () => details.open && load() }, h("summary", {}, t("Deliveries")), sent);
  signal.addEventListener("abort", () => clearTimeout(looking));

  /** Show the latest; again and again for a while, where one is on its way. */
  async function load(looks = LOOKS) {
    clearTimeout(looking);
    try {
      const { data, next } = await read(`${deliveries}?limit=${LISTED}`, { signal });
      refill(sent, [data.length ? [h("ol.plain-list", {}, data.map((each) => delivery(each, () => post(`${deliveries}/${each.delivery}/replay`)))), next !== null && h("p.hint", {}, t("The latest {n}.", { n: LISTED }))]
        : h("p.hint", {}, t("Nothing was sent yet."))]);
      if (looks && sent.isConnected && data.some((each) => each.due_at && !each.problem)) looking = setTimeout(() => load(looks - 1), LOOK_MS);
    } catch (error) {
      if (!signal.aborted) fill(sent, missing(t("Not read"), error));
    }
  }
  async function post(path) {
    try {
      await send(path, { method: "POST" });
      if (details.open) load();
      else details.open = true;
    } catch (error) {
      sayFailure(error);
    }
  }
  return h("li", { dataset: { webhook: one.webhook } },
    h("b.wide", {}, one.url),
    h("small", {}, one.events.map((event) => EVENTS[event]).join(t(", "))),
    h("span.row.wide", {},
      h("button.quiet", { type: "button", "aria-label": t("Send a test to {name}", { name: one.url }), onclick: () => post(`/v1/webhooks/${one.webhook}/test`) }, t("Send a test")),
      h("button.quiet", { type: "button", "aria-label": t("Delete webhook {name}", { name: one.url }), onclick: () => drop(one) }, t("Delete"))),
    h("div.wide", {}, details));
}

function delivery(one, replay) {
  const when = moment(one.created_at);
  const state = one.delivered_at ? t("delivered") : !one.due_at ? t("given up") : one.problem ? t("tried again on {when}", { when: moment(one.due_at) }) : t("on its way");
  return h("li", { dataset: { delivery: one.delivery } },
    h("span.row", {}, h("span", {}, when), h("span", {}, EVENTS[one.event]), h("span.label", {}, state)),
    h("button.quiet", { type: "button", "aria-label": t("Send again: {name}", { name: `${EVENTS[one.event]}, ${when}` }), onclick: replay }, t("Send again")),
    one.problem && h("small.why", {}, translated(one.problem)));
}
