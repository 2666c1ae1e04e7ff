"""Measures over steps: a panel each, a line for each run that has it, and one legend."""

from pathlib import Path

from llm2comp.reporting.steps_figure import draw_over_steps


def test_each_measure_has_its_panel_and_each_run_its_line(tmp_path: Path, drawn: list):
    rank = {"a": {0: 1.0, 50: 3.0, 100: 2.0}, "b": {0: 1.5, 200: 2.5}}
    paths = draw_over_steps({"rank": rank, "uniformity": rank, "correlation": {"b": {0: 0.9, 50: 0.5}}}, tmp_path)
    assert [path.name for path in paths] == ["over_steps.pdf", "over_steps.png"]
    figure = drawn[0]
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["rank", "uniformity", "correlation"]
    first, second = panels["rank"].lines
    assert first.get_xdata().tolist() == [0, 50, 100]
    assert first.get_ydata().tolist() == [1, 3, 2]
    assert (first.get_linestyle(), first.get_marker()) != (second.get_linestyle(), second.get_marker())
    # A run looks alike in all panels, which share their steps.
    (alone,) = panels["correlation"].lines
    for of in ("color", "linestyle", "marker"):
        assert getattr(alone, f"get_{of}")() == getattr(second, f"get_{of}")()
    assert panels["correlation"].get_xlim() == panels["rank"].get_xlim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
