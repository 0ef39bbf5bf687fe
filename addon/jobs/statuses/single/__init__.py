"""The status of one content, at once and without a job."""
