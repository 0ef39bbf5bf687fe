"""What one person may do on a site, asked of Confluence and remembered for a short while.

A token says who a person is, never what they may (docs/rules/connect.md 3.7), so every screen asks here.

    permissions  Permissions: decisions with an age, and the error when there is none
    grants       how a decision is found out: on the site, in a space, on one content

    is_site_admin    3 points: the person's operations on the application
    is_space_admin   the same first; then, by the site's role mode, role assignments or permission rows
    may              Confluence's own check of one content; where the app may not ask it, concluded from restrictions,
                     permission rows and the person's groups

The age of a decision counts from before the question. A yes counts for 60 seconds when something is changed and for
15 minutes when something is shown; a no for 60 seconds, so that a right just granted soon works. A webhook about
permissions, groups or people ends all decisions of the site in all processes (`hints.rights_changes`).

When in doubt the answer is no: a row that cannot be read, a role that is not known, a group that is hidden. When the
site cannot be asked the answer is neither: RightsUnknown, which screens show as 503. Without points an older decision
may do where the caller allows it, and the first question about a person may be paid from the points that are kept for
administrators (docs/rules/quota.md 4.4). A space that does not exist, is hidden, or belongs to others gets the same
answer in about the same time, so that no one learns which spaces there are.
"""
