"""What runs by the clock besides jobs: old rows and erased sites, people's data, bylines, and copies of the database.

What runs when
    ==============  ===========  ================================================================================
    tick            every        what it does
    ==============  ===========  ================================================================================
    indicator       10 s         writes to a site where the byline shows statuses, once its policies have changed
    erase           1 h          erases sites that uninstalled the add-on longer ago than STEWARD_ERASE_DAYS
    hints           1 h          deletes hints of pages and spaces that are older than 14 days
    retention       30 min       deletes old rows of the tenants whose hour it is
    personal-data   1 h          reports the accounts that are due, if STEWARD_PERSONAL_DATA_REPORTING is on
    ==============  ===========  ================================================================================

    Every process ticks, and every tick may run in several processes at once: a row that another process has locked is
    left to it, and a claim in the database decides who reports.

Each tenant once a day
    Retention looks after a tenant in one hour of the UTC day, `hour_of(tenant) = sha256(id)[0] mod 24`. There is no
    leader and no record of what was done. The tick comes twice an hour, so that no tenant's hour passes between two.

Who deletes
    Each room deletes from its own tables; what is kept and for how long is decided here (`retention`), and so is which
    columns name a person (`personal_data`). Only `erasure` goes through all tables, by their `tenant_id`.

What a crash leaves
    Rows go in transactions of at most 500 (1000 in an erasure). A deletion that ends half way is found again by the
    next tick. An erasure cuts the tenant off from its site first, in one statement, and deletes the tenant's row last:
    until then it is still due. A report whose answer was not stored is sent again. A byline that was not switched is
    still due. A copy of the database that is not complete is removed.
"""

from addon.maintenance.backup import CannotBackUp, after_restore, back_up
from addon.maintenance.personal_data import erase_person
from addon.maintenance.ticks import housekeeping

__all__ = ["CannotBackUp", "after_restore", "back_up", "erase_person", "housekeeping"]
