"""The writes of a refresh: from a reading to stamps, ledger and ended spaces.

    deciding   what follows from a reading, given the ledger. Pure.
    stamping   one item's stamp, whatever its property says now. Calls only.
    missing    items that search no longer shows, looked up by id before the ledger forgets or follows them
    writing    a group's changes on their way, in batches, and the end of its spaces

Each outcome is known before it is recorded and recorded before it is counted:

    decided ─► stamped (call thread) ─► recorded (in memory) ─► flushed: ledger, counts, checkpoints, ended spaces
                                                                in one fenced transaction

A process that dies before the flush has written up to 100 stamps that the ledger does not know. The next attempt finds
them stamped as they should be, takes them into the ledger and counts them as changed.
"""
