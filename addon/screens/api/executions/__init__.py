"""Executions from outside: started and cancelled, watched, and looked up in the audit log."""
