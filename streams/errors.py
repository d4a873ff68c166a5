"""Every error Leeway raises on purpose, and the exit code each one ends a command with.

LeewayError
├── LifecycleError          a YAML file is wrong: all its mistakes, each with a place    exit 2
├── UsageError              the command asks for what does not exist                     exit 2
├── InvalidEvent(reason)    this message can never be processed                          dead letter; the stream goes on
├── BrokerError(retry)      Kafka refused; `retry` says whether again can help           again, or exit 3
├── Fenced                  another process owns this work now                           drop it, start clean
├── StateError              what was kept was written by a newer Leeway                  exit 3, naming both versions
└── MissingTool             something this machine lacks, and how to get it              exit 3
"""


class LeewayError(Exception):
    """The root. `exit_code` is what a command that ends with it returns."""

    exit_code = 1


class UsageError(LeewayError):
    """The command asks for what does not exist; the message says what to type instead."""

    exit_code = 2


class LifecycleError(LeewayError):
    """One or more mistakes in YAML files; each line says file, line, column, path, what is wrong, what was expected."""

    exit_code = 2

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class InvalidEvent(LeewayError):
    """This message can never be processed; `reason` is one of contracts' defect words."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(f"{reason}: {hint}" if hint else reason)
        self.reason = reason


class BrokerError(LeewayError):
    """Kafka refused. `retry` says whether the same call can help."""

    exit_code = 3

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class Fenced(BrokerError):
    """Another process owns this work now; only a new process can go on."""


class StateError(LeewayError):
    """What was kept was written by a newer Leeway."""

    exit_code = 3


class MissingTool(LeewayError):
    """Something this machine lacks; the message says what, and how to get it."""

    exit_code = 3
