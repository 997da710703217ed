"""The live page in Chromium."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("gradio", reason="no gradio here; pip install -e '.[demo]' for the live page")


@pytest.fixture(scope="module")
def address(recipe, root, free_port):
    """The command, started in a recipe's directory; ended as Ctrl-C does."""
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(root)])
    env, port = os.environ | {"PYTHONPATH": path}, str(free_port())
    command = [sys.executable, "-W", "ignore", "-m", "espnet_robust", "demo", "exp/short",
               "--checkpoint", "1epoch.pth", "--port", port, "--max_seconds", "5"]  # fmt: skip
    process = subprocess.Popen(command, cwd=recipe, env=env, stdout=subprocess.PIPE, text=True)
    line = next((line for line in process.stdout if line.startswith("http")), "")
    assert line, "it did not start"
    yield line.split()[0]
    process.terminate()
    assert process.wait(30) is not None


@pytest.fixture
def page(browser, address):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    page.get_by_role("button", name="Listen").wait_for()
    yield page
    page.close()


def choose(page, name):
    page.get_by_label("Distortion").click()
    page.get_by_role("option", name=name, exact=True).click()


def listen_until_texts(page):
    """Once more if the page had not yet taken in the sound."""
    texts, refusal = page.locator("table.texts"), page.get_by_text("record something or choose")
    for _ in range(20):
        page.get_by_role("button", name="Listen").click()
        texts.or_(refusal).first.wait_for()
        if texts.is_visible():
            return
        page.wait_for_timeout(500)
    raise AssertionError("the page never took in the recording")


def test_upload_distort_listen(page, recipe, address):
    page.locator("input[type=file]").first.set_input_files(recipe / "data/test/u0.wav")
    page.get_by_label("Remove audio").or_(page.get_by_label("Clear")).first.wait_for()
    choose(page, "pink noise")
    page.get_by_role("button", name="Listen").click()
    page.locator("table.texts").wait_for()
    rows = page.locator("table.texts th[scope=row]").all_inner_texts()
    assert rows == ["teacher", "cdm1"]
    assert "coloured, snr_db 15 dB" in page.locator(".sound figcaption").nth(1).inner_text()
    lengths = page.locator(".sound audio").evaluate_all("all => all.map((audio) => audio.duration)")
    assert lengths == pytest.approx([1, 1], abs=0.01)
    assert page.locator("table.layers").is_visible()
    # Nothing but this machine was asked.
    assert all(url.startswith((address, "data:", "blob:")) for url in page.asked)


def test_record_and_listen(page):
    page.get_by_role("button", name="Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1500)  # of the beeps that Chromium's made-up microphone hears
    # The player shows before the recording has been sent; until then "Listen" has nothing to hear.
    with page.expect_response(lambda response: "/upload" in response.url):
        page.get_by_role("button", name="Stop").first.click()
    listen_until_texts(page)
    (seconds, _) = page.locator(".sound audio").evaluate_all("all => all.map((a) => a.duration)")
    assert 0.5 < seconds < 5


def test_a_kind_without_a_strength_has_no_slider(page):
    assert page.get_by_label("Strength, %").first.is_visible()
    choose(page, "room")
    page.get_by_label("Strength, %").first.wait_for(state="hidden")


def test_nothing_to_listen_to(page):
    page.get_by_role("button", name="Listen").click()
    page.get_by_text("record something or choose a file first").wait_for()
