"""Local text becomes documents; what cannot be read is named by file and line."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm2comp.data.sources.document import Document
from llm2comp.data.sources.registry import open_source
from llm2comp.errors import UserError


def read(path: Path) -> list[Document]:
    return list(open_source(str(path)).documents())


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.raw", "a.raw.gz"])
def test_text_is_a_paragraph_a_line(tmp_path: Path, name: str) -> None:
    documents = read(write(tmp_path / name, "\ufefffirst line \r\n\n  second line\n"))
    assert [document.paragraphs for document in documents] == [["first line"], ["second line"]]
    assert len({document.id for document in documents}) == 2


def test_a_document_without_a_name_keeps_its_id_where_lines_are_added(tmp_path: Path) -> None:
    before = read(write(tmp_path / "a.txt", "one\ntwo\n"))
    after = read(write(tmp_path / "b.txt", "zero\none\nand a half\ntwo\n"))
    assert {document.id for document in before} < {document.id for document in after}


def test_wikitext_titles_start_documents_and_headings_are_dropped(tmp_path: Path) -> None:
    text = (
        " \n = First = \n \n lead of = first \n = = Part = = \n more \n = = = Deep = = = \n = Second One = \n text \n"
    )
    assert read(write(tmp_path / "wiki.raw", text)) == [
        Document("First", ["lead of = first", "more"]),
        Document("Second One", ["text"]),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_jsonl_rows_are_documents(tmp_path: Path, name: str) -> None:
    rows = [
        {"text": "one\n\ntwo"},
        {"title": "T", "paragraphs": ["three", " "]},
        {"id": 7, "title": "U", "text": "four"},
        {"text": "= Title ="},
        {"text": "five"},
    ]
    documents = read(write(tmp_path / name, "\n".join(map(json.dumps, rows)) + "\n"))
    assert [document.paragraphs for document in documents] == [["one", "two"], ["three"], ["four"], ["five"]]
    assert [document.id for document in documents[1:]] == ["T", "7", "Title"]


def test_parquet_rows_are_documents(tmp_path: Path) -> None:
    table = pa.table({"text": [" = A = \n", "", " one \n", " two \n"], "other": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    assert read(tmp_path / "a.parquet") == [Document("A", ["one", "two"])]


def test_a_folder_is_read_in_order_without_other_and_hidden_files(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a.txt", "b/1.txt", ".git/x.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, name)
    write(tmp_path / "README.md", "not text")
    assert [document.paragraphs[0] for document in read(tmp_path)] == ["a.txt", "b/1.txt", "b/2.txt"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"fine\n\ncaf\xe9\n", r"a\.txt, line 3: not UTF-8 \(byte 0xe9 at column 4\)"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', r"a\.jsonl, line 2: not JSON"),
        ("a.jsonl.gz", '{"text": "x"}\n["x"]\n', r"a\.jsonl\.gz, line 2: not a JSON object but a list"),
        ("a.jsonl", '{"txt": "x"}\n', r"a\.jsonl, line 1: a row needs 'text' .* this one has 'txt'"),
        ("a.jsonl", '{"text": null}\n', r"a\.jsonl, line 1: a row needs 'text'"),
        ("a.jsonl", '{"paragraphs": ["x", 3]}\n', r"a\.jsonl, line 1: a row needs 'text'"),
        ("a.parquet", "PAR1 it is not", r"a\.parquet: not a parquet file"),
    ],
)
def test_what_is_malformed_is_named_by_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    write(tmp_path / name, content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_a_cut_off_gzip_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt.gz", "line\n" * 1000)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match=r"a\.txt\.gz, after line \d+: not a whole gzip file"):
        read(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embeded:wikipedia", r"unknown source 'embeded:wikipedia'; did you mean 'embedded:wikipedia'"),
        ("{folder}/tekst.txt", r"did you mean '.*text\.txt'"),
        ("{folder}/notes.md", r"notes\.md cannot be read as text; a file ends in one of \.txt"),
        ("{folder}/empty", r"the folder .*empty holds no file that ends in"),
        ("/nowhere/at/all", r"besides files, a source is embedded:wikipedia or embedded:wikipedia-sentences or hub:"),
    ],
)
def test_an_unknown_source_is_refused_with_what_to_write(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path / "text.txt", "x")
    write(tmp_path / "notes.md", "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        open_source(name.format(folder=tmp_path))


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "x")
    before = open_source(str(tmp_path)).fingerprint()
    assert open_source(str(tmp_path)).fingerprint() == before
    write(path, "longer")
    assert open_source(str(tmp_path)).fingerprint() != before
