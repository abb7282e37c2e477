// A phone's clock may be wrong, and be put right between typing and sending.

const NEAR = 60000;

// How far the server's clock is ahead, in milliseconds; what a request takes is no difference.
export function aheadOf(server, phone) {
  const ahead = server - phone;
  return Math.abs(ahead) > 30000 ? ahead : 0;
}

// When something was typed by the server's clock: at `typedAt` by the phone's, which was `ahead` behind at
// the last contact (`contact`, by the server's clock). It was after that and before `now`.
export function timeOf({ typedAt, ahead = 0, contact = 0 }, now) {
  const fits = (at) => at >= contact - NEAR && at <= now + NEAR;
  const found = [typedAt + ahead, typedAt].find(fits);
  return found ?? Math.min(Math.max(typedAt + ahead, contact), now);
}
