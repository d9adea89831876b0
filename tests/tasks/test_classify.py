"""Classify: the loss and its variants, every metric and the calibration, worked by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as peer
from torch import nn

from decet.contracts import Batch, Body, Features, LabelSpec
from decet.errors import BadInput
from decet.tasks.classify import METRICS, Classifier, Classify, calibration_error

THREE = LabelSpec((3,))
COLUMNS = LabelSpec((2, 3))  # two columns of labels
SETS = LabelSpec((2, 2, 2), exclusive=False)


class _Given(Body):
    """A body that hands on its inputs as the pooled vectors (B, M, D), with auxiliary losses where asked."""

    def __init__(self, width: int, members: int = 1, extras: dict[str, torch.Tensor] | None = None) -> None:
        super().__init__()
        self.width = self.summary_width = width
        self.members, self.extras = members, extras or {}

    def forward(self, inputs, *, condition=None):
        return Features(summary=inputs[0], members=self.members, extras=self.extras)


def _classifier(spec: LabelSpec, members: int = 1, smoothing: float = 0.0, extras=None) -> Classifier:
    """A classifier whose logits are its inputs (B, M, sum K)."""
    width = sum(spec.classes)
    learner = Classifier(_Given(width, members, extras), spec, members, smoothing)
    eye = torch.eye(width)
    learner.head.weight.data = eye if members == 1 else eye.expand(members, -1, -1).clone()
    return learner


def _loss(learner: Classifier, logits: torch.Tensor, target: torch.Tensor, weight=None) -> float:
    return float(learner.loss(Batch((logits,), target, weight), "train").total.detach())


def _nll(logits: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """- sum_k q_k log softmax(z)_k, spelt out, one number a row."""
    total = logits.exp().sum(-1, keepdim=True)
    return -(q * (logits - total.log())).sum(-1)


# ---------------------------------------------------------------------------------------------------------- the loss


def test_loss_of_one_label_by_hand():
    logits = torch.tensor([[[math.log(2.0), math.log(1.0), math.log(1.0)]]])
    assert _loss(_classifier(THREE), logits, torch.tensor([[0]])) == pytest.approx(math.log(2))
    assert _loss(_classifier(THREE), logits, torch.tensor([[2]])) == pytest.approx(math.log(4))


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_is_the_mean_over_rows_and_members_of_smoothed_cross_entropy(members, smoothing):
    logits, target = torch.randn(6, members, 3), torch.tensor([[0], [2], [1], [1], [0], [2]])
    q = (1 - smoothing) * torch.eye(3)[target[:, 0]] + smoothing / 3
    expected = _nll(logits, q.unsqueeze(1)).mean()
    assert _loss(_classifier(THREE, members, smoothing), logits, target) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("members", [1, 4])
def test_soft_targets_are_legal_and_hard_ones_are_a_case_of_them(members):
    logits, q = torch.randn(6, members, 3), torch.rand(6, 3).softmax(-1)
    expected = float(_nll(logits, q.unsqueeze(1)).mean())
    learner = _classifier(THREE, members)
    assert _loss(learner, logits, q) == pytest.approx(expected, rel=1e-5)
    ids = torch.tensor([[0], [2], [1], [1], [0], [2]])
    assert _loss(learner, logits, torch.eye(3)[ids[:, 0]]) == pytest.approx(_loss(learner, logits, ids), rel=1e-6)


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("soft", [False, True])
def test_row_weights_scale_each_rows_loss(members, soft):
    logits, ids = torch.randn(4, members, 3), torch.tensor([[0], [2], [1], [1]])
    weight = torch.tensor([0.0, 1.0, 2.5, 0.5])
    each = _nll(logits, torch.eye(3)[ids[:, 0]].unsqueeze(1)).mean(1)
    target = torch.eye(3)[ids[:, 0]] if soft else ids
    expected = float((each * weight).sum() / 4)
    assert _loss(_classifier(THREE, members), logits, target, weight) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("members", [1, 4])
def test_gaps_of_several_columns_cost_nothing_and_give_no_gradient(members):
    logits = torch.randn(3, members, 5, requires_grad=True)
    target = torch.tensor([[1, -1], [-1, 2], [-1, -1]])
    first = _nll(logits[0, :, :2], torch.eye(2)[1]).mean()
    second = _nll(logits[1, :, 2:], torch.eye(3)[2]).mean()
    learner = _classifier(COLUMNS, members)
    loss = learner.loss(Batch((logits,), target), "train").total
    assert float(loss.detach()) == pytest.approx(float((first + second).detach() / 2), rel=1e-5)
    loss.backward()
    assert bool((logits.grad[2] == 0).all())
    assert bool((logits.grad[0, :, 2:] == 0).all())
    assert bool((logits.grad[0, :, :2] != 0).all())


def test_a_batch_with_gaps_only_has_loss_0():
    assert _loss(_classifier(COLUMNS), torch.randn(2, 1, 5), torch.full((2, 2), -1)) == 0.0


def test_gaps_and_row_weights_together():
    logits, target = torch.randn(2, 1, 5), torch.tensor([[1, 0], [0, -1]])
    a = _nll(logits[0, 0, :2], torch.eye(2)[1])
    b = _nll(logits[0, 0, 2:], torch.eye(3)[0])
    c = _nll(logits[1, 0, :2], torch.eye(2)[0])
    expected = float((3 * a + 3 * b + c) / 7)
    loss = _loss(_classifier(COLUMNS), logits, target, torch.tensor([3.0, 1.0]))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_auxiliary_losses_of_the_body_are_added_and_shown():
    extras = {"loss:balance": torch.tensor(0.5), "attention": torch.ones(3)}
    logits, target = torch.randn(4, 1, 3), torch.zeros(4, 1, dtype=torch.int64)
    learner = _classifier(THREE, extras=extras)
    loss = learner.loss(Batch((logits,), target), "train")
    assert float(loss.total.detach()) == pytest.approx(_loss(_classifier(THREE), logits, target) + 0.5)
    assert {name: float(part) for name, part in loss.parts.items()} == {"loss:balance": 0.5}


# --------------------------------------------------------------------------------------------------------- the answer


def test_the_answer_is_the_mean_of_the_members_probabilities():
    logits = torch.randn(5, 4, 3)
    answer = _classifier(THREE, 4).predict((logits,))
    torch.testing.assert_close(answer, logits.softmax(-1).mean(1))


def test_several_columns_answer_side_by_side():
    logits = torch.randn(5, 1, 5)
    answer = _classifier(COLUMNS).predict((logits,))
    torch.testing.assert_close(answer[:, :2], logits[:, 0, :2].softmax(-1))
    torch.testing.assert_close(answer[:, 2:], logits[:, 0, 2:].softmax(-1))


def test_answers_of_a_network_in_bf16_are_fp32():
    learner = _classifier(THREE).to(torch.bfloat16)
    assert learner.predict((torch.randn(5, 1, 3, dtype=torch.bfloat16),)).dtype == torch.float32


def test_decide_takes_the_likelier_class_or_the_second_from_the_threshold():
    answers = np.array([[0.8, 0.2], [0.69, 0.31], [0.4, 0.6]])
    two = LabelSpec((2,))
    assert Classify().decide(answers, two).tolist() == [[0], [0], [1]]
    assert Classify(threshold=0.3).decide(answers, two).tolist() == [[0], [1], [1]]
    assert Classify(threshold=0.2).decide(answers, two).tolist() == [[1], [1], [1]]  # "from which"
    assert Classify(threshold=1.0).decide(answers, two).tolist() == [[0], [0], [0]]


def test_decide_looks_at_each_column_of_labels():
    answers = np.array([[0.8, 0.2, 0.1, 0.2, 0.7], [0.4, 0.6, 0.5, 0.3, 0.2]])
    assert Classify().decide(answers, COLUMNS).tolist() == [[0, 2], [1, 0]]
    sets = np.array([[0.6, 0.4, 0.1, 0.9, 0.8, 0.2]])
    assert Classify().decide(sets, SETS).tolist() == [[0, 1, 0]]
    assert Classify(threshold=0.3).decide(sets, SETS).tolist() == [[1, 1, 0]]


def test_a_threshold_needs_two_classes():
    with pytest.raises(BadInput, match=r"^threshold works for two classes\. Received: 3 classes\.$"):
        Classify(threshold=0.5).decide(np.ones((1, 3)) / 3, THREE)


# ------------------------------------------------------------------------------------------------------------ metrics

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
TRUTH = np.array([[0], [1], [1], [2]])


def test_metrics_by_hand():
    found = Classify().metrics(PROBABILITIES, TRUTH, THREE)
    assert found["log_loss"] == pytest.approx(-(math.log(0.7) + math.log(0.6) + math.log(0.4) + math.log(0.6)) / 4)
    assert found["accuracy"] == 3 / 4
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    f1 = (2 * 1 / (2 + 1), 2 * 1 / (1 + 2), 1.0)  # class 0: 1 right of 2 said; class 1: 1 found of 2; class 2: all
    assert found["macro_f1"] == pytest.approx(sum(f1) / 3)
    squares = (0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.4**2 + 0.3**2, 0.5**2 + 0.6**2 + 0.1**2, 0.2**2 + 0.2**2 + 0.4**2)
    assert found["brier"] == pytest.approx(sum(squares) / 4)
    # class 0 against the rest: .7 above all; class 1: (.6, .4) above both; class 2: .6 above all
    assert found["auc"] == 1.0
    # each row a bin of its own: |.7 - 1|, |.6 - 1|, |.5 - 0|, |.6 - 1|
    assert found["calibration_error"] == pytest.approx((0.3 + 0.4 + 0.5 + 0.4) / 4)


@pytest.mark.parametrize("classes", [2, 5])
def test_metrics_equal_scikit_learns(classes):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(classes), 300)
    truth = np.array([rng.choice(classes, p=p) for p in probabilities])
    found = Classify().metrics(probabilities, truth[:, None], LabelSpec((classes,)))
    decided = probabilities.argmax(1)
    assert found["log_loss"] == pytest.approx(peer.log_loss(truth, probabilities))
    assert found["accuracy"] == pytest.approx(peer.accuracy_score(truth, decided))
    assert found["balanced_accuracy"] == pytest.approx(peer.balanced_accuracy_score(truth, decided))
    assert found["macro_f1"] == pytest.approx(peer.f1_score(truth, decided, average="macro"))
    scores = probabilities[:, 1] if classes == 2 else probabilities
    assert found["auc"] == pytest.approx(peer.roc_auc_score(truth, scores, multi_class="ovr"))
    assert found["brier"] == pytest.approx(peer.brier_score_loss(truth, probabilities, scale_by_half=False))


def test_metrics_follow_the_threshold():
    answers, truth = np.array([[0.65, 0.35], [0.9, 0.1]]), np.array([[1], [0]])
    assert Classify().metrics(answers, truth, LabelSpec((2,)))["accuracy"] == 0.5
    assert Classify(threshold=0.3).metrics(answers, truth, LabelSpec((2,)))["accuracy"] == 1.0


def test_metrics_of_several_columns_are_means_over_the_known_answers():
    answers = np.array([[0.9, 0.1, 0.2, 0.3, 0.5], [0.4, 0.6, 0.8, 0.1, 0.1], [0.3, 0.7, 0.1, 0.8, 0.1]])
    truth = np.array([[0, 2], [0, -1], [-1, 0]])
    found = Classify().metrics(answers, truth, COLUMNS)
    assert found["accuracy"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    first = -(math.log(0.9) + math.log(0.4)) / 2
    second = -(math.log(0.5) + math.log(0.1)) / 2
    assert found["log_loss"] == pytest.approx((first + second) / 2)


def test_what_is_undefined_is_none():
    found = Classify().metrics(PROBABILITIES[:2], TRUTH[:2], THREE)
    assert found["auc"] is None  # the third class is not among these rows
    assert found["accuracy"] == 1.0
    nothing = Classify().metrics(np.ones((2, 5)) / 2, np.full((2, 2), -1), COLUMNS)
    assert set(nothing.values()) == {None}


def test_only_the_metrics_asked_for_are_worked_out():
    assert Classify().metrics(PROBABILITIES, TRUTH, THREE, only=["brier"]).keys() == {"brier"}
    assert Classify().metrics(PROBABILITIES, TRUTH, THREE).keys() == METRICS.keys() == Classify.higher.keys()


def test_soft_targets_are_measured_by_their_likeliest_class():
    soft = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]])
    assert Classify().metrics(PROBABILITIES, soft, THREE) == Classify().metrics(PROBABILITIES, TRUTH, THREE)


def test_a_certain_wrong_answer_has_a_finite_log_loss():
    found = Classify().metrics(np.array([[1.0, 0.0]]), np.array([[1]]), LabelSpec((2,)))
    assert found["log_loss"] == pytest.approx(-math.log(1e-15))


def test_calibration_error_by_hand():
    confidence = np.array([0.9, 0.6, 0.8, 0.7])
    right = np.array([True, False, True, True])
    # two bins of equal mass: (.6, .7) hit 1/2, (.8, .9) hit 2/2
    assert calibration_error(confidence, right, bins=2) == pytest.approx((abs(0.65 - 0.5) + abs(0.85 - 1.0)) / 2)
    assert calibration_error(confidence, right, bins=1) == pytest.approx(abs(0.75 - 0.75))
    assert calibration_error(np.array([0.5, 1.0]), np.array([1, 1]), bins=15) == pytest.approx(0.25)


def test_calibration_error_of_bins_of_unequal_size_is_weighted_by_rows():
    confidence, right = np.array([0.1, 0.2, 0.9]), np.array([0.0, 0.0, 1.0])  # bins (.1, .2) and (.9)
    assert calibration_error(confidence, right, bins=2) == pytest.approx((0.15 * 2 + 0.1 * 1) / 3)


def test_calibration_error_of_honest_probabilities_is_small_and_of_boasting_ones_large():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    right = rng.random(20_000) < p
    assert calibration_error(p, right) < 0.02
    assert calibration_error(np.ones(20_000), right) == pytest.approx(0.5, abs=0.02)


# -------------------------------------------------------------------------------------------------------- calibration


def _answers(sharpness: float, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities `sharpness` times as sure (in logits) as the truth they speak about."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, 3)) * 2
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=p) for p in honest])
    sure = np.exp(sharpness * logits)
    return sure / sure.sum(1, keepdims=True), truth[:, None]


@pytest.mark.parametrize("sharpness", [3.0, 0.5])
def test_one_temperature_undoes_too_much_and_too_little_confidence(sharpness):
    answers, truth = _answers(sharpness)
    learner = _classifier(THREE)
    temperature = learner.calibrate(answers, truth)
    assert temperature == pytest.approx(sharpness, rel=0.1)
    before = METRICS["log_loss"](answers, answers.argmax(1), truth[:, 0])
    calibrated = learner.predict((torch.from_numpy(np.log(answers)).float().unsqueeze(1),)).numpy()
    after = METRICS["log_loss"](calibrated, calibrated.argmax(1), truth[:, 0])
    assert after < before - 0.01
    assert bool((calibrated.argmax(1) == answers.argmax(1)).all())  # the decision stays


def test_the_temperature_divides_logits():
    learner, logits = _classifier(THREE), torch.randn(5, 1, 3)
    learner.temperature.fill_(2.0)
    torch.testing.assert_close(learner.predict((logits,)), (logits[:, 0] / 2).softmax(-1))


def test_the_temperature_is_saved_with_the_weights_and_is_no_parameter():
    learner = _classifier(THREE)
    assert "temperature" in learner.state_dict()
    assert "temperature" not in dict(learner.named_parameters())


def test_fewer_than_twenty_rows_say_nothing_about_the_temperature():
    answers, truth = _answers(3.0, rows=19)
    assert _classifier(THREE).calibrate(answers, truth) == 1.0


def test_gaps_and_soft_targets_calibrate_too():
    answers, truth = _answers(3.0)
    both = np.concatenate([answers[:, :2] / answers[:, :2].sum(1, keepdims=True), answers], 1)
    target = np.concatenate([np.full_like(truth, -1), truth], 1)
    learner = Classifier(_Given(5), COLUMNS, 1, 0.0)
    assert learner.calibrate(both, target) == pytest.approx(_classifier(THREE).calibrate(answers, truth), rel=1e-5)
    soft = np.eye(3)[truth[:, 0]]
    assert _classifier(THREE).calibrate(answers, soft) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_soft_targets_calibrate_to_their_shares_and_not_to_their_likeliest_class(sharpness):
    shares, _ = _answers(1.0)
    answers, _ = _answers(sharpness)
    assert _classifier(THREE).calibrate(answers, shares) == pytest.approx(sharpness, rel=0.02)


# -------------------------------------------------------------------------------------------------------- the question


def test_balanced_weights_make_classes_count_alike():
    target = np.array([[0]] * 6 + [[1]] * 2)
    weights = Classify(class_weight="balanced").row_weights(target, LabelSpec((2,)), [["a", "b"]])
    assert weights.tolist() == pytest.approx([8 / (2 * 6)] * 6 + [8 / (2 * 2)] * 2)
    assert weights[:6].sum() == pytest.approx(weights[6:].sum())


def test_balanced_weights_of_soft_targets_go_by_their_shares():
    soft = np.array([[0.75, 0.25], [0.75, 0.25]])
    weights = Classify(class_weight="balanced").row_weights(soft, LabelSpec((2,)), [["a", "b"]])
    assert weights.tolist() == pytest.approx([1.0, 1.0])
    soft = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weights = Classify(class_weight="balanced").row_weights(soft, LabelSpec((2,)), [["a", "b"]])
    assert weights.tolist() == pytest.approx([0.75, 0.75, 1.5])


def test_weights_by_label_and_1_for_those_not_named():
    target = np.array([[0], [1], [2]])
    weights = Classify(class_weight={"b": 5, "c": 0}).row_weights(target, THREE, [["a", "b", "c"]])
    assert weights.tolist() == [1.0, 5.0, 0.0]
    numbers = Classify(class_weight={1: 2.0, 0: 0.5}).row_weights(target[:2], LabelSpec((2,)), [[0, 1]])
    assert numbers.tolist() == [0.5, 2.0]


def test_without_class_weight_no_row_is_weighted():
    assert Classify().row_weights(np.array([[0]]), THREE, [["a", "b", "c"]]) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Classify(label_smoothing=1.0), "label_smoothing must be a number between 0.0 and 0.9. Received: 1.0."),
        (lambda: Classify(threshold=2), "threshold must be a number between 0.0 and 1.0. Received: 2."),
        (
            lambda: Classify(class_weight="even"),
            "class_weight must be None, 'balanced' or a dict of label to weight. Received: 'even'.",
        ),
        (
            lambda: Classify(class_weight={"d": 1}).row_weights(np.array([[0]]), THREE, [["a", "b", "c"]]),
            "class_weight names the label 'd'. The labels are: a, b, c.",
        ),
        (
            lambda: Classify(class_weight={"a": -1}).row_weights(np.array([[0]]), THREE, [["a", "b", "c"]]),
            "class_weight of 'a' must be a number of at least 0.0. Received: -1.",
        ),
        (
            lambda: Classify(class_weight="balanced").row_weights(np.array([[0, 1]]), COLUMNS, [[0, 1], [0, 1, 2]]),
            "class_weight works for one column of labels. Received: 2 columns.",
        ),
    ],
)
def test_questions_that_cannot_be_asked(make, sentence):
    with pytest.raises(BadInput) as caught:
        make()
    assert str(caught.value) == sentence


def test_the_learner_has_a_head_of_the_specs_width():
    learner = Classify(label_smoothing=0.2).learner(_Given(7), COLUMNS, members=1)
    assert isinstance(learner, nn.Module)
    assert learner.head.weight.shape == (5, 7)
    assert learner.smoothing == 0.2


def test_sums_over_items_give_the_accuracy():
    rng = np.random.default_rng(0)
    answers = rng.random((40, 5))
    target = np.stack([rng.integers(-1, 2, 40), rng.integers(-1, 3, 40)], 1)
    items = Classify().items(answers, target, COLUMNS)
    for rows in (np.arange(40), rng.integers(0, 40, 40)):
        expected = Classify().metrics(answers[rows], target[rows], COLUMNS)["accuracy"]
        assert float(Classify().of_items(items[rows].sum(0))) == pytest.approx(expected)
    soft = Classify().items(answers[:, :2], answers[:, :2], LabelSpec((2,)))
    assert Classify().of_items(soft.sum(0)) == 1.0


def test_a_column_without_known_labels_does_not_count():
    items = Classify().items(np.array([[0.2, 0.8, 1, 0, 0]]), np.array([[1, -1]]), COLUMNS)
    assert Classify().of_items(items.sum(0)) == 1.0
    assert np.isnan(Classify().of_items(np.zeros(4)))
