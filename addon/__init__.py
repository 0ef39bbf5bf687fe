"""Content Steward: a Confluence Cloud add-on that keeps a site's content fresh."""
