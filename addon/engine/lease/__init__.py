"""Who owns a running execution, and what happens when the owner is silent."""
