"""A pretend Confluence Cloud site for the demo and the end-to-end tests: stateful, over HTTP, on loopback.

`Site` holds the state, `SandboxServer` serves it, `seed_demo` and `seed_sized` fill it. Nothing in the add-on imports
this package but the command line.
"""

from addon.sandbox.seed import seed_demo, seed_sized
from addon.sandbox.server import SandboxServer, create_sandbox
from addon.sandbox.site import Site

__all__ = ["SandboxServer", "Site", "create_sandbox", "seed_demo", "seed_sized"]
