"""What makes a process look for work: ticks, and hints between processes."""
