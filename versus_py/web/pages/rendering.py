"""The templates of pages, and what they format with."""

from jinja2 import Environment, PackageLoader, select_autoescape

from versus_py.incidents.overview import subject
from versus_py.web.api.views import utc
from versus_py.web.pages.files import file_name
from versus_py.web.pages.ui import moments
from versus_py.web.pages.ui.marks import mark
from versus_py.web.pages.ui.rows import web_page

pages = Environment(
    loader=PackageLoader("versus_py.web.pages"),
    autoescape=select_autoescape(default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)
pages.filters |= {"utc": utc, "subject": subject}
_TIMES = (moments.date, moments.day, moments.hours, moments.is_of_today, moments.iso, moments.lasted, moments.left)
pages.filters |= {it.__name__: it for it in (*_TIMES, mark, web_page)}
pages.globals["file_name"] = file_name


async def compile_pages(_: object = None) -> None:
    """Have the templates of the web UI ready before somebody waits for one."""
    for name in pages.list_templates(extensions=["html"]):
        pages.get_template(name)
