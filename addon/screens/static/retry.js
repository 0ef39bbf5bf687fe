/* The retry of an execution's failed spaces: a button that asks first. */

import { post } from "./api.js";
import { ask } from "./dialogs.js";
import { count } from "./format.js";
import { button, paragraph } from "./parts.js";

/* The button, or null where nothing can be retried. `then` gets the new execution. */
export function retryButton(execution, then) {
  return execution.mayRetry ? button("Retry failed spaces", () => retry(execution, then), { kind: "default" }) : null;
}

async function retry(execution, then) {
  const failed = execution.progress.spacesFailed;
  const mails = execution.job === "send-notifications" && paragraph("People get a digest about the pages and posts of these spaces only.");
  const started = await ask({
    title: `Retry ${count(failed, "failed space")}?`,
    content: [
      paragraph(`${execution.title}${execution.dryRun ? " (dry run)" : ""} runs again over ${failed === 1 ? "the space that failed" : `the ${failed} spaces that failed`} and no other, with the policies as they are now.`),
      mails,
      paragraph("Only one execution runs at a time: until this one ends no other can start, and schedules wait. You can cancel it while it runs."),
    ].filter(Boolean),
    label: "Retry",
    act: () => post(`/executions/${execution.id}/retry`, undefined, { spaceKey: document.body.dataset.spaceKey }),
  });
  if (started) await then(started);
}
