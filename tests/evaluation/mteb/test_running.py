"""A run scores what is missing, keeps what is finished, and goes on where a task fails."""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

pytest.importorskip("mteb", reason="the extra `eval` is not installed")

from mteb.results import TaskResult

from llm2comp.errors import UserError
from llm2comp.evaluation.mteb.results import EncoderScores, read_scores
from llm2comp.evaluation.mteb.running import Run, evaluate
from llm2comp.evaluation.mteb.tasks import datasets_of, english_tasks
from tests.evaluation.mteb.examples import WordEncoder, sentence, write_dataset, write_retrieval

TASKS = "BIOSSES,STSBenchmark,NFCorpus"


def run(encoder: WordEncoder, output: Path, tasks: str = TASKS) -> Run:
    return evaluate(encoder, english_tasks(tasks), output, show_progress=False)


class Failing(WordEncoder):
    """Fails, in one way or another, on what begins with a text: by default the first document of NFCorpus."""

    def __init__(self, how: Exception | float, on: str = "title 0") -> None:
        super().__init__()
        self.how = how
        self.on = on

    def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        embeddings = super().encode(texts, **options)
        if texts[0].startswith(self.on):
            if isinstance(self.how, Exception):
                raise self.how
            embeddings[0] = self.how
        return embeddings


def test_scores_are_those_of_the_encoder(mirror: Path, tmp_path: Path) -> None:
    encoder = WordEncoder()
    assert run(encoder, tmp_path / "out").failures == {}
    (scores,) = read_scores(tmp_path / "out")
    first, second = (encoder.encode([sentence(i, n) for i, n in pairs]) for pairs in zip(*_pairs(), strict=True))
    cosines = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    expected = 100 * spearmanr(cosines, [i % 5 for i in range(30)]).statistic
    assert scores.scores["BIOSSES"] == pytest.approx(expected, abs=1e-4)  # results are kept to six digits
    assert scores.scores.keys() == {"BIOSSES", "STSBenchmark", "NFCorpus"}
    assert (scores.name, scores.fingerprint) == ("words", "words0")


def _pairs() -> list[tuple[tuple[int, int], tuple[int, int]]]:
    return [((i, 6), (i, 2 + i % 4)) for i in range(30)]


def test_what_is_finished_is_not_computed_again(mirror: Path, tmp_path: Path) -> None:
    first = WordEncoder()
    run(first, tmp_path / "out", "BIOSSES,NFCorpus")
    again = WordEncoder()
    run(again, tmp_path / "out")
    assert again.asked == [[sentence(i) for i in range(30)], [sentence(i, 2 + i % 4) for i in range(30)]]  # STS-B's
    whole = WordEncoder()
    run(whole, tmp_path / "other")
    assert len(whole.asked) == len(first.asked) + len(again.asked)
    assert read_scores(tmp_path / "out") == read_scores(tmp_path / "other")


def test_a_score_is_of_the_data_that_is_there(mirror: Path, tmp_path: Path) -> None:
    folder = mirror / "mteb/biosses-sts"

    def scored(encoder: WordEncoder) -> dict[str, float]:
        run(encoder, tmp_path / "out", "BIOSSES")
        return dict(read_scores(tmp_path / "out")[0].scores)

    of_a_revision = scored(WordEncoder())
    shutil.rmtree(folder)
    assert run(WordEncoder(), tmp_path / "out", "BIOSSES").failures == {}  # nothing speaks against the score
    assert read_scores(tmp_path / "out")[0].scores == of_a_revision
    write_by_hand(folder, shift=0)
    of_a_copy = scored(WordEncoder())
    assert of_a_copy != of_a_revision
    write_by_hand(folder, shift=0)  # the times of the files are not their content
    idle = WordEncoder()
    assert scored(idle) == of_a_copy
    assert idle.asked == []
    write_by_hand(folder, shift=1)
    assert scored(WordEncoder()) != of_a_copy
    # Where the new data cannot be scored, no score of the old stays.
    write_by_hand(folder, shift=2)
    assert scored(Failing(np.nan, on=sentence(2))) == {}


def write_by_hand(folder: Path, shift: int) -> None:
    """100 pairs, the first sentences of which are those after the shift."""
    rows = [{"sentence1": sentence(i + shift), "sentence2": sentence(i, 3), "score": i % 5} for i in range(100)]
    write_dataset(folder, None, {"default": {"test": rows}})


def test_another_checkpoint_of_the_same_name_gets_its_own_scores(mirror: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        run(WordEncoder(seed=seed), tmp_path / "out", "STSBenchmark")
    one, other = read_scores(tmp_path / "out")
    assert (one.name, other.name) == ("words", "words")
    assert (one.fingerprint, other.fingerprint) == ("words0", "words1")
    assert one.scores != other.scores


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (np.nan, r"^embeddings of 1 of 20 texts are not finite: 'title 0 0 fox dog"),
        (UserError("a reason"), "^a reason$"),
        (
            RuntimeError("out of memory\nat length"),
            r"^RuntimeError: out of memory \(the whole is in .*traceback\.txt\)$",
        ),
    ],
)
def test_a_task_that_fails_leaves_a_gap_and_the_others_go_on(
    mirror: Path, tmp_path: Path, how: Exception | float, message: str
) -> None:
    result = run(Failing(how), tmp_path / "out", "NFCorpus,BIOSSES")
    assert list(result.failures) == ["NFCorpus"]
    with pytest.raises(UserError, match=message):
        raise UserError(result.failures["NFCorpus"])
    assert read_scores(tmp_path / "out")[0].scores.keys() == {"BIOSSES"}
    # When what was wrong is mended, the next run fills the gap.
    assert run(WordEncoder(), tmp_path / "out", "NFCorpus,BIOSSES").failures == {}
    assert read_scores(tmp_path / "out")[0].scores.keys() == {"BIOSSES", "NFCorpus"}
    assert not list(tmp_path.rglob("*.traceback.txt"))


def test_data_that_is_not_there_leaves_a_gap(mirror: Path, tmp_path: Path) -> None:
    result = run(WordEncoder(), tmp_path / "out", "SciFact,BIOSSES")
    assert result.failures.keys() == {"SciFact"}
    assert "mirror/mteb/scifact is missing; where there is a network, run: " in result.failures["SciFact"]


def test_an_aggregate_is_the_mean_of_its_tasks(mirror: Path, tmp_path: Path) -> None:
    (cqa,) = english_tasks("CQADupstackRetrieval")
    *most, last = datasets_of([cqa])
    for number, (name, revision) in enumerate(most):
        write_retrieval(mirror, name, revision, documents=20 + 5 * number)
    output, encoder = tmp_path / "out", WordEncoder()
    failures = run(encoder, output, "CQADupstackRetrieval").failures
    assert "is the mean of tasks of which some failed" in failures["CQADupstackRetrieval"]
    assert len(failures) == 2
    write_retrieval(mirror, *last)
    assert run(encoder, output, "CQADupstackRetrieval").failures == {}
    assert len(encoder.asked) == 24  # queries and documents of twelve tasks, once
    before = dict(read_scores(output)[0].scores)
    write_retrieval(mirror, *last, documents=200)
    (path,) = output.rglob(f"{cqa.metadata.tasks[-1].metadata.name}.json")
    path.unlink()
    assert run(encoder, output, "CQADupstackRetrieval").failures == {}
    after = dict(read_scores(output)[0].scores)
    assert before != after
    for scores in (before, after):
        assert scores.pop("CQADupstackRetrieval") == pytest.approx(np.mean(list(scores.values())), abs=1e-4)
        assert len(scores) == 12


def test_a_result_that_is_not_written_whole_is_not_there(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: TaskResult, path: Path) -> None:
        path.write_text(json.dumps(self.to_dict(), default=str)[:100])
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TaskResult, "to_disk", half)
        assert "no space left" in run(WordEncoder(), tmp_path / "out", "BIOSSES").failures["BIOSSES"]
    assert not list((tmp_path / "out").rglob("BIOSSES.json"))
    assert run(WordEncoder(), tmp_path / "out", "BIOSSES").failures == {}


def test_a_task_of_several_subsets_counts_when_all_are_done(mirror: Path, tmp_path: Path) -> None:
    """mteb saves after each subset; a run that is killed between two must not leave half a task as if it were one."""
    (task,) = english_tasks("AmazonCounterfactualClassification")
    task.hf_subsets = ["en", "en-ext"]
    rows = [{"text": sentence(i), "label": i % 2} for i in range(60)]
    dataset = task.metadata.dataset
    broken = [{**row, "text": f"{row['text']} broken"} for row in rows]
    configs = {"en": {"train": rows, "test": rows}, "en-ext": {"train": broken, "test": broken}}
    write_dataset(mirror / dataset["path"], dataset["revision"], configs)

    class Broken(WordEncoder):
        def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
            if texts[0].endswith("broken"):
                raise UserError("killed here")
            return super().encode(texts, **options)

    assert evaluate(Broken(), [task], tmp_path, show_progress=False).failures.keys() == {task.metadata.name}
    assert read_scores(tmp_path) == []
    assert evaluate(WordEncoder(), [task], tmp_path, show_progress=False).failures == {}
    assert read_scores(tmp_path)[0].scores.keys() == {task.metadata.name}


def test_notes_stay_with_the_scores(mirror: Path, tmp_path: Path) -> None:
    (mirror / "mteb/biosses-sts/.revision").unlink()
    rows = [{"sentence1": sentence(i), "sentence2": sentence(i, 3), "score": i % 5} for i in range(100)]
    write_dataset(mirror / "mteb/biosses-sts", None, {"default": {"test": rows}})
    run(WordEncoder(), tmp_path / "out")
    assert "may not be the benchmark's" in read_scores(tmp_path / "out")[0].notes["BIOSSES"]
    assert read_scores(tmp_path / "out")[0].notes.keys() == {"BIOSSES"}


def test_the_libraries_are_quiet_and_left_as_they_were(
    mirror: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("mteb").setLevel(logging.INFO)
    try:
        run(WordEncoder(), tmp_path / "out")
        assert logging.getLogger("mteb").level == logging.INFO
    finally:
        logging.getLogger("mteb").setLevel(logging.NOTSET)
    assert capfd.readouterr() == ("", "")


def test_scores_are_read_in_percent_and_in_english(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "org__name" / "abc"
    folder.mkdir(parents=True)
    (folder / "model_meta.json").write_text(json.dumps({"name": "org/name", "revision": "abc"}))

    def subset(score: float, *languages: str) -> dict[str, Any]:
        return {"main_score": score, "languages": list(languages), "hf_subset": "any"}

    def write(task: str, **splits: list[dict[str, Any]]) -> None:
        (folder / f"{task}.json").write_text(json.dumps({"task_name": task, "scores": splits}))

    write("One", test=[subset(0.5, "eng-Latn")])
    write("Mixed", test=[subset(0.25, "eng-Latn"), subset(0.9, "eng-Latn", "deu-Latn"), subset(0.8, "deu-Latn")])
    write("Splits", test=[subset(0.25, "eng-Latn")], dev=[subset(0.75, "eng-Latn")])
    write("German", test=[subset(0.125, "deu-Latn")])
    expected = {"German": 12.5, "Mixed": 25.0, "One": 50.0, "Splits": 50.0}
    assert read_scores(tmp_path) == [EncoderScores("org/name", "abc", expected)]
    assert read_scores(tmp_path / "nothing") == []
    (folder / "One.json").write_text('{"scores": ')
    with pytest.raises(UserError, match=r"One\.json is not a result .*; delete it and evaluate again"):
        read_scores(tmp_path)
