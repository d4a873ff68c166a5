"""Has anything begun to drift? Bets on windows whose false alarms are bounded."""

__all__: list[str] = []
