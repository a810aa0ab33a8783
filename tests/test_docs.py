"""Links in the documentation lead to files of the checkout; its reference has what the code has."""

import re
import tomllib

import pytest

from docs import make_site
from emotion_search.cli import COMMANDS
from emotion_search.engine.settings import Settings
from tests.api.dashboard.conftest import browser  # noqa: F401
from tests.conftest import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("engine/**/*.md")]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_has_every_command_with_its_examples():
    text = make_site.command_line()
    for group in COMMANDS.values():
        for name in group:
            assert f"\n### `emotion-search {name}`\n" in text
    assert "```sh\nemotion-search ingest ~/calls --source support-2026\n" in text
    assert "\n#### `emotion-search key create`\n" in text


def test_the_reference_has_every_setting():
    text = make_site.settings_table()
    for name, field in Settings.model_fields.items():
        assert re.search(
            f"^. `EMOTION_SEARCH_{name.upper()}` .*{field.description[:9]}", text, re.M
        )
    assert "| `EMOTION_SEARCH_DATABASE_URL` | `--database` |" in text
    assert "One of `modelscope`, `huggingface`." in text


def test_the_reference_has_every_route_with_its_fields():
    text = make_site.http()
    search = text.split("### `POST /v1/search`")[1].split("###")[0]
    assert "Takes `application/json`: [SearchIn](#searchin)" in search
    assert "Answers 200, `application/json`: [SearchOut](#searchout)" in search
    assert "| `limit` | integer | Most rows of the page. |" in text
    assert "\n### SearchOut\n" in text


def test_the_navigation_has_every_page():
    reference = [f"reference/{name}.md" for name in ("cli", "settings", "http", "python")]
    places = [*make_site.pages().values(), *reference]
    assert make_site.unlisted(places) == set()
    assert make_site.unlisted([*places[:-1], "new.md"]) == {"new.md", "reference/python.md"}


def test_links_of_a_page_lead_to_places_of_the_site():
    places = make_site.pages()
    text = make_site.linked(
        "[a](docs/index.md#filters) [b](https://c.d)", ROOT / "README.md", places
    )
    assert text == "[a](search-index.md#filters) [b](https://c.d)"
    with pytest.raises(KeyError):
        make_site.linked("[a](nowhere.md)", ROOT / "README.md", places)


@pytest.mark.parametrize("page", ["README.md", "docs/dependencies.md"])
def test_what_is_installed_is_accounted_for(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for e in extras if e != "dev" for one in extras[e])]
    names = [re.match(r"[\w-]+", one)[0] for one in wanted]
    assert [name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)] == []


def test_the_readmes_have_the_same_commands():
    shell = re.compile(r"^(.*?)(?:\s+#.*)?$", re.M)
    blocks = [
        shell.findall(
            "".join(re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.S | re.M))
        )
        for path in (ROOT / "README.md", ROOT / "README.zh.md")
    ]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_figures_carry_their_date(page):
    """In their block, or in the paragraph before or after it."""
    date = re.compile(r"20\d\d-\d\d-\d\d")
    parts = re.split(r"^```.*\n", page.read_text(encoding="utf-8"), flags=re.M)
    for before, block, after in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
        if re.search(r"^\$ .*python -m benchmarks", block, re.M):
            beside = before.rstrip().split("\n\n")[-1] + block + after.lstrip().split("\n\n")[0]
            assert date.search(beside), block.splitlines()[0]


@pytest.mark.slow
def test_the_site_is_searched_from_its_files_alone(browser):  # noqa: F811
    site = ROOT / "build" / "site" / "index.html"
    if not site.exists():
        pytest.skip("the site is not built (make docs)")
    page, asked = browser.new_page(), []
    page.route("http*://**", lambda route: (asked.append(route.request.url), route.abort()))
    page.goto(site.as_uri())
    page.get_by_role("button", name="Search").first.click()
    page.get_by_role("combobox").or_(page.get_by_role("textbox")).first.fill("retention")
    page.get_by_text(re.compile(r"^[1-9]\d* results$")).wait_for()
    page.close()
    assert asked == []
