"""A task of one's own: a small network on scikit-learn's breast-cancer data."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer

from suite.experiment.supervised import Order, SupervisedLearner, evaluating

TASK = """
id = "tutorial/breast-cancer"
version = "1.0.0"
title = "Breast cancer, a network of 30-32-2"
learner = "plugin:BreastCancer"
probes = false
prunable = ["0.weight", "2.weight"]
prune_output_layer = true
prune_biases = false
data = {name = "sklearn breast cancer", fingerprint = "not checked"}
model = {hidden = 32}
training = {total_steps = 150, batch = 32, optimizer = {name = "adam", lr = 0.01}}
metric.name = "accuracy"
metric.unit = "fraction"
metric.higher_is_better = true
metric.chance = 0.63
metric.margin = 0.02
metric.lowest = 0.0
metric.highest = 1.0
cost = {seconds_per_step = 5e-4, flops_per_step = 2e5}
method = {rate = 0.5, rewind_step = 10}
run = {levels = 3, replicates = 2}
[scales.smoke]
"""


class BreastCancer(SupervisedLearner):
    def __init__(self, spec, streams, span, runtime):
        inputs, labels = load_breast_cancer(return_X_y=True)
        train = inputs[:369]
        self._inputs = torch.tensor((inputs - train.mean(0)) / train.std(0), dtype=torch.float32)
        self._labels = torch.tensor(labels)
        self._rows = {"train": slice(0, 369), "validation": slice(369, 469), "test": slice(469, 569)}
        hidden = spec.model["hidden"]
        super().__init__(
            spec,
            streams,
            span,
            runtime,
            lambda: torch.nn.Sequential(torch.nn.Linear(30, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2)),
        )
        self._order = Order(369, spec.training.batch, self.generator)

    def loss(self, step):
        rows = self._order.rows(step)
        return F.cross_entropy(self.model(self._inputs[rows]), self._labels[rows])

    @torch.no_grad()
    def evaluate(self, split):
        rows = self._rows[split]
        with evaluating(self.model):
            right = self.model(self._inputs[rows]).argmax(1) == self._labels[rows]
        return {"accuracy": right.double().mean().item()}
