"""How far a learner is: one small file, outside the course folder."""


def record(exercise, points):
    """Remember that `exercise` passed; return a list of lines to tell the learner (usually empty)."""
    return []
