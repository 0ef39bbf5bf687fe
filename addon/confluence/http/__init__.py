"""Requests to a site and what their answers mean."""
