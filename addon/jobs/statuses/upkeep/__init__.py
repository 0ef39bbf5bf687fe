"""What keeps ledger and site in agreement between changes."""
