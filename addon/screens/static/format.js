/* Times, spans and numbers as they are written: in English, in the time zone of the person or of the site. */

let zone = "UTC";

export function setTimeZone(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    zone = name;
  } catch {
    /* An unknown zone name changes nothing: the one before stays. */
  }
}

export const timeZone = () => zone;

const write = (date, options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options }).format(date);
const day = (date) => write(date, { year: "numeric", month: "2-digit", day: "2-digit" });

/* The instant that a clock in the zone shows as `local` ("2026-11-22T14:17", as a datetime-local input has it). */
export function instant(local) {
  const wanted = Date.parse(`${local}Z`);
  const shown = (at) => {
    const options = { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" };
    const part = Object.fromEntries(new Intl.DateTimeFormat("en-GB", options).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute);
  };
  // Twice: the offset at the first guess may be that of the other side of a change of the clocks.
  const guess = wanted - (shown(wanted) - wanted);
  return new Date(guess - (shown(guess) - wanted));
}

/* "today 14:17", "tomorrow 02:00", "Mon 08:00" within a week, "3 Jan 08:00", "3 Jan 2025 08:00". */
export function moment(iso, now = new Date()) {
  const date = new Date(iso);
  const time = write(date, { hour: "2-digit", minute: "2-digit" });
  const near = (days) => day(new Date(now.getTime() + days * 86400000)) === day(date);
  if (near(0)) return `today ${time}`;
  if (near(1)) return `tomorrow ${time}`;
  if (near(-1)) return `yesterday ${time}`;
  const ahead = date.getTime() - now.getTime();
  if (ahead > 0 && ahead < 6 * 86400000) return `${write(date, { weekday: "short" })} ${time}`;
  const sameYear = write(date, { year: "numeric" }) === write(now, { year: "numeric" });
  return `${write(date, { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) })} ${time}`;
}

/* The whole truth, for the tooltip. */
export function exactly(iso) {
  const date = new Date(iso);
  return `${write(date, { dateStyle: "full", timeStyle: "medium" })} (${zone})`;
}

export const number = (value) => new Intl.NumberFormat("en-GB").format(value);

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/* "8 s", "2 min 10 s", "1 h 5 min". */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.round((whole % 3600) / 60);
  return minutes ? `${Math.floor(whole / 3600)} h ${minutes} min` : `${Math.floor(whole / 3600)} h`;
}

export function duration(execution) {
  if (!execution.endedAt) return "";
  return span((new Date(execution.endedAt) - new Date(execution.startedAt)) / 1000);
}

export function left(seconds) {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.round(seconds / 10) * 10} seconds left`;
  if (seconds < 5400) return `about ${count(Math.round(seconds / 60), "minute")} left`;
  return `about ${count(Math.round(seconds / 3600), "hour")} left`;
}
