"""The page: one file of HTML with its style and script, which asks nobody else for anything."""

from collections.abc import Callable

import jinja2

from fcn.serving.answers import Limits
from fcn.serving.uploads import megabytes


def renderer(model: str, limits: Limits, reads: str = "color") -> Callable[[str], str]:
    """A function from a nonce, which scripts and styles have to bear, to the page's HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fcn.serving"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html")
    return lambda nonce: template.render(
        nonce=nonce,
        model=model,
        what="HHA picture" if reads == "hha" else "picture",
        max_bytes=limits.bytes,
        most=f"up to {megabytes(limits.bytes)} and {limits.pixels / 1e6:,.3g} million pixels",
    )
