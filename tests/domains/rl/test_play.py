"""`lottery report --play`: the networks of a run at play."""

import base64
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from domains.rl import environments
from domains.rl.learner import A2CLearner
from suite.choose import choose
from suite.experiment.errors import RunError
from suite.experiment.learner import Film, Playing, Span
from suite.experiment.loading import builder
from suite.experiment.registry import Registry
from suite.experiment.runtime import Runtime
from suite.experiment.store import Store
from suite.experiment.streams import Streams
from suite.finished import view_of
from suite.play import ARMS, played
from suite.run import run_tasks, write
from tests.commands import lottery


@pytest.fixture(scope="module", params=["single", "cohort"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played") / "run"
    options = {"executor": "inline", "levels": 2, "replicates": 2, "arms": ("winning", "random"), "at": (2,)}
    options |= {"exec": request.param}
    run_tasks(choose(["rl/cartpole"], "smoke", [], options, [], []), folder, [], [], "lottery run")
    return folder


def test_episodes_are_of_the_runs_own_networks_at_the_density_nearest_to_the_one_asked_for(run: Path) -> None:
    (view,) = played(view_of(run), run, 0.4).tasks
    assert tuple(episode.arm for episode in view.episodes) == ARMS
    assert [episode.level for episode in view.episodes] == [0, 2, 2]
    assert view.episodes[0].density == 1.0
    assert view.episodes[1].density == pytest.approx(0.36, abs=0.01)
    assert {episode.replicate for episode in view.episodes} == {0}
    # CartPole pays 1 a step: as many pictures as the score says, every second one of them.
    for episode in view.episodes:
        with Image.open(io.BytesIO(episode.gif)) as image:
            assert image.n_frames == pytest.approx(min(300, episode.score) / 2, abs=1)  # type: ignore[attr-defined]
            assert episode.whole == (episode.score < 300)


def test_networks_are_trained_again_and_play_on_the_threads_of_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(self: A2CLearner, *words: Any) -> Film:
        threads.append(torch.get_num_threads())
        return play(self, *words)

    play, threads, before = A2CLearner.play, list[int](), torch.get_num_threads()
    monkeypatch.setattr(A2CLearner, "play", told)
    torch.set_num_threads(2)
    try:
        played(view_of(run), run, 0.36)
    finally:
        torch.set_num_threads(before)
    assert threads == [1, 1, 1]


def test_a_network_that_came_out_otherwise_is_not_shown(run: Path) -> None:
    store = Store.open(run)
    (request,) = store.requests()
    cell = next(cell for cell in request.plan if (cell.arm, cell.level, cell.replicate) == ("random", 2, 0))
    played(view_of(run), run, 0.36)
    store.drop_snapshot(f"{cell.key}-{cell.span.last}")
    before = store.cell(cell.key)
    assert before is not None
    try:
        store.put_cell(before.model_copy(update={"weights_digest": "0" * 64}))
        with pytest.raises(RunError, match="trained again came out differently"):
            played(view_of(run), run, 0.36)
    finally:
        store.put_cell(before)


def test_the_page_shows_the_episodes_and_the_files_lie_beside_it(run: Path) -> None:
    page = write(played(view_of(run), run, 0.36), run).read_text("utf-8")
    addresses = re.findall(r'<img src="data:image/gif;base64,([^"]+)" alt="(\w+) at', page)
    assert tuple(arm for _, arm in addresses) == ARMS
    for address, arm in addresses:
        assert (run / "report" / f"rl-cartpole-{arm}.gif").read_bytes() == base64.b64decode(address)
    assert "<h3>Episodes</h3>" not in write(view_of(run), run).read_text("utf-8")


def test_a_run_without_such_cells_and_a_page_that_is_not_written_are_refused(run: Path, tmp_path: Path) -> None:
    refused = lottery("report", str(run), "--play", "0.4", "--json")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    options = {"executor": "inline", "levels": 1, "replicates": 1, "arms": ("winning",)}
    run_tasks(choose(["rl/cartpole"], "smoke", [], options, [], []), tmp_path / "run", [], [], "lottery run")
    with pytest.raises(RunError, match=r"--play 0\.4: no task of .* dense, winning, random at one density"):
        played(view_of(tmp_path / "run"), tmp_path / "run", 0.4)


def test_nothing_is_said_of_a_screen_that_is_not_there() -> None:
    code = "from domains.rl.environments.cartpole import CartPole; print(CartPole(1, [0]).picture(0).shape)"
    without = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "SDL_VIDEODRIVER")}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=without)
    assert (shown.stdout.split()[-3:], shown.stderr) == (["(400,", "600,", "3)"], "")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ("ModuleNotFoundError('no pygame')", "drawn by pygame, which is not installed: pip install"),
        ("ImportError('libX11: no such file')", r"drawn by pygame, which cannot be loaded \(libX11: no such file\)"),
    ],
)
def test_a_pygame_that_is_missing_or_broken_is_told_by_what_it_is(raised: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "pygame.py").write_text(f"raise {raised}")
    code = "from domains.rl.environments.cartpole import CartPole; CartPole(1, [0]).picture(0)"
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=found)
    assert re.search(words, shown.stderr.splitlines()[-1])


def test_an_episode_that_is_cut_short_has_the_score_of_the_steps_that_are_seen() -> None:
    """CartPole pays 1 a step; a whole episode's last picture is that before the step that ends it."""
    spec = Registry().find("rl/cartpole").at("smoke").spec
    learner = A2CLearner(spec, Streams(spec.hash, 1000), Span(0, 1), Runtime())
    whole = learner.play("test", 1000)
    length = len(whole.pictures)
    assert (whole.score, whole.whole) == (length, True)
    for most in (1, 4, length):
        cut = learner.play("test", most)
        assert (len(cut.pictures), cut.score, cut.whole) == (most, most - 1, False)
    exact = learner.play("test", length + 1)
    assert (len(exact.pictures), exact.score, exact.whole) == (length, length, True)


def test_the_score_of_an_episode_that_is_cut_short_is_said_to_be_that_so_far(run: Path, tmp_path: Path) -> None:
    view = played(view_of(run), run, 0.36)
    (task,) = view.tasks
    dense, *others = task.episodes
    episodes = replace(dense, score=299.0, whole=False), *(replace(each, whole=True) for each in others)
    page = write(replace(view, tasks=(replace(task, episodes=episodes),)), tmp_path).read_text("utf-8")
    captions = re.findall(r'alt="(\w+) at [^"]*: score ([^"]*)">\s*<figcaption>[^<]*: ([^:<]*)\. <span', page)
    assert [arm for arm, _, _ in captions] == list(ARMS)
    assert captions[0][1:] == ("299 so far", "299 so far")
    assert not any("so far" in words for _, *both in captions[1:] for words in both)


@pytest.mark.parametrize("task_id", ["rl/acrobot", "rl/lunarlander", "rl/atari-breakout"])
def test_every_kind_of_environment_can_be_drawn(task_id: str) -> None:
    spec = Registry().find(task_id).at("smoke").spec
    learner = builder(spec)(spec, Streams(spec.hash, 1000), Span(0, 1), Runtime())
    assert isinstance(learner, Playing)
    film = learner.play("test", 4)
    assert len(film.pictures) == 4
    assert not film.whole
    assert all(picture.ndim == 3 and picture.shape[2] == 3 and picture.std() > 0 for picture in film.pictures)
    assert (film.pictures[0] != film.pictures[-1]).any()
    again = learner.play("test", 4)
    assert film.score == again.score
    assert all((one == two).all() for one, two in zip(film.pictures, again.pictures, strict=True))
    assert environments.make(spec.data, 1, [0]).pictures_per_second > 0
