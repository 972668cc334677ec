/**
 * Waits for `promise`, but no longer than until `signal` is aborted: then it rejects with the signal's reason. What
 * becomes of the promise after that is ignored.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    const settled = promise.then(resolve, reject);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    void settled.finally(() => signal.removeEventListener("abort", onAbort));
  });
}
