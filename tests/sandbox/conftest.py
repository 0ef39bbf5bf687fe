"""The pretend site's fixtures for its own tests."""

from tests.support.site import call, sandbox_server, site, site_source, tenant

__all__ = ["call", "sandbox_server", "site", "site_source", "tenant"]
