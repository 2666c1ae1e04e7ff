"""No secret and no home path leaves with a configuration, and nothing else is lost from it."""

from pathlib import Path

import pytest

from llm2comp.reporting.scrub import REMOVED, scrub


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/ada/texts/a.txt", "~/texts/a.txt"),
        (Path("/home/ada"), "~"),
        ("/home/adam/a.txt", "/home/adam/a.txt"),
        ("text:/home/ada/a.txt,/home/ada/b.txt", "text:~/a.txt,~/b.txt"),
        ("/data/a.txt", "/data/a.txt"),
    ],
)
def test_home_paths(path: str | Path, shown: str):
    assert scrub({"data": {"sources": [path]}}) == {"data": {"sources": [shown]}}


@pytest.mark.parametrize("name", ["token", "hf_token", "HF-TOKEN", "api_key", "apikey", "db_password", "client_secret"])
def test_secrets_by_name(name: str):
    assert scrub({"a": {name: "x1"}}) == {"a": {name: REMOVED}}
    assert scrub({name: ["x1", "x2"]}) == {name: [REMOVED, REMOVED]}


@pytest.mark.parametrize(
    "name",
    ["num_memory_tokens", "token_budget", "tokenizer", "mask_token", "pad_token", "max_tokens", "keyword", "monkey"],
)
def test_tokens_of_a_text_are_no_secrets(name: str):
    assert scrub({name: "_", "b": {name: 8}}) == {name: "_", "b": {name: 8}}


def test_secrets_by_form():
    login = "https://ada:lovelace@host/x and hf_abcdefghijklmnop."
    assert scrub(login) == f"https://{REMOVED}@host/x and {REMOVED}."


def test_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_API_KEY", "correct horse battery")
    monkeypatch.setenv("COLOUR", "turquoise")
    assert scrub({"note": "say correct horse battery in turquoise"}) == {"note": f"say {REMOVED} in turquoise"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/x?a=1&token=x1y2&b=2", f"https://host/x?a=1&token={REMOVED}&b=2"),
        ("fit --password=x1y2 --run=a", f"fit --password={REMOVED} --run=a"),
        ("HF_TOKEN=x1y2; pad_token=_ max_tokens=8", f"HF_TOKEN={REMOVED}; pad_token=_ max_tokens=8"),
    ],
)
def test_secrets_by_a_name_within_a_text(text: str, shown: str):
    assert scrub([text]) == [shown]


def test_a_home_folder_that_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "disk" / "ada").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ada"))
    assert scrub([f"{tmp_path}/home/ada/x", f"{tmp_path}/disk/ada/x"]) == ["~/x", "~/x"]


def test_names_are_scrubbed_too():
    assert scrub({"/home/ada/a.txt": 1}) == {"~/a.txt": 1}


def test_plain_data_stays():
    config = {"lr": 1e-4, "steps": 10, "lora": None, "on": True, "list": [1, "a", {"b": 2.5}]}
    assert scrub(config) == config
    assert scrub({"betas": (0.9, 0.95)}) == {"betas": [0.9, 0.95]}
