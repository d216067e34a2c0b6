"""What is planned and decided; pure."""
