"""The database schema: its migrations, its tables, and how a database gets there."""
