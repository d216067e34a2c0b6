"""What the notifier does: load, decide, apply."""
