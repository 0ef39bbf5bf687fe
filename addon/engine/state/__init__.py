"""The states of an execution, and every way from one to another."""
