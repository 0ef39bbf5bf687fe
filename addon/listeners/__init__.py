"""What follows a lifecycle call or an event of the site."""
