"""The page in Chromium, opened from disk as its readers do."""

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from espnet_robust.score.alignment import ALIGNMENTS, align
from espnet_robust.score.page.spectrogram import spectrogram


@pytest.fixture
def opened(open_page, experiment):
    """The page at desktop width."""
    return open_page((experiment / "exp/report/index.html").as_uri())


def rows(page) -> dict[str, list[str]]:
    """Condition -> the figures of its row, as the table shows them, in its order."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#table tbody tr")].map((row) =>
            [row.querySelector("th").innerText,
             [...row.querySelectorAll("td > :first-child")].map((cell) => cell.innerText)]))"""
    )


def listed(page) -> list[str]:
    """Ids of the utterances in sight."""
    return page.locator("#list .top > span:first-child").all_inner_texts()


def test_opens_from_disk_without_a_network_or_a_complaint(opened):
    assert opened.title() == "Word error rate: short, test"
    assert opened.messages == []
    assert opened.asked and {url.partition(":")[0] for url in opened.asked} <= {"file", "blob"}


def test_sorts_by_a_system(opened):
    given = list(rows(opened))
    assert given[0] == "clean"
    button = opened.locator("thead button", has_text="plain")
    for direction in ("ascending", "descending"):
        button.click()
        values = [float(row[0]) for row in rows(opened).values()]
        assert values == sorted(values, reverse=direction == "descending") and len(values) == 5
        header = opened.locator(f'thead th[aria-sort="{direction}"]')
        assert header.inner_text().startswith("plain")
    opened.locator("thead button", has_text="condition").click()
    assert list(rows(opened)) == given


def test_figures_are_those_of_the_scores(opened, experiment):
    scores = [
        {c["name"]: c for c in json.loads(path.read_text())["conditions"]}
        for path in sorted((experiment / "exp/short").glob("*/scores.json"))
    ]
    for metric, field in (("0", "wer"), ("1", "cer")):
        opened.select_option("#metric", metric)
        for name, shown in rows(opened).items():
            assert shown == [f"{s[name][field]:.1f}" for s in scores]


def test_marks_and_what_stands_beside_a_figure(opened):
    cell = opened.locator("#table tr", has_text="noise_snr0").locator("td").nth(1)
    assert "[" in cell.inner_text() and "better than plain" in cell.text_content()
    opened.select_option("#beside", "edits")
    sub, dele, ins = (float(x) for x in cell.locator(".beside").inner_text().split(" / "))
    total = float(cell.locator("strong").inner_text())
    assert abs(sub + dele + ins - total) < 0.2 and sub > 0
    opened.select_option("#beside", "nothing")
    assert cell.locator(".beside").count() == 0
    opened.fill("#named", "BABBLE")
    assert list(rows(opened)) == ["babble_snr10", "babble_snr0"]


def test_curves_follow_the_table(opened):
    def lines():
        return [s.get_attribute("data-system") for s in opened.locator("#plot g.system").all()]

    curve = opened.locator("#plot g.system path.curve").first
    assert lines() == ["plain", "robust"]
    before = curve.get_attribute("d")
    opened.select_option("#metric", "1")
    assert (cer := curve.get_attribute("d")) != before
    opened.select_option("#series", label="noise")
    assert curve.get_attribute("d") != cer
    assert ", noise;" in opened.locator("#plot svg").get_attribute("aria-label")
    opened.get_by_label("plain", exact=True).uncheck()
    assert lines() == ["robust"]
    assert all(len(row) == 1 for row in rows(opened).values())
    assert [th.inner_text() for th in opened.locator("#utterance .texts th").all()] == [
        "reference",
        "robust",
    ]


def test_filters_and_orders_utterances(opened):
    opened.select_option("#condition", label="noise_snr0")
    opened.select_option("#order", "id")
    everybody = opened.evaluate("block.ids")
    opened.select_option("#speaker", label="spk1")
    assert listed(opened) == [utt for utt in everybody if utt.startswith("spk1")] != []
    # It holds in another condition.
    opened.select_option("#condition", label="babble_snr0")
    opened.locator("#found", has_text="8 of 25").wait_for()
    assert all(utt.startswith("spk1") for utt in listed(opened))
    opened.select_option("#speaker", label="all")
    opened.fill("#find", "kitchen")
    assert 0 < len(listed(opened)) < 25
    assert all("KITCHEN" in row for row in opened.locator("#list .ref").all_inner_texts())


def test_largest_difference_comes_first(opened):
    opened.select_option("#condition", label="noise_snr0")
    opened.select_option("#order", "first")  # robust is better than plain

    def gains():
        texts = opened.locator("#list .top .quiet").evaluate_all(
            "all => all.map(e => e.firstChild.data)"
        )
        counts = [[float(part.split()[-1]) for part in text.split(" · ")] for text in texts]
        return [plain - robust for robust, plain in counts]

    assert gains() == sorted(gains(), reverse=True) and gains()[0] > 0
    opened.select_option("#order", "second")
    assert gains() == sorted(gains())
    opened.select_option("#order", "difference")
    sizes = [abs(gain) for gain in gains()]
    assert sizes == sorted(sizes, reverse=True)


def test_errors_are_marked(opened):
    opened.click("text=noise_snr0")  # from the table to its utterances
    for place in range(5):
        opened.locator("#list .row").nth(place).click()
        for row in opened.locator("#utterance .texts tr").all()[1:]:
            marks = row.locator("mark, ins, del").count()
            assert row.locator("td").nth(1).inner_text().split()[0] == str(marks)
            ref = opened.locator("#utterance .texts td").first.inner_text().split()
            kept = row.locator("td").first.evaluate(
                "td => [...td.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('')"
            )
            missed = row.locator("mark, del").count()
            assert len(kept.split()) == len(ref) - missed


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_alignments_are_those_of_scoring(opened, name):
    rng = np.random.default_rng(0)
    pairs = [[list(rng.choice(list("abc"), rng.integers(0, 9))) for _ in "rh"] for _ in range(200)]
    edits = opened.evaluate(
        "([pairs, costs]) => pairs.map(([r, h]) => align(r, h, costs))",
        [pairs, ALIGNMENTS[name].step],
    )
    for (ref, hyp), found in zip(pairs, edits, strict=True):
        expected = [["same" if op == "match" else op, *rest] for op, *rest in align(ref, hyp, name)]
        assert found == expected


def test_marks_are_of_the_texts_as_scored(open_page, scored_otherwise):
    page = open_page((scored_otherwise / "exp/report/index.html").as_uri())
    errors = 0
    for condition in ("clean", "noise_snr0"):
        page.click(f"text={condition}")
        for place in range(8):
            page.locator("#list .row").nth(place).click()
            for row in page.locator("#utterance .texts tr").all()[1:]:
                said = row.locator("td").nth(1).inner_text().split()[0]
                assert said == str(row.locator("mark, ins, del").count())
                errors += int(said)
                assert row.locator("td").first.inner_text().islower()
    assert errors > 0
    assert page.locator("#utterance .texts td").first.inner_text().startswith("{Please / ERM / @}")
    assert "as they were scored: case lower" in page.locator("#compared").inner_text()
    assert page.messages == []


def test_plays_clean_and_distorted_audio_from_disk(opened):
    opened.click("text=noise_snr0")
    players = opened.locator("#utterance audio")
    assert players.count() == 2
    for player in players.all():
        played = player.evaluate(
            """async (audio) => { audio.muted = true; await audio.play();
                while (!audio.ended && audio.currentTime < 0.2) {
                    await new Promise((next) => setTimeout(next, 20)); }
                return [audio.duration, audio.currentTime]; }"""
        )
        assert abs(played[0] - 0.6) < 0.01 and played[1] >= 0.2
    assert "hum" in opened.locator(".drawn").inner_text()
    assert opened.locator("canvas:visible").count() == 2


def test_audio_that_has_moved_is_said_and_found_again(open_page, experiment, tmp_path):
    shutil.copy(experiment / "exp/report/index.html", tmp_path)
    page = open_page((tmp_path / "index.html").as_uri())
    page.click("text=noise_snr10")
    said = page.locator("figure [role=status]").first
    said.filter(has_text="Cannot be played").wait_for()
    page.fill("#find", "light")  # the rest works
    assert page.locator("#utterance .texts").is_visible()
    folder = page.locator("#utterance input[type=file]")
    folder.set_input_files(experiment / "audio_noise_snr10")
    page.locator("#utterance audio[src^=blob]").first.evaluate(
        """async (audio) => { audio.muted = true; await audio.play(); }"""
    )
    assert page.locator("figure [role=status]").first.inner_text() == ""


def test_text_of_a_corpus_is_never_markup(opened):
    opened.click("text=clean")
    opened.fill("#find", "script")
    opened.locator("#list .row").first.click()
    shown = opened.locator("#utterance").inner_text()
    assert "<script>window.hacked=1</script>" in shown and "<img src=x" in shown
    assert "&amp;" in shown
    opened.locator("#runs summary").first.click()
    assert "<script>" in opened.locator("#runs pre").first.inner_text()
    assert opened.evaluate("window.hacked") is None
    assert opened.locator("main script, main img").count() == 0 and opened.messages == []


def test_policy_refuses_other_scripts(opened):
    opened.evaluate(
        """() => { const s = document.createElement("script"); s.textContent = "window.hacked = 3";
            document.body.append(s); }"""
    )
    assert opened.evaluate("window.hacked") is None


def test_runs_show_configuration_and_commit(opened):
    opened.locator("#runs summary").nth(1).click()
    details = opened.locator("#runs details").nth(1)
    details.locator("pre").wait_for()
    assert "asr, commit abc1234567" in details.inner_text()
    assert "optim: adamw" in details.inner_text() and "0000" not in details.inner_text()


def test_keyboard_alone(opened):
    opened.locator("thead button").nth(1).focus()
    opened.keyboard.press("Enter")
    assert opened.locator("thead th[aria-sort]").count() == 1
    assert opened.evaluate("document.activeElement.innerText").startswith("plain")
    opened.locator("#list").focus()
    title = opened.locator("#utterance h3")
    first = title.inner_text()
    opened.keyboard.press("ArrowDown")
    assert title.inner_text() != first
    active = opened.locator("#list").get_attribute("aria-activedescendant")
    assert opened.locator(f"#{active}").get_attribute("aria-selected") == "true"
    opened.keyboard.press("End")
    assert opened.locator("[role=option][aria-posinset='25']").get_attribute("aria-selected")
    opened.keyboard.press("Home")
    assert title.inner_text() == first
    opened.keyboard.press("Tab")  # out of the list again, into the utterance
    assert opened.evaluate("document.activeElement.closest('#utterance') !== null")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_accessible_on_a_desk_and_a_phone(open_page, violations, experiment, theme, width):
    page = open_page((experiment / "exp/report/index.html").as_uri(), width, theme)
    page.click("text=noise_snr0")
    for summary in page.locator("summary").all():
        summary.click()
    page.locator("#runs pre").last.wait_for()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_theme_can_be_chosen(opened):
    def background():
        return opened.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background()
    opened.select_option("#theme", "dark")
    assert background() != light
    opened.reload()
    opened.wait_for_selector("html[data-ready]")
    assert background() != light  # kept


def test_spectrograms_of_the_page_are_those_of_the_report(opened):
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(16000) / 3) * np.hanning(16000)
    wav = (0.3 * tone + 0.01 * rng.standard_normal(16000)).astype(np.float32)
    theirs = opened.evaluate("wav => Array.from(cellsOf(Float32Array.from(wav)))", wav.tolist())
    ours = spectrogram(wav)
    assert np.abs(np.reshape(theirs, ours.shape) - ours).max() <= 1
    assert np.mean(np.reshape(theirs, ours.shape) != ours) < 0.001


def test_a_web_server_gives_the_samples(open_page, experiment):
    handler = partial(SimpleHTTPRequestHandler, directory=experiment)
    handler.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = open_page(f"http://127.0.0.1:{server.server_port}/exp/report/index.html")
        page.evaluate("block.pictures = {}")  # as if none had come with it
        page.locator("#list .row").nth(1).click()
        page.locator("canvas:visible").nth(1).wait_for()
        assert page.messages == []
        server.shutdown()


def test_a_long_list_stays_small(opened):
    opened.evaluate(
        """() => { const many = [...Array(3000).keys()];
            const columns = "refs hyps errors speakers audio clean drawn".split(" ");
            for (const key of columns) block[key] = many.map((i) => block[key][i % 25]);
            block.ids = many.map((i) => `utt${i}`);
            showList(); }"""
    )
    assert opened.locator("#found").inner_text() == "3000 of 3000 utterances"
    assert opened.locator("#list .row").count() < 40
    opened.locator("#list").focus()
    opened.keyboard.press("End")
    assert opened.locator("#list .row").count() < 40
    assert opened.locator("[aria-selected=true]").get_attribute("aria-posinset") == "3000"
