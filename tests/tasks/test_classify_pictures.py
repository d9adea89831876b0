"""Classify pictures: the views of a picture and their mean, worked by hand with a body that reads the left column."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.contracts import Batch, Body, Features, LabelSpec
from decet.errors import BadInput
from decet.tasks.classify import Classifier, Classify
from decet.tasks.classify_pictures import VIEWS, ClassifyPictures, PictureClassifier, moved

TWO = LabelSpec((2,))


class _LeftColumn(Body):
    """The mean of each channel in the leftmost column, (B, M, C): mirrored, it reads the rightmost one."""

    def __init__(self, channels: int, members: int = 1) -> None:
        super().__init__()
        self.width = self.summary_width = channels
        self.members, self.shapes = members, []

    def forward(self, inputs, *, condition=None):
        pixels = inputs[0]
        self.shapes.append(tuple(pixels.shape))
        column = pixels.float()[..., 0].flatten(2).mean(-1)  # (B, C)
        return Features(summary=column.unsqueeze(1).expand(-1, self.members, -1), members=self.members)


def _learner(views: str | None, channels: int = 2, spec: LabelSpec = TWO, members: int = 1) -> PictureClassifier:
    """A classifier whose logits are the left column's means."""
    learner = ClassifyPictures(views=views).learner(_LeftColumn(channels, members), spec, members)
    eye = torch.eye(channels)
    learner.head.weight.data = eye if members == 1 else eye.expand(members, -1, -1).clone()
    return learner


# A picture whose columns are 1, 2, 4, 8 in the first channel, and 0 in the second: logits (column, 0)
COLUMNS = torch.zeros(1, 2, 3, 4)
COLUMNS[0, 0] = torch.tensor([1.0, 2.0, 4.0, 8.0])


def _first(learner: PictureClassifier, pixels: torch.Tensor = COLUMNS) -> float:
    """The logit of the first class."""
    with torch.no_grad():
        return float(learner.logits((pixels,))[0, 0, 0])


# ------------------------------------------------------------------------------------------------------------ the views


def test_the_plain_view_is_the_picture_itself():
    assert _first(_learner("plain")) == 1.0
    assert _first(_learner(None)) == 1.0  # not said


def test_the_mirror_view_is_the_mean_with_the_mirror_image():
    assert _first(_learner("mirror")) == (1 + 8) / 2


def test_the_shift_view_counts_the_moved_pictures_a_quarter_each():
    # moved right and down by one, the left column is the second of the picture (2, reflected) and the right one 4;
    # moved left and up, they are 2 and the reflected 4
    right, left = (2 + 4) / 2, (2 + 4) / 2
    assert _first(_learner("shift")) == pytest.approx(0.5 * (1 + 8) / 2 + 0.25 * right + 0.25 * left)


def test_the_shift_view_by_hand_of_a_picture_that_is_not_symmetric():
    pixels = torch.randint(0, 256, (1, 2, 5, 6)).float()
    framed = np.pad(pixels[0, 0].numpy(), 1, mode="reflect")
    expected = 0.0
    for weight, top in ((0.5, 1), (0.25, 0), (0.25, 2)):  # the picture, moved down and right, moved up and left
        view = framed[top : top + 5, top : top + 6]
        expected += weight * (view[:, 0].mean() + view[:, -1].mean()) / 2
    assert _first(_learner("shift"), pixels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("views", "passes"), [("plain", 1), ("mirror", 2), ("shift", 6)])
def test_a_picture_is_looked_at_so_often(views, passes):
    learner = _learner(views)
    learner.predict((COLUMNS,))
    assert learner.body.shapes == [(1, 2, 3, 4)] * passes


@pytest.mark.parametrize("views", VIEWS)
@pytest.mark.parametrize(
    "shape", [(3, 2, 1, 1), (3, 2, 1, 5), (3, 2, 5, 1), (3, 2, 2, 2), (3, 2, 4, 5, 6), (3, 2, 1, 1, 1)]
)
def test_every_view_of_the_smallest_pictures_and_of_clips_works(views, shape):
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    answer = _learner(views).predict((pixels,))
    assert answer.shape == (shape[0], 2)
    torch.testing.assert_close(answer.sum(1), torch.ones(shape[0]))


@pytest.mark.parametrize("views", VIEWS)
def test_bytes_and_numbers_channels_first_and_last_get_the_same_answer(views):
    pixels, learner = torch.randint(0, 4, (5, 2, 4, 6), dtype=torch.uint8), _learner(views)
    expected = learner.predict((pixels,))
    assert torch.equal(learner.predict((pixels.float(),)), expected)
    assert torch.equal(learner.predict((pixels.contiguous(memory_format=torch.channels_last),)), expected)


@pytest.mark.parametrize("views", ["mirror", "shift"])
def test_a_mirrored_picture_gets_the_same_answer(views):
    pixels = torch.rand(4, 2, 5, 6)
    learner = _learner(views)
    if views == "mirror":
        torch.testing.assert_close(learner.predict((pixels.flip(-1),)), learner.predict((pixels,)))
    turned = pixels.flip(-1).flip(-2)  # both ways of moving are mirrored too
    torch.testing.assert_close(learner.predict((turned,)), learner.predict((pixels,)))


@pytest.mark.parametrize("views", VIEWS)
def test_the_frames_of_a_clip_are_mirrored_and_moved_alike(views):
    pictures = torch.rand(3, 2, 4, 5) * 4
    clips = pictures.unsqueeze(2).expand(-1, -1, 7, -1, -1)
    learner = _learner(views)
    torch.testing.assert_close(learner.predict((clips,)), learner.predict((pictures,)))


def test_further_inputs_are_handed_on_to_every_view():
    seen = []
    learner = _learner("shift")
    forward = learner.body.forward
    learner.body.forward = lambda inputs: seen.append(inputs[1]) or forward(inputs)
    learner.predict((COLUMNS, "more"))
    assert seen == ["more"] * 6


@pytest.mark.parametrize("by", [-3, -1, 0, 1, 2])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 6, 4, 5)])
def test_moving_equals_numpys_reflection_and_a_crop(by, shape):
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    most = abs(by)
    framed = np.pad(pixels.numpy(), [(0, 0)] * (len(shape) - 2) + [(most, most)] * 2, mode="reflect")
    expected = framed[..., most - by : most - by + 4, most - by : most - by + 5]
    assert np.array_equal(moved(pixels, by).numpy(), expected)


# ----------------------------------------------------------------------------------------------- members, columns, loss


def test_logits_of_views_are_averaged_before_members_probabilities_are():
    learner = _learner("mirror", members=3)
    learner.head.weight.data *= torch.tensor([1.0, 0.5, -1.0]).view(3, 1, 1)
    with torch.no_grad():
        logits = learner.logits((COLUMNS,))
    assert logits[0, :, 0].tolist() == pytest.approx([4.5, 2.25, -4.5])
    torch.testing.assert_close(learner.predict((COLUMNS,)), logits.softmax(-1).mean(1))


def test_several_columns_of_labels_have_views_too():
    spec = LabelSpec((2, 3))
    pixels = torch.rand(4, 5, 3, 6)
    answer = _learner("mirror", 5, spec).predict((pixels,))
    mean = (pixels[..., 0].mean(-1) + pixels[..., -1].mean(-1)) / 2
    torch.testing.assert_close(answer[:, :2], mean[:, :2].softmax(-1))
    torch.testing.assert_close(answer[:, 2:], mean[:, 2:].softmax(-1))


@pytest.mark.parametrize("views", VIEWS)
def test_training_looks_once_and_loses_as_classify_does(views):
    learner, target = _learner(views), torch.tensor([[0], [1], [1]])
    pixels = torch.rand(3, 2, 4, 5)
    plain = Classifier(_LeftColumn(2), TWO, 1, 0.0)
    plain.head.weight.data = torch.eye(2)
    batch = Batch((pixels,), target)
    assert float(learner.loss(batch, "train").total.detach()) == float(plain.loss(batch, "train").total.detach())
    assert len(learner.body.shapes) == 1


@pytest.mark.parametrize("views", VIEWS)
def test_one_temperature_is_fitted_to_the_answers_of_the_views(views):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2000, 2, 3, 3, generator=generator) * 4
    learner = _learner(views)
    with torch.no_grad():
        honest = (learner.logits((pixels,))[:, 0] / 2.5).softmax(-1)  # the network is 2.5 times too sure
    target = torch.multinomial(honest, 1, generator=generator).numpy()
    temperature = learner.calibrate(learner.predict((pixels,)).numpy(), target)
    assert temperature == pytest.approx(2.5, rel=0.12)
    torch.testing.assert_close(
        learner.predict((pixels,)), (learner.logits((pixels,))[:, 0].detach() / temperature).softmax(-1)
    )


# --------------------------------------------------------------------------------------------------------- the question


@pytest.mark.parametrize("question", [Classify, ClassifyPictures])
def test_smoothing_that_nobody_states_is_0(question):
    batch = Batch((torch.rand(3, 2, 4, 5),), torch.tensor([[0], [1], [1]]))
    losses = []
    for smoothing in (None, 0.0, 0.2):
        torch.manual_seed(0)
        learner = question(label_smoothing=smoothing).learner(_LeftColumn(2), TWO, 1)
        losses.append(float(learner.loss(batch, "train").total.detach()))
    assert question().label_smoothing is None
    assert losses[0] == losses[1] != losses[2]


def test_a_question_about_pictures_is_decided_and_measured_as_classify_is():
    answers, truth = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]), np.array([[0], [1], [1]])
    for settings in ({}, {"threshold": 0.3}):
        own, plain = ClassifyPictures(views="shift", **settings), Classify(**settings)
        assert np.array_equal(own.decide(answers, TWO), plain.decide(answers, TWO))
        assert own.metrics(answers, truth, TWO) == plain.metrics(answers, truth, TWO)
    assert ClassifyPictures.higher == Classify.higher


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"views": "mirrors"},
            "views must be one of 'plain', 'mirror', 'shift'. Received: 'mirrors'. Did you mean 'mirror'?",
        ),
        ({"views": 2}, "views must be one of 'plain', 'mirror', 'shift'. Received: 2."),
        ({"label_smoothing": 1.0}, "label_smoothing must be a number between 0.0 and 0.9. Received: 1.0."),
        ({"threshold": -1}, "threshold must be a number between 0.0 and 1.0. Received: -1."),
    ],
)
def test_questions_that_cannot_be_asked(settings, sentence):
    with pytest.raises(BadInput) as caught:
        ClassifyPictures(**settings)
    assert str(caught.value) == sentence
