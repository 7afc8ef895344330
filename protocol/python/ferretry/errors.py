"""What can go wrong. Failed images are no errors: they are records whose `error` is set."""


class FerretryError(Exception):
    """Anything of this package."""


class NoAnswer(FerretryError):
    """No broker answered, or none could reach Redis, for as long as the client was told to be patient."""


class ProtocolError(FerretryError):
    """Bytes that are not what PROTOCOL.md says, or a job that it does not allow."""


class Refused(FerretryError):
    """A broker said no: `code` is the word of PROTOCOL.md, section 3."""

    def __init__(self, code: str, text: str):
        super().__init__('%s (%s)' % (text, code))
        self.code = code
