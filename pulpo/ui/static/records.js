// The table of records and the page of one: choose many, ask before deleting, tell when something changed. Without it, the server asks.
const shown = () => document.querySelector('[data-digest]');

// ----------------------------------------------------------------------------------------------------------- choosing
function count() {
  const boxes = [...document.querySelectorAll('[name=id][type=checkbox]')];
  const chosen = boxes.filter((box) => box.checked).length;
  const button = document.querySelector('[data-chosen]');
  if (button) {
    button.disabled = chosen === 0;
    button.textContent = chosen ? `Delete ${chosen} selected` : 'Delete selected';
  }
  const all = document.querySelector('[data-all]');
  if (all) {
    all.hidden = false;
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
}

document.addEventListener('change', ({ target }) => {
  if (target.matches('[data-all]')) for (const box of document.querySelectorAll('[name=id][type=checkbox]')) box.checked = target.checked;
  if (target.matches('[data-all], [name=id]')) count();
  if (target.matches('[data-submit]')) target.form.requestSubmit();
  if (target.name === '~field') narrow(target);
  if (target.matches('.null input') && !target.checked) target.closest('.field')?.querySelector('input, textarea').focus();
});
addEventListener('pageshow', count);
document.addEventListener('htmx:after:swap', count);

// ------------------------------------------------------------------------------------------------------------- asking
const dialog = document.getElementById('ask');
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!form.dataset.ask || form.elements.sure || !dialog) return;
  event.preventDefault();
  const chosen = form.querySelectorAll('[name=id]:checked, [name=id][type=hidden]').length;
  const what = chosen === 1 ? form.dataset.ask.replace('records', 'record') : form.dataset.ask;
  document.getElementById('ask-title').textContent = `Delete ${chosen === 1 ? 'this' : chosen} ${what}?`;
  dialog.returnValue = 'no';
  dialog.showModal();
  dialog.onclose = () => dialog.returnValue === 'yes' && remove(form);
});

function remove(form) {
  const sure = Object.assign(document.createElement('input'), { type: 'hidden', name: 'sure', value: 'yes' });
  form.append(sure);
  form.submit();
}

// ---------------------------------------------------------------------------------------------------------- filtering
// Of the operators only those that a field takes.
function narrow(field) {
  const operator = field.form.elements['~operator'];
  const takes = field.selectedOptions[0].dataset.takes?.split(' ');
  for (const option of operator.options) option.hidden = option.disabled = Boolean(takes) && !takes.includes(option.value);
  if (operator.selectedOptions[0]?.disabled) operator.value = [...operator.options].find((option) => !option.disabled).value;
  if (field.value) operator.focus();
}

// ------------------------------------------------------------------------------------------------------------ changes
// Who reads is not interrupted: where what is shown is not so any more, a line says it.
async function look() {
  const before = shown();
  const answer = await fetch(location.href, { headers: { 'HX-Request': 'true' } });
  if (!answer.ok) return;
  const now = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('[data-digest]');
  const hint = before.querySelector('.changed');
  if (hint && before === shown()) hint.hidden = now?.dataset.digest === before.dataset.digest;
}

let waiting;
function later() {
  clearTimeout(waiting);
  waiting = setTimeout(look, 300);
}
document.body.addEventListener('pulpo:records', ({ detail }) => detail.model === shown()?.dataset.model && later());
document.body.addEventListener('pulpo:back', later);
