"""What the project claims about speed and size, each claim a command."""
