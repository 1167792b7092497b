"""What two or more domains need, and nothing else. Knows no domain."""
