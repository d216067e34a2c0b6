"""What is due, decided from rules and times alone."""
