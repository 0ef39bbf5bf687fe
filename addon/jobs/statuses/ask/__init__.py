"""The questions of a refresh: from spaces to a reading of what must change, at the lowest price.

    planning       which spaces are asked together, and what is asked once for several groups
    clauses        all CQL of a refresh, for one scheme and one group
    reading        the plan of a group, its reading, and the questions between them
    asking         the choice of a way, and the usual one: by stamps
    positive       the way without negations
    unstamped      the way without stamps, and the items of other groups that have none
    listing        the way without queries: the plain rule over a listed space
    parallel_read  the first refresh of a site, read in parts at the same time
    probe          how the site reads negations, found out once a week

A reading is complete or it is none: every query is read to its end before anything is decided, because an item that two
entries match must not get the later one's status from the half of an answer. Nothing here writes, neither to Confluence
nor to the database.

A way is right when `resolve` would give the same statuses; a test compares all of them with it over random sites.
"""
