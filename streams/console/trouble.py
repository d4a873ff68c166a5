"""What does a person see where there is no page? What was wrong with the question, and where to go on."""

from streams.console.html import Html, element, isolated, link
from streams.console.parts import screen
from streams.views.asked import Asked
from streams.views.problems import Problem


def trouble(asked: Asked, problem: Problem) -> Html:
    """The page in place of one that cannot be shown; while control still reads, it becomes that page by itself."""
    waiting = problem.name == "not_found" and not asked.ready
    return screen(
        asked,
        problem.title,
        "",
        element("h1", problem.title),
        element("p", isolated(problem.detail)),
        element(
            "ul",
            *(
                element("li", isolated(f"{one.path}: expected {one.expected}"))
                for one in problem.errors
            ),
        )
        if problem.errors
        else None,
        element(
            "p",
            "What was written before the start is still being read. It appears here by itself if it is among that.",
        )
        if waiting
        else None,
        element("p", link("All models", "/"), " · ", link("All episodes", "/episodes")),
        trouble=True,
    )
