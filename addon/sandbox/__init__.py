"""A pretend Confluence Cloud site for the demo and the end-to-end tests: stateful, over HTTP, on loopback.

`Site` holds the state, `SandboxServer` serves it, `seed_demo` and `seed_sized` fill it, `Inbox` receives the mail.
Nothing in the add-on imports this package but the command line.
"""

from addon.sandbox.inbox import Inbox
from addon.sandbox.seed import DOMAIN, seed_demo, seed_sized
from addon.sandbox.server import SandboxServer, create_sandbox
from addon.sandbox.site import ADMIN, Site

__all__ = ["ADMIN", "DOMAIN", "Inbox", "SandboxServer", "Site", "create_sandbox", "seed_demo", "seed_sized"]
