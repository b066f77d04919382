"""The paper's figures and claims, and what it left open: each one command, see README.md."""
