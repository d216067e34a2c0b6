"""What can be asked of config-api, one class per subject: load, decide, apply."""
