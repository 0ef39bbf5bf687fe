"""What each job does to one space, and how it compiles its result."""
