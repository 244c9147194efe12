"""Finished results are known by the hashes of their tasks: no change of a file's form may change a hash."""

import pytest

from suite.experiment.registry import Registry

HASHES = {
    ("nlp/kjv-lstm", "lite"): "9b506509bb57d678388759ebdf084ab0367b9189c7ccab96f1dcb5870ae4abf7",
    ("nlp/kjv-lstm", "quick"): "079e3ea4ed2a8174e4501e6e0d5799c1d27f4e84a79cb3fb95b6d01cad36ca6f",
    ("nlp/numbers-transformer", "lite"): "15983cfc34b7c10b231adb1d1673c777d89f602c780968a8cfca2dd24eea61bd",
    ("nlp/numbers-transformer", "quick"): "df2b3cdf2b47bffc9f8dec4bb062f0dc351b8c306b194f79fa3d943014c71987",
    ("vision/mnist5k-lenet300", "lite"): "afb5221e389cbf433f68111595e2ec976c8daba1e3b2e51f4b05fc0e74c45a31",
    ("vision/mnist5k-lenet300", "quick"): "0f2c597d739e0b91566e8fcca682b1dc24c4e9a17f484439bd32233ee25f0d70",
}


@pytest.mark.parametrize(("task", "scale"), HASHES)
def test_a_task_with_finished_results_keeps_its_hash(task: str, scale: str) -> None:
    assert Registry().find(task).at(scale).spec.hash == HASHES[task, scale]
