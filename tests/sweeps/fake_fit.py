"""Stands in for `llm2comp fit` where only the running of runs is tested: the same options and folder, no model.

A run counts to --steps, saves each step as its checkpoint, and writes its results at the end. What it does is added to
`<root>/record/<run>.txt`, which no run removes: a line for each start, step and end, with the process that did it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    options = _options()
    folder = options.root / options.experiment / options.run
    checkpoint = folder / "checkpoints" / "last.ckpt"
    record = options.root / "record" / f"{options.run}.txt"
    record.parent.mkdir(parents=True, exist_ok=True)

    def note(what: str) -> None:
        with record.open("a") as file:
            file.write(f"{what} {os.getpid()}\n")

    if options.ckpt_path is None and {path.name for path in folder.iterdir()} != {"log.txt"}:
        sys.exit("the run folder is not empty")
    start = int(checkpoint.read_text()) if options.ckpt_path == "last" else 0
    (folder / "config.yaml").touch()
    note(f"start {start}")
    print(f"sweep {os.environ['LLM2COMP_SWEEP']}, threads {os.environ.get('OMP_NUM_THREADS')}", flush=True)
    if options.helper:
        code = "import sys, time\nfor _ in range(60): open(sys.argv[1], 'a').write('alive\\n'); time.sleep(0.05)"
        program = [sys.executable, "-c", code, str(record.with_suffix(".helper"))]
        subprocess.Popen(program, start_new_session=options.helper == "daemon")
    if options.stubborn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for step in range(start + 1, options.steps + 1):
            time.sleep(options.pause)
            note(f"step {step}")
            print(f"step {step} of {options.steps}", flush=True)
            if step == options.fail_at:
                raise SystemExit(f"llm2comp: error: step {step} failed")
            if options.checkpoints:
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
                _write(checkpoint, str(step))
    except KeyboardInterrupt:
        note("interrupted")
        sys.exit(1)
    _write(folder / "results.json", json.dumps({"metrics": {}, "training": {"steps": options.steps}}))
    note("end")


def _write(path: Path, text: str) -> None:
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").replace(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    for name in ("--experiment", "--run", "--ckpt_path", "--config", "--helper", "--value", "--seed_everything"):
        parser.add_argument(name)
    for name, default in (("--steps", 8), ("--fail_at", 0), ("--checkpoints", 1), ("--stubborn", 0)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--pause", type=float, default=0.03)
    return parser.parse_args()


if __name__ == "__main__":
    main()
