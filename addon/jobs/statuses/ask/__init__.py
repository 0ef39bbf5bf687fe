"""What a refresh asks Confluence, at the lowest cost."""
