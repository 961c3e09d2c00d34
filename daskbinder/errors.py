"""The errors a user sees: bad input, and a job that failed."""


class InputError(ValueError):
    """Unusable input; the message says what is wrong and what to do."""


class JobError(RuntimeError):
    """The job failed; the message says why and what to do."""


class LostFiles(JobError):
    """Day files that could not be read, with the reason for each."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(files)  # what is pickled
        self.files = files

    def __str__(self) -> str:
        first, *others = self.files.values()
        return first + (f"; {len(others):,} other files are lost too" if others else "")
