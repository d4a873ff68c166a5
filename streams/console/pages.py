"""Which pages are there?"""

from streams.console.model import MODEL
from streams.console.overview import INDEX

PAGES = (INDEX, MODEL)
