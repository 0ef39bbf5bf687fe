"""One execution per tenant: start, run, progress, cancel, recover, retry, schedule."""
