"""What keeps ledger and site in agreement where no status changes.

    drift      every stamp looked for once a week, because one that went and one that came balance in every count
    excluded   stamps and entries in spaces that are excluded now, or gone

All of it is best effort: what fails now is found again by a later run, and no space fails for it.
"""
