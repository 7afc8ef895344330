'use strict';
/* The gallery of records. Data comes in scripts (data/00000.js ...), since a page that was opened from a folder may load
 * nothing else. Everything that stands in a record reaches the page as text or as a number, never as markup. */
(() => {
const SVG = 'http://www.w3.org/2000/svg';
const COLOURS = ['#ffcf40', '#5fd3ff', '#ff8fb1', '#8ef08a', '#ffab5e', '#c9a7ff', '#4be3c0', '#f2f27a'];
const PAGE = 48; /* cards that are made at once */
const AHEAD = '1200px';

const $ = id => document.getElementById(id);
const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (key === 'class') element.className = value;
    else element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const draw = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const number = value => typeof value === 'number' && Number.isFinite(value) ? value : 0;
const plural = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;

/* ---- data ------------------------------------------------------------------------------------------------------- */

const index = window.ferretIndex;
const chunks = new Array(index.chunks).fill(null); /* lists of records once they are here */
const waiting = new Map();

window.ferretRecords = (n, records) => { chunks[n] = records; };

function load(n) {
  if (chunks[n]) return Promise.resolve(chunks[n]);
  if (!waiting.has(n)) {
    waiting.set(n, new Promise((resolve, reject) => {
      const script = make('script', {src: `data/${String(n).padStart(5, '0')}.js`});
      script.onload = () => { script.remove(); resolve(chunks[n] || []); };
      script.onerror = () => { waiting.delete(n); reject(new Error(script.src)); };
      document.head.append(script);
    }));
  }
  return waiting.get(n);
}

/* ---- filters ---------------------------------------------------------------------------------------------------- */

const filter = {words: [], status: '', error: '', low: 0, high: 1};

const errors = record => {
  const list = record.error ? [record.error.code] : [];
  for (const task of record.tasks) if (task.error) list.push(task.error.code);
  return list;
};
const withinScore = entity => entity.score === null ? filter.low <= 0 : entity.score >= filter.low && entity.score <= filter.high;
const scored = () => filter.low > 0 || filter.high < 1;
const hasWords = text => { const low = text.toLowerCase(); return filter.words.every(word => low.includes(word)); };

/* An entity is found where its phrase has all the words, and its score is within. */
const isFound = entity => filter.words.length > 0 && hasWords(entity.phrase) && withinScore(entity);

function matches(record) {
  if (filter.status && record.status !== filter.status) return false;
  if (filter.error && !errors(record).includes(filter.error)) return false;
  if (!filter.words.length && !scored()) return true;
  const entities = record.tasks.flatMap(task => task.entities || []);
  if (scored()) return entities.some(e => withinScore(e) && hasWords(e.phrase));
  return entities.some(isFound) || record.tasks.some(task => hasWords(task.text || '')) || hasWords(record.id);
}

/* ---- a picture with its boxes ----------------------------------------------------------------------------------- */

/* Phrases and boxes that mean the same have the same key; lighting one lights all of them within the card or viewer. */
function light(root, key, on) {
  for (const layer of root.querySelectorAll('.layer, .frame')) layer.classList.toggle('one', on);
  for (const element of root.querySelectorAll('[data-key]'))
    if (element.dataset.key === key) element.classList.toggle('lit', on);
}
function joins(element, root, key) {
  element.dataset.key = key;
  element.addEventListener('pointerenter', () => light(root, key, true));
  element.addEventListener('pointerleave', () => light(root, key, false));
  if (element.tabIndex < 0) return; /* listening for focus would make a shape one that can have it */
  element.addEventListener('focus', () => light(root, key, true));
  element.addEventListener('blur', () => light(root, key, false));
}

function shape(root, key, colour, box, region) {
  const group = draw('g', {class: region ? 'shape region' : 'shape'});
  group.dataset.key = key;
  group.style.setProperty('--colour', colour);
  const [x1, y1, x2, y2] = box.map(number), point = x1 === x2 && y1 === y2;
  for (const pass of ['under', 'over']) {
    const element = point ? draw('circle', {class: pass, cx: x1, cy: y1, r: number(root.dataset.side / 90)})
      : draw('rect', {class: pass, x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0)});
    if (pass === 'over') joins(element, root, key);
    group.append(element);
  }
  return group;
}

function tag(record, key, colour, box, text) {
  const label = make('span', {class: 'tag'}, text);
  label.dataset.key = key;
  label.style.setProperty('--colour', colour);
  const x = number(box[0]) / record.width, y = number(box[1]) / record.height;
  if (x > 0.6) label.style.right = `${100 * (1 - Math.min(1, number(box[2]) / record.width))}%`;
  else label.style.left = `${100 * x}%`;
  if (y > 0.08) label.style.bottom = `${100 * (1 - y)}%`;
  else label.style.top = `${100 * y}%`;
  return label;
}

const name = (task, i) => {
  const entity = task.entities[i], phrases = task.phrases || [];
  return entity.phrase || (phrases.length === 1 ? phrases[0] : phrases.length === task.entities.length ? phrases[i] : '');
};
const percent = score => score === null ? '' : ` ${Math.round(100 * score)}%`;

function picture(record, root) {
  if (!record.picture || !record.width)
    return make('div', {class: 'none'}, record.error ? `${record.error.code}: ${record.error.message}` : 'no picture');
  root.dataset.side = Math.max(record.width, record.height);
  const frame = make('div', {class: 'frame'}, make('img', {src: record.picture, alt: '', loading: 'lazy', decoding: 'async'}));
  frame.style.aspectRatio = `${record.width} / ${record.height}`;
  frame.style.setProperty('--ratio', record.width / record.height);
  const layer = draw('svg', {class: 'layer', viewBox: `0 0 ${number(record.width)} ${number(record.height)}`, preserveAspectRatio: 'none'});
  const labels = [];
  let colour = 0;
  record.tasks.forEach((task, t) => {
    if (task.region) layer.append(shape(root, `${t}`, '#fff', task.region, true));
    (task.entities || []).forEach((entity, i) => {
      const c = COLOURS[colour++ % COLOURS.length];
      for (const box of entity.boxes) {
        layer.append(shape(root, `${t}.${i}`, c, box, false));
        labels.push(tag(record, `${t}.${i}`, c, box, name(task, i) + percent(entity.score)));
      }
    });
  });
  frame.append(layer, ...labels);
  return frame;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

/* Coordinates in an answer are shown small: the boxes say the same. */
function plain(text) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(/\s*\[[-+\d\s,.]+\]/g)) {
    pieces.push(text.slice(at, match.index), make('span', {class: 'coordinates'}, match[0]));
    at = match.index + match[0].length;
  }
  pieces.push(text.slice(at));
  return pieces;
}

function answer(task, t, root, first, short) {
  const element = make('p', {class: short ? 'answer long' : 'answer'});
  if (task.region) joins(element, root, `${t}`);
  const text = task.text;
  let at = 0;
  (task.entities || []).forEach((entity, i) => {
    const named = entity.to > entity.from;
    if (entity.from < at || entity.to > text.length || !(named || name(task, i))) return;
    /* an answer that is a box alone is about what was looked for */
    const word = make('mark', {tabindex: '0'}, named ? text.slice(entity.from, entity.to) : name(task, i));
    word.style.setProperty('--colour', COLOURS[(first + i) % COLOURS.length]);
    if (entity.score !== null) word.title = `score ${entity.score.toFixed(3)}`;
    if (isFound(entity)) word.classList.add('found');
    joins(word, root, `${t}.${i}`);
    element.append(...plain(text.slice(at, entity.from)), word);
    at = entity.to;
  });
  element.append(...plain(text.slice(at)));
  return element;
}

const problem = error => make('p', {class: 'problem'}, make('code', {}, error.code), ` ${error.message}`);

function words(record, root, short) {
  const list = [];
  let colour = 0;
  if (record.error && record.picture) list.push(problem(record.error));
  record.tasks.forEach((task, t) => {
    if (task.kind !== 'caption' || record.tasks.length > 1 || !short) list.push(make('p', {class: 'question'}, task.question || task.kind));
    list.push(task.error ? problem(task.error) : answer(task, t, root, colour, short));
    colour += (task.entities || []).length;
  });
  return list;
}

/* ---- the grid --------------------------------------------------------------------------------------------------- */

const grid = $('grid');
let shown = [];   /* records that match, so far */
let made = 0;     /* of them, those that have a card */
let next = 0;     /* chunk */
let run = 0;      /* counts changes of the filter, so that an older search ends */
let reading = false;
let selected = -1;

function card(record, place) {
  const element = make('article', {class: 'card', tabindex: '-1'});
  const view = make('div', {class: 'picture'});
  view.append(picture(record, element));
  view.addEventListener('click', () => open(place));
  const title = make('h2', {}, make('span', {class: 'id', title: record.id}, make('bdi', {}, record.id)));
  if (record.status !== 'ok') title.append(make('span', {class: `badge ${record.status === 'failed' ? 'failed' : 'partial'}`}, record.status));
  element.append(view, make('div', {class: 'text'}, title, ...words(record, element, true)));
  element.addEventListener('focus', () => { selected = place; });
  return element;
}

function addCards(most) {
  const fragment = document.createDocumentFragment();
  for (let i = 0; i < most && made < shown.length; i++, made++) fragment.append(card(shown[made], made));
  grid.append(fragment);
}

function tell() {
  const all = index.records, whole = next >= chunks.length;
  const narrowed = filter.words.length || filter.status || filter.error || scored();
  $('found').textContent = !narrowed ? '' : whole ? `${plural(shown.length, 'image')} of ${all.toLocaleString('en')}`
    : `${plural(shown.length, 'image')} so far, ${Math.round(100 * next / chunks.length)} % searched`;
  if (whole && shown.length === 0 && !grid.querySelector('.empty'))
    grid.append(make('p', {class: 'empty'}, all ? 'Nothing matches the filters.' : 'There are no records.'));
}

/* Reads on until there are `wanted` records to show; one reader at a time. */
async function read(wanted) {
  if (reading) return;
  reading = true;
  const mine = run;
  try {
    while (mine === run && next < chunks.length && shown.length < wanted) {
      const records = await load(next);
      if (mine !== run) break;
      next++;
      for (const record of records) if (matches(record)) shown.push(record);
      tell();
    }
  } catch (error) {
    $('found').textContent = `A file of the gallery can't be read: ${error.message}`;
    next = chunks.length;
  }
  reading = false;
  if (mine !== run) fill();
  else tell();
}

async function fill() {
  await read(made + PAGE);
  addCards(PAGE);
  if (nearEnd() && (made < shown.length || next < chunks.length)) setTimeout(fill, 0);
}
const nearEnd = () => $('more').getBoundingClientRect().top < innerHeight + parseInt(AHEAD, 10);

function search() {
  filter.words = $('query').value.toLowerCase().split(',').map(word => word.trim()).filter(Boolean);
  filter.status = $('status').value;
  filter.error = $('error').value;
  filter.low = $('low').value === '' ? 0 : Number($('low').value);
  filter.high = $('high').value === '' ? 1 : Number($('high').value);
  shown = [];
  made = next = 0;
  selected = -1;
  run++;
  grid.replaceChildren();
  scrollTo(0, 0);
  fill();
}

/* ---- one image -------------------------------------------------------------------------------------------------- */

const viewer = $('viewer');
let viewed = -1;

function scores(record, root) {
  const table = make('table', {class: 'scores'});
  let colour = 0;
  record.tasks.forEach((task, t) => (task.entities || []).forEach((entity, i) => {
    const c = COLOURS[colour++ % COLOURS.length];
    const word = make('mark', {tabindex: '0'}, name(task, i) || 'box');
    const meter = make('i', {class: 'meter'});
    for (const element of [word, meter]) element.style.setProperty('--colour', c);
    meter.style.setProperty('--share', `${100 * number(entity.score)}%`);
    joins(word, root, `${t}.${i}`);
    table.append(make('tr', {}, make('td', {}, word), make('td', {}, ...(entity.score === null ? ['no score'] : [meter, entity.score.toFixed(2)]))));
  }));
  return table;
}

function facts(record) {
  const table = make('table');
  const rows = [['image', record.uri], ['size', record.width ? `${record.width} × ${record.height}` : ''], ['status', record.status], ['job', record.job]];
  for (const [key, value] of rows) if (value) table.append(make('tr', {}, make('td', {}, key), make('td', {}, String(value))));
  return table;
}

function view() {
  const record = shown[viewed];
  const stage = viewer.querySelector('.stage'), side = viewer.querySelector('.side');
  viewer.classList.add('show-tags');
  stage.replaceChildren(picture(record, viewer));
  side.replaceChildren(make('h2', {}, record.id), ...words(record, viewer, false), scores(record, viewer), facts(record));
  side.scrollTop = 0;
  viewer.querySelector('.place').textContent = `${viewed + 1} of ${next >= chunks.length ? shown.length.toLocaleString('en') : 'many'}`;
}
function open(place) {
  viewed = place;
  view();
  if (!viewer.open) viewer.showModal();
}
async function step(by) {
  if (viewed + by >= shown.length) await read(viewed + by + PAGE);
  if (viewed + by < 0 || viewed + by >= shown.length) return;
  viewed += by;
  view();
}
viewer.addEventListener('close', () => {
  while (made <= viewed) addCards(PAGE);
  select(viewed);
});
viewer.querySelector('.previous').addEventListener('click', () => step(-1));
viewer.querySelector('.next').addEventListener('click', () => step(1));
for (const dialog of [viewer, $('help')]) {
  dialog.querySelector('.close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

function select(place) {
  const cards = grid.querySelectorAll('.card');
  if (place < 0 || place >= cards.length) return;
  selected = place;
  cards[place].focus({preventScroll: true});
  cards[place].scrollIntoView({block: 'nearest'});
}
/* How many cards stand in a row. */
function columns() {
  const cards = grid.querySelectorAll('.card');
  let n = 1;
  while (n < cards.length && cards[n].offsetTop === cards[0].offsetTop) n++;
  return n;
}
function toggleBoxes() {
  const off = document.body.classList.toggle('no-boxes');
  $('boxes').setAttribute('aria-pressed', String(!off));
}
function theme(value) {
  document.documentElement.dataset.theme = value;
  try { localStorage.setItem('ferret-theme', value); } catch { /* a page of a folder may keep nothing */ }
}
const otherTheme = () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');

function clear() {
  for (const id of ['query', 'status', 'error', 'low', 'high']) $(id).value = '';
  search();
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || $('help').open) return;
  const typing = event.target.matches('input, select');
  const move = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns()}[event.key];
  if (viewer.open) {
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') step(move);
    else if (event.key === 'b') toggleBoxes();
    else if (event.key === 't') otherTheme();
    return;
  }
  if (event.key === 'Escape') {
    if (typing) event.target.blur();
    clear();
  } else if (typing) {
    if (event.key === 'Enter') { event.target.blur(); select(0); event.preventDefault(); }
  } else if (event.key === '/') {
    $('query').focus();
    event.preventDefault();
  } else if (move !== undefined) {
    select(selected < 0 ? 0 : selected + move);
    event.preventDefault();
  } else if (event.key === 'Enter' && selected >= 0 && !event.target.matches('button')) {
    open(selected);
    event.preventDefault();
  } else if (event.key === 'b') toggleBoxes();
  else if (event.key === 't') otherTheme();
  else if (event.key === '?') $('help').showModal();
}

/* ---- start ------------------------------------------------------------------------------------------------------ */

function start() {
  let kept = null;
  try { kept = localStorage.getItem('ferret-theme'); } catch { /* none is kept */ }
  document.documentElement.dataset.theme = kept || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  document.title = index.title;
  $('title').textContent = index.title;
  $('counts').append(plural(index.records, 'image'));
  for (const status of ['ok', 'partial', 'failed'])
    if (index.counts[status]) $('counts').append(' · ', make('b', {class: status}, index.counts[status].toLocaleString('en')), ` ${status}`);
  for (const [code, n] of Object.entries(index.errors)) $('error').append(make('option', {value: code}, `${code} (${n})`));
  for (const phrase of index.phrases) $('phrases').append(make('option', {value: phrase}));
  let timer = 0;
  for (const id of ['query', 'low', 'high']) $(id).addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(search, 120); });
  for (const id of ['status', 'error']) $(id).addEventListener('change', search);
  $('boxes').addEventListener('click', toggleBoxes);
  $('theme').addEventListener('click', otherTheme);
  $('keys').addEventListener('click', () => $('help').showModal());
  document.addEventListener('keydown', onKey);
  new IntersectionObserver(entries => { if (entries.some(entry => entry.isIntersecting)) fill(); }, {rootMargin: AHEAD}).observe($('more'));
}
start();
})();
