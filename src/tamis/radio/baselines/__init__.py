"""What ClST is compared with: the networks of the field, under the same recipe, and classical statistics."""
