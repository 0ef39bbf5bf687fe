"""What a host installs: the Connect descriptor, built from one template and checked."""
