"""Keys tell apart whatever can differ in numbers, and finished results are found by them for years."""

import pytest
import rfc8785
from hypothesis import given as given_values
from hypothesis import settings
from hypothesis import strategies as st

from suite.experiment import domain as domain_module
from suite.experiment.domain import Domain, ResultVersions, result_versions
from suite.experiment.frozen import digest
from suite.experiment.keys import canonical, mask_key, train_key
from suite.experiment.learner import Span
from suite.experiment.method import Method
from suite.experiment.runner import make_plan
from tests.experiment.toy import task

LEARNER = "tests.experiment.toy:ToyLearner"
COHORT = "tests.experiment.toy:ToyCohort"


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The result versions of a toy domain, to be changed."""
    versions = {LEARNER: 1, COHORT: 1, "tests.experiment.toy:Other": 1}
    toys = Domain.model_construct(name="toy", result_versions=versions)
    monkeypatch.setattr(domain_module, "domains", lambda: {"toy": toys})
    return versions


def keys(**options: object) -> set[str]:
    return {cell.key for cell in make_plan(task(levels=1, replicates=1, **options))}


def test_the_form_of_keys_is_that_of_the_results_that_were_kept() -> None:
    """Computed when the first results were published; whoever changes them has every store trained anew."""
    start = {"weights": ["0" * 64, 7], "mask": "1" * 64, "arm": "winning", "level": 2}
    made = train_key("a" * 64, 3, start, Span(7, 40), ResultVersions(), ("", ""), "single", "cpu")
    assert made == "f294fadbb784ff91544539cb59a3d913635032d0c5102c2ef458d06d5913619d"
    assert mask_key("b" * 64, 1, Method(), "", {}) == "ebefc78d09ac8168f72d437561d6fec4d51f60d249510c9b12b6930fe963c70f"
    assert Method().hash == "2b9aba7141ad7fd52b5790be23aabc70d9822aa0f2e71ac8803e77f21e6b63a4"


@pytest.mark.parametrize("exec", ["single", "cohort"])
def test_the_kind_of_device_takes_part_in_a_key_and_its_number_does_not(exec: str) -> None:
    on = {device: keys(exec=exec, device=device) for device in ("cpu", "cuda", "cuda:1", "mps")}
    assert on["cuda"] == on["cuda:1"]
    assert not on["cpu"] & on["cuda"]
    assert not on["cpu"] & on["mps"]


def test_a_raised_version_of_a_learner_voids_its_cells_and_no_others(raised: dict[str, int]) -> None:
    single, cohort = keys(), keys(exec="cohort")
    raised["tests.experiment.toy:Other"] = 2
    assert (keys(), keys(exec="cohort")) == (single, cohort)
    raised[LEARNER] = 2
    assert not keys() & single
    assert keys(exec="cohort") == cohort
    raised[COHORT] = 3
    assert not keys(exec="cohort") & cohort
    assert {cell.versions.learner for cell in make_plan(task(exec="cohort"))} == {3}


@settings(max_examples=200)
@given_values(
    st.recursive(
        st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=("Cs",))) | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-_", max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_keys_are_digests_of_is_canonical_json(value: object) -> None:
    assert canonical(value).encode() == rfc8785.dumps(value)


def test_a_masks_key_is_the_digest_of_what_makes_it() -> None:
    method = Method(rate=1e-7, floor=0.1, criterion="größe")
    made = {"parent": "b" * 64, "levels": 3, "method": method.pruning, "code": "c"}
    assert mask_key("b" * 64, 3, method, "c", {}) == digest(made)
    given = {"steps": [0, 3], "rewound": 7}
    assert mask_key("b" * 64, 3, method, "c", given) == digest({**made, "given": given})


def test_a_raised_version_of_the_core_voids_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys()
    monkeypatch.setattr(domain_module, "RESULT_VERSION", domain_module.RESULT_VERSION + 1)
    assert not keys() & before


def test_a_learner_of_a_third_party_is_of_version_1() -> None:
    assert result_versions("plugin:Mine").learner == 1


def test_versions_are_read_without_torch() -> None:
    import subprocess
    import sys

    code = "import sys; from suite.experiment.domain import domains; assert domains(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
