"""CQL: parsed, checked and put together."""
