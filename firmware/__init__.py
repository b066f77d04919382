"""The C library, the boards, and what builds, runs, checks and flashes a firmware project."""
