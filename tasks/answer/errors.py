"""What is raised where an answer cannot be read."""


class Unreadable(ValueError):
    """There is no one value in a text, or none that can be compared; says why."""
