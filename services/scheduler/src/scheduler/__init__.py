"""Turns due times and Qlik reloads into TaskTriggered, each exactly once."""
