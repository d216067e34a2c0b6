"""What config-api decides: pure functions over values, no clock, no randomness, no I/O."""
