// Asks for the token of [admin].

const byId = (id) => document.getElementById(id);

// askForToken returns a promise of what is typed. again: the last one was wrong.
export function askForToken(again) {
  const dialog = byId('ask-token');
  const field = byId('token');
  byId('token-trouble').hidden = !again;
  field.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const done = new AbortController();
    // There is nothing to go back to.
    dialog.addEventListener('cancel', (event) => event.preventDefault(), { signal: done.signal });
    dialog.addEventListener('close', () => dialog.showModal(), { signal: done.signal });
    byId('token-form').addEventListener('submit', (event) => {
      event.preventDefault();
      if (field.value === '') return;
      done.abort();
      dialog.close();
      resolve(field.value);
    }, { signal: done.signal });
  });
}
