"""The only way out to a Confluence site: signed, metered, typed."""
