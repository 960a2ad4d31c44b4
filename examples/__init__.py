"""Demonstrations of implicit layers and of the delta rule, without optical flow. Each module with a `main` is a program."""
