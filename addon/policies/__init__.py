"""What administrators configure."""
