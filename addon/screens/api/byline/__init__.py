"""The status of one page or blog post, behind the byline under its title."""
