"""The features of the JSON API, each with its request and answer models next to its operations.

One module is one feature; where it would be too long it is a folder with its models in `schemas`: `executions` (started
and cancelled in `starting`, looked at in `reading`, put into words by `presenter`) and `byline`. Every API class takes
the same four arguments, and `blueprint` makes routes of all of them.
"""
