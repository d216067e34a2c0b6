"""A mail server that delivers nothing: it keeps each message as a file, shows it, misbehaves on demand."""
