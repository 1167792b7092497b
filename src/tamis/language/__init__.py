"""Pick the entities that matter grammatically, and prove templates right or wrong with them."""
