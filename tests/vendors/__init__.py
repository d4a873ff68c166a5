"""What do the vendors accept? Their documented rules as validators, for payload tests and for fake servers alike."""


class Rejected(Exception):
    """The vendor would refuse this.

    Parameters
    ----------
    reason : the vendor's own word for it where there is one
    why : what is wrong, for whoever reads the failed test
    """

    def __init__(self, reason: str, why: str = "") -> None:
        super().__init__(f"{reason}: {why}" if why else reason)
        self.reason = reason
        self.why = why


__all__ = ["Rejected"]
