// What all pages share: the stream of events, keys, questions before something is lost. The pages work without it.
const { root, version } = document.body.dataset;
const live = document.getElementById('live');
const TYPING = 'input, textarea, select';
// Whether the stream was on, and is not.
let away = false;

// A page hears of a change as an event `pulpo:run`, `pulpo:step`, `pulpo:records` or `pulpo:logs` at the body, whose detail is
// what the API said; htmx takes them as triggers. After the stream was away, `pulpo:back`: what happened meanwhile is not known.
function onMessage({ state, kind, data }) {
  if (kind) document.body.dispatchEvent(new CustomEvent(`pulpo:${kind}`, { detail: data }));
  if (!state) return;
  const before = live.dataset.state;
  live.dataset.state = state;
  live.textContent = state === 'on' ? 'live' : 'reconnecting…';
  if (state === 'on' && away) document.body.dispatchEvent(new CustomEvent('pulpo:back'));
  away = state === 'off' && (away || before === 'on');
}

if (live && window.SharedWorker) {
  const address = `${root}/static/events.js?v=${version}`;
  const { port } = new SharedWorker(address, { name: `pulpo${root}`, type: 'module' });
  port.onmessage = ({ data }) => onMessage(data);
  port.postMessage(`${root}/events`);
  addEventListener('pagehide', () => port.postMessage('bye'));
  addEventListener('pageshow', (event) => event.persisted && location.reload());
} else if (live) {
  // Chrome on Android has no shared workers; it has fewer tabs, too.
  import('./stream.js').then(({ stream }) => stream(`${root}/events`, onMessage));
}

// The first button of a form that asks says what it does; `data-confirm` is the question.
document.addEventListener('submit', (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// `/` goes to the page's search field.
addEventListener('keydown', (event) => {
  const search = document.querySelector('[type=search]');
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.target.matches(TYPING) || !search) return;
  event.preventDefault();
  search.focus();
});
