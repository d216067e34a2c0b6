"""A program that never comes to an end: `python -m support.sleeper`."""

import time

if __name__ == "__main__":
    time.sleep(600)
