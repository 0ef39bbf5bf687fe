"""One execution at work, from claim to end."""
