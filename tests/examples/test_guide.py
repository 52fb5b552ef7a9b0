"""The commands of the guide, taken out of its pages and run in order, in short form, on a made-up corpus."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from event_files import events
from forked_programs import Programs

from examples.made_up_text import make_text

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "examples" / "guide"
PAGES = sorted(
    GUIDE.glob("*.md"), key=lambda page: (int(page.name.partition("-")[0]) if page.name[0].isdigit() else 0, page.name)
)
_BLOCK = re.compile(r"(?:<!-- (?P<comment>[^>]*(?:=> [^>]*)*?) -->\n)?```bash\n(?P<code>.*?)```", re.DOTALL)

MODULES = {
    "fairseq-guided-align": "fairseq_guided_align.cli.main",
    "fairseq-train": "fairseq_cli.train",
    "fairseq-generate": "fairseq_cli.generate",
    "fairseq-hydra-train": "fairseq_cli.hydra_train",
    "torchrun": "torch.distributed.run",
    "opustrainer-train": "opustrainer.trainer",
}


@dataclass(frozen=True)
class Block:
    """A block of commands of a page.

    :param line: where it starts.
    :param code: as it stands there.
    :param comment: what the comment in front of it says, or nothing.
    """

    page: Path
    line: int
    code: str
    comment: str

    @property
    def is_run(self) -> bool:
        return not self.comment.startswith("not run:")

    @property
    def package(self) -> str:
        """What must be installed besides, or nothing."""
        return self.comment[len("needs ") :].split(";")[0] if self.comment.startswith("needs ") else ""

    def short(self, port: int) -> str:
        """The code that is run: what `short: A => B; C => D` says put in place."""
        code = self.code
        for change in filter(None, self.comment.partition("short: ")[2].split("; ")):
            long, short = change.split(" => ")
            assert long in code, f"{self}: {long!r} is not in the block"
            code = code.replace(long, short.replace("{port}", str(port)))
        return code

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("code")), found["code"], (found["comment"] or "").strip())
        for found in _BLOCK.finditer(text)
    ]


ALL = [block for page in PAGES for block in blocks(page)]


@pytest.fixture(scope="module")
def folder(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder: raw text, validation and test text, and links of the test text made by hand."""
    folder = tmp_path_factory.mktemp("guide")
    pairs = make_text(300, words=30)
    for split, part in (("raw", pairs[40:]), ("valid", pairs[:20]), ("test", pairs[20:40])):
        text = [" ".join(pair.source) for pair in part], [" ".join(pair.target) for pair in part]
        if split == "raw":
            # What cleaning has to find
            text[0].insert(3, "")
            text[1].insert(3, "without a partner")
            text[0].append(text[0][0])
            text[1].append(text[1][0])
        for suffix, lines in zip(("de", "en"), text):
            (folder / f"{split}.{suffix}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        links = [" ".join(f"{s}-{t}" for s, t in pair.links) for pair in part]
        name = "test" if split == "test" else f"known-{split}"
        (folder / f"{name}.align").write_text("".join(f"{line}\n" for line in links), encoding="utf-8")
    (folder / "programs").mkdir()
    programs.write(folder / "programs", MODULES)
    return folder


def run(code: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GUIDE": str(GUIDE),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{code}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"


def without(package: str, folder: Path) -> None:
    """What a block would have made whose package is not installed, as far as later blocks need it."""
    if package == "eflomal":
        shutil.copy(folder / "known-raw.align", folder / "train.align")
        shutil.copy(folder / "known-valid.align", folder / "valid.align")
        if (folder / "teacher.align").exists():
            shutil.copy(folder / "teacher.align", folder / "distilled.align")


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in ALL if block.is_run], ids=str)
def test_commands_run(block: Block, folder: Path) -> None:
    if block.package and importlib.util.find_spec(block.package) is None:
        without(block.package, folder)
        pytest.skip(f"{block.package} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run(block.short(port), folder)


@pytest.mark.slow
def test_cleaning_left_the_text_that_the_links_are_of(folder: Path) -> None:
    assert (folder / "train.de").read_text(encoding="utf-8").count("\n") == 260


@pytest.mark.slow
def test_what_the_commands_leave(folder: Path) -> None:
    for name in ("curves.png", "attention-1.png", "attention-4.png", "page.html", "hydra.align"):
        assert (folder / name).stat().st_size > 500, name
    assert (folder / "guided.align").read_text(encoding="utf-8").count("\n") == 20
    assert "A-" in (folder / "translations.txt").read_text(encoding="utf-8")
    assert list((folder / "tensorboard" / "attention").glob("*tfevents*"))
    # One training in two processes, not two trainings; the first of them draws
    for log in ("rank0.log", "torchrun.log"):
        assert "training on 2 devices" in (folder / log).read_text(encoding="utf-8")
    assert len(list((folder / "tb-two" / "attention").glob("*tfevents*"))) == 1
    pictures = events(folder / "tb-two" / "attention")
    assert {name: [step for step, _ in values] for name, values in pictures.items()} == {"valid/sentence_1": [0, 2]}


def test_syntax() -> None:
    for block in ALL:
        if not block.is_run:
            done = subprocess.run(["bash", "-n", "-c", block.code], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block}: {done.stderr}"
        assert block.comment.startswith(("short: ", "not run: ", "needs ")) or not block.comment, block


def test_every_block_is_found() -> None:
    fences = sum(page.read_text(encoding="utf-8").count("```bash") for page in PAGES)
    assert fences == len(ALL) >= 15
    comments = sum(len(re.findall("<!-- ", page.read_text(encoding="utf-8"))) for page in PAGES)
    # The README shows the convention twice as text
    assert comments == sum(bool(block.comment) for block in ALL) + 2


def test_links_between_pages() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def block_with(command: str) -> str:
    return next(block.code for block in ALL if command in block.code)


def number(option: str, code: str) -> int:
    found = re.search(rf"--{option}[ =](\d+)", code)
    assert found, option
    return int(found[1])


def place(block: str, monkeypatch: pytest.MonkeyPatch, **variables: object) -> Any:
    """What fairseq makes of a block's options and a launcher's variables, on a machine of four GPUs."""
    import torch
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.distributed.utils import infer_init_method
    from omegaconf import OmegaConf

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    cfg = OmegaConf.structured(FairseqConfig).distributed_training
    cfg.distributed_world_size = number("distributed-world-size", block)
    # fairseq-train reads this one when fairseq is imported
    cfg.device_id = int(os.environ.get("LOCAL_RANK", "0"))
    if "--distributed-port" in block:
        cfg.distributed_port = number("distributed-port", block)
    infer_init_method(cfg)
    assert cfg.distributed_no_spawn
    return cfg


def test_slurm_gives_each_process_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = block_with("#SBATCH")
    nodes, tasks = number("nodes", script), number("ntasks-per-node", script)
    assert number("gpus-per-node", script) == tasks
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\nprintf 'first\\nsecond\\n'\n", encoding="utf-8")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for rank in range(nodes * tasks):
        cfg = place(
            script, monkeypatch, SLURM_STEP_NODELIST="nodes", SLURM_NNODES=nodes, SLURM_NTASKS_PER_NODE=tasks,
            SLURM_NODEID=rank // tasks, SLURM_PROCID=rank, SLURM_LOCALID=rank % tasks,
        )  # fmt: skip
        assert (cfg.distributed_rank, cfg.distributed_world_size, cfg.device_id) == (rank, nodes * tasks, rank % tasks)
        assert cfg.distributed_init_method == "tcp://first:29400"


def test_torchrun_gives_each_process_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    command = block_with("torchrun --nnodes")
    nodes, tasks = number("nnodes", command), number("nproc_per_node", command)
    for rank in range(nodes * tasks):
        cfg = place(
            command, monkeypatch, MASTER_ADDR="first", MASTER_PORT=1, WORLD_SIZE=nodes * tasks, RANK=rank,
            LOCAL_RANK=rank % tasks,
        )  # fmt: skip
        assert (cfg.distributed_rank, cfg.distributed_world_size, cfg.device_id) == (rank, nodes * tasks, rank % tasks)
        assert cfg.distributed_init_method == "env://"
