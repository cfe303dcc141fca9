// What phones tried, and the sentences on what became of it.

import { ago, count, make, moment, plain } from './text.js';

const template = document.getElementById('attempt');

// attemptItem returns a list item for an attempt. now is the server's time.
export function attemptItem(attempt, now) {
  const item = template.content.firstElementChild.cloneNode(true);
  item.classList.toggle('failed', attempt.failed);
  item.querySelector('.cause').textContent = plain(attempt.cause);
  const cure = item.querySelector('.cure');
  cure.textContent = plain(attempt.cure);
  cure.hidden = !attempt.cure;
  item.querySelector('.names').replaceChildren(...names(attempt));
  item.querySelector('.meta').replaceChildren(...meta(attempt, now));
  return item;
}

// names returns the three names side by side: keeping them apart is the point.
export function names({ aor, authname, label }) {
  return [name('AOR', aor, 'sent'), name('Authname', authname, 'sent'), name('Label', label, 'label')];
}

function name(caption, value, className) {
  const group = make('div');
  group.append(make('dt', '', caption), make('dd', value ? className : 'none', plain(value) || '–'));
  return group;
}

// meta says when it was, how often and from where.
function meta(attempt, now) {
  const parts = [when(attempt.time, now)];
  if (attempt.times > 1) parts.push(make('strong', '', `${count(attempt.times)} times`));
  if (attempt.src_ip) parts.push(make('span', '', `from ${source(attempt)}`));
  if (attempt.user_agent) parts.push(make('span', '', plain(attempt.user_agent)));
  if (attempt.where && !`${attempt.cause}${attempt.cure}`.includes(attempt.where)) parts.push(make('span', '', plain(attempt.where)));
  return parts.flatMap((part) => [part, ' ']);
}

function when(time, now) {
  const element = make('time', '', ago((now - Date.parse(time)) / 1000));
  element.dateTime = time;
  element.title = moment(time);
  return element;
}

function source({ src_ip: ip, src_port: port, transport }) {
  const host = ip.includes(':') ? `[${ip}]` : ip;
  return plain(`${port ? `${host}:${port}` : host} ${transport ?? ''}`.trim());
}

// retime brings the times of a list up to date.
export function retime(list, now) {
  for (const element of list.querySelectorAll('time')) {
    const text = ago((now - Date.parse(element.dateTime)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}
