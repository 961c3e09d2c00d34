"""The two ways in which a user hears that something went wrong."""


class InputError(ValueError):
    """What the user gave cannot be used; the message says what is wrong and what to do."""


class JobError(RuntimeError):
    """The job could not be finished; the message says why and what to do."""
