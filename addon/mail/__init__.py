"""The outbox, rendering and SMTP."""
