// The status page: one snapshot a second, drawn anew.
"use strict";

const PLOT = { width: 600, height: 100 };
let curve = { points: [], step: 2000, now: 0 };

// A top that is a round number.
function roundUp(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].find((step) => step * unit >= value) * unit;
}

function drawCurve() {
  const full = 300;
  const points = curve.points;
  const top = roundUp(Math.max(...points, 0));
  const x = (i) => ((full - points.length + i) / (full - 1)) * PLOT.width;
  const y = (value) => PLOT.height - (value / top) * (PLOT.height - 4);
  const svg = drawn("svg", { class: "curve", viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", `images a second over the last ten minutes, at most ${speed(Math.max(...points, 0))}`);
  for (const part of [0, 0.5, 1]) svg.append(drawn("line", { class: "rule", x1: 0, x2: PLOT.width, y1: y(top * part), y2: y(top * part) }));
  if (points.length > 1) {
    const line = points.map((value, i) => `${x(i).toFixed(2)},${y(value).toFixed(2)}`).join(" ");
    svg.append(drawn("polygon", { class: "area", points: `${x(0)},${PLOT.height} ${line} ${PLOT.width},${PLOT.height}` }));
    svg.append(drawn("polyline", { class: "stroke", points: line }));
  }
  const scales = [0.5, 1].map((part) => {
    const label = element("span.scale", speed(top * part).replace(/\.?0+$/, ""));
    label.style.top = `calc(${y(top * part) / PLOT.height} * (100% - 22px))`;
    return label;
  });
  const times = element("div.times", element("span", "10 minutes ago"), element("span", "now"));
  fill("curve", svg, ...scales, times);
  svg.onpointermove = (event) => point(svg, event, x, full);
  svg.onpointerleave = () => document.querySelectorAll("#curve .tip, #curve .cursor").forEach((n) => n.remove());
}

function point(svg, event, x, full) {
  const frame = svg.getBoundingClientRect();
  const at = (event.clientX - frame.left) / frame.width;
  const i = Math.round(at * (full - 1)) - (full - curve.points.length);
  document.querySelectorAll("#curve .tip, #curve .cursor").forEach((n) => n.remove());
  if (i < 0 || i >= curve.points.length) return;
  svg.append(drawn("line", { class: "cursor", x1: x(i), x2: x(i), y1: 0, y2: PLOT.height }));
  const when = curve.now - (curve.points.length - 1 - i) * curve.step;
  const tip = element("span.tip", `${speed(curve.points[i])} images/s at ${clock(when, curve.now)}`);
  tip.style.left = Math.min(Math.max(at * 94, 14), 82) + "%";
  document.getElementById("curve").append(tip);
}

function showGlance(s) {
  const recent = s.curve.slice(-8);
  const rate = recent.length ? recent.reduce((a, b) => a + b, 0) / recent.length / 1000 : null;
  const unfinished = s.campaigns.reduce((n, c) => n + c.ready + c.running + c.delayed, 0);
  const running = s.campaigns.reduce((n, c) => n + c.running, 0);
  const live = s.workers.filter((w) => w.state !== "lost");
  const tokens = live.reduce((n, w) => n + (w.tokens_per_s || 0), 0);
  put("rate", speed(rate));
  put("rate-under", tokens ? count(tokens) + " tokens/s" : "");
  put("left", count(unfinished));
  put("left-under", unfinished && rate ? lasting(unfinished / rate) + " at this pace" : running ? count(running) + " running" : "");
  put("crew", count(live.length));
  const odd = ["quarantined", "draining", "lost"].map((state) => [s.workers.filter((w) => w.state === state).length, state]);
  put("crew-under", odd.filter(([n]) => n).map(([n, state]) => n + " " + state).join(", "));
  put("memory", s.queue.memory_limit ? s.queue.memory_percent + " %" : "–");
  put("memory-under", bytes(s.queue.record_bytes) + " of results" + (s.queue.memory_limit ? ", limit " + bytes(s.queue.memory_limit) : ""));
  document.title = unfinished ? `${count(unfinished)} to do · Ferretry` : "Ferretry";
}

function campaignRow(c) {
  const top = element("div.top", element("span.name", link(c.name)), standing(c));
  if (c.tenant !== "default") top.append(pill(c.tenant));
  top.append(element("span.share", share(c)));
  return element("div.campaign", top, bar(c), facts(c), c.stopped ? element("div.why", c.stopped) : null);
}

function showCampaigns(s) {
  const rows = s.campaigns.map(campaignRow);
  fill("campaigns", ...(rows.length ? rows : [element("p.empty", "No campaigns yet. ferret submit makes one.")]));
  put("campaigns-note", s.n_campaigns > rows.length ? `${rows.length} of ${count(s.n_campaigns)}` : "");
}

function use(name, permille) {
  const level = element("i");
  level.style.width = permille / 10 + "%";
  return [element("span", name), element("div.use", level), element("b", Math.round(permille / 10) + " %")];
}

function workerCard(w) {
  const [host, process, ...device] = w.label.split(" ");
  const [hash, dtype] = w.class.split("/");
  const card = element("div.worker");
  const rate = w.rate === undefined ? null : element("span.speed", speed(w.rate), element("small", " images/s"));
  card.append(element("div.top", element("span.name", device.join(" ") || w.label), rate));
  card.append(element("div.facts", element("span", host), element("span", "process " + process), element("span", hash.slice(0, 8) + " " + dtype)));
  const state = { quarantined: "warn", draining: "", lost: "bad" };
  if (w.state) card.append(pill(w.state === "lost" ? "lost, its images go back" : w.state, state[w.state]));
  if (w.engine !== undefined) {
    const uses = element("div.uses", ...use("fetch", w.fetch), ...use("decode", w.decode), ...use("engine", w.engine));
    const done = element("div.facts", element("span", plural(w.images, "image", "images")), element("span", count(w.running) + " in hand"));
    if (w.failed) done.append(element("span", count(w.failed) + " failed"));
    card.append(uses, done);
  }
  return card;
}

function showWorkers(s) {
  const cards = s.workers.map(workerCard);
  fill("workers", ...(cards.length ? cards : [element("p.empty", "No worker is there: nothing is being computed.")]));
  put("workers-note", s.n_workers > cards.length ? `${cards.length} of ${count(s.n_workers)}` : "");
}

function showWaiting(s) {
  if (!s.waiting.length) {
    fill("waiting", element("p.empty", "Nothing waits."));
    return;
  }
  const cell = (n) => element(n ? "td" : "td.nothing", count(n));
  const head = element("tr", ...["tenant", "first", "normal", "last"].map((h) => element("th", h)));
  const rows = s.waiting.map((t) => element("tr", element("td", t.tenant), cell(t.p0), cell(t.p1), cell(t.p2)));
  const table = element("table", element("thead", head), element("tbody", ...rows));
  const notes = [];
  if (s.queue.delayed) notes.push(count(s.queue.delayed) + " delayed");
  if (s.queue.suspects) notes.push(plural(s.queue.suspects, "group", "groups") + " of suspects");
  fill("waiting", table, notes.length ? element("p.empty", notes.join(", ")) : null);
}

function showErrors(s) {
  const rows = s.errors.slice(0, 8).map((e) => {
    const row = element("li", element("span.when", clock(e.ms, s.now_ms)), e.code ? pill(e.code, "bad") : null, " ", e.id);
    const what = element("span.what", e.message);
    if (e.campaign) what.append(e.message ? " · " : "", link(e.campaign));
    row.append(what);
    return row;
  });
  put("errors-note", s.errors.length > rows.length ? `${rows.length} of the last ${s.errors.length}` : "");
  fill("errors", ...(rows.length ? rows : [element("li.empty", "None.")]));
}

function showEvents(s) {
  const rows = s.events.slice(0, 8).map((e) => element("li", element("span.when", clock(e.ms, s.now_ms)), link(e.campaign), " ", pill(e.what, e.what === "completed" ? "well" : "warn")));
  fill("events", ...(rows.length ? rows : [element("li.empty", "Nothing yet.")]));
}

follow((s) => {
  if (s === null) return;
  curve = { points: s.curve.map((n) => n / 1000), step: s.step_ms, now: s.now_ms };
  showGlance(s);
  if (!document.querySelector("#curve .tip")) drawCurve();
  showCampaigns(s);
  showWorkers(s);
  showWaiting(s);
  showErrors(s);
  showEvents(s);
  put("version", s.version);
});
