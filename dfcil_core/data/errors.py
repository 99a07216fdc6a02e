"""What can be wrong with the files of a data set."""


class MissingData(Exception):
    """The files of a data set are not there and could not be downloaded. The message says which to put where."""


class AbsentData(MissingData):
    """There is nothing of the data set where it was looked for."""


class DataMismatch(Exception):
    """The content of a data set is not what the stage's identity says."""
