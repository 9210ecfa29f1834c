// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
export const number = (n) => whole.format(n);
export const count = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;
export const percent = (x) => `${Math.round(x * 100)} %`;
export const score = (x) => x.toFixed(2);
export const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** A total that says whether it is all or only known to be at least so many. */
export const total = ({ value, relation }, one, many) => (relation === "gte" ? `at least ${count(value, one, many)}` : count(value, one, many));
/** The same without a noun. */
export const some = ({ value, relation }) => (relation === "gte" ? `at least ${number(value)}` : number(value));

export function bytes(n) {
  const units = ["bytes", "KB", "MB", "GB"];
  let step = 0;
  while (n >= 1000 && step < units.length - 1) [n, step] = [n / 1000, step + 1];
  return `${step && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[step]}`;
}

/** A time as short as it can be told: the hour of a day like today, the day of others. */
export function moment(iso) {
  const then = new Date(iso);
  const today = then.toDateString() === new Date().toDateString();
  return then.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium" });
}

export const day = (iso) => new Date(iso).toLocaleString([], { dateStyle: "long", timeStyle: "short" });
