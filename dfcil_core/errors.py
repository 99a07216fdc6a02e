"""What can go wrong while a stage is computed, beside bugs."""


class Diverged(Exception):
    """The loss is no longer a finite number; the message says where."""


class ForbiddenImage(Exception):
    """A stage asked for a training image that its task, or its memory, does not give it."""


class MissingData(Exception):
    """The files of a data set are not there and could not be downloaded. The message says which to put where."""


class AbsentData(MissingData):
    """There is nothing of the data set where it was looked for."""


class DataMismatch(Exception):
    """The content of a data set is not what the stage's identity says."""
