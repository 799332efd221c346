// Draws the graph with Graphviz, keeps its states live, pans and zooms. The page says what to draw; another fold, run or box is
// another address, which is fetched and taken over here without the page going away.
import { instance } from './vendor/viz.js';

const MARKS = {
  completed: '●', running: '◐', failed: '✕', pending: '○', reused: '◆', crashed: '✖', cancelled: '◼', skipped: '⊘', none: '·',
};
// A closed flow wears the first of these that it holds.
const WORST = ['failed', 'crashed', 'running', 'cancelled', 'skipped', 'pending', 'completed', 'reused', 'none'];
const TYPING = 'input, textarea, select';
const CLOSE = 1.4; // A few boxes don't fill the screen: at most this many times their natural size.
const LEGIBLE = 0.6; // What would be smaller is not shown as a whole before somebody asks for it.
const STEP = 1.25;

const figure = document.getElementById('graph');
const canvas = document.getElementById('graph-canvas');
const graphviz = figure && (await instance());
let drawing; // What the page says.
let drawn; // The text that the picture is of.
let svg;
let whole; // All of the picture.
let view; // The part of the picture that shows.
let size; // The window that it shows in.
let fitted; // Nobody moved it since it was fitted.
let boxes; // By key, the elements of boxes; `open KEY` those of frames.
let arrows;

// --------------------------------------------------------------------------------------------------------- addresses

function address(change) {
  const said = { ...drawing.address, ...change };
  const query = new URLSearchParams();
  for (const name of ['open', 'run', 'at']) if (said[name] !== null) query.set(name, said[name]);
  return `?${query}`;
}

function toggled(name) {
  const opened = new Set(drawing.opened);
  if (!opened.delete(name)) opened.add(name);
  return [...opened].sort().join(',');
}

let asked = 0;

/** Takes over the page at an address; `push` makes it one that Back undoes. */
async function go(url, { push = true } = {}) {
  const mine = ++asked;
  const response = await fetch(url).catch(() => null);
  const found = response && new DOMParser().parseFromString(await response.text(), 'text/html');
  if (mine !== asked) return;
  if (!found?.getElementById('graph')) {
    // Somebody logged out, or the API is away: the page as it is says so, unless this was only to look again.
    if (push) location.assign(url);
    return;
  }
  if (push) history.pushState(null, '', response.url);
  take(found);
}

function take(found) {
  const focus = document.activeElement?.id;
  for (const part of document.querySelectorAll('[data-part]')) {
    const other = found.getElementById(part.id);
    if (other && !(part.contains(document.activeElement) && document.activeElement.matches(TYPING))) part.replaceWith(other);
  }
  const { dot, drawing: text } = found.getElementById('graph').dataset;
  const at = drawing.address.at;
  drawing = JSON.parse(text);
  for (const input of document.querySelectorAll('#graph-find [type=hidden]')) input.remove();
  for (const input of found.querySelectorAll('#graph-find [type=hidden]')) document.getElementById('graph-find').prepend(input);
  if (dot !== drawn) draw(dot);
  else {
    link();
    paint();
  }
  if (focus) document.getElementById(focus)?.focus();
  if (drawing.address.at && drawing.address.at !== at) reveal(drawing.address.at);
}

// ------------------------------------------------------------------------------------------------------- the drawing

function draw(dot) {
  const anchor = svg && !fitted && place(drawing.address.at);
  const focus = svg?.contains(document.activeElement) && document.activeElement.closest('[data-key]')?.dataset.key;
  svg = graphviz.renderSVGElement(dot);
  drawn = dot;
  for (const name of ['width', 'height']) svg.removeAttribute(name);
  const { x, y, width, height } = svg.viewBox.baseVal;
  whole = { x, y, width, height };
  svg.setAttribute('role', 'group');
  svg.setAttribute('aria-label', 'Boxes');
  prepare();
  link();
  paint();
  canvas.replaceChildren(svg);
  sort();
  if (anchor && place(drawing.address.at)) stay(anchor);
  else begin();
  if (focus) (boxes.get(focus) ?? boxes.get(`open ${focus}`))?.querySelector('a').focus();
}

/** Names the elements that Graphviz made after what they stand for. */
function prepare() {
  boxes = new Map();
  for (const thing of svg.querySelectorAll('.node, .cluster')) {
    boxes.set(thing.id, thing);
    thing.dataset.key = thing.id.replace(/^open /, '');
    thing.removeAttribute('id');
  }
  arrows = [...svg.querySelectorAll('.edge')];
  for (const edge of arrows) {
    const ends = edge.querySelector('title').textContent.split('->');
    // With a port, or without.
    [edge.dataset.source, edge.dataset.target] = ends.map((end) => (boxes.has(end) ? end : end.replace(/:[ew]$/, '')));
  }
  for (const title of svg.querySelectorAll('title')) title.remove();
}

/** The links of boxes: a box is told about, a flow is opened or closed, too. */
function link() {
  const { at } = drawing.address;
  const set = (thing, key, url, label) => {
    const a = thing.querySelector('a');
    for (const name of ['xlink:href', 'xlink:title', 'target']) a.removeAttribute(name);
    a.setAttribute('href', url);
    a.setAttribute('aria-label', label);
    a.dataset.label = label;
    if (key === at) a.setAttribute('aria-current', 'true');
    else a.removeAttribute('aria-current');
  };
  for (const { key, kind, name } of drawing.boxes) {
    const url = kind === 'flow' ? address({ open: toggled(name), at: key }) : address({ at: key });
    set(boxes.get(key), key, url, kind === 'flow' ? `open flow ${name}` : `${kind} ${name}`);
  }
  for (const { key, name } of drawing.frames) {
    set(boxes.get(`open ${key}`), key, address({ open: toggled(name), at: key }), `close flow ${name}`);
  }
}

/** The states: nothing moves. */
function paint() {
  for (const { key, kind, holds } of drawing.boxes) {
    if (kind === 'model') continue;
    const have = new Set((kind === 'flow' ? holds : [key]).map((name) => drawing.states[name] ?? 'none'));
    const state = WORST.find((name) => have.has(name)) ?? 'none';
    const box = boxes.get(key);
    if (box.dataset.status === state) continue;
    box.dataset.status = state;
    const text = box.querySelector('text');
    text.textContent = MARKS[state] + text.textContent.slice(1);
  }
  for (const { key, kind } of drawing.boxes) {
    const a = boxes.get(key).querySelector('a');
    const state = boxes.get(key).dataset.status;
    a.setAttribute('aria-label', a.dataset.label + (kind === 'model' || state === 'none' ? '' : `, ${state}`));
  }
}

/** Tab goes from left to right. */
function sort() {
  const things = [...boxes.entries()].filter(([, thing]) => thing.classList.contains('node'));
  const middles = new Map(things.map(([, thing]) => [thing, middle(thing)]));
  const sorted = [...middles.keys()].sort((a, b) => middles.get(a).x - middles.get(b).x || middles.get(a).y - middles.get(b).y);
  sorted[0]?.parentNode.append(...sorted);
}

function middle(thing) {
  const { x, y, width, height } = thing.getBBox();
  const { e, f } = thing.parentNode.transform.baseVal.consolidate().matrix;
  return { x: x + width / 2 + e, y: y + height / 2 + f };
}

// ------------------------------------------------------------------------------------------------------ pan and zoom

function show(part) {
  view = part;
  size = { width: svg.clientWidth, height: svg.clientHeight };
  svg.setAttribute('viewBox', `${part.x} ${part.y} ${part.width} ${part.height}`);
}

/** All of the picture. */
function fit() {
  const { x, y, width, height } = whole;
  const scale = Math.min(CLOSE, svg.clientWidth / width, svg.clientHeight / height);
  const part = { width: svg.clientWidth / scale, height: svg.clientHeight / scale };
  show({ x: x + (width - part.width) / 2, y: y + (height - part.height) / 2, ...part });
  fitted = true;
}

/** All of the picture, or where that could not be read, its first box and what is near. */
function begin() {
  fit();
  const first = svg.querySelector('.node');
  const factor = svg.getScreenCTM().a / LEGIBLE;
  if (!first || factor >= 1) return;
  const [width, height] = [view.width * factor, view.height * factor];
  const y = Math.min(Math.max(middle(first).y - height / 2, whole.y), whole.y + whole.height - height);
  show({ x: whole.x, y: height > whole.height ? whole.y + (whole.height - height) / 2 : y, width, height });
}

/** In a larger or smaller window nothing moves in a picture that somebody zoomed or moved. */
function onResize() {
  if (fitted) begin();
  else show({ ...view, width: view.width * (svg.clientWidth / size.width), height: view.height * (svg.clientHeight / size.height) });
}

function move(part) {
  show(part);
  fitted = false;
}

function zoom(factor, { x, y } = { x: view.x + view.width / 2, y: view.y + view.height / 2 }) {
  move({ x: x - (x - view.x) * factor, y: y - (y - view.y) * factor, width: view.width * factor, height: view.height * factor });
}

/** A point of the screen in the picture. */
function point({ clientX, clientY }) {
  return new DOMPoint(clientX, clientY).matrixTransform(svg.getScreenCTM().inverse());
}

/** Where a box or frame is on the screen, and how large the picture is there. */
function place(key) {
  const thing = boxes.get(key) ?? boxes.get(`open ${key}`);
  if (!thing) return null;
  const { left, top } = thing.querySelector('text').getBoundingClientRect();
  return { left, top, scale: svg.getScreenCTM().a };
}

/** What was unfolded or folded stays where it was, in a picture that somebody zoomed or moved. */
function stay({ left, top, scale }) {
  fit();
  zoom(svg.getScreenCTM().a / scale);
  const now = place(drawing.address.at);
  move({ ...view, x: view.x + (now.left - left) / scale, y: view.y + (now.top - top) / scale });
}

/** A box comes into sight, and near enough to be read. */
function reveal(key) {
  const thing = boxes.get(key) ?? boxes.get(`open ${key}`);
  if (!thing) return;
  const inside = figure.getBoundingClientRect();
  const { left, right, top, bottom, height } = thing.getBoundingClientRect();
  const legible = height > 16;
  if (legible && left > inside.left && right < inside.right && top > inside.top && bottom < inside.bottom) return;
  const { x, y } = middle(thing);
  move({ ...view, x: x - view.width / 2, y: y - view.height / 2 });
  if (!legible) zoom(1 / (24 / height), { x, y });
}

// ---------------------------------------------------------------------------------------------------------- the keys

function focused() {
  return svg?.contains(document.activeElement) ? document.activeElement.closest('.node') : null;
}

/** The nearest box along an edge, or above or below. */
function next(box, key) {
  const from = middle(box);
  const along = { ArrowRight: ['source', 'target'], ArrowLeft: ['target', 'source'] }[key];
  const near = along
    ? arrows.filter((e) => e.dataset[along[0]] === box.dataset.key).map((e) => boxes.get(e.dataset[along[1]]))
    : [...svg.querySelectorAll('.node')].filter((other) => (middle(other).y - from.y) * (key === 'ArrowDown' ? 1 : -1) > 1);
  const far = (other) => Math.abs(middle(other).y - from.y) + Math.abs(middle(other).x - from.x) * (along ? 0.1 : 2);
  return near.sort((a, b) => far(a) - far(b))[0];
}

function step(event) {
  const box = focused();
  const other = box && next(box, event.key);
  if (!box) return;
  event.preventDefault();
  if (!other) return;
  other.querySelector('a').focus();
  reveal(other.dataset.key);
}

const KEYS = {
  '+': () => zoom(1 / STEP),
  '=': () => zoom(1 / STEP),
  '-': () => zoom(STEP),
  0: () => fit(),
  Escape: () => drawing.address.at && go(address({ at: null })),
  ArrowLeft: step,
  ArrowRight: step,
  ArrowUp: step,
  ArrowDown: step,
};

function near(target) {
  const key = target.closest?.('.node')?.dataset.key;
  for (const edge of arrows) edge.classList.toggle('near', Boolean(key) && [edge.dataset.source, edge.dataset.target].includes(key));
}

// -------------------------------------------------------------------------------------------------------------- live

let due;

/** Looks at the address again, at most once a second. */
function refresh() {
  due ??= setTimeout(() => {
    due = undefined;
    go(location.href, { push: false });
  }, 1000);
}

function onStep({ detail: { run, operation, state } }) {
  if (run !== drawing.run) return;
  drawing.states[operation] = state;
  paint();
  if (operation === drawing.address.at) refresh();
}

function onRun({ detail: { run } }) {
  if (run === drawing.run || drawing.address.run === null) refresh();
}

// ------------------------------------------------------------------------------------------------------------- begin

function listen() {
  const page = document.getElementById('graph-page');
  page.addEventListener('click', (event) => {
    const a = event.target.closest('a[href^="?"]');
    if (!a || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(a.getAttribute('href'));
  });
  page.addEventListener('submit', (event) => {
    event.preventDefault();
    const said = [...new FormData(event.target)].filter(([name, value]) => value || name === 'open');
    go(`?${new URLSearchParams(said)}`);
  });
  page.addEventListener('change', (event) => {
    if (event.target.id !== 'graph-run-id') return;
    const { form } = event.target;
    event.target.blur();
    form.requestSubmit();
  });
  page.querySelector('.graph-zoom').addEventListener('click', ({ target: { dataset } }) => {
    if (dataset.zoom === 'fit') fit();
    else if (dataset.zoom) zoom(dataset.zoom === 'in' ? 1 / STEP : STEP);
  });
  addEventListener('popstate', () => go(location.href, { push: false }));
  new ResizeObserver(onResize).observe(canvas);
  addEventListener('keydown', (event) => {
    if (event.target.matches(TYPING) || event.ctrlKey || event.metaKey || event.altKey) return;
    KEYS[event.key]?.(event);
  });
  document.body.addEventListener('pulpo:step', onStep);
  document.body.addEventListener('pulpo:run', onRun);
  document.body.addEventListener('pulpo:back', refresh);
}

function drag() {
  let from = null;
  let moved = false;
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(STEP ** (Math.sign(event.deltaY) * Math.min(1, Math.abs(event.deltaY) / 100)), point(event));
  }, { passive: false });
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    from = { at: point(event), x: event.clientX, y: event.clientY };
    moved = false;
  });
  addEventListener('pointermove', (event) => {
    if (!from) return;
    moved ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4;
    if (!moved) return;
    canvas.classList.add('moving');
    const { x, y } = point(event);
    move({ ...view, x: view.x + from.at.x - x, y: view.y + from.at.y - y });
  });
  for (const kind of ['pointerup', 'pointercancel']) {
    addEventListener(kind, () => {
      from = null;
      canvas.classList.remove('moving');
    });
  }
  // The end of a drag is no click on what happens to be there.
  canvas.addEventListener('click', (event) => moved && event.preventDefault(), true);
  canvas.addEventListener('dragstart', (event) => event.preventDefault());
  for (const kind of ['pointerover', 'focusin']) canvas.addEventListener(kind, (event) => near(event.target));
  canvas.addEventListener('focusout', () => near(canvas));
}

if (figure) {
  drawing = JSON.parse(figure.dataset.drawing);
  draw(figure.dataset.dot);
  listen();
  drag();
  if (drawing.address.at) reveal(drawing.address.at);
  figure.dataset.drawn = 'yes';
  performance.mark('graph-drawn');
}
