"""The status of one item, at once and without a job, as a person asks for it in the byline's dialog.

    single      find, look at, refresh and review one item
    evaluation  the entries of a scheme, tested against one item

A single refresh is not an execution and runs next to one. Both write the stamp under its property's version, so the
second to write reads again once; and a run never overwrites what was refreshed singly after it began to read
(docs/rules/statuses.md 5.7). The review counts as it is now, not as search knows it: a person who has just pressed
"Still valid" does not wait for the index.
"""
