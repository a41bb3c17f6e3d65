"""The one error a person can mend: something they wrote or supplied is wrong."""


class InputError(ValueError):
    """A study file, data file or option is wrong.

    Raised with one line that names the place (file, key or row), the value and what is allowed. The command line
    prints that line without a traceback and exits with 2.
    """
