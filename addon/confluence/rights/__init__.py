"""What a person may see and do on a site."""
