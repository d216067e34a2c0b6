"""The ports, kept with MongoDB and Qlik."""
