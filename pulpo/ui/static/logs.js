// A run's page: it asks for itself again when something of its run changes, and its log goes on as lines come.
const MOST = 5000; // lines in the page
const NEAR = 40; // pixels from the end at which a reader counts as being there
const { root } = document.body.dataset;
const run = () => document.getElementById('run');
let following = false;
let again = false;
let waiting;

// What happens to other runs is no reason to ask.
function isThisRun({ detail }) {
  return detail?.run === run()?.dataset.run;
}

// Several at once are one reason.
function changed(event) {
  if (isThisRun(event)) refresh(300);
}

function refresh(delay) {
  waiting ??= setTimeout(() => {
    waiting = undefined;
    run().dispatchEvent(new CustomEvent('this-run'));
  }, delay);
}

function address(lines) {
  const wanted = new URLSearchParams(new FormData(document.getElementById('log-filters')));
  const asked = new URLSearchParams({ part: '1', level: wanted.get('level'), operation: wanted.get('operation') });
  const last = lines.lastElementChild?.dataset.number;
  if (last) asked.set('after', last);
  return `${root}/runs/${encodeURIComponent(run().dataset.run)}/logs?${asked}`;
}

function append(lines, html) {
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < NEAR;
  lines.insertAdjacentHTML('beforeend', html);
  for (let over = lines.childElementCount - MOST; over > 0; over -= 1) lines.firstElementChild.remove();
  if (atEnd) toEnd(lines);
}

function toEnd(lines) {
  lines.scrollTop = lines.scrollHeight;
}

// Lines come in the order of their numbers: one request at a time, and one more if something came meanwhile.
async function follow(event) {
  if (event?.detail && !isThisRun(event)) return;
  again = following;
  if (following) return;
  following = true;
  try {
    const lines = document.getElementById('lines');
    const response = await fetch(address(lines));
    const html = response.ok ? (await response.text()).trim() : '';
    // A filter that was chosen meanwhile has put other lines there.
    if (html && lines.isConnected) append(lines, html);
  } finally {
    following = false;
  }
  if (again) follow();
}

for (const kind of ['run', 'step']) document.body.addEventListener(`pulpo:${kind}`, changed);
for (const kind of ['logs', 'run', 'back']) document.body.addEventListener(`pulpo:${kind}`, follow);

// A filter puts other lines there; they begin at their end, too. A run that was queued gets another id as it begins: what was
// told of that before the page knew it was not followed.
let shown;
let known;
function begin() {
  const lines = document.getElementById('lines');
  const id = run().dataset.run;
  if (lines === shown && id === known) return;
  if (lines !== shown) toEnd(lines);
  shown = lines;
  known = id;
  follow();
}
document.addEventListener('htmx:after:swap', begin);
begin();
// What happened between the making of the page and the opening of the stream, nobody has told.
refresh(1000);
