"""One request to a site: built, repeated, sent and read.

    endpoints      the operations of Confluence that the add-on uses, and no others; every URL is built here
    site_requests  the order of everything: rests, limits, points, signature, repetition, paging
    resting        endpoints that asked for fewer requests
    turnstile      how many calls people may have under way, and for how long
    transport      one signed request within one deadline
    decoding       bytes to JSON
    answers        JSON to the values of content.py

Only `SiteRequests.call` sends, and only `Transport` opens a connection. `endpoints` is also the list from which the
descriptor's scopes are derived and against which Atlassian's published specs are tested: a call that is not listed
cannot be made.

Paging follows `_links.next`, of which only the query is used: the host and the path stay ours, because the request is
signed. A listing that leads back to a page already read, to another path or beyond 10,000 pages is Malformed.
"""
