// The API's stream of events. `tell` is told `{state: 'on' | 'off'}`, and of each event `{kind, data}`.
const KINDS = ['run', 'step', 'records', 'logs'];
// Milliseconds after which it is asked for again.
const RETRY = 2000;

export function stream(url, tell) {
  const source = new EventSource(url);
  // The API's first event: a server that only took the connection is no stream yet.
  source.addEventListener('ready', () => tell({ state: 'on' }));
  source.onerror = () => {
    tell({ state: 'off' });
    // A browser gives up on an answer that is no stream, such as "the API does not answer".
    if (source.readyState === EventSource.CLOSED) setTimeout(() => stream(url, tell), RETRY);
  };
  for (const kind of KINDS) source.addEventListener(kind, (event) => tell({ kind, data: JSON.parse(event.data) }));
}
