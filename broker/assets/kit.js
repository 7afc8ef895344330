// What both pages need. Everything that comes from the queue is put in as text, never as markup.
"use strict";

// element("p.note", "text", child...): children are nodes or text; null is left out.
function element(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}

function drawn(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  node.append(...children);
  return node;
}

function fill(id, ...children) {
  document.getElementById(id).replaceChildren(...children.filter((c) => c !== null));
}

function put(id, text) {
  const node = document.getElementById(id);
  if (node.textContent !== text) node.textContent = text;
}

function link(campaign) {
  const a = element("a", campaign);
  a.href = "/campaigns/" + encodeURIComponent(campaign);
  return a;
}

const counted = new Intl.NumberFormat("en");
function count(n) {
  return counted.format(n);
}

function plural(n, one, many) {
  return count(n) + " " + (n === 1 ? one : many);
}

function speed(perSecond) {
  if (perSecond === null || perSecond === undefined) return "–";
  if (perSecond >= 100) return count(Math.round(perSecond));
  if (perSecond >= 10) return perSecond.toFixed(1);
  return perSecond.toFixed(2);
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let u = 0;
  for (; n >= 1024 && u < units.length - 1; u++) n /= 1024;
  return (u && n < 10 ? n.toFixed(1) : Math.round(n)) + " " + units[u];
}

function lasting(seconds) {
  if (seconds < 90) return Math.max(1, Math.round(seconds)) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return (seconds / 3600).toFixed(seconds < 36000 ? 1 : 0) + " h";
  return count(Math.round(seconds / 86400)) + " days";
}

function clock(ms, nowMs) {
  const d = new Date(ms);
  const time = d.toTimeString().slice(0, 8);
  return nowMs - ms < 72000000 ? time : d.toISOString().slice(0, 10) + " " + time.slice(0, 5);
}

function pill(text, kind) {
  return element("span.pill" + (kind ? "." + kind : ""), text);
}

// How a campaign stands, in a word and a colour.
function standing(c) {
  if (c.state === "cancelled") return pill("cancelled", "bad");
  if (c.state === "paused") return pill("paused", "warn");
  if (c.completed) return pill("complete", "well");
  if (c.stopped) return pill("waiting", "warn");
  if (c.running > 0) return pill("running", "well");
  return pill(c.ready + c.delayed > 0 ? "waiting" : "open");
}

function ended(c) {
  return c.done + c.failed + c.cancelled;
}

function share(c) {
  if (!c.total) return "–";
  const percent = (100 * ended(c)) / c.total;
  return (percent === 100 ? "100" : percent.toFixed(percent < 10 ? 1 : 0)) + " %";
}

function bar(c) {
  const node = element("div.bar");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", share(c) + " of " + c.name + " has ended");
  for (const part of ["done", "failed", "cancelled", "running"]) {
    const piece = element("i." + part);
    piece.style.width = c.total ? (100 * c[part]) / c.total + "%" : "0";
    node.append(piece);
  }
  return node;
}

function facts(c) {
  const node = element("div.facts");
  node.append(element("span", count(c.done) + " of " + plural(c.total, "image", "images") + " done"));
  if (c.failed) node.append(element("span.failed", count(c.failed) + " failed"));
  if (c.cancelled) node.append(element("span", count(c.cancelled) + " cancelled"));
  if (c.running) node.append(element("span", count(c.running) + " running"));
  if (c.delayed) node.append(element("span", count(c.delayed) + " delayed"));
  if (c.rate && !c.completed) node.append(element("span", speed(c.rate) + " images/s"));
  if (c.eta_s !== null && c.eta_s !== undefined) node.append(element("span", lasting(c.eta_s) + " left"));
  if (c.labels) node.append(element("span", c.labels));
  return node;
}

// Calls back with each snapshot, and with null while there is none to be had.
function follow(callback) {
  const source = new EventSource("/api/events");
  const live = document.getElementById("live");
  const say = (on, text) => {
    live.className = "live " + (on ? "on" : "off");
    live.textContent = text;
  };
  source.onmessage = (event) => {
    const snapshot = JSON.parse(event.data);
    say(snapshot !== null, snapshot === null ? "Redis is away" : "live");
    callback(snapshot);
  };
  source.onerror = () => say(false, "the broker is away");
}
