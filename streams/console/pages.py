"""Which pages are there?"""

from streams.console.dead_letters import DEAD_LETTERS
from streams.console.episode import EPISODE
from streams.console.episodes import EPISODES
from streams.console.model import MODEL
from streams.console.overview import INDEX
from streams.console.pipeline import PIPELINE
from streams.console.series import SERIES
from streams.console.silences import SILENCES
from streams.console.trigger import TRIGGER
from streams.console.triggers import TRIGGERS
from streams.console.versions import VERSIONS

PAGES = (
    INDEX,
    MODEL,
    SERIES,
    VERSIONS,
    EPISODES,
    EPISODE,
    TRIGGERS,
    TRIGGER,
    SILENCES,
    DEAD_LETTERS,
    PIPELINE,
)
