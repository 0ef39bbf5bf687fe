"""What follows when a site installs, disables or uninstalls the add-on, or reports an event.

`addon.connect` verifies the call and knows neither jobs nor policies; it calls a listener inside its own transaction.
`LifecycleEffects` and `SiteEvents` are these listeners.

=============  =============================================================================================
call           what follows, in the same transaction
=============  =============================================================================================
installed      the lane opens; a new tenant gets the shipped policies and their schedules, and nothing starts before a
               Confluence administrator has confirmed the first run (docs/adr/0002); a returning one keeps its own
               policies, and its schedules begin again from now
enabled        the lane opens
disabled       the lane closes; the active execution is cancelled
uninstalled    the same, and mails not yet sent are dropped; the data is erased later (`addon.maintenance`)
page, post     a hint for the next refresh
space          a hint, and permissions are asked again
user, group    permissions are asked again; a removed person is erased
=============  =============================================================================================

An event may come twice, late or never: it is a hint to look, and no job relies on it. If the transaction fails nothing
of it has happened, and the site sends the call again.
"""

from addon.listeners.events import SiteEvents
from addon.listeners.lifecycle import LifecycleEffects

__all__ = ["LifecycleEffects", "SiteEvents"]
