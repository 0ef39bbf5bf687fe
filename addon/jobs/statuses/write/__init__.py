"""What a refresh decides, and how it is written to Confluence."""
