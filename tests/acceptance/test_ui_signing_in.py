"""A person with a browser signs in to the web UI, over the addresses that it can have."""

import os
from urllib.parse import urlsplit

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.forking import call_versus
from tests.support.servers import free_port

SECRET = "the-secret-of-the-gateway"


@pytest.fixture
def browser_arguments():
    """A name of another machine: what browsers trust less than localhost."""
    return ("--host-resolver-rules=MAP versus.corp 127.0.0.1",)


def waiting(browser) -> WebDriverWait[Chrome]:
    return WebDriverWait(browser, 10, ignored_exceptions=[StaleElementReferenceException])


def is_at(browser, url: str) -> None:
    waiting(browser).until(expected_conditions.url_to_be(url))


def press(browser, name: str) -> None:
    browser.find_element(By.XPATH, f"//main//button[contains(., '{name}')]").click()


def sign_in(browser, secret: str) -> None:
    for field, text in (("name", "Ana Diaz"), ("secret", secret)):
        found = browser.find_element(By.NAME, field)
        found.clear()
        found.send_keys(text)
    press(browser, "Sign in")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", *(pytest.param(it, marks=pytest.mark.long) for it in ("localhost", "versus.corp"))]
)
def test_somebody_signs_in_chooses_a_theme_and_signs_out(world, browser, host):
    """With versus.corp, the browser sends no Sec-Fetch-Site, and the Origin only because pages ask for it."""
    port = free_port()
    url = f"http://{host}:{port}"
    world.serve(port=port, public_host=url, gateway_secret=SECRET)

    browser.get(f"{url}/you")
    is_at(browser, f"{url}/login?next=%2Fyou")
    browser.save_screenshot(str(world.folder / "login.png"))
    sign_in(browser, "wrong")
    waiting(browser).until(
        expected_conditions.text_to_be_present_in_element((By.CSS_SELECTOR, "[role=alert]:not([hidden])"), "not right")
    )
    sign_in(browser, SECRET)
    is_at(browser, f"{url}/you")
    assert browser.find_element(By.TAG_NAME, "h2").text == "Ana Diaz"

    press(browser, "Dark")
    waiting(browser).until(lambda it: it.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == "dark")
    is_at(browser, f"{url}/you")
    browser.save_screenshot(str(world.folder / "you-dark.png"))
    browser.set_window_size(500, 900)
    browser.save_screenshot(str(world.folder / "you-narrow.png"))
    cookie = browser.get_cookie("versus-session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    press(browser, "Sign out")
    is_at(browser, f"{url}/login")
    assert browser.find_element(By.NAME, "name").get_attribute("value") == "Ana Diaz"

    # What the policy of the page forbids, and scripts that fail, would be in the console.
    assert [it for it in browser.get_log("browser") if "403" not in it["message"]] == []


def test_a_link_of_the_command_line_signs_in_without_the_secret(world, browser):
    port = free_port()
    url = f"http://versus.corp:{port}"
    world.serve(port=port, public_host=url, gateway_secret=SECRET)
    at = {"VERSUS_URL": f"http://127.0.0.1:{port}", "VERSUS_GATEWAY_SECRET": SECRET}

    made = call_versus("login-link", env=os.environ | at)
    assert made.returncode == 0, made.stderr
    assert SECRET not in made.stdout
    browser.get(f"{made.stdout.strip()}&next=%2Fyou")
    browser.find_element(By.NAME, "name").send_keys("Ana Diaz")
    press(browser, "Sign in")

    is_at(browser, f"{url}/you")
    assert browser.find_element(By.TAG_NAME, "h2").text == "Ana Diaz"


def test_a_page_of_another_site_cannot_act_in_the_name_of_who_has_signed_in(world, browser, tmp_path):
    port = free_port()
    url = f"http://versus.corp:{port}"
    world.serve(port=port, public_host=url, gateway_secret=SECRET)
    browser.get(f"{url}/you")
    sign_in(browser, SECRET)
    is_at(browser, f"{url}/you")

    evil = tmp_path / "evil.html"
    evil.write_text(f'<form method=post action="{url}/logout"><main><button>Sign out</button></main></form>')
    browser.get(evil.as_uri())
    press(browser, "Sign out")
    waiting(browser).until(lambda it: urlsplit(it.current_url).path == "/logout")

    assert "No page of this server sent this form" in browser.page_source
    browser.get(f"{url}/you")
    assert browser.find_element(By.TAG_NAME, "h2").text == "Ana Diaz"
