"""The templates of pages, and what they format with."""

from jinja2 import Environment, PackageLoader, select_autoescape

from versus_py.incidents.overview import subject
from versus_py.web.api.views import utc

pages = Environment(loader=PackageLoader("versus_py.web.pages"), autoescape=select_autoescape(default=True))
pages.filters |= {"utc": utc, "subject": subject}
