"""What runs by the clock next to jobs: erasure, retention, personal data, reporting."""
