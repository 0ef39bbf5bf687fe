"""A pretend Confluence Cloud site for the demo and the end-to-end tests."""
