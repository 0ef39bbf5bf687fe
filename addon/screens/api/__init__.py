"""The JSON API behind the screens, one module per feature."""
