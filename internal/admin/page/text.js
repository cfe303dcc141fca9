// How things are written for people. Text from the network is hostile: it goes
// through plain, and into the page by textContent alone.

// Controls, formats and ends of lines, but the two that join letters or keep them
// apart: names in Persian and Hindi have those.
const unseen = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

// plain makes visible what cannot be seen or would turn text around.
export function plain(text) {
  return String(text ?? '').replace(unseen, (c) => '\\u' + c.codePointAt(0).toString(16).padStart(4, '0'));
}

const numbers = new Intl.NumberFormat('en');

export function count(n) {
  return numbers.format(n);
}

// countdown writes seconds as a clock does: 0:59, 1:02:03.
export function countdown(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, '0');
  const minutes = Math.floor(s / 60) % 60;
  const hours = Math.floor(s / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

// duration writes seconds in the two largest units: 12 d 4 h.
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${count(Math.floor(s / 86400))} d ${Math.floor(s / 3600) % 24} h`;
}

// ago writes how long ago something was, in one unit.
export function ago(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 5) return 'now';
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });

// moment writes a time, and its day if that is another than today.
export function moment(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return '';
  const isToday = date.toDateString() === new Date().toDateString();
  return (isToday ? clock : calendar).format(date);
}

// put sets an element's text, if it is another one.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// putURI sets an element's text, which may be broken before its port and parameters.
export function putURI(element, text) {
  if (element.textContent === text) return;
  const parts = text.split(/(?=;|:\d+(?:;|$))/);
  element.replaceChildren(...parts.flatMap((part, i) => (i === 0 ? [part] : [document.createElement('wbr'), part])));
}

// show puts text into an element that is hidden without.
export function show(element, text) {
  put(element, text);
  element.hidden = text === '';
}

// make makes an element with text.
export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
