// A campaign: how it stands, and its newest results with boxes.
"use strict";

const COLOURS = 8;
const campaign = decodeURIComponent(location.pathname.slice("/campaigns/".length));
const utf8 = new TextEncoder();
const text8 = new TextDecoder();
let seen = null; // the results that are shown; null: none were asked for
let asking = false;

// Boxes and phrases of an entity light up together, whichever is under the pointer or has the focus.
function joined(parts, picture) {
  const light = (on) => {
    for (const part of parts) part.classList.toggle("lit", on);
    picture.classList.toggle("some", on);
  };
  for (const part of parts) {
    part.addEventListener("pointerenter", () => light(true));
    part.addEventListener("pointerleave", () => light(false));
    part.addEventListener("focus", () => light(true));
    part.addEventListener("blur", () => light(false));
  }
}

function sheet(width, height) {
  return drawn("svg", { class: "picture", viewBox: `0 0 ${width} ${height}`, role: "img" });
}

// What stands for a picture that can't be shown: its shape, and above it the broker's word for why.
async function without(frame, picture, url) {
  const { width, height } = picture.viewBox.baseVal;
  const lines = [drawn("rect", { class: "sheet", x: 0, y: 0, width, height })];
  for (let i = 1; i < 4; i++) {
    lines.push(drawn("line", { class: "grid", x1: (width * i) / 4, x2: (width * i) / 4, y1: 0, y2: height }));
    lines.push(drawn("line", { class: "grid", x1: 0, x2: width, y1: (height * i) / 4, y2: (height * i) / 4 }));
  }
  picture.prepend(...lines);
  frame.querySelector("img").remove();
  const answer = await fetch(url).catch(() => null);
  const why = answer && answer.status === 404 ? await answer.text() : "the browser can't show it";
  frame.after(element("p.absent", "no picture: " + why));
}

// The image itself under its boxes, as the broker reads it. Both keep the proportions that the record states.
function framed(record, picture) {
  const image = document.createElement("img");
  const frame = element("div.frame", image, picture);
  const url = "/api/picture?job=" + encodeURIComponent(record.job);
  image.alt = "";
  image.loading = "lazy";
  if (record.policy === "ml-ferret") image.classList.add("stored");
  image.addEventListener("error", () => without(frame, picture, url), { once: true });
  image.src = url;
  return frame;
}

// A box's phrase at its upper edge, or inside where that is the picture's.
function named(picture, [x1, y1], name, i) {
  const [, , width, height] = picture.getAttribute("viewBox").split(" ").map(Number);
  const size = Math.max(width, height) / 24;
  const label = drawn("text", { class: `name c${i % COLOURS}`, x: Math.max(Math.min(x1 + size / 6, width - size * 0.62 * name.length), size / 6), y: y1 > size * 1.3 ? y1 - size / 3 : y1 + size, "font-size": size }, name);
  picture.append(label);
  return label;
}

// The answer's text: phrases marked, the numbers behind them left out. Spans count bytes.
function told(answer, picture) {
  const p = element("p");
  const all = utf8.encode(answer.text);
  const plain = (from, to) => text8.decode(all.slice(from, to)).replace(/\s*\[\s*\d+\s*(,\s*\d+\s*){3}\](\s*;\s*\[[\d,\s]*\])*/g, "");
  let at = 0;
  const entities = answer.entities.map((e, i) => [e, i]).sort((a, b) => a[0].span[0] - b[0].span[0]);
  for (const [entity, i] of entities) {
    const [from, to] = entity.span;
    if (from < at || to > all.length) continue;
    p.append(plain(at, from));
    const phrase = element(`span.phrase.c${i % COLOURS}`, plain(from, to));
    phrase.style.fill = "none";
    phrase.tabIndex = 0;
    if (entity.score !== null) phrase.title = "score " + entity.score.toFixed(2);
    p.append(phrase);
    const name = plain(from, to).replace(/^(a|an|the) /i, "");
    const boxes = entity.boxes.map(([x1, y1, x2, y2]) => drawn("rect", { class: `box c${i % COLOURS}`, x: x1, y: y1, width: Math.max(x2 - x1, 1), height: Math.max(y2 - y1, 1) }));
    picture.append(...boxes);
    if (boxes.length) joined([phrase, ...boxes, ...entity.boxes.slice(0, 1).map((box) => named(picture, box, name, i))], picture);
    at = to;
  }
  p.append(plain(at, all.length));
  return p;
}

function card(record) {
  const name = (record.id || "").split("/").pop();
  const bad = record.status === "failed";
  const key = element("div.key", element("span", name), pill(record.status, bad ? "bad" : record.status === "partial" ? "warn" : "well"));
  key.title = record.id;
  const body = element("div.body", key);
  const node = element("article.card.result");
  const image = record.image || {};
  if (image.width && image.height) {
    const picture = sheet(image.width, image.height);
    picture.setAttribute("aria-label", "boxes of " + name);
    node.append(framed(record, picture));
    for (const answer of record.tasks || []) {
      if (answer.question && answer.task !== "caption") body.append(element("p.question", answer.question));
      body.append(answer.error ? element("p", pill(answer.error.code, "bad"), " " + answer.error.message) : told(answer, picture));
    }
  }
  if (record.error) body.append(element("p", pill(record.error.code, "bad"), " " + record.error.message));
  node.append(body);
  return node;
}

function showCampaign(c) {
  const top = element("div.top", element("span.name", c.class ? c.class.replace(/^(.{8})[^/]*\//, "model $1 at ") : ""), standing(c), pill(c.tenant), element("span.share", share(c)));
  fill("campaign", element("div.campaign", top, bar(c), facts(c), c.stopped ? element("div.why", c.stopped) : null));
}

async function showResults() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("/api/results?n=24&campaign=" + encodeURIComponent(campaign));
    if (answer.status === 404) fill("campaign", element("p.empty", "There is no campaign of this name."));
    if (!answer.ok) return;
    const { campaign: c, records } = await answer.json();
    showCampaign(c);
    const now = records.map((r) => r.job + r.id).join();
    if (now !== seen) fill("results", ...(records.length ? records.map(card) : [element("p.empty", "No results in Redis.")]));
    seen = now;
  } finally {
    asking = false;
  }
}

document.getElementById("name").textContent = campaign;
document.title = campaign + " · Ferretry";
let ended_before = -1;
follow((s) => {
  const c = s && s.campaigns.find((one) => one.name === campaign);
  if (c) showCampaign(c);
  if (!c || ended(c) !== ended_before) showResults();
  ended_before = c ? ended(c) : -1;
});
