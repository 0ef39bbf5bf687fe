"""Schedules, their slots, and what is due."""
