"""Send notifications: the pages and posts that a rule reports, in one mail for each person and execution.

A rule of the policies says what is reported (a CQL) and to whom (its recipients). Running collects matches for each
space; only finalizing makes mails of them, so a run that is cancelled or loses a space has sent nothing wrong. Rules:
docs/rules/notifications.md 6.0 and what follows it.

The way of a match
------------------
::

    collecting.py    work: in each space one query per due rule, the recipients of each item found
        |            rows of notification_match, stored with the end of their space
        |
    digests.py       finalize: per person the sections of every rule that matched, rendered with the rule's template
        |            rows of the outbox, 500 a transaction
        |
    job.py           finalize: send_due tries each mail of the execution once, for at most 15 minutes
                     the outbox tick sends what is left (addon.mail)

An execution that a schedule began collects for the rules whose slot it is, one that a person began for all that are
enabled. The order of a mail's sections is that of the rules in the policies.

Who is notified
---------------
Recipients resolve to account ids: author, last updater, a named person, administrators of the space, members of a
group; the last two are asked for once in a run. The address of an account is asked of Confluence at the moment of
sending and never stored. A person who is inactive, or whose address Confluence does not show, gets no mail: it ends
`suppressed`.

Never twice
-----------
The outbox takes a mail once for each tenant, execution and account, and hands it over at most once (addon.mail). So
both halves of finalizing may be repeated:

=================================================  =====================================================================
it dies                                            then
=================================================  =====================================================================
while a space is collected                         the space's rows are deleted and collected again
while mails are put into the outbox                those already there stay as they are, the others are added
while mails are sent                               the new owner takes the leases over; a mail whose content went out is
                                                   not sent again (addon.mail)
before the matches are deleted                     they are deleted by the new owner, or by the daily sweep
=================================================  =====================================================================

When something fails
--------------------
=================================================  =====================================================================
what                                               then
=================================================  =====================================================================
no mail server is configured                       the job refuses to start, and says which setting is missing
a space cannot be read                             it fails and leaves no match behind; its retry reports each item once
the site gives no names, title or time zone        mails greet "there", name the host, show days of UTC
addresses cannot be asked for                      mails stay in the outbox; the tick asks again
a template fails with these items                  the next rule's template, at last the shipped one
the database refuses an item's title               that item is left out and counted as contentsUntold
=================================================  =====================================================================
"""

from addon.jobs.notifications.job import SendNotifications, mail_addresses

__all__ = ["SendNotifications", "mail_addresses"]
